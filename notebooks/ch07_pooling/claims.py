"""Claims of chapter 7, pooling."""

from __future__ import annotations

import math

from igbrepro.claims import Claim, agrees, all_of, between, exact, farthest, least_precise

# Names of measurements, as the notebook gives them.
VARIANCE = "variance"
CORRELATION = "correlation"
LARGEST_GAP = "largest relative gap"
LINE_RATIO = "line over k times the plain line, less 1"
LEFT_OF_LINE = "smallest c left of the line"
RIGHT_OF_LINE = "largest c right of the line"
LAYER_VARIANCE = "variance after one layer over before"
LAYER_CORRELATION = "correlation after 1/2"
HALF_LINE = "c at half the line"
TWICE_LINE = "c at twice the line"
SMALLEST_C = "smallest c in the diagram"
PREJUDICE = "prejudice in the diagram"
SMALLEST_C_WINDOWS = "smallest c, windows of three and more"
SMALLEST_C_RELU = "smallest c, pooled ReLU"
LEAST_C_THEORY = "least c of theory, windows of three and more"
INFINITE_WEIGHTS = "correlation after 1/2, k = 2, infinite weights"
KINDS = ("max", "average")


def of_two(kind: str) -> str:
    """σ_w² that keeps the signal under pools of two nodes."""
    return f"{kind} of two"


def growth(kind: str) -> str:
    """The growth of the variance there."""
    return f"growth a layer, {kind} of two"


POOL_MAPS = Claim(
    id="pool-maps",
    title="Maps of pooled layers",
    statement="In the first layers of wide random networks with max- or average-pooling over 2, 3, 4 or 9 nodes "
    "after ReLU or tanh, variance and correlation are those of the maps of a multi-node activation.",
    source="arXiv:2505.12096, section on multi-node activations; windows of more than two nodes are ours",
    rule=all_of(
        agrees(farthest(VARIANCE), max_z=4.3, resolution=0.02, slack=0.005),
        agrees(least_precise(VARIANCE), max_z=4.3, resolution=0.02, slack=0.005),
        agrees(farthest(CORRELATION), max_z=4.3, resolution=0.02, slack=0.005),
        agrees(least_precise(CORRELATION), max_z=4.3, resolution=0.02, slack=0.005),
    ),
)


POOL_CONSTANTS = Claim(
    id="pool-constants",
    title="Published values for pooled ReLU",
    statement="ReLU networks with pools of two nodes keep the variance of the signal at σ_w² = 4π/(3π + 2) "
    "(maximum) and 4π/(π + 1) (average).",
    source="arXiv:2505.12096, section on multi-node activations (critical values of ReLU with pooling)",
    rule=all_of(
        *(exact(of_two(kind), 1e-12) for kind in KINDS),
        exact(LARGEST_GAP, 0, atol=1e-9),
        *(agrees(growth(kind), max_z=3.5, resolution=0.004) for kind in KINDS),
    ),
)


POOL_NEUTRAL_AVERAGE = Claim(
    id="pool-neutral-average",
    title="Averaging stretches the tanh diagram",
    statement="Tanh with average-pooling over k nodes has its neutrality line at k times the σ_w² of plain tanh, "
    "and networks beside it have the correlation of plain tanh at σ_w²/k.",
    source="arXiv:2505.12096, phase diagram of tanh with average-pooling; the exact factor k is ours",
    rule=all_of(
        exact(LINE_RATIO, 0, atol=1e-9),
        between(LEFT_OF_LINE, 0.5, math.inf),
        between(RIGHT_OF_LINE, -math.inf, 0.5),
        agrees(farthest(), max_z=4, resolution=0.02, slack=0.005),
        agrees(least_precise(), max_z=4, resolution=0.02, slack=0.005),
    ),
)


POOL_NEUTRAL_MAX_OF_TWO = Claim(
    id="pool-neutral-max-of-two",
    title="A maximum of two is neutral far out",
    statement="Tanh with max-pooling over two nodes has a neutral phase at very large σ_w², beyond about 40 at "
    "σ_b² = 0.1.",
    source="ours; a limit of the statement on max-pooling in arXiv:2505.12096",
    rule=all_of(
        exact(LAYER_VARIANCE, 1e-8),
        exact(LAYER_CORRELATION, 1e-7),
        between(HALF_LINE, 0.5, math.inf),
        between(TWICE_LINE, -math.inf, 0.5),
        agrees(farthest(), max_z=4, resolution=0.015, slack=0.005),
        agrees(least_precise(), max_z=4, resolution=0.015, slack=0.005),
    ),
)


POOL_NO_NEUTRAL_MAX = Claim(
    id="pool-no-neutral-max",
    title="No neutral phase with max-pooling",
    statement="Networks with max-pooling after tanh or ReLU have no neutral phase: the correlation stays above "
    "1/2 for σ_w² up to 5, and anywhere for windows of three to nine nodes.",
    source="arXiv:2505.12096, section on multi-node activations; the proof and its limits are ours",
    rule=all_of(
        between(SMALLEST_C, 0.5, math.inf),
        agrees(farthest(PREJUDICE), max_z=5, resolution=0.02, slack=0.01),
        agrees(least_precise(PREJUDICE), max_z=5, resolution=0.02, slack=0.01),
        between(SMALLEST_C_WINDOWS, 0.5, math.inf),
        between(SMALLEST_C_RELU, 0.5, math.inf),
        between(LEAST_C_THEORY, 0.5, math.inf),
        also=between(INFINITE_WEIGHTS, 0.5, math.inf),
    ),
)
