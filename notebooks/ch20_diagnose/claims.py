"""Claims of chapter 20, diagnose."""

from __future__ import annotations

import math

from igbrepro.claims import Claim, all_of, between, greater

# Names of measurements, as the notebook gives them.
EDGE_MINUS_ELSEWHERE = "edge minus elsewhere, mean accuracy"
CAME_ABOVE_CHANCE = "as it came, final accuracy above chance"
OTHER_RATES = "as it came, other rates, farthest from chance"
REPAIRED = "repaired, final accuracy"
REPAIRED_MINUS_CAME = "repaired minus as it came"
CALLED_ORDERED = "share of seeds called ordered, as it came"
CALLED_EDGE = "share of seeds called edge, repaired"


def gradient_gap(name: str) -> str:
    """Of the network "as it came" or "repaired"."""
    return f"measured minus predicted, log10, {name}"


REPAIR_TRAINS = Claim(
    id="repair-trains",
    title="A network that does not train, repaired",
    statement="A deep plain ReLU network of convolutions, as PyTorch initialises it, stays at chance in an "
    "ordinary training loop at every learning rate tried; the same network learns in the same loop once its "
    "weights are drawn anew, each layer on the edge of chaos.",
    source="arXiv:2505.12096, guideline to start on the edge of chaos; the repair of a given network is ours",
    rule=all_of(
        between(CAME_ABOVE_CHANCE, -0.05, 0.05),
        between(OTHER_RATES, -0.05, 0.05),
        between(REPAIRED, 0.4, math.inf),
        greater(REPAIRED_MINUS_CAME, 0.0, z=2),
    ),
)


REPAIR_FORETOLD = Claim(
    id="repair-foretold",
    title="Told before the first step",
    statement="Before any training and without labels, diagnose calls every such network as PyTorch initialises it "
    "ordered, and every repaired one on the edge of chaos.",
    source="ours, after the phase diagram of arXiv:2505.12096",
    rule=all_of(
        between(CALLED_ORDERED, 1, math.inf),
        between(CALLED_EDGE, 1, math.inf),
    ),
)


REPAIR_GRADIENTS = Claim(
    id="repair-gradients",
    title="The gradients that training starts from",
    statement="How much larger or smaller the squared gradient of the loss is in the weights of the first layers "
    "than in those of the last, averaged over the first batches, follows from the diagnosis to within a factor of "
    "ten, in the network as it came, where it is many powers of ten, and in the repaired one.",
    source="ours",
    rule=all_of(*(between(gradient_gap(name), -1, 1) for name in ("as it came", "repaired"))),
)


REPAIR_LADDER = Claim(
    id="repair-ladder",
    title="The verdict and the training that follows",
    statement="Of perceptrons that differ in σ_w² alone, those that diagnose finds at the edge of chaos are, "
    "after a short training, on average more accurate than those that it finds elsewhere.",
    source="ours, after arXiv:2505.12096, section on experiments",
    rule=greater(EDGE_MINUS_ELSEWHERE, 0.0, z=2),
)
