"""Claims of chapter 8, signal or gradient."""

from __future__ import annotations

from igbrepro.claims import TIGHTENED, Claim, agrees, all_of, between, exact, farthest, greater, least_precise

# Names of measurements, as the notebook gives them.
EULER = "Euler's identity: largest |h·δ/f − 1|"
GROWTH_OF_VARIANCE = "growth of the variance"
GROWTH_OF_DISTANCE = "growth of the distance of near inputs"
POOLS = ("average", "max")


def keeps_signal(pool: str) -> str:
    """The σ_w² that keeps the signal."""
    return f"{pool}: σ_w² that keeps the signal"


def variance_growth(pool: str) -> str:
    """Of networks at that σ_w²."""
    return f"{pool}: growth of the variance per layer"


def gradient_growth(pool: str) -> str:
    """Of networks at that σ_w²."""
    return f"{pool}: growth of the squared gradient per layer"


def naive_growth(pool: str) -> str:
    """Of the gradient with its part along the signal."""
    return f"{pool}: naive growth per layer"


def growth_above_floor(pool: str) -> str:
    """Of the gradient without it."""
    return f"{pool}: growth above the floor"


SIGNAL_PUBLISHED_KEEPS_VARIANCE = Claim(
    id="signal-published-keeps-variance",
    title="Pooled ReLU: the published values keep the signal",
    statement="ReLU networks with pools over two nodes keep the variance of their signals at σ_w² = 4π/(π+1) "
    "(average) and 4π/(3π+2) (max).",
    source="arXiv:2505.12096, critical values of pooled ReLU networks",
    rule=all_of(
        *(exact(keeps_signal(pool), 1e-9) for pool in POOLS),
        *(agrees(variance_growth(pool), 4, 0.01) for pool in POOLS),
    ),
)


SIGNAL_PUBLISHED_EDGE = Claim(
    id="signal-published-edge",
    title="Pooled ReLU: the published values are the edge of chaos",
    statement="At the same two values gradients neither vanish nor explode: their mean square is kept from layer "
    "to layer, to within one per cent.",
    source="arXiv:2505.12096, critical values of pooled ReLU networks, there called the edge of chaos",
    rule=all_of(*(agrees(gradient_growth(pool), 4, 0.01, slack=0.01) for pool in POOLS)),
)


SIGNAL_GRADIENT_RATIO = Claim(
    id="signal-gradient-ratio",
    title="Pooled ReLU: signal or gradient",
    statement="In ReLU networks with pools over two independent nodes the growth of squared gradients over the "
    "growth of the variance is π/(π+1) (average) and 3π/(3π+2) (max), whatever σ_w² is: at the value that keeps "
    "the one the other is not kept, by just that factor per layer (up to a derived correction in 1/width).",
    source="ours; not in arXiv:2505.12096",
    rule=all_of(agrees(farthest(), 4, 0.01), agrees(least_precise(), 4, 0.01)),
)


SIGNAL_FLOOR = Claim(
    id="signal-floor",
    title="A floor under vanishing gradients",
    statement="In bias-free homogeneous networks the gradient of a logit has a part along the signal that does not "
    "vanish with depth: mean squared gradients level off at a derived value of order 1/width, above what they are "
    "for a read-out that has no such part.",
    source="ours; not in arXiv:2505.12096",
    rule=all_of(
        between(EULER, 0, 1e-9),
        agrees(farthest(), 4, 0.12),
        agrees(least_precise(), 4, 0.12),
        *(greater(naive_growth(pool), growth_above_floor(pool), 4) for pool in POOLS),
    ),
    revised=TIGHTENED,
)


SIGNAL_WINDOWS = Claim(
    id="signal-windows",
    title="Windows of correlated nodes",
    statement="In ReLU networks with pools over two nodes of correlation ρ, variances and the distances of near "
    "inputs grow by the closed forms in ρ, which lead from the values of independent nodes to the 2 of plain ReLU.",
    source="ours; arXiv:2505.12096 treats independent nodes",
    rule=all_of(
        *(
            agrees(extreme(what), 4, 0.01, slack=0.002)
            for extreme in (farthest, least_precise)
            for what in (GROWTH_OF_VARIANCE, GROWTH_OF_DISTANCE)
        )
    ),
)
