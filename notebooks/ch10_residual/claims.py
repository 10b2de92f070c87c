"""Claims of chapter 10, residual."""

from __future__ import annotations

import math

from igbrepro.claims import TIGHTENED, Claim, agrees, all_of, between, exact, farthest, greater, least_precise

# Names of measurements, as the notebook gives them.
POWER_RESIDUAL = "largest power of γ, residual"
POWER_PLAIN = "largest power of γ, plain"
HEAD = "1 − c at the head"
KAPPA = "infinite width: κ / derived κ"
LOG_TERM = "infinite width: coefficient of log l"
NETWORKS_KAPPA = "networks: κ"
NETWORKS_LAST_LAYER = "networks: 1 − c in the last layer"
GAP_ORDER = "order of the gap in 1/depth"
SAME_DEPTH = "networks"
DEEPEST = "deepest networks against the limit"
UNSCALED_GROWTH = "growth of γ with depth, unscaled"
GRADIENT_ROOT_TERM = "gradients: coefficient of √L / derived"
GRADIENT_LOG_TERM = "gradients: coefficient of log L / derived"
LIMIT_OF_C = "limit of c / derived"
POWER_WITHOUT_BIAS = "power of depth without bias"
MAPS = ("variance", "correlation of pairs", "γ/(1+γ)")


def smallest_growth(kind: str) -> str:
    """Of the gradients of "plain" or "residual" networks."""
    return f"smallest growth of gradients, {kind}"


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
            agrees(extreme(what), max_z=4.2, resolution=0.05, slack=0.015)
            for what in MAPS
            for extreme in (farthest, least_precise)
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
        agrees(farthest(), max_z=4.2, resolution=0.1, slack=0.02),
        agrees(least_precise(), max_z=4.2, resolution=0.1, slack=0.02),
    ),
    revised=TIGHTENED,
)


RESIDUAL_NO_ORDERED = Claim(
    id="residual-no-ordered",
    title="Residual networks have no ordered phase",
    statement="Over a range of σ_w² in which the gradients of plain networks vanish, or explode, those of residual "
    "networks never vanish, and no prejudice grows faster than as a power of depth.",
    source="ours; computed for the phases of arXiv:2505.12096 with residual layers",
    rule=all_of(
        greater(smallest_growth("residual"), 0.0, z=3),
        between(smallest_growth("plain"), -math.inf, -2.0),
        between(POWER_RESIDUAL, -1.0, 2.05),
        greater(POWER_PLAIN, 5.0),
        agrees(farthest(HEAD), max_z=4.2, resolution=0.1, slack=0.03),
        agrees(least_precise(HEAD), max_z=4.2, resolution=0.1, slack=0.03),
    ),
    revised=TIGHTENED,
)


RESIDUAL_POWER_LAW = Claim(
    id="residual-power-law",
    title="Transient deep prejudice at every σ_w²",
    statement="In residual ReLU networks without bias one minus the correlation falls like κ/l², κ = (9π²/2) "
    "((1 + a)/a)² with a = r² σ_w²/2: the law of plain ReLU in depths of l a/(1 + a).",
    source="ours",
    rule=all_of(
        exact(KAPPA, 1e-3),
        exact(LOG_TERM, 0.1),
        agrees(NETWORKS_KAPPA, max_z=4, resolution=0.1, slack=0.05),
        agrees(NETWORKS_LAST_LAYER, max_z=4, resolution=0.05, slack=0.02),
    ),
    revised=TIGHTENED,
)


RESIDUAL_SCALED_LIMIT = Claim(
    id="residual-scaled-limit",
    title="Scaled residual networks have a prejudice that depth hardly changes",
    statement="With blocks scaled by one over the root of the depth, γ at the head tends to a finite limit as the "
    "depth grows, set by σ_w²; the limit is that of a differential equation, missed by an amount of order 1/depth.",
    source="ours",
    rule=all_of(
        exact(GAP_ORDER, 0.05),
        agrees(farthest(SAME_DEPTH), max_z=4.2, resolution=0.05, slack=0.02),
        agrees(least_precise(SAME_DEPTH), max_z=4.2, resolution=0.05, slack=0.02),
        agrees(farthest(DEEPEST), 4.2, resolution=0.06, slack=0.04),
        greater(UNSCALED_GROWTH, 1.5),
    ),
    revised=TIGHTENED,
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
        exact(GRADIENT_ROOT_TERM, 3e-3),
        exact(GRADIENT_LOG_TERM, 0.05),
        exact(LIMIT_OF_C, 0.03),
        exact(POWER_WITHOUT_BIAS, 0.01),
    ),
)
