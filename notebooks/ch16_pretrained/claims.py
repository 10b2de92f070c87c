"""Claims of chapter 16, pretrained."""

from __future__ import annotations

import math

from igbrepro.claims import Claim, all_of, between, greater
from igbrepro.runs import audit_claim

_PRETRAINED = "arXiv:2505.12096, section on experiments, fine-tuning of a pre-trained vision transformer"

# Names of measurements, as the notebook gives them.
SMALLEST_FACTOR = "largest class fraction, smallest factor of the sweep"
WORST_FACTOR = "measured minus predicted, worst factor"
HEAD_MINUS_RIVAL = "factor 1 minus closest rival, accuracy of the head stage"
ALL_MINUS_RIVAL = "factor 1 minus closest rival, accuracy of the last stage"
ALL_MINUS_LARGEST = "factor 1 minus largest factor, accuracy of the last stage"
START_SMALLEST_MINUS_1 = "smallest factor minus 1, largest class fraction"
START_1_MINUS_LARGEST = "1 minus largest factor, largest class fraction"


PRETRAINED_BIAS_RESCALED = Claim(
    id="pretrained-bias-rescaled",
    title="Scaling pre-trained weights down makes the start more biased",
    statement="With a fresh head, a pre-trained vision transformer is the more biased the smaller the factor by "
    "which its weights were multiplied, as the order from ordered to chaotic suggests.",
    source=_PRETRAINED,
    rule=all_of(
        greater(START_SMALLEST_MINUS_1, 0.0, z=2),
        greater(START_1_MINUS_LARGEST, 0.0, z=2),
    ),
)


PRETRAINED_SMALL_FACTOR = Claim(
    id="pretrained-small-factor",
    title="Pre-trained weights scaled far down give one answer",
    statement="Multiplied by a small enough factor, the smallest of the sweep, the weights of a pre-trained "
    "vision transformer leave nearly all images with one class, since only constants reach the class token.",
    source="ours; exploratory",
    rule=between(SMALLEST_FACTOR, 0.9, math.inf),
)


PRETRAINED_LAW = Claim(
    id="pretrained-law",
    title="γ of the features predicts the bias, also after training",
    statement="The mean largest class fraction of random heads on the features of a pre-trained vision "
    "transformer, rescaled or not, is the one that the γ of these features predicts, to within 0.05.",
    source="ours; the law is that of arXiv:2505.12096 for untrained networks",
    rule=between(WORST_FACTOR, -0.05, 0.05),
)


PRETRAINED_HEAD_BEST = Claim(
    id="pretrained-head-best",
    title="A head learns best on weights as they were trained",
    statement="When only the head is trained, the pre-trained vision transformer whose weights were left as they "
    "were ends with the highest test accuracy.",
    source=_PRETRAINED,
    rule=greater(HEAD_MINUS_RIVAL, 0.0, z=2),
)


PRETRAINED_ALL_BEST = Claim(
    id="pretrained-all-best",
    title="Fine-tuning all weights ends best from weights as they were trained",
    statement="After all weights have been fine-tuned, the network that started from unscaled pre-trained weights "
    "has the highest test accuracy.",
    source=_PRETRAINED,
    rule=greater(ALL_MINUS_RIVAL, 0.0, z=2),
)


PRETRAINED_SCALED_UP_LAGS = Claim(
    id="pretrained-scaled-up-lags",
    title="Fine-tuning from weights scaled up ends lower",
    statement="After all weights have been fine-tuned, the network that started from pre-trained weights scaled up "
    "has a lower test accuracy than the one that started from unscaled weights.",
    source=f"{_PRETRAINED}; exploratory",
    rule=greater(ALL_MINUS_LARGEST, 0.0, z=2),
)


AUDIT = audit_claim("pretrained", measured=True)
