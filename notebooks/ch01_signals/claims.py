"""Claims of chapter 1, signals."""

from __future__ import annotations

from igbrepro.claims import TIGHTENED, Claim, agrees, all_of, farthest, least_precise

# Names of measurements, as the notebook gives them.
EXPONENT = "exponent of the gap"
FIRST_ORDER = "with first order in 1/width"


def in_phase(phase: str) -> str:
    """What is compared of the depth scales in one phase."""
    return f"{phase} phase"


SIGNALS_MAPS = Claim(
    id="signals-maps",
    title="Layer maps of q and c",
    statement="In the first layers of wide random networks with ReLU, tanh and GELU, the variance of a signal and "
    "the correlation of two signals are those of two deterministic maps.",
    source="arXiv:2505.12096, mean-field background; Poole et al. 2016, eqs. (3) and (5)",
    rule=all_of(agrees(farthest(), max_z=4.2, resolution=0.02), agrees(least_precise(), 4.2, resolution=0.02)),
)


SIGNALS_WIDTH = Claim(
    id="signals-width",
    title="The gap to theory is of order 1/width",
    statement="In deep layers the mean correlation in finite networks misses the maps by an amount inversely "
    "proportional to the width, and of the size that the curvature of the maps predicts.",
    source="implied by arXiv:2505.12096, mean-field background (limit of infinite width); the first order is ours",
    rule=all_of(
        agrees(EXPONENT, max_z=3, resolution=0.08, slack=0.1),
        agrees(farthest(FIRST_ORDER), max_z=4.5, resolution=0.05, slack=0.01),
        agrees(least_precise(FIRST_ORDER), max_z=4.5, resolution=0.05, slack=0.01),
    ),
    revised=TIGHTENED,
)


SIGNALS_SCALES = Claim(
    id="signals-scales",
    title="Depth scales of q and c",
    statement="Small deviations of the variance and of the correlation from their fixed points die out "
    "exponentially with depth, over the scales that the slopes of the maps predict, in order and in chaos.",
    source="arXiv:2505.12096, mean-field background; Schoenholz et al. 2017, eqs. (7) to (9)",
    rule=all_of(
        *(
            agrees(extreme(in_phase(phase)), max_z=4.2, resolution=0.05)
            for phase in ("ordered", "chaotic")
            for extreme in (farthest, least_precise)
        )
    ),
)


SIGNALS_GRADIENTS = Claim(
    id="signals-gradients",
    title="χ is the gradient multiplier",
    statement="The mean squared gradient changes by the factor χ from layer to layer, the slope of the covariance "
    "map for equal inputs: it vanishes in the ordered phase and explodes in the chaotic phase.",
    source="arXiv:2505.12096, mean-field background; Schoenholz et al. 2017, section on gradients",
    rule=all_of(agrees(farthest(), max_z=4.0, resolution=0.01), agrees(least_precise(), 4.0, resolution=0.01)),
)
