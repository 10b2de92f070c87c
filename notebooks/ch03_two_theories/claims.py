"""Claims of chapter 3, two theories."""

from __future__ import annotations

import math

from igbrepro.claims import TIGHTENED, Claim, agrees, all_of, between, exact, farthest, greater, least_precise

# Names of measurements, as the notebook gives them.
IDENTITY_GAP = "largest gap of the identity"
PLAIN_EXCESS = "excess of the plain estimates"
SPREAD_OF_C = "spread of c over these tables"
C_FROM_VARIANCES = "c from variances"
C_FROM_GUESSES = "c from guesses"
GAP_EXPONENT = "exponent of the gap"
SCATTER_EXPONENT = "exponent of the scatter"
ALL_PAIRS = "all pairs"
LARGEST_FRACTION = "largest class fraction"
ONE_TRAJECTORY = "one trajectory"
FRACTION_IF_GAMMA = "largest fraction if γ were right"


def one_minus_c(source: str) -> str:
    """1 - c as "variances", "pairs" or "guesses" tell it."""
    return f"1 − c from {source}"


BRIDGE_IDENTITY = Claim(
    id="bridge-identity",
    title="What no data can refute",
    statement="For any table of numbers, the unbiased γ/(1 + γ) of its rows equals the mean product of different "
    "columns over the mean square; plain estimates exceed it by (1 − c)/n. Agreement of the two is no "
    "evidence.",
    source="ours; it bounds what the numerical checks of the theorem in arXiv:2505.12096 can show",
    rule=all_of(
        exact(IDENTITY_GAP, 0.0, atol=1e-9),
        exact(PLAIN_EXCESS, 1e-6),
        between(SPREAD_OF_C, 0.2, math.inf),
    ),
)


BRIDGE_THEOREM = Claim(
    id="bridge-theorem",
    title="c = γ/(1 + γ)",
    statement="In every layer of wide random networks, γ/(1 + γ) from variances and the correlation found by "
    "counting guesses are the c of the mean-field recursion; the gap of finite networks is inversely "
    "proportional to the width.",
    source="arXiv:2505.12096, main theorem",
    rule=all_of(
        agrees(farthest(C_FROM_VARIANCES), max_z=4.2, resolution=0.06),
        agrees(least_precise(C_FROM_VARIANCES), max_z=4.2, resolution=0.06),
        agrees(farthest(C_FROM_GUESSES), max_z=4.2, resolution=0.06),
        agrees(least_precise(C_FROM_GUESSES), max_z=4.2, resolution=0.06),
        agrees(GAP_EXPONENT, max_z=3, resolution=0.06, slack=0.1),
    ),
    revised=TIGHTENED,
)


BRIDGE_PAIRS = Claim(
    id="bridge-pairs",
    title="One correlation for all pairs",
    statement="The correlations of all pairs of inputs that start alike gather around one value in every layer; "
    "their scatter falls like one over the root of the width.",
    source="arXiv:2505.12096, main theorem (limit of infinite width); the rate is ours",
    rule=all_of(
        agrees(farthest(SCATTER_EXPONENT), max_z=4.2, resolution=0.04, slack=0.05),
        agrees(least_precise(SCATTER_EXPONENT), max_z=4.2, resolution=0.04, slack=0.05),
    ),
    revised=TIGHTENED,
)


BRIDGE_DATA = Claim(
    id="bridge-data",
    title="Average over data and average over weights",
    statement="For correlated inputs, inputs of unequal length and real images too, γ/(1 + γ) measured over the "
    "data is what mean-field theory says of two inputs, averaged over pairs; one trajectory stands for "
    "all of them.",
    source="arXiv:2505.12096, main theorem and its checks on data; the average over all pairs is ours",
    rule=all_of(
        agrees(farthest(ALL_PAIRS), max_z=4.2, resolution=0.06),
        agrees(least_precise(ALL_PAIRS), max_z=4.2, resolution=0.06),
        also=agrees(farthest(ONE_TRAJECTORY), max_z=4.2, resolution=0.1, slack=0.05),
    ),
    revised=TIGHTENED,
)


BRIDGE_LENGTHS = Claim(
    id="bridge-lengths",
    title="Where γ stops, the guesses go on",
    statement="In deep ReLU networks of finite width γ stops growing because the lengths of signals scatter; the "
    "correlations of pairs and the share of the favourite class follow the theory of infinite width.",
    source="ours; a limit of γ in arXiv:2505.12096 as a measure of prejudice",
    rule=all_of(
        agrees(one_minus_c("pairs"), max_z=3.5, resolution=0.1),
        greater(one_minus_c("variances"), one_minus_c("pairs"), z=5),
        greater(LARGEST_FRACTION, FRACTION_IF_GAMMA, z=3),
    ),
    revised=TIGHTENED,
)
