"""Claims of chapter 14, residual mlps."""

from __future__ import annotations

from math import inf, log, log10

from igbrepro.claims import NO_LEAD, Claim, all_of, between, greater
from igbrepro.runs import audit_claim

# Names of measurements, as the notebook gives them.
WORST_START = "measured minus predicted, worst network"
SCALED_MINUS_PLAIN = "worst scaled minus best plain, final accuracy"
SMALL_MINUS_PLAIN = "worst of the small minus best plain, final accuracy"
UNSCALED_MINUS_PLAIN = "worst unscaled minus best plain, final accuracy"
RANK_CORRELATION = "rank correlation of starting share and final accuracy"
FARTHEST_START = "largest class fraction at the start, minus that at ratio 1"
FARTHEST_TIME = "steps until chance is left, over those at ratio 1, log10"
ROOM = "all steps over those until ratio 1 leaves chance, log10"
FARTHEST_END = "final accuracy, minus that at ratio 1"
WORST_PAPER_START = "measured minus predicted, worst network of the paper's layer"
GAMMA_FACTOR = "common factor in γ, ln"
WORST_GROWTH = "growth of squared gradients, measured over predicted, less 1"


RESMLP_START_PREDICTED = Claim(
    id="resmlp-start-predicted",
    title="Residual MLPs: the bias at the start is predicted",
    statement="The mean largest class fraction of untrained residual MLPs on real images is the one the theory of "
    "infinite width predicts, to within 0.05 at every σ_w², scaled or not.",
    source="the layer is ours, with the maps of chapter 10; after arXiv:2505.12096, figure of residual MLPs (start)",
    rule=between(WORST_START, -0.05, 0.05),
)


RESMLP_RANGE = Claim(
    id="resmlp-range",
    title="Scaled residual MLPs train across a wide range of σ_w²",
    statement="Deep residual MLPs scaled by one over the root of the depth learn at every σ_w² of a range of two "
    "decades, and better than the plain MLP does at its best σ_w².",
    source="the layer is ours, scaled as in chapter 10; after arXiv:2505.12096, figure of residual MLPs",
    rule=greater(SCALED_MINUS_PLAIN, 0.0, z=2, matters=0.02),
    revised=NO_LEAD,
)


RESMLP_SMALL = Claim(
    id="resmlp-small",
    title="No σ_w² is too small for a residual MLP",
    statement="At a tenth of the edge's σ_w² and below, where a plain MLP would be deep in the ordered phase, deep "
    "residual MLPs, scaled or not, end training with a higher accuracy than the plain MLP at its best σ_w².",
    source="the layer is ours; that it has no ordered phase is in chapter 10; after arXiv:2505.12096, figure of "
    "residual MLPs; exploratory",
    rule=greater(SMALL_MINUS_PLAIN, 0.0, z=2),
)


RESMLP_UNSCALED = Claim(
    id="resmlp-unscaled",
    title="No ordered phase, so any σ_w² will do",
    statement="Deep residual MLPs without scaling, which have no ordered phase, learn at every σ_w² up to He's 2, "
    "and better than the plain MLP does at its best σ_w².",
    source="the layer is ours, and so is the reading; after arXiv:2505.12096, figure of residual MLPs",
    rule=greater(UNSCALED_MINUS_PLAIN, 0.0, z=2),
)


RESMLP_BIAS_HELPS = Claim(
    id="resmlp-bias-helps",
    title="Deeper prejudice, better learning?",
    statement="Among MLPs outside the ordered phase, plain, residual and scaled, those that start with a larger "
    "share of the favourite class have a higher accuracy at the end of training.",
    source="arXiv:2505.12096, abstract (the best trained start is transiently prejudiced), carried over by us to "
    "a comparison across architectures, with a residual layer that is ours",
    rule=greater(RANK_CORRELATION, 0.0, z=2),
)


_PAPER = "arXiv:2505.12096, residual MLPs (a single critical phase); the layer is the one of the paper's code"
_ALIKE = (("tanh", "tanh"), ("relu", "ReLU"))


RESMLP_PAPER_START = {
    name: Claim(
        id=f"resmlp-paper-start-{name}",
        title=f"{label}: the paper's residual MLPs start alike",
        statement=f"Untrained residual {label} MLPs with the paper's layer have at every ratio of σ_w² to the plain "
        "network's critical value the same mean share of the favourite class as at ratio 1, to within 0.05.",
        source=_PAPER,
        rule=between(FARTHEST_START, -0.05, 0.05),
    )
    for name, label in _ALIKE
}


RESMLP_PAPER_LEAVES_CHANCE = {
    name: Claim(
        id=f"resmlp-paper-leaves-chance-{name}",
        title=f"{label}: the paper's residual MLPs leave chance together",
        statement=f"Residual {label} MLPs with the paper's layer first guess more than six test images in ten rightly "
        "after as many steps at every ratio of σ_w² as at ratio 1, to within a factor of two.",
        source=_PAPER,
        rule=all_of(between(FARTHEST_TIME, -log10(2), log10(2)), between(ROOM, log10(2), inf)),
    )
    for name, label in _ALIKE
}


RESMLP_PAPER_END = {
    name: Claim(
        id=f"resmlp-paper-end-{name}",
        title=f"{label}: the paper's residual MLPs end alike",
        statement=f"At the end of training residual {label} MLPs with the paper's layer have at every ratio of σ_w² "
        "the same test accuracy as at ratio 1, to within 0.03.",
        source=_PAPER,
        rule=between(FARTHEST_END, -0.03, 0.03),
    )
    for name, label in _ALIKE
}


RESMLP_PAPER_PREDICTED = Claim(
    id="resmlp-paper-predicted",
    title="The paper's residual MLPs: the bias at the start is predicted",
    statement="The mean share of the favourite class in untrained residual MLPs with the paper's layer, tanh and "
    "ReLU, is at every ratio of σ_w² the one that the theory of infinite width predicts for these images, to within "
    "0.05 and with no common factor in γ above 1.25, up or down.",
    source="ours: the limit of the paper's layer at infinite width",
    rule=all_of(between(WORST_PAPER_START, -0.05, 0.05), between(GAMMA_FACTOR, -log(1.25), log(1.25))),
)


RESMLP_PAPER_GRADIENTS = Claim(
    id="resmlp-paper-gradients",
    title="The paper's residual MLPs: the growth of gradients is predicted",
    statement="In untrained residual MLPs with the paper's layer, tanh and ReLU, squared gradients grow or shrink from "
    "the last layer to the first by the factor that the theory of infinite width predicts, to within a quarter, at "
    "every ratio of σ_w².",
    source="ours: the limit of the paper's layer at infinite width",
    rule=between(WORST_GROWTH, -0.25, 0.25),
)


AUDIT = audit_claim("residual_mlps")
