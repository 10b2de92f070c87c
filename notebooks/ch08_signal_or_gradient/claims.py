"""Claims of chapter 8, signal or gradient."""

from __future__ import annotations

from igbrepro.claims import Claim, agrees, all_of, between, exact, farthest, greater, least_precise

# Names of measurements, as the notebook gives them.
EULER_S_IDENTITY_LARGEST_H_F_1 = "Euler's identity: largest |h·δ/f − 1|"


SIGNAL_PUBLISHED_KEEPS_VARIANCE = Claim(
    id="signal-published-keeps-variance",
    title="Pooled ReLU: the published values keep the signal",
    statement="ReLU networks with pools over two nodes keep the variance of their signals at σ_w² = 4π/(π+1) "
    "(average) and 4π/(3π+2) (max).",
    source="arXiv:2505.12096, critical values of pooled ReLU networks",
    rule=all_of(
        *(exact(f"{name}: σ_w² that keeps the signal", 1e-9) for name in ("average", "max")),
        *(agrees(f"{name}: growth of the variance per layer", 4, 0.01) for name in ("average", "max")),
    ),
)


SIGNAL_PUBLISHED_EDGE = Claim(
    id="signal-published-edge",
    title="Pooled ReLU: the published values are the edge of chaos",
    statement="At the same two values gradients neither vanish nor explode: their mean square is kept from layer "
    "to layer, to within one per cent.",
    source="arXiv:2505.12096, critical values of pooled ReLU networks, there called the edge of chaos",
    rule=all_of(
        *(
            agrees(f"{name}: growth of the squared gradient per layer", 4, 0.01, slack=0.01)
            for name in ("average", "max")
        )
    ),
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
        between(EULER_S_IDENTITY_LARGEST_H_F_1, 0, 1e-9),
        agrees(farthest(), 4, 0.25),
        agrees(least_precise(), 4, 0.25),
        *(
            greater(f"{name}: naive growth per layer", f"{name}: growth above the floor", 4)
            for name in ("average", "max")
        ),
    ),
)


SIGNAL_WINDOWS = Claim(
    id="signal-windows",
    title="Windows of correlated nodes",
    statement="In ReLU networks with pools over two nodes of correlation ρ, variances and the distances of near "
    "inputs grow by the closed forms in ρ, which lead from the values of independent nodes to the 2 of plain ReLU.",
    source="ours; arXiv:2505.12096 treats independent nodes",
    rule=all_of(
        *(
            agrees(f"{which}: {what}", 4, 0.01, slack=0.002)
            for which in ("farthest from theory", "least precise")
            for what in ("growth of the variance", "growth of the distance of near inputs")
        )
    ),
)
