"""Claims of chapter 11, deep cnns."""

from __future__ import annotations

import math

from igbrepro.claims import BESIDE_TOLERANCE, NO_LEAD, Claim, all_of, between, greater
from igbrepro.runs import audit_claim

_SUMMARY = "the project's summary of the paper (arXiv:2505.12096); not in its code or reviews"

# Names of measurements, as the notebook gives them.
WORST_START = "measured minus predicted, worst network"
GAMMA_FACTOR = "common factor in γ, ln"
RIVAL_OVER_EDGE = "closest rival over edge, log10"
DEFAULT_ABOVE_CHANCE = "final accuracy above chance, default"
DEFAULT_GRADIENT = "first squared gradient, default over edge, log10"
HE_OVER_EDGE = "He over edge, log10"
XAVIER_OVER_EDGE = "Xavier over edge, log10"


def chaotic_over_edge(activation: str) -> str:
    """How much later the most chaotic network learns."""
    return f"chaotic over edge, {activation}, log10"


def edge_minus_rival(activation: str) -> str:
    """The lead of the edge in final accuracy."""
    return f"edge minus closest rival, {activation}"


def mlp_rival_over_edge(activation: str) -> str:
    """How much later than the edge the closest rival among the fully connected networks leaves chance."""
    return f"MLPs, {activation}: closest rival over edge, log10"


CNN_EDGE_FIRST = {
    name: Claim(
        id=f"cnn-edge-first-{name}",
        title=f"{label} CNNs: the edge of chaos learns first",
        statement=f"Of deep plain {label} CNNs that differ in the variance of their weights alone, those that "
        "start on the edge of chaos are the first to learn.",
        source=_SUMMARY,
        rule=greater(RIVAL_OVER_EDGE, 0.0, z=2, matters=math.log10(1.5)),
        revised=NO_LEAD,
    )
    for (name, label) in (("relu", "ReLU"), ("tanh", "tanh"))
}


CNN_DEFAULT_STUCK = Claim(
    id="cnn-default-stuck",
    title="PyTorch's default does not train a deep plain CNN",
    statement="A deep plain ReLU CNN with PyTorch's default initialisation, far in the ordered phase, does not "
    "leave chance within the horizon in which the edge learns: the squared gradient at its first "
    "layer is more than ten powers of ten below that of the edge.",
    source="follows from the phase diagram of arXiv:2505.12096; comparison with default initialisation ours",
    rule=all_of(
        between(DEFAULT_ABOVE_CHANCE, -0.05, 0.05),
        between(DEFAULT_GRADIENT, -math.inf, -10),
    ),
)


CNN_SCHEMES = Claim(
    id="cnn-schemes",
    title="Named initialisations learn as their place in the phase diagram says",
    statement="In deep plain ReLU CNNs He's rule, the edge of chaos without bias vectors, learns as fast as the "
    "edge with bias vectors, to within a factor of two; Xavier Glorot's rule, in the ordered phase for ReLU, "
    "takes longer.",
    source="follows from the phase diagram of arXiv:2505.12096; ours",
    rule=all_of(
        between(HE_OVER_EDGE, -math.log10(2), math.log10(2)),
        greater(XAVIER_OVER_EDGE, 0.0, z=2),
    ),
)


CNN_CHAOS_LAGS = Claim(
    id="cnn-chaos-lags",
    title="Chaotic CNNs learn later than the edge",
    statement="Deep plain CNNs that start far in the chaotic phase, ReLU or tanh, take longer to learn than those "
    "that start on the edge of chaos.",
    source=f"{_SUMMARY}; exploratory",
    rule=all_of(*(greater(chaotic_over_edge(name), 0.0, z=2) for name in ("relu", "tanh"))),
)


CNN_START_PREDICTED = Claim(
    id="cnn-start-predicted",
    title="The bias of an untrained CNN is predicted",
    statement="The mean largest class fraction of untrained CNNs on real images is the one that the theory of "
    "infinitely many channels predicts from the images alone, to within 0.05 in every phase and with no common factor "
    "in γ above 1.25, up or down.",
    source="arXiv:2505.12096, phase diagram; the map over positions from Xiao et al. 2018",
    rule=all_of(between(WORST_START, -0.05, 0.05), between(GAMMA_FACTOR, -math.log(1.25), math.log(1.25))),
    revised=BESIDE_TOLERANCE,
)


CNN_FINAL_ACCURACY = Claim(
    id="cnn-final-accuracy",
    title="CNNs: the edge is ahead at the end",
    statement="At the end of training, deep plain CNNs that started on the edge of chaos have a higher test "
    "accuracy than those that started in any other phase.",
    source=_SUMMARY,
    rule=all_of(*(greater(edge_minus_rival(name), 0.0, z=2, matters=0.02) for name in ("relu", "tanh"))),
    revised=NO_LEAD,
)


CIFAR_MLP_LEAVES_CHANCE = {
    name: Claim(
        id=f"cifar-mlp-leaves-chance-{name}",
        title=f"{label} MLPs on CIFAR-10: the edge of chaos is the first to leave chance",
        statement=f"Of deep fully connected {label} networks, trained on ten classes of CIFAR-10, that differ in the "
        "variance of their weights alone, those that start on the edge of chaos are the first to leave chance.",
        source="arXiv:2505.12096, its configurations for MLPs on CIFAR-10",
        rule=greater(mlp_rival_over_edge(name), 0.0, z=2),
    )
    for (name, label) in (("tanh", "tanh"), ("relu", "ReLU"))
}


AUDIT = audit_claim("deep_cnns")
