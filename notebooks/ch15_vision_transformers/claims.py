"""Claims of chapter 15, vision transformers."""

from __future__ import annotations

import math

from igbrepro.claims import Claim, all_of, between, greater
from igbrepro.runs import audit_claim

_A_BLOCK = "log10 of the factor a block"

_SECTION = "arXiv:2505.12096, section on experiments, training dynamics of the simplified vision transformer"

# Names of measurements, as the notebook gives them.
RIVAL_OVER_EDGE = "closest rival over edge, log10"
EDGE_MINUS_RIVAL = "edge minus closest rival, final accuracy"
TOKENS_SIMPLIFIED = "tokens of one image, simplified, least alike ratio"
TOKENS_FULL = "tokens of one image, full, most alike ratio"
START_BELOW_MINUS_EDGE = "below minus at the edge, largest class fraction"
START_EDGE_MINUS_ABOVE = "at minus above the edge, largest class fraction"
FULL_START = "farthest ratio minus ratio 1, full, largest class fraction"
FULL_STEPS = "farthest ratio over ratio 1, full, log10 of steps"
ABOVE_OVER_EDGE = "above over edge, log10 of steps"
EDGE_MINUS_ABOVE = "edge minus above, final accuracy"
BINARISED_RIVAL_OVER_EDGE = "two classes: closest rival over edge, log10"
BINARISED_ABOVE_OVER_EDGE = "two classes: above over edge, log10 of steps"
BINARISED_EDGE_MINUS_ABOVE = "two classes: edge minus above, final accuracy"
SIGNAL_OVER_RATIO = f"signal over ratio⁴, worst ratio, {_A_BLOCK}"
GRADIENT_OVER_SIGNAL = f"gradient over signal above the edge, {_A_BLOCK}"


def growth(what: str, where: str) -> str:
    """Of "signal" or "gradient", "below", "at" or "above" the edge."""
    return f"{what} {where} the edge, {_A_BLOCK}"


VIT_EDGE = Claim(
    id="vit-edge",
    title="The simplified vision transformer has its edge at the critical σ_w²",
    statement="In a vision transformer without layer norm and skip connections, signal and gradient keep their "
    "size from block to block (to within a quarter) where every matrix has its critical σ_w², shrink below it and "
    "grow above it.",
    source=f"{_SECTION}; the critical values of its layers; growth by block ours",
    rule=all_of(
        *(between(growth(what, "at"), -0.1, 0.1) for what in ("signal", "gradient")),
        *(between(growth(what, "below"), -math.inf, -0.1) for what in ("signal", "gradient")),
        *(between(growth(what, "above"), 0.1, math.inf) for what in ("signal", "gradient")),
    ),
)


VIT_ATTENTION_GROWTH = Claim(
    id="vit-attention-growth",
    title="Above the edge attention lets the gradient outgrow the signal",
    statement="In every block of the simplified vision transformer the signal is multiplied by the fourth power of "
    "the ratio of σ_w² to its critical value (to within a quarter), as even attention predicts, but above the edge "
    "the gradient grows faster than the signal, since attention is no longer even.",
    source="ours",
    rule=all_of(
        between(SIGNAL_OVER_RATIO, -0.1, 0.1),
        greater(GRADIENT_OVER_SIGNAL, 0.0),
    ),
)


VIT_RANK_COLLAPSE = Claim(
    id="vit-rank-collapse",
    title="Without skip connections tokens collapse, also at the edge",
    statement="In the untrained simplified vision transformer the tokens of one image become nearly the same "
    "(mean cosine above 0.9) at every ratio of σ_w², the critical one included; in the one with layer norm and "
    "skip connections they stay apart.",
    source="ours; rank collapse of attention without skip connections is due to Dong et al. 2021",
    rule=all_of(
        between(TOKENS_SIMPLIFIED, 0.9, 1.0),
        between(TOKENS_FULL, -1.0, 0.9),
    ),
)


VIT_START_ORDERED = Claim(
    id="vit-start-ordered",
    title="The simplified vision transformer starts the more biased the smaller σ_w²",
    statement="The largest class fraction of the untrained simplified vision transformer falls as σ_w² rises, by "
    "0.02 or more from the ordered phase to the edge and from there to the chaotic phase.",
    source="the order of the phases in arXiv:2505.12096, section on phases, taken over to this network; exploratory",
    rule=all_of(
        between(START_BELOW_MINUS_EDGE, 0.02, math.inf),
        between(START_EDGE_MINUS_ABOVE, 0.02, math.inf),
    ),
)


VIT_NORM_INDIFFERENT = Claim(
    id="vit-norm-indifferent",
    title="With layer norm and skip connections σ_w² hardly matters",
    statement="A vision transformer with layer norm and skip connections starts with the same largest class "
    "fraction (to within 0.05) and learns in the same time (to within a factor of two) at every ratio of σ_w².",
    source="ours",
    rule=all_of(
        between(FULL_START, -0.05, 0.05),
        between(FULL_STEPS, -math.log10(2), math.log10(2)),
    ),
)


VIT_SIMPLIFIED_FIRST = Claim(
    id="vit-simplified-first",
    title="The simplified vision transformer learns first at the edge",
    statement="Of simplified vision transformers that differ in the variance of their weights alone, those with "
    "the critical σ_w² are the first to learn.",
    source=_SECTION,
    rule=greater(RIVAL_OVER_EDGE, 0.0, z=2),
)


VIT_SIMPLIFIED_FINAL = Claim(
    id="vit-simplified-final",
    title="The simplified vision transformer ends best at the edge",
    statement="At the end of training, simplified vision transformers that started with the critical σ_w² have the "
    "highest test accuracy.",
    source=_SECTION,
    rule=greater(EDGE_MINUS_RIVAL, 0.0, z=2),
)


VIT_CHAOTIC_LAGS = Claim(
    id="vit-chaotic-lags",
    title="Above the edge the simplified vision transformer lags",
    statement="Simplified vision transformers that started above the edge learn later than those at the edge, and "
    "end with a lower test accuracy.",
    source=f"{_SECTION}; exploratory",
    rule=all_of(
        greater(ABOVE_OVER_EDGE, 0.0, z=2),
        greater(EDGE_MINUS_ABOVE, 0.0, z=2),
    ),
)


VIT_BINARISED_FIRST = Claim(
    id="vit-binarised-first",
    title="On two classes, too, the simplified vision transformer learns first at the edge",
    statement="Of simplified vision transformers trained on the parity of class numbers that differ in the variance "
    "of their weights alone, those with the critical σ_w² are the first to learn.",
    source=f"{_SECTION}, binarised CIFAR-10",
    rule=greater(BINARISED_RIVAL_OVER_EDGE, 0.0, z=2),
)


VIT_BINARISED_LAGS = Claim(
    id="vit-binarised-lags",
    title="On two classes, too, the simplified vision transformer lags above the edge",
    statement="Trained on the parity of class numbers, simplified vision transformers that started above the edge "
    "learn later than those at the edge, and end with a lower test accuracy.",
    source=f"{_SECTION}, binarised CIFAR-10; exploratory",
    rule=all_of(
        greater(BINARISED_ABOVE_OVER_EDGE, 0.0, z=2),
        greater(BINARISED_EDGE_MINUS_ABOVE, 0.0, z=2),
    ),
)


AUDIT = audit_claim("vision_transformers")
