"""Claims on residual networks that are trained (chapters 13 and 14); see claims_register.py."""

from __future__ import annotations

import math

from igbrepro.results import Outcome
from igbrepro.rules import Claim, all_of, between, exact, greater

RESIDUAL: list[Claim] = [
    Claim(
        id="resnet-norm-scale-free",
        title="Batch norm: the scale of the weights is a learning rate",
        statement="In a residual network with batch normalisation, the scale of the normalised weights changes neither "
        "the outputs nor the size of gradients times weights; under Adam it does what dividing their learning rate by "
        "the same factor does, and nothing else.",
        source="ours (algebra, checked on networks); it bounds what σ_w² can mean in the ResNets of arXiv:2505.12096",
        notebook="experiments/13_resnets",
        rule=all_of(
            exact("largest relative gap of logits", 0.0, atol=1e-6),
            exact("gradient before over after, per factor", 1e-6),
            exact("largest gap of losses, learning rate scaled too", 0.0, atol=1e-5),
            between("largest gap of losses, learning rate kept", 1e-3, math.inf),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="resnet-norm-gamma",
        title="Batch norm: γ of every block is a number",
        statement="In untrained ResNets with batch normalisation γ/(1 + γ) after every block is, to within 0.06, that "
        "of a recursion in one variable which knows neither σ_w² nor the images; γ starts anew in every stage.",
        source="ours; the paper (arXiv:2505.12096) measures ResNets and has no theory for normalised ones",
        notebook="experiments/13_resnets",
        rule=between("measured minus predicted, worst block", -0.06, 0.06),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="resnet-start",
        title="With batch norm the start does not know σ_w²",
        statement="With batch normalisation the favourite class of an untrained ResNet has the same share at every "
        "σ_w²; without it, at the largest σ_w² that both are given, the share is larger.",
        source="arXiv:2505.12096, experiments with residual networks (largest class fraction at the start); that "
        "normalisation makes σ_w² irrelevant is ours",
        notebook="experiments/13_resnets",
        rule=all_of(
            exact("norm: largest gap between two σ_w²", 0.0, atol=0.01),
            greater("no norm minus norm, one σ_w²", 0.0, z=3),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="resnet-start-grows",
        title="Without norm σ_w² raises the bias at the start",
        statement="Without normalisation the share of the favourite class of an untrained ResNet grows with σ_w².",
        source="arXiv:2505.12096, experiments with residual networks (largest class fraction at the start)",
        notebook="experiments/13_resnets",
        rule=greater("no norm: largest minus smallest σ_w²", 0.0, z=3),
        expected=Outcome.NOT_RUN,
    ),
    Claim(
        id="resnet-norm-rate",
        title="Batch norm: smaller weights learn faster",
        statement="ResNets with batch normalisation, trained by Adam, reach a higher accuracy in the same number of "
        "steps if they start with smaller weights, though all start as the same function.",
        source="ours; follows from the scale of the weights being a learning rate, at rates below the best one",
        notebook="experiments/13_resnets",
        rule=greater("smallest minus largest σ_w², final accuracy", 0.0, z=2),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="resnet-signal-first",
        title="No norm: weights that keep the signal win",
        statement="ResNets without normalisation, drawn at the σ_w² of the sweep at which the mean square of the "
        "signal changes least from the first layer to the last block, end with a higher test accuracy than those from "
        "PyTorch's default or any other σ_w² of the sweep.",
        source="arXiv:2505.12096, abstract and experiments with residual networks (best start against the default); "
        "how we pick the start of a network without an edge is ours",
        notebook="experiments/13_resnets",
        rule=greater("signal kept minus closest rival, final accuracy", 0.0, z=2),
        expected=Outcome.NOT_RUN,
    ),
    Claim(
        id="resmlp-start-predicted",
        title="Residual MLPs: the bias at the start is predicted",
        statement="The mean largest class fraction of untrained residual MLPs on real images is the one the theory of "
        "infinite width predicts, to within 0.05 at every σ_w², scaled or not.",
        source="arXiv:2505.12096, figure of residual MLPs (start); the maps are those of chapter 10",
        notebook="experiments/14_residual_mlps",
        rule=between("measured minus predicted, worst network", -0.05, 0.05),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="resmlp-range",
        title="Scaled residual MLPs train across a wide range of σ_w²",
        statement="Deep residual MLPs scaled by one over the root of the depth learn at every σ_w² of a range of two "
        "decades, and better than the plain MLP does at its best σ_w².",
        source="arXiv:2505.12096, figure of residual MLPs; the scaling is that of chapter 10",
        notebook="experiments/14_residual_mlps",
        rule=greater("worst scaled minus best plain, final accuracy", 0.0, z=2),
        expected=Outcome.NOT_RUN,
    ),
    Claim(
        id="resmlp-small",
        title="No σ_w² is too small for a residual MLP",
        statement="At a tenth of the edge's σ_w² and below, where a plain MLP would be deep in the ordered phase, deep "
        "residual MLPs, scaled or not, end training with a higher accuracy than the plain MLP at its best σ_w².",
        source="arXiv:2505.12096, figure of residual MLPs; that there is no ordered phase is in "
        "chapter 10; exploratory",
        notebook="experiments/14_residual_mlps",
        rule=greater("worst of the small minus best plain, final accuracy", 0.0, z=2),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="resmlp-unscaled",
        title="No ordered phase, so any σ_w² will do",
        statement="Deep residual MLPs without scaling, which have no ordered phase, learn at every σ_w² up to He's 2, "
        "and better than the plain MLP does at its best σ_w².",
        source="arXiv:2505.12096, figure of residual MLPs; our reading",
        notebook="experiments/14_residual_mlps",
        rule=greater("worst unscaled minus best plain, final accuracy", 0.0, z=2),
        expected=Outcome.NOT_REPRODUCED,
    ),
    Claim(
        id="resmlp-bias-helps",
        title="Deeper prejudice, better learning?",
        statement="Among MLPs outside the ordered phase, plain, residual and scaled, those that start with a larger "
        "share of the favourite class have a higher accuracy at the end of training.",
        source="arXiv:2505.12096, abstract (the best trained start is transiently prejudiced), carried over by us to "
        "a comparison across architectures",
        notebook="experiments/14_residual_mlps",
        rule=greater("rank correlation of starting share and final accuracy", 0.0, z=2),
        expected=Outcome.NOT_REPRODUCED,
    ),
]
