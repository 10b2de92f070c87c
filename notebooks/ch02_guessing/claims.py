"""Claims of chapter 2, guessing."""

from __future__ import annotations

import math

from igbrepro.claims import Claim, agrees, all_of, between, farthest, least_precise

# Names of measurements, as the notebook gives them.
NODE_MEANS = "distance of node means"
VALUES = "distance of values"
IF_SIGMA_DOUBLE = "distance if σ_μ² were double"
FRACTIONS = "distance of class fractions"
IF_GAMMA_DOUBLE = "distance if γ were double"
LARGEST_FRACTION = "mean largest fraction"
VARIANCE = "variance"
FRACTIONS_TANH = "distance of class fractions, tanh"
FRACTIONS_RELU = "distance, ReLU"
VARIANCE_FROM_PAIRS = "variance from pairs"
FRACTIONS_RELU_OWN_GAMMA = "distance, ReLU, γ as defined"
TEN_CLASSES = "ten classes, first layer"


GUESS_NODE_LAW = Claim(
    id="guess-node-law",
    title="The law of a node",
    statement="Over independent inputs, the values of a node of a wide random network are Gaussian around its "
    "mean, with the same variance in all nodes; the means of the nodes are Gaussian too, and both "
    "variances are those that the correlation of two inputs predicts.",
    source="arXiv:2505.12096, background on the initial guessing bias; Francazi et al. 2024",
    rule=all_of(
        between(NODE_MEANS, -math.inf, 0.03),
        between(VALUES, -math.inf, 0.03),
        between(IF_SIGMA_DOUBLE, 0.03, math.inf),
    ),
)


GUESS_CLASS_FRACTION = Claim(
    id="guess-class-fraction",
    title="The law of the class fraction",
    statement="The share of inputs that an untrained network gives to one of two classes is distributed over "
    "networks like Φ(√γ z) with z standard normal: one peak at one half for γ below 1, uniform at 1, "
    "two peaks at 0 and 1 above.",
    source="arXiv:2505.12096, background on the initial guessing bias; Francazi et al. 2024",
    rule=all_of(
        between(FRACTIONS, -math.inf, 0.04),
        between(IF_GAMMA_DOUBLE, 0.04, math.inf),
        agrees(farthest(VARIANCE), max_z=3.5, resolution=0.03),
        agrees(least_precise(VARIANCE), max_z=3.5, resolution=0.03),
    ),
    revised="variances are compared too since its numbers were seen, as γ a tenth larger would have passed",
)


GUESS_MAX_FRACTION = Claim(
    id="guess-max-fraction",
    title="Mean share of the favourite class",
    statement="With two classes, the favourite of an untrained network gets the share 1/2 + arcsin(√c)/π of the "
    "inputs on average, c = γ/(1 + γ), and the variance of a class's share is arcsin(c)/2π.",
    source="follows from the law of the class fraction in arXiv:2505.12096; closed forms ours",
    rule=all_of(
        agrees(farthest(LARGEST_FRACTION), max_z=3.5, resolution=0.01),
        agrees(least_precise(LARGEST_FRACTION), max_z=3.5, resolution=0.01),
        agrees(farthest(VARIANCE), max_z=3.5, resolution=0.06),
        agrees(least_precise(VARIANCE), max_z=3.5, resolution=0.06),
    ),
)


GUESS_TEN_CLASSES = Claim(
    id="guess-ten-classes",
    title="Ten classes",
    statement="With ten classes too, the mean share of the favourite class follows from γ alone, by the law of "
    "ten independent nodes.",
    source="arXiv:2505.12096, background on the initial guessing bias (many classes); Francazi et al. 2024",
    rule=all_of(agrees(farthest(), max_z=3.5, resolution=0.04), agrees(least_precise(), 3.5, resolution=0.04)),
)


GUESS_IMAGES = Claim(
    id="guess-images",
    title="The law of the class fraction on real images",
    statement="On real images, correlated and of unequal length, the class fractions of untrained networks follow "
    "the same law, with the γ that their logits show.",
    source="arXiv:2505.12096, experiments on initial predictions; the check by pairs of images is ours",
    rule=all_of(
        between(FRACTIONS_TANH, -math.inf, 0.04),
        between(FRACTIONS_RELU, -math.inf, 0.04),
        agrees(farthest(VARIANCE_FROM_PAIRS), max_z=4, resolution=0.06),
        agrees(least_precise(VARIANCE_FROM_PAIRS), max_z=4, resolution=0.06),
        also=[
            between(FRACTIONS_RELU_OWN_GAMMA, -math.inf, 0.04),
            agrees(TEN_CLASSES, max_z=3.5, resolution=0.04),
        ],
    ),
)
