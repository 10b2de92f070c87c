"""Claims of chapter 13, resnets."""

from __future__ import annotations

import math

from igbrepro.claims import Claim, all_of, between, exact, greater
from igbrepro.runs import audit_claim

# Names of measurements, as the notebook gives them.
WORST_BLOCK = "measured minus predicted, worst block"
LARGEST_MINUS_SMALLEST = "no norm: largest minus smallest σ_w²"
SMALLEST_MINUS_LARGEST = "smallest minus largest σ_w², final accuracy"
KEPT_MINUS_RIVAL = "signal kept minus closest rival, final accuracy"
LOGITS_GAP = "largest relative gap of logits"
GRADIENT_RATIO = "gradient before over after, per factor"
LOSS_GAP_RATE_SCALED = "largest gap of losses, learning rate scaled too"
LOSS_GAP_RATE_KEPT = "largest gap of losses, learning rate kept"
NORM_START_GAP = "norm: largest gap between two σ_w²"
NO_NORM_MINUS_NORM = "no norm minus norm, one σ_w²"


RESNET_NORM_SCALE_FREE = Claim(
    id="resnet-norm-scale-free",
    title="Batch norm: the scale of the weights is a learning rate",
    statement="In a residual network with batch normalisation, the scale of the normalised weights changes neither "
    "the outputs nor the size of gradients times weights; under Adam it does what dividing their learning rate by "
    "the same factor does, and nothing else.",
    source="ours (algebra, checked on networks); it bounds what σ_w² can mean in the ResNets of arXiv:2505.12096",
    rule=all_of(
        exact(LOGITS_GAP, 0.0, atol=1e-6),
        exact(GRADIENT_RATIO, 1e-6),
        exact(LOSS_GAP_RATE_SCALED, 0.0, atol=1e-5),
        between(LOSS_GAP_RATE_KEPT, 1e-3, math.inf),
    ),
)


RESNET_NORM_GAMMA = Claim(
    id="resnet-norm-gamma",
    title="Batch norm: γ of every block is a number",
    statement="In untrained ResNets with batch normalisation γ/(1 + γ) after every block is, to within 0.06, that "
    "of a recursion in one variable which knows neither σ_w² nor the images; γ starts anew in every stage.",
    source="ours; the paper (arXiv:2505.12096) measures ResNets and has no theory for normalised ones",
    rule=between(WORST_BLOCK, -0.06, 0.06),
)


RESNET_START = Claim(
    id="resnet-start",
    title="With batch norm the start does not know σ_w²",
    statement="With batch normalisation the favourite class of an untrained ResNet has the same share at every "
    "σ_w²; without it, at the largest σ_w² that both are given, the share is larger.",
    source="arXiv:2505.12096, its code, a scan of the start of resnet18; that "
    "normalisation makes σ_w² irrelevant is ours",
    rule=all_of(
        exact(NORM_START_GAP, 0.0, atol=0.01),
        greater(NO_NORM_MINUS_NORM, 0.0, z=3),
    ),
)


RESNET_START_GROWS = Claim(
    id="resnet-start-grows",
    title="Without norm σ_w² raises the bias at the start",
    statement="Without normalisation the share of the favourite class of an untrained ResNet grows with σ_w².",
    source="arXiv:2505.12096, its code, a scan of the start of resnet18",
    rule=greater(LARGEST_MINUS_SMALLEST, 0.0, z=3),
)


RESNET_NORM_RATE = Claim(
    id="resnet-norm-rate",
    title="Batch norm: smaller weights learn faster",
    statement="ResNets with batch normalisation, trained by Adam, reach a higher accuracy in the same number of "
    "steps if they start with smaller weights, though all start as the same function.",
    source="ours; follows from the scale of the weights being a learning rate, at rates below the best one",
    rule=greater(SMALLEST_MINUS_LARGEST, 0.0, z=2),
)


RESNET_SIGNAL_FIRST = Claim(
    id="resnet-signal-first",
    title="No norm: weights that keep the signal win",
    statement="ResNets without normalisation, drawn at the σ_w² of the sweep at which the mean square of the "
    "signal changes least from the first layer to the last block, end with a higher test accuracy than those from "
    "PyTorch's default or any other σ_w² of the sweep.",
    source="the project's summary of the paper (arXiv:2505.12096); not in its code or reviews; "
    "how we pick the start of a network without an edge is ours",
    rule=greater(KEPT_MINUS_RIVAL, 0.0, z=2),
)


AUDIT = audit_claim("resnets")
