"""Claims of chapter 10, residual."""

from __future__ import annotations

import math

from igbrepro.claims import Claim, agrees, all_of, between, exact, farthest, greater, least_precise

# Names of measurements, as the notebook gives them.
LARGEST_POWER_OF_GAMMA_RESIDUAL = "largest power of γ, residual"
LARGEST_POWER_OF_GAMMA_PLAIN = "largest power of γ, plain"
AT_1_C_AT_THE_HEAD = "1 − c at the head"
INFINITE_WIDTH_DERIVED = "infinite width: κ / derived κ"
INFINITE_WIDTH_COEFFICIENT_OF_LOG_L = "infinite width: coefficient of log l"
NETWORKS = "networks: κ"
NETWORKS_1_C_IN_THE_LAST_LAYER = "networks: 1 − c in the last layer"
ORDER_OF_THE_GAP_IN_1_DEPTH = "order of the gap in 1/depth"
NETWORKS_ = "networks"
DEEPEST_NETWORKS_AGAINST_THE_LIMIT = "deepest networks against the limit"
GROWTH_OF_GAMMA_WITH_DEPTH_UNSCALED = "growth of γ with depth, unscaled"
GRADIENTS_COEFFICIENT_OF_L_DERIVED = "gradients: coefficient of √L / derived"
GRADIENTS_COEFFICIENT_OF_LOG_L_DERIVED = "gradients: coefficient of log L / derived"
LIMIT_OF_C_DERIVED = "limit of c / derived"
POWER_OF_DEPTH_WITHOUT_BIAS = "power of depth without bias"


RESIDUAL_MAPS = Claim(
    id="residual-maps",
    title="Layer maps of residual networks",
    statement="In residual networks with ReLU and tanh, scaled by one over the root of the depth or not, the "
    "variance and the correlation of signals follow two maps in which each layer adds to the layer before, and "
    "γ/(1 + γ) is that correlation.",
    source="ours for γ, carrying the theorem of arXiv:2505.12096 over to residual layers; maps: Yang & "
    "Schoenholz 2017, for networks closely related",
    rule=all_of(
        *(
            agrees(f"{which}: {what}", max_z=4.2, resolution=0.05, slack=0.015)
            for what in ("variance", "correlation of pairs", "γ/(1+γ)")
            for which in ("farthest from theory", "least precise")
        )
    ),
)


RESIDUAL_GRADIENTS = Claim(
    id="residual-gradients",
    title="χ of a residual layer is one more than that of its block",
    statement="In residual networks the mean squared gradient grows from layer to layer by the factor 1 + r² σ_w² "
    "E[φ′²], at every σ_w², with r the scale of the block.",
    source="ours in this form; Yang & Schoenholz 2017 for networks closely related",
    rule=all_of(
        agrees(farthest(), max_z=4.2, resolution=0.12, slack=0.02),
        agrees(least_precise(), max_z=4.2, resolution=0.12, slack=0.02),
    ),
)


RESIDUAL_NO_ORDERED = Claim(
    id="residual-no-ordered",
    title="Residual networks have no ordered phase",
    statement="Over a range of σ_w² in which the gradients of plain networks vanish, or explode, those of residual "
    "networks never vanish, and no prejudice grows faster than as a power of depth.",
    source="ours; computed for the phases of arXiv:2505.12096 with residual layers",
    rule=all_of(
        greater("smallest growth of gradients, residual", 0.0, z=3),
        between("smallest growth of gradients, plain", -math.inf, -2.0),
        between(LARGEST_POWER_OF_GAMMA_RESIDUAL, -1.0, 2.05),
        greater(LARGEST_POWER_OF_GAMMA_PLAIN, 5.0),
        agrees(farthest(AT_1_C_AT_THE_HEAD), max_z=4.2, resolution=0.2, slack=0.03),
        agrees(least_precise(AT_1_C_AT_THE_HEAD), max_z=4.2, resolution=0.2, slack=0.03),
    ),
)


RESIDUAL_POWER_LAW = Claim(
    id="residual-power-law",
    title="Transient deep prejudice at every σ_w²",
    statement="In residual ReLU networks without bias one minus the correlation falls like κ/l², κ = (9π²/2) "
    "((1 + a)/a)² with a = r² σ_w²/2: the law of plain ReLU in depths of l a/(1 + a).",
    source="ours",
    rule=all_of(
        exact(INFINITE_WIDTH_DERIVED, 1e-3),
        exact(INFINITE_WIDTH_COEFFICIENT_OF_LOG_L, 0.1),
        agrees(NETWORKS, max_z=4, resolution=0.15, slack=0.05),
        agrees(NETWORKS_1_C_IN_THE_LAST_LAYER, max_z=4, resolution=0.1, slack=0.02),
    ),
)


RESIDUAL_SCALED_LIMIT = Claim(
    id="residual-scaled-limit",
    title="Scaled residual networks have a prejudice that depth hardly changes",
    statement="With blocks scaled by one over the root of the depth, γ at the head tends to a finite limit as the "
    "depth grows, set by σ_w²; the limit is that of a differential equation, missed by an amount of order 1/depth.",
    source="ours",
    rule=all_of(
        exact(ORDER_OF_THE_GAP_IN_1_DEPTH, 0.05),
        agrees(farthest(NETWORKS_), max_z=4.2, resolution=0.1, slack=0.02),
        agrees(least_precise(NETWORKS_), max_z=4.2, resolution=0.1, slack=0.02),
        agrees(farthest(DEEPEST_NETWORKS_AGAINST_THE_LIMIT), 4.2, resolution=0.06, slack=0.04),
        greater(GROWTH_OF_GAMMA_WITH_DEPTH_UNSCALED, 1.5),
    ),
)


RESIDUAL_TANH = Claim(
    id="residual-tanh",
    title="Where unscaled residual tanh networks end",
    statement="At infinite width the correlation in residual tanh networks tends, as a power of depth, to the "
    "fixed point of the map of the sign function, which is below 1/2 where σ_w² exceeds 3 σ_b² (followed to the "
    "end on erf, a step whose maps are closed forms); squared gradients grow like the exponential of the root of "
    "the depth.",
    source="ours for the limit and the constants; that growth is below exponential: Yang & Schoenholz 2017",
    rule=all_of(
        exact(GRADIENTS_COEFFICIENT_OF_L_DERIVED, 3e-3),
        exact(GRADIENTS_COEFFICIENT_OF_LOG_L_DERIVED, 0.05),
        exact(LIMIT_OF_C_DERIVED, 0.03),
        exact(POWER_OF_DEPTH_WITHOUT_BIAS, 0.01),
    ),
)
