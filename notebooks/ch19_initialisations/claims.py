"""Claims of chapter 19, initialisations."""

from __future__ import annotations

import math

from igbrepro.claims import Claim, all_of, between, greater
from igbrepro.runs import audit_claim

# Names of measurements, as the notebook gives them.
GRADIENT_GROWTH = "growth of the squared gradient, log10"
EDGE_MINUS_LSUV = "edge minus LSUV, final accuracy"
EDGE_MINUS_HE = "edge minus He, final accuracy"
EDGE_MINUS_BEST = "edge minus best other, worst network"
SPREAD_WITHOUT_MINUS_WITH = "spread without minus with norm"
GRADIENT_RANKS = "rank correlation, gradient"
XAVIER_RELU = "Xavier over edge, ReLU, log10"
XAVIER_RELU_MINUS_TANH = "Xavier over edge, ReLU minus tanh, log10"
IMPLIED_GROWTH = "growth that χ implies, log10"
SHARE_RANKS = "rank correlation, share"
SCHEMES = ("He", "orthogonal", "LSUV")
ACTIVATIONS = ("ReLU", "tanh")


def minus_edge(scheme: str) -> str:
    """The lead of a scheme over the edge in final accuracy."""
    return f"{scheme} minus edge, final accuracy"


def over_edge(scheme: str) -> str:
    """How much later than the edge a scheme learns."""
    return f"{scheme} over edge, steps, log10"


def edge_minus_orthogonal(activation: str) -> str:
    """The lead of the edge in final accuracy."""
    return f"edge minus orthogonal, final accuracy, {activation}"


def orthogonal_growth(activation: str) -> str:
    """The growth of the squared gradient towards the input."""
    return f"growth of the squared gradient, orthogonal, {activation}, log10"


SCHEMES_RELU_NAMES = Claim(
    id="schemes-relu-names",
    title="Four names for one place",
    statement="In a deep plain ReLU CNN the edge of chaos, He's rule, orthogonal weights and LSUV, which all "
    "start at χ = 1, end within 0.1 of the same accuracy and learn equally fast, to within a factor of two.",
    source="follows from the phase diagram of arXiv:2505.12096; the comparison is ours",
    rule=all_of(
        *(between(minus_edge(scheme), -0.1, 0.1) for scheme in SCHEMES),
        also=[between(over_edge(scheme), -math.log10(2), math.log10(2)) for scheme in SCHEMES],
    ),
)


SCHEMES_XAVIER = Claim(
    id="schemes-xavier",
    title="A rule is right for the activation it was made for",
    statement="Xavier's rule makes a deep plain ReLU CNN, which it puts in the ordered phase, learn later than the "
    "edge of chaos does; for tanh, where it is a point of the edge itself, it is less of a delay or none.",
    source="follows from the phase diagram of arXiv:2505.12096; the comparison is ours",
    rule=all_of(
        greater(XAVIER_RELU, 0.0, z=2),
        greater(XAVIER_RELU_MINUS_TANH, 0.0, z=2),
    ),
)


SCHEMES_LSUV_CHAOTIC = Claim(
    id="schemes-lsuv-chaotic",
    title="LSUV keeps the signal, not the gradient",
    statement="In a deep plain tanh CNN LSUV, which gives every layer unit variance, lets the squared gradient "
    "grow towards the input more than χ = E[φ′²]/E[φ²] at variance 1 implies.",
    source="ours, after the phase diagram of arXiv:2505.12096",
    rule=greater(GRADIENT_GROWTH, IMPLIED_GROWTH, z=2),
)


SCHEMES_LSUV_LATE = Claim(
    id="schemes-lsuv-late",
    title="LSUV under tanh: does the chaos cost anything?",
    statement="A deep plain tanh CNN drawn by LSUV, a little in the chaotic phase, ends a short training with a "
    "lower accuracy than one on the edge of chaos.",
    source="ours, after the phase diagram of arXiv:2505.12096",
    rule=greater(EDGE_MINUS_LSUV, 0.0, z=2),
)


SCHEMES_ORTHOGONAL = Claim(
    id="schemes-orthogonal",
    title="On the edge, but with one eye",
    statement="Delta-orthogonal kernels, which let a deep plain CNN start on the edge of chaos without looking at "
    "neighbouring positions, end a short training with a lower accuracy than independent weights on the edge, for "
    "ReLU and for tanh.",
    source="ours; exploratory",
    rule=all_of(
        *(greater(edge_minus_orthogonal(activation), 0.0, z=2) for activation in ACTIVATIONS),
        *(between(orthogonal_growth(activation), -1, 1) for activation in ACTIVATIONS),
    ),
)


SCHEMES_RESNET_HE = Claim(
    id="schemes-resnet-he",
    title="He's rule does not see the sums",
    statement="In a ResNet without normalisation He's rule, which is right for a plain ReLU network, ends with a "
    "lower accuracy than the edge of chaos that allows for the residual sums.",
    source="ours, after the project's summary of the paper (arXiv:2505.12096); not in its code or reviews",
    rule=greater(EDGE_MINUS_HE, 0.0, z=2),
)


SCHEMES_EDGE_SAFE = Claim(
    id="schemes-edge-safe",
    title="The edge is never far behind",
    statement="In none of the four networks does any other initialisation end with an accuracy more than 0.1 above "
    "that of the edge of chaos.",
    source="ours; arXiv:2505.12096 compares phases, not named rules",
    rule=between(EDGE_MINUS_BEST, -0.1, math.inf),
)


SCHEMES_NORM = Claim(
    id="schemes-norm",
    title="With batch normalisation it matters less",
    statement="The final accuracies that six initialisations lead to differ less in a ResNet with batch "
    "normalisation than in the same ResNet without.",
    source="ours, after the project's summary of the paper (arXiv:2505.12096); not in its code or reviews",
    rule=greater(SPREAD_WITHOUT_MINUS_WITH, 0.0, z=2),
)


SCHEMES_GRADIENT_TELLS = Claim(
    id="schemes-gradient-tells",
    title="The gradient tells more than the bias",
    statement="In networks without normalisation, how far the squared gradient is from keeping its size over the "
    "untrained network ranks six initialisations by their final accuracy better than the share of the favourite "
    "class at the start does.",
    source="ours; arXiv:2505.12096 links bias and trainability along one family of initialisations; exploratory",
    rule=greater(GRADIENT_RANKS, SHARE_RANKS, z=2),
)


AUDIT = audit_claim("initialisations")
