"""Claims of chapter 14, residual mlps."""

from __future__ import annotations

from igbrepro.claims import NO_LEAD, Claim, between, greater
from igbrepro.runs import audit_claim

# Names of measurements, as the notebook gives them.
WORST_START = "measured minus predicted, worst network"
SCALED_MINUS_PLAIN = "worst scaled minus best plain, final accuracy"
SMALL_MINUS_PLAIN = "worst of the small minus best plain, final accuracy"
UNSCALED_MINUS_PLAIN = "worst unscaled minus best plain, final accuracy"
RANK_CORRELATION = "rank correlation of starting share and final accuracy"


RESMLP_START_PREDICTED = Claim(
    id="resmlp-start-predicted",
    title="Residual MLPs: the bias at the start is predicted",
    statement="The mean largest class fraction of untrained residual MLPs on real images is the one the theory of "
    "infinite width predicts, to within 0.05 at every σ_w², scaled or not.",
    source="arXiv:2505.12096, figure of residual MLPs (start); the maps are those of chapter 10",
    rule=between(WORST_START, -0.05, 0.05),
)


RESMLP_RANGE = Claim(
    id="resmlp-range",
    title="Scaled residual MLPs train across a wide range of σ_w²",
    statement="Deep residual MLPs scaled by one over the root of the depth learn at every σ_w² of a range of two "
    "decades, and better than the plain MLP does at its best σ_w².",
    source="arXiv:2505.12096, figure of residual MLPs; the scaling is that of chapter 10",
    rule=greater(SCALED_MINUS_PLAIN, 0.0, z=2, matters=0.02),
    revised=NO_LEAD,
)


RESMLP_SMALL = Claim(
    id="resmlp-small",
    title="No σ_w² is too small for a residual MLP",
    statement="At a tenth of the edge's σ_w² and below, where a plain MLP would be deep in the ordered phase, deep "
    "residual MLPs, scaled or not, end training with a higher accuracy than the plain MLP at its best σ_w².",
    source="arXiv:2505.12096, figure of residual MLPs; that there is no ordered phase is in chapter 10; exploratory",
    rule=greater(SMALL_MINUS_PLAIN, 0.0, z=2),
)


RESMLP_UNSCALED = Claim(
    id="resmlp-unscaled",
    title="No ordered phase, so any σ_w² will do",
    statement="Deep residual MLPs without scaling, which have no ordered phase, learn at every σ_w² up to He's 2, "
    "and better than the plain MLP does at its best σ_w².",
    source="arXiv:2505.12096, figure of residual MLPs; our reading",
    rule=greater(UNSCALED_MINUS_PLAIN, 0.0, z=2),
)


RESMLP_BIAS_HELPS = Claim(
    id="resmlp-bias-helps",
    title="Deeper prejudice, better learning?",
    statement="Among MLPs outside the ordered phase, plain, residual and scaled, those that start with a larger "
    "share of the favourite class have a higher accuracy at the end of training.",
    source="arXiv:2505.12096, abstract (the best trained start is transiently prejudiced), carried over by us to "
    "a comparison across architectures",
    rule=greater(RANK_CORRELATION, 0.0, z=2),
)


AUDIT = audit_claim("residual_mlps")
