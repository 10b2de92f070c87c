"""Claims of chapter 5, edge."""

from __future__ import annotations

import math

from igbrepro.claims import TIGHTENED, Claim, agrees, all_of, between, exact, farthest, greater, least_precise

# Names of measurements, as the notebook gives them.
RELU_AMPLITUDE = "ReLU: κ"
RELU_LOG_TERM = "ReLU: coefficient of log l"
TANH_BETA = "tanh: fitted β / derived β"
LAST_SIGNAL = "2 l q_l in the last layer"
FALL_OF_ODDS = "fall of log(odds of c) / fall of q"
SPREAD_WITHOUT_BIAS = "spread of c over starts, without bias vectors"
SPREAD_WITH_BIAS = "spread of c over starts, with bias vectors"
LAST_GAP = "K in the last layer"
LARGEST_FRACTION = "mean largest class fraction"
GAMMA_RATIO = "γ / γ of infinite width"
FRACTION_IF_GAMMA = "what the mean of 1/(1+γ) implies"
PHASES = ("edge", "ordered", "chaotic")
LINE = "σ_w² = 2, σ_b² = 0.1"  # the edge of ReLU with bias vectors
EXPONENT = "exponent of depth in the maps, farthest from 2"
MAPS_KAPPA = "κ of the maps, farthest"
NETWORKS_KAPPA = "κ of networks"
ON_LINE = "networks on the edge with bias vectors, amplitude of 1/l²"
RATE_IN_ORDER = "factor a layer of 1 − c in the maps, ordered with bias vectors"
SCALE_IN_ORDER = "e-folding depth in networks, ordered with bias vectors"
EDGE_GRADIENT = "gradient a layer on the edge"
LEAST_EXPONENT = "smallest exponent of γ on the edge"
LARGEST_EXPONENT = "largest exponent of γ on the edge"
ORDERED_GRADIENT = "largest gradient a layer in order"
ORDERED_EXPONENT = "smallest exponent of γ in order"
CHAOTIC_GRADIENT = "smallest gradient a layer in chaos"
CHAOTIC_EXPONENT = "exponent of γ in chaos, farthest from 0"
TRANSIENT_ELSEWHERE = "starts off the edge whose γ is a power of depth"


EDGE_POWER_LAWS = Claim(
    id="edge-power-laws",
    title="Power laws at the edge of chaos",
    statement="At infinite width and at the edge, one minus the correlation falls like (9π²/2)/(l + 3/2 log l)² "
    "for ReLU and like β/l for tanh with bias vectors, with β = 2 E[φ′²] / (q* E[φ″²]).",
    source="arXiv:2505.12096, transient deep prejudice; Hayou et al. 2019; the constants are derived here",
    rule=all_of(exact(RELU_AMPLITUDE, 1e-3), exact(RELU_LOG_TERM, 0.03), exact(TANH_BETA, 1e-3)),
)


EDGE_PHASES = Claim(
    id="edge-phases",
    title="Transient at the edge, exponential in order, finite in chaos",
    statement="In tanh networks γ grows with depth as the power law at the edge, exponentially with the predicted "
    "depth scale in the ordered phase, and stops at its fixed point in the chaotic phases.",
    source="arXiv:2505.12096, phases of the initial guessing bias",
    rule=all_of(
        *(
            agrees(extreme(phase), max_z=4.2, resolution=0.05, slack=0.01)
            for phase in PHASES
            for extreme in (farthest, least_precise)
        )
    ),
)


EDGE_FRACTIONS = Claim(
    id="edge-fractions",
    title="The largest class fraction, layer by layer",
    statement="In tanh networks of every phase and ReLU networks at the edge the mean largest class fraction "
    "follows 1/2 + arcsin(√c)/π in every layer: to one quickly in order, slowly at the edge, not at all in chaos.",
    source="arXiv:2505.12096, initial guessing bias and its phases",
    rule=all_of(
        agrees(farthest(), max_z=4.2, resolution=0.02, slack=0.005),
        agrees(least_precise(), max_z=4.2, resolution=0.02, slack=0.005),
    ),
)


EDGE_RELU_RATES = Claim(
    id="edge-relu-rates",
    title="ReLU: a power of depth is no mark of the edge",
    statement="In ReLU networks with bias vectors 1 − c falls exponentially below σ_w² = 2, as κ/(4 l²) on that line "
    "and as κ/l² above it, and without bias vectors as κ/l² at every σ_w², with κ = 9π²/2.",
    source="arXiv:2505.12096, transient deep prejudice and phases of ReLU; the rates are derived here",
    rule=all_of(
        exact(EXPONENT, 0.02),
        exact(MAPS_KAPPA, 1e-3),
        exact(RATE_IN_ORDER, 1e-3),
        agrees(farthest(NETWORKS_KAPPA), max_z=4.2, resolution=0.05, slack=0.02),
        agrees(least_precise(NETWORKS_KAPPA), max_z=4.2, resolution=0.05, slack=0.02),
        agrees(SCALE_IN_ORDER, max_z=4, resolution=0.03, slack=0.02),
    ),
)


EDGE_OPTIMAL_START = Claim(
    id="edge-optimal-start",
    title="The start that keeps gradients has transient deep prejudice",
    statement="On the edge of chaos squared gradients keep their size and γ grows as a power of depth, and nowhere "
    "else: in order gradients vanish and γ outruns every power, in chaos gradients explode and γ stays finite.",
    source="arXiv:2505.12096, proposition on the optimal start and table of phases; training is chapter 6's part",
    rule=all_of(
        agrees(farthest(EDGE_GRADIENT), max_z=4.2, resolution=0.01, slack=0.005),
        agrees(least_precise(EDGE_GRADIENT), max_z=4.2, resolution=0.01, slack=0.005),
        between(LEAST_EXPONENT, 0.5, 2.5),
        between(LARGEST_EXPONENT, 0.5, 2.5),
        between(ORDERED_GRADIENT, 0, 1),
        between(ORDERED_EXPONENT, 2.5, math.inf),
        between(CHAOTIC_GRADIENT, 1, math.inf),
        between(CHAOTIC_EXPONENT, -0.25, 0.25),
        also=exact(TRANSIENT_ELSEWHERE, 0),
    ),
)


EDGE_ODD = Claim(
    id="edge-odd",
    title="No deep prejudice at the end of the edge of tanh",
    statement="For tanh without bias vectors at σ_w² = 1 the signal dies like 1/(2l) and the correlation tends to "
    "a limit that depends on the start: there the edge carries no growing prejudice, though χ = 1.",
    source="an exception to arXiv:2505.12096, transient deep prejudice at the edge; found here",
    rule=all_of(
        exact(LAST_SIGNAL, 0.01),
        exact(FALL_OF_ODDS, 0.03),
        between(SPREAD_WITHOUT_BIAS, 0.5, 1),
        between(SPREAD_WITH_BIAS, -0.01, 0.01),
    ),
)


EDGE_WIDTH_GAP = Claim(
    id="edge-width-gap",
    title="Finite width caps γ",
    statement="In ReLU networks at the edge the mean of γ/(1+γ) falls short of infinite width by K_l/N, with "
    "numbers K_l that follow from the maps and tend to 10.65, so γ saturates near N/K instead of growing as l².",
    source="finite-width limit of arXiv:2505.12096, transient deep prejudice; found here",
    rule=all_of(
        agrees(farthest(), max_z=4.2, resolution=0.1, slack=0.05),
        agrees(least_precise(), max_z=4.2, resolution=0.1, slack=0.05),
        agrees(LAST_GAP, max_z=4, resolution=0.03, slack=0.05),
    ),
    revised=TIGHTENED,
)


EDGE_CAP = Claim(
    id="edge-cap",
    title="The cap on γ is no cap on the prejudice",
    statement="Where finite width has capped γ of ReLU networks, their largest class fraction still follows "
    "infinite width: what is capped are differences of signal length, which change no guess.",
    source="finite-width limit of arXiv:2505.12096, transient deep prejudice; found here",
    rule=all_of(
        agrees(LARGEST_FRACTION, max_z=4, resolution=0.005, slack=0.01),
        greater(LARGEST_FRACTION, FRACTION_IF_GAMMA, z=5),
        between(GAMMA_RATIO, 0, 0.5),
    ),
)
