"""Claims of chapter 23, trainability maps."""

from __future__ import annotations

from math import inf, log10

from igbrepro.claims import Claim, all_of, between, greater
from igbrepro.runs import audit_claim

_TRIAL = "exploratory: registered after a trial with one seed"
_SCALE = "Schoenholz et al. 2017, who find about six depth scales with SGD"

ACTIVATIONS = ("tanh", "ReLU")
OPTIMISERS = ("adam", "sgd")

# Names of measurements, as the notebook gives them.
ADAM_OVER_SGD = "ordered phase, deepest by Adam over deepest by SGD, log10"
EPSILON_SHIFT = "ordered phase, depth scales lost by the larger ε over those predicted"
ORTHOGONAL_EDGE = "edge, deepest, orthogonal: final accuracy"
ORTHOGONAL_LEAD = "edge, deepest, orthogonal minus normal weights: final accuracy"
ORDER_DEEPEST = "a tenth below the edge, deepest: final accuracy"


def slope(activation: str, optimiser: str) -> str:
    """Of the border, on double logarithmic axes, in the chaotic phase."""
    return f"chaotic phase, {activation}, {optimiser}: slope of log depth over log scale"


def ordered_slope(activation: str) -> str:
    """The same in the ordered phase, with SGD."""
    return f"ordered phase, {activation}, sgd: slope of log depth over log scale"


def multiple(activation: str, side: str) -> str:
    """How many depth scales the deepest network that learns has, with SGD."""
    return f"{side}, {activation}, sgd: depth over scale, log10"


def edge_lead(activation: str, optimiser: str) -> str:
    """How much deeper one learns on the edge than at the ratios farthest from it."""
    return f"{activation}, {optimiser}: edge over the farther side, log10 of depth"


def share_gap(where: str) -> str:
    """Of the starting bias, over the cells of a map in one phase."""
    return f"{where}: measured minus predicted largest fraction, mean over the map"


MAP_CHAOS = Claim(
    id="map-chaos",
    title="In the chaotic phase the depth that learns follows the depth scale",
    statement="The deepest plain network that learns in the chaotic phase is proportional to the depth over which its "
    "gradient grows by a factor e, with SGD and with Adam: on double logarithmic axes the slope is 1 to within a "
    "third.",
    source=f"{_SCALE}; {_TRIAL}",
    rule=all_of(*(between(slope(a, o), 2 / 3, 4 / 3) for a in ACTIVATIONS for o in OPTIMISERS)),
)


MAP_ORDER_SGD = Claim(
    id="map-order-sgd",
    title="In the ordered phase SGD follows the depth scale",
    statement="The deepest plain network that SGD trains in the ordered phase is proportional to the depth over "
    "which its gradient falls by a factor e: on double logarithmic axes the slope is 1 to within a third.",
    source=f"{_SCALE}; {_TRIAL}",
    rule=all_of(*(between(ordered_slope(a), 2 / 3, 4 / 3) for a in ACTIVATIONS)),
)


MAP_SIX = Claim(
    id="map-six",
    title="Six depth scales, to within a factor of two",
    statement="With SGD the deepest network that learns has between three and twelve depth scales, in the ordered and "
    "in the chaotic phase, for tanh and ReLU.",
    source=f"{_SCALE}; {_TRIAL}",
    rule=all_of(
        *(between(multiple(a, side), log10(3), log10(12)) for a in ACTIVATIONS for side in ("ordered", "chaotic"))
    ),
)


MAP_ADAM = Claim(
    id="map-adam",
    title="Adam trains ordered networks that SGD does not",
    statement="In the ordered phase Adam trains plain tanh networks that are deeper than the deepest that SGD trains, "
    "by a factor of 1.5 or more.",
    source=f"ours; {_TRIAL}",
    rule=greater(ADAM_OVER_SGD, log10(1.5), z=2),
)


MAP_EPSILON = Claim(
    id="map-epsilon",
    title="What ends Adam's reach in the ordered phase is its ε",
    statement="A gradient below Adam's ε has little effect, so that in the ordered phase a thousandfold ε costs "
    "2 ln 1000 = 13.8 depth scales of the squared gradient; to within a third, that is what it costs.",
    source="ours, from the rule of Adam and the depth scale",
    rule=between(EPSILON_SHIFT, 2 / 3, 4 / 3),
)


MAP_EDGE = Claim(
    id="map-edge",
    title="The edge is where depth is free",
    statement="On the edge of chaos plain networks learn at depths at least twice those of networks that are "
    "farthest from it on either side, for tanh and ReLU, with Adam and with SGD.",
    source="arXiv:2505.12096, abstract (training works best at the edge), for depths as in Schoenholz et al. 2017; "
    f"{_TRIAL}",
    rule=all_of(*(greater(edge_lead(a, o), log10(2), z=2) for a in ACTIVATIONS for o in OPTIMISERS)),
)


MAP_START = Claim(
    id="map-start",
    title="The starting bias of the very same networks",
    statement="Over the map of depth and σ_w² the mean largest class fraction of the networks that are then trained "
    "is, in each phase, the one that the theory of infinite width predicts from the images, to within 0.05 on "
    "average, for tanh and ReLU.",
    source="arXiv:2505.12096, phases by γ at the start and trainability; the joint map is ours",
    rule=all_of(
        *(
            between(share_gap(f"{a}, {where}"), -0.05, 0.05)
            for a in ACTIVATIONS
            for where in ("ordered", "edge", "chaotic")
        )
    ),
)


DEEP_EDGE = Claim(
    id="deep-edge",
    title="Hundreds of layers without skip or norm",
    statement="On the edge of chaos a plain tanh network of the greatest depth of this page with orthogonal weights "
    "reaches a test accuracy of 0.85, and more than with normal weights, which vary from layer to layer.",
    source=f"Xiao et al. 2018, who train CNNs of 10,000 layers; {_TRIAL}",
    rule=all_of(
        between(ORTHOGONAL_EDGE, 0.85, inf),
        greater(ORTHOGONAL_LEAD, 0.0, z=2, matters=0.02),
    ),
)


DEEP_ORDER = Claim(
    id="deep-order",
    title="A tenth below the edge, the same depth does not learn",
    statement="At nine tenths of the critical σ_w², where the greatest depth of this page is many depth scales, plain "
    "tanh networks stay at chance, with orthogonal weights too.",
    source=f"follows from the depth scale; {_TRIAL}",
    rule=between(ORDER_DEEPEST, 0.4, 0.6),
)


AUDIT = audit_claim("trainability", measured=True)
