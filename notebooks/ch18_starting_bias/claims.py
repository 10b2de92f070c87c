"""Claims of chapter 18, starting bias."""

from __future__ import annotations

import math

from igbrepro.claims import BESIDE_TOLERANCE, Claim, agrees, all_of, between, farthest, greater, least_precise
from igbrepro.runs import audit_claim

# Names of measurements, as the notebook gives them.
WORST_DESIGN = "measured minus announced, worst design"
GAMMA_FACTOR = "common factor in γ, ln"
ORDERED_OVER_EDGE = "ordered, centred, over edge as drawn"
STRONGEST_OVER_WEAKEST = "strongest over weakest bias"
CENTRED_OVER_WEAKEST = "strongest bias, centred, over weakest"
TANH_CENTRED = "tanh, centred over as drawn"
RELU_CENTRED = "ReLU, centred over as drawn"
FORCED = {what: f"{what}, forced over as drawn" for what in ("weakest bias", "tanh", "ReLU")}


DESIGN_GAMMA = Claim(
    id="design-gamma",
    title="γ by design",
    statement="In untrained tanh and ReLU networks designed for a γ on the edge of chaos, the share 1/(1 + γ) of "
    "the variance of logits that comes from the images is the one that the theory for these images predicts, with "
    "its first correction in 1/width, at every γ asked for.",
    source="ours, after arXiv:2505.12096, mean-field theory of the initial guessing bias",
    rule=all_of(agrees(farthest(), 4, 0.08), agrees(least_precise(), 4, 0.08)),
)


DESIGN_FRACTION = Claim(
    id="design-fraction",
    title="A starting bias that was announced",
    statement="From two numbers of the images, their mean square and mean correlation, a design on the edge of "
    "chaos announces the mean share of the favourite class before training to within 0.05, for tanh and ReLU and "
    "every γ asked for, and with no common factor in γ above 1.25, up or down.",
    source="ours, after arXiv:2505.12096, background on the initial guessing bias",
    rule=all_of(between(WORST_DESIGN, -0.05, 0.05), between(GAMMA_FACTOR, -math.log(1.25), math.log(1.25))),
    revised=BESIDE_TOLERANCE,
)


DESIGN_SPEED = Claim(
    id="design-speed",
    title="Along the edge, less bias learns sooner",
    statement="Of tanh networks on the edge of chaos those designed for the weakest starting bias learn sooner "
    "than those designed for the strongest, and sooner also than these with their heads centred, so that it is the "
    "body that makes the difference.",
    source="ours; arXiv:2505.12096 compares the edge with other phases, not its points with each other",
    rule=all_of(
        greater(STRONGEST_OVER_WEAKEST, 0.0, z=2),
        greater(CENTRED_OVER_WEAKEST, 0.0, z=2),
    ),
)


DESIGN_CENTRED = Claim(
    id="design-centred",
    title="The edge without its prejudice",
    statement="Tanh and ReLU networks on the edge of chaos whose head was centred, so that they start without "
    "bias, learn no later than with the head as it was drawn, within a factor of 1.26.",
    source="ours; asks whether the prejudice that arXiv:2505.12096 finds at the edge is a cause of good training",
    rule=all_of(
        between(TANH_CENTRED, -math.inf, 0.1),
        between(RELU_CENTRED, -math.inf, 0.1),
    ),
)


DESIGN_FORCED = Claim(
    id="design-forced",
    title="Prejudice by force",
    statement="Setting the bias vector of the head so that every first guess is one class changes the learning "
    "time of networks on the edge of chaos by less than a factor of 1.5, be they designed for a weak bias (tanh) "
    "or a strong one (tanh, ReLU).",
    source="ours; the other direction of the same question",
    rule=all_of(
        *(between(name, -math.log10(1.5), math.log10(1.5)) for name in FORCED.values()),
    ),
)


DESIGN_ORDERED_CENTRED = Claim(
    id="design-ordered-centred",
    title="Neutral is not enough",
    statement="A tanh network in the ordered phase whose head was centred, so that it starts without bias, learns "
    "later than a network on the edge of chaos with the same σ_b² that keeps its bias.",
    source="ours; arXiv:2505.12096, section on experiments, compares the two without moving their heads",
    rule=greater(ORDERED_OVER_EDGE, 0.0, z=2),
)


AUDIT = audit_claim("starting_bias")
