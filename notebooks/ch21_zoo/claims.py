"""Claims of chapter 21, zoo."""

from __future__ import annotations

from igbrepro.claims import Claim, all_of, between, greater
from igbrepro.runs import audit_claim

# Names of measurements, as the notebook gives them.
WORST_FAMILY = "measured minus predicted, worst family"
NO_NORM_MINUS_NORM = "share without norm minus with"
RECTIFIED_MINUS_OTHERS = "share with rectified heads minus others"
ONE_POSITION = "c at one position minus 1/π"
MOST_MINUS_FEWEST = "c at most positions minus c at fewest"
BATCH_NORM = "log10 of the gradient, batch norm"
BATCH_MINUS_NO_NORM = "log10 of the gradient, batch norm minus no norm"


ZOO_GAMMA_PREDICTS = Claim(
    id="zoo-gamma-predicts",
    title="γ of the logits tells the starting bias of any architecture",
    statement="In every family of torchvision's untrained classifiers γ of the logits, a ratio of variances, "
    "predicts the mean share of the favourite of ten classes to within 0.05.",
    source="arXiv:2505.12096, background on the initial guessing bias, taken over to architectures in use by us",
    rule=between(WORST_FAMILY, -0.05, 0.05),
)


ZOO_NORM_NEUTRAL = Claim(
    id="zoo-norm-neutral",
    title="Architectures without norm start more biased",
    statement="Families of torchvision's untrained classifiers without normalisation give their favourite class a "
    "larger share of the images than those with normalisation.",
    source="ours; an association, not an experiment; exploratory",
    rule=greater(NO_NORM_MINUS_NORM, 0.0, z=2),
)


ZOO_RECTIFIED_HEAD = Claim(
    id="zoo-rectified-head",
    title="Heads that read ReLUs start more biased",
    statement="Among torchvision's untrained classifiers with normalisation, families whose head reads values that "
    "are never negative give their favourite class a larger share of the images than the others.",
    source="ours; an association, not an experiment; exploratory",
    rule=greater(RECTIFIED_MINUS_OTHERS, 0.0, z=2),
)


ZOO_LAST_POOL = Claim(
    id="zoo-last-pool",
    title="The last pool makes the starting bias of batch-normalised ReLU networks",
    statement="In untrained classifiers whose head reads pooled ReLUs of a batch norm, the logits of two images "
    "have correlation 1/π, to within 0.05, where one position is left, and the correlation grows with the number "
    "of positions that the pool averages.",
    source="ours; the rule was set after a first look; exploratory",
    rule=all_of(
        between(ONE_POSITION, -0.05, 0.05),
        greater(MOST_MINUS_FEWEST, 0.0),
    ),
)


ZOO_GRADIENT_NORM = Claim(
    id="zoo-gradient-norm",
    title="Batch norm makes the gradient grow towards the first layer",
    statement="In torchvision's untrained classifiers with batch normalisation the squared gradient at the first "
    "stage is larger than at the last, in the mean of its logarithm over families, and larger by more than in "
    "families without normalisation.",
    source="ours, exploratory; the growth behind batch norms is due to Yang et al. 2019 (arXiv:1902.08129)",
    rule=all_of(
        greater(BATCH_NORM, 0.0, z=2),
        greater(BATCH_MINUS_NO_NORM, 0.0, z=2),
    ),
)


AUDIT = audit_claim("zoo", measured=True, trains=False)
