"""Claims for practitioners (chapters 18 to 21); see claims_register.py."""

from __future__ import annotations

import math

from igbrepro.results import Outcome
from igbrepro.rules import Claim, agrees, all_of, between, greater

DESIGN: list[Claim] = [
    Claim(
        id="design-gamma",
        title="γ by design",
        statement="In untrained tanh and ReLU networks designed for a γ on the edge of chaos, the share 1/(1 + γ) of "
        "the variance of logits that comes from the images is the one that the theory for these images predicts, with "
        "its first correction in 1/width, at every γ asked for.",
        source="ours, after arXiv:2505.12096, mean-field theory of the initial guessing bias",
        notebook="experiments/18_starting_bias",
        rule=all_of(agrees("farthest from theory", 4, 0.08), agrees("least precise", 4, 0.08)),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="design-fraction",
        title="A starting bias that was announced",
        statement="From two numbers of the images, their mean square and mean correlation, a design on the edge of "
        "chaos announces the mean share of the favourite class before training to within 0.05, for tanh and ReLU and "
        "every γ asked for.",
        source="ours, after arXiv:2505.12096, background on the initial guessing bias",
        notebook="experiments/18_starting_bias",
        rule=between("measured minus announced, worst design", -0.05, 0.05),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="design-speed",
        title="Along the edge, less bias learns sooner",
        statement="Of tanh networks on the edge of chaos those designed for the weakest starting bias learn sooner "
        "than those designed for the strongest, and sooner also than these with their heads centred, so that it is the "
        "body that makes the difference.",
        source="ours; arXiv:2505.12096 compares the edge with other phases, not its points with each other",
        notebook="experiments/18_starting_bias",
        rule=all_of(
            greater("strongest over weakest bias", 0.0, z=2),
            greater("strongest bias, centred, over weakest", 0.0, z=2),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="design-centred",
        title="The edge without its prejudice",
        statement="Tanh and ReLU networks on the edge of chaos whose head was centred, so that they start without "
        "bias, learn no later than with the head as it was drawn, within a factor of 1.26.",
        source="ours; asks whether the prejudice that arXiv:2505.12096 finds at the edge is a cause of good training",
        notebook="experiments/18_starting_bias",
        rule=all_of(
            between("tanh, centred over as drawn", -math.inf, 0.1),
            between("ReLU, centred over as drawn", -math.inf, 0.1),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="design-forced",
        title="Prejudice by force",
        statement="Setting the bias vector of the head so that every first guess is one class changes the learning "
        "time of networks on the edge of chaos by less than a factor of 1.5, be they designed for a weak bias (tanh) "
        "or a strong one (tanh, ReLU).",
        source="ours; the other direction of the same question",
        notebook="experiments/18_starting_bias",
        rule=all_of(
            *(
                between(f"{what}, forced over as drawn", -math.log10(1.5), math.log10(1.5))
                for what in ("weakest bias", "tanh", "ReLU")
            )
        ),
        expected=Outcome.NOT_RUN,
    ),
    Claim(
        id="design-ordered-centred",
        title="Neutral is not enough",
        statement="A tanh network in the ordered phase whose head was centred, so that it starts without bias, learns "
        "later than a network on the edge of chaos with the same σ_b² that keeps its bias.",
        source="ours; arXiv:2505.12096, section on experiments, compares the two without moving their heads",
        notebook="experiments/18_starting_bias",
        rule=greater("ordered, centred, over edge as drawn", 0.0, z=2),
        expected=Outcome.REPRODUCED,
    ),
]
SCHEMES: list[Claim] = [
    Claim(
        id="schemes-relu-names",
        title="Four names for one place",
        statement="In a deep plain ReLU CNN the edge of chaos, He's rule, orthogonal weights and LSUV, which all "
        "start at χ = 1, end within 0.1 of the same accuracy and learn equally fast, to within a factor of two.",
        source="follows from the phase diagram of arXiv:2505.12096; the comparison is ours",
        notebook="experiments/19_initialisations",
        rule=all_of(
            *(between(f"{name} minus edge, final accuracy", -0.1, 0.1) for name in ("He", "orthogonal", "LSUV")),
            also=[
                between(f"{name} over edge, steps, log10", -math.log10(2), math.log10(2))
                for name in ("He", "orthogonal", "LSUV")
            ],
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="schemes-xavier",
        title="A rule is right for the activation it was made for",
        statement="Xavier's rule makes a deep plain ReLU CNN, which it puts in the ordered phase, learn later than the "
        "edge of chaos does; for tanh, where it is a point of the edge itself, it is less of a delay or none.",
        source="follows from the phase diagram of arXiv:2505.12096; the comparison is ours",
        notebook="experiments/19_initialisations",
        rule=all_of(
            greater("Xavier over edge, ReLU, log10", 0.0, z=2),
            greater("Xavier over edge, ReLU minus tanh, log10", 0.0, z=2),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="schemes-lsuv-chaotic",
        title="LSUV keeps the signal, not the gradient",
        statement="In a deep plain tanh CNN LSUV, which gives every layer unit variance, lets the squared gradient "
        "grow towards the input more than χ = E[φ′²]/E[φ²] at variance 1 implies.",
        source="ours, after the phase diagram of arXiv:2505.12096",
        notebook="experiments/19_initialisations",
        rule=greater("growth of the squared gradient, log10", "growth that χ implies, log10", z=2),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="schemes-lsuv-late",
        title="LSUV under tanh: does the chaos cost anything?",
        statement="A deep plain tanh CNN drawn by LSUV, a little in the chaotic phase, ends a short training with a "
        "lower accuracy than one on the edge of chaos.",
        source="ours, after the phase diagram of arXiv:2505.12096",
        notebook="experiments/19_initialisations",
        rule=greater("edge minus LSUV, final accuracy", 0.0, z=2),
        expected=Outcome.NOT_RUN,
    ),
    Claim(
        id="schemes-orthogonal",
        title="On the edge, but with one eye",
        statement="Delta-orthogonal kernels, which let a deep plain CNN start on the edge of chaos without looking at "
        "neighbouring positions, end a short training with a lower accuracy than independent weights on the edge, for "
        "ReLU and for tanh.",
        source="ours; exploratory",
        notebook="experiments/19_initialisations",
        rule=all_of(
            *(greater(f"edge minus orthogonal, final accuracy, {name}", 0.0, z=2) for name in ("ReLU", "tanh")),
            *(
                between(f"growth of the squared gradient, orthogonal, {name}, log10", -1, 1)
                for name in ("ReLU", "tanh")
            ),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="schemes-resnet-he",
        title="He's rule does not see the sums",
        statement="In a ResNet without normalisation He's rule, which is right for a plain ReLU network, ends with a "
        "lower accuracy than the edge of chaos that allows for the residual sums.",
        source="ours, after arXiv:2505.12096, section on experiments (ResNets)",
        notebook="experiments/19_initialisations",
        rule=greater("edge minus He, final accuracy", 0.0, z=2),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="schemes-edge-safe",
        title="The edge is never far behind",
        statement="In none of the four networks does any other initialisation end with an accuracy more than 0.1 above "
        "that of the edge of chaos.",
        source="ours; arXiv:2505.12096 compares phases, not named rules",
        notebook="experiments/19_initialisations",
        rule=between("edge minus best other, worst network", -0.1, math.inf),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="schemes-norm",
        title="With batch normalisation it matters less",
        statement="The final accuracies that six initialisations lead to differ less in a ResNet with batch "
        "normalisation than in the same ResNet without.",
        source="ours, after arXiv:2505.12096, section on experiments (ResNets)",
        notebook="experiments/19_initialisations",
        rule=greater("spread without minus with norm", 0.0, z=2),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="schemes-gradient-tells",
        title="The gradient tells more than the bias",
        statement="In networks without normalisation, how far the squared gradient is from keeping its size over the "
        "untrained network ranks six initialisations by their final accuracy better than the share of the favourite "
        "class at the start does.",
        source="ours; arXiv:2505.12096 links bias and trainability along one family of initialisations; exploratory",
        notebook="experiments/19_initialisations",
        rule=greater("rank correlation, gradient", "rank correlation, share", z=2),
        expected=Outcome.REPRODUCED,
    ),
]
REPAIR: list[Claim] = [
    Claim(
        id="repair-trains",
        title="A network that does not train, repaired",
        statement="A deep plain ReLU network of convolutions, as PyTorch initialises it, stays at chance in an "
        "ordinary training loop at every learning rate tried; the same network learns in the same loop once its "
        "weights are drawn anew, each layer on the edge of chaos.",
        source="arXiv:2505.12096, guideline to start on the edge of chaos; the repair of a given network is ours",
        notebook="experiments/20_diagnose",
        rule=all_of(
            between("as it came, final accuracy above chance", -0.05, 0.05),
            between("as it came, other rates, farthest from chance", -0.05, 0.05),
            between("repaired, final accuracy", 0.4, math.inf),
            greater("repaired minus as it came", 0.0, z=2),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="repair-foretold",
        title="Told before the first step",
        statement="Before any training and without labels, diagnose calls every such network as PyTorch initialises it "
        "ordered, and every repaired one on the edge of chaos.",
        source="ours, after the phase diagram of arXiv:2505.12096",
        notebook="experiments/20_diagnose",
        rule=all_of(
            between("share of seeds called ordered, as it came", 1, math.inf),
            between("share of seeds called edge, repaired", 1, math.inf),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="repair-gradients",
        title="The gradients that training starts from",
        statement="How much larger or smaller the squared gradient of the loss is in the weights of the first layers "
        "than in those of the last, averaged over the first batches, follows from the diagnosis to within a factor of "
        "ten, in the network as it came, where it is many powers of ten, and in the repaired one.",
        source="ours",
        notebook="experiments/20_diagnose",
        rule=all_of(
            *(between(f"measured minus predicted, log10, {name}", -1, 1) for name in ("as it came", "repaired"))
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="repair-ladder",
        title="The verdict and the training that follows",
        statement="Of perceptrons that differ in σ_w² alone, those that diagnose finds at the edge of chaos are, "
        "after a short training, on average more accurate than those that it finds elsewhere.",
        source="ours, after arXiv:2505.12096, section on experiments",
        notebook="experiments/20_diagnose",
        rule=greater("edge minus elsewhere, mean accuracy", 0.0, z=2),
        expected=Outcome.REPRODUCED,
    ),
]
ZOO: list[Claim] = [
    Claim(
        id="zoo-gamma-predicts",
        title="γ of the logits tells the starting bias of any architecture",
        statement="In every family of torchvision's untrained classifiers γ of the logits, a ratio of variances, "
        "predicts the mean share of the favourite of ten classes to within 0.05.",
        source="arXiv:2505.12096, background on the initial guessing bias, taken over to architectures in use by us",
        notebook="experiments/21_zoo",
        rule=between("measured minus predicted, worst family", -0.05, 0.05),
        expected=Outcome.NOT_REPRODUCED,
    ),
    Claim(
        id="zoo-norm-neutral",
        title="Architectures without norm start more biased",
        statement="Families of torchvision's untrained classifiers without normalisation give their favourite class a "
        "larger share of the images than those with normalisation.",
        source="ours; an association, not an experiment; exploratory",
        notebook="experiments/21_zoo",
        rule=greater("share without norm minus with", 0.0, z=2),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="zoo-rectified-head",
        title="Heads that read ReLUs start more biased",
        statement="Among torchvision's untrained classifiers with normalisation, families whose head reads values that "
        "are never negative give their favourite class a larger share of the images than the others.",
        source="ours; an association, not an experiment; exploratory",
        notebook="experiments/21_zoo",
        rule=greater("share with rectified heads minus others", 0.0, z=2),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="zoo-last-pool",
        title="The last pool makes the starting bias of batch-normalised ReLU networks",
        statement="In untrained classifiers whose head reads pooled ReLUs of a batch norm, the logits of two images "
        "have correlation 1/π, to within 0.05, where one position is left, and the correlation grows with the number "
        "of positions that the pool averages.",
        source="ours; the rule was set after a first look; exploratory",
        notebook="experiments/21_zoo",
        rule=all_of(
            between("c at one position minus 1/π", -0.05, 0.05),
            greater("c at most positions minus c at fewest", 0.0),
        ),
        expected=Outcome.REPRODUCED,
    ),
    Claim(
        id="zoo-gradient-norm",
        title="Batch norm makes the gradient grow towards the first layer",
        statement="In torchvision's untrained classifiers with batch normalisation the squared gradient at the first "
        "stage is larger than at the last, in the mean of its logarithm over families, and larger by more than in "
        "families without normalisation.",
        source="ours, exploratory; the growth behind batch norms is due to Yang et al. 2019 (arXiv:1902.08129)",
        notebook="experiments/21_zoo",
        rule=all_of(
            greater("log10 of the gradient, batch norm", 0.0, z=2),
            greater("log10 of the gradient, batch norm minus no norm", 0.0, z=2),
        ),
        expected=Outcome.REPRODUCED,
    ),
]

PRACTICE = DESIGN + SCHEMES + REPAIR + ZOO
