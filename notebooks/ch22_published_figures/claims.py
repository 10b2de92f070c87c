"""Claims of chapter 22, the paper's figures, redrawn at its own sizes."""

from __future__ import annotations

from math import inf

from igbrepro.claims import Claim, all_of, between, greater
from igbrepro.runs import audit_claim

# Names of measurements, as the notebook gives them.
WORST_BRIDGE = "gamma/(1 + gamma) minus mean-field c, farthest layer"
VANISHES = "global gradient of the first layer at ratio 0.5 over that at 1, log10"
UNFAVOURED_GROWS = "unfavoured gradient of the first layer at ratio 2 over that at 1, log10"
FAVOURED_SMALL = "share of networks at ratio 2 whose favoured gradient is a tenth of the unfavoured one or less"
EDGE_STEP = "step at which the edge leaves chance"
ORDERED_STEP = "step at which order leaves chance"
CHAOTIC_BEST = "best test accuracy of the chaotic networks"


PUBLISHED_BRIDGE = {
    name: Claim(
        id=f"published-bridge-{name}",
        title=f"{label}: guesses and signals on one curve over 100 layers",
        statement=f"In {label} networks of the paper's size the correlation that the guesses give, γ/(1 + γ), is "
        "mean-field theory's c to within 0.05 in every layer and at every σ_w² of its figure.",
        source="arXiv:2505.12096, figure of mean-field theory and initial guessing bias over depth",
        rule=between(WORST_BRIDGE, -0.05, 0.05),
    )
    for (name, label) in (("relu", "ReLU"), ("tanh", "tanh"))
}


PUBLISHED_GRADIENTS = Claim(
    id="published-gradients",
    title="ReLU: gradients of the favoured and of the other class",
    statement="In untrained ReLU networks of the paper's depth the gradients of the first layer vanish below the "
    "edge, tenfold at half the critical σ_w²; at twice that value those of the class that the network does not favour "
    "are larger than on the edge, and those of the favoured one, in the typical network, ten times smaller.",
    source="arXiv:2505.12096, figure of gradients at initialisation",
    rule=all_of(
        between(VANISHES, -inf, -1.0),
        greater(UNFAVOURED_GROWS, 0.0, z=2),
        between(FAVOURED_SMALL, 0.5, inf),
    ),
)


PUBLISHED_TRAINING = Claim(
    id="published-training",
    title="tanh, at the paper's size: who leaves chance, and when",
    statement="At the paper's width, depth, learning rate, precision and starting fractions the edge of chaos leaves "
    "chance (an accuracy of 0.6) after 10 to 20 steps and order after 60 to 100, each to within a factor of two, and "
    "the chaotic networks do not.",
    source="arXiv:2505.12096, figure of the training dynamics of MLPs, tanh",
    rule=all_of(between(EDGE_STEP, 5, 40), between(ORDERED_STEP, 30, 200), between(CHAOTIC_BEST, 0.4, 0.6)),
)


AUDIT = audit_claim("published_figures")
