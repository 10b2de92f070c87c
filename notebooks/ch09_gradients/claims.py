"""Claims of chapter 9, gradients."""

from __future__ import annotations

import math

from igbrepro.claims import TIGHTENED, Claim, agrees, all_of, between, farthest, greater, least_precise

# Names of measurements, as the notebook gives them.
SINGLE_LAYERS = "single layers"
MEAN_OVER_LAYERS = "mean over layers"
MEAN_ERROR = "mean error"
SHARE_ABOVE_THE_MEDIAN = "share above the median"


def factor(where: str) -> str:
    """The factor of the squared gradient a layer, in one activation and phase."""
    return f"{where}: factor a layer"


def log_growth(favour: str, average: str) -> str:
    """The growth of the first-layer gradient with depth for the "favoured" or the "unfavoured" class."""
    return f"{favour} class, {average}: log10 growth"


MEDIAN, MEAN = "median network", "mean over networks"


GRADIENTS_CHI = Claim(
    id="gradients-chi",
    title="χ is the gradient multiplier, with and without pools",
    statement="From each layer to the one below, mean squared gradients in random networks change by the "
    "predicted χ, for tanh and ReLU, in every phase, without pools and with max- and average-pools.",
    source="arXiv:2505.12096, mean-field background and multi-node activations; measured above the floor",
    rule=all_of(
        agrees(farthest(SINGLE_LAYERS), max_z=4.8, resolution=0.05, slack=0.015),
        agrees(least_precise(SINGLE_LAYERS), max_z=4.8, resolution=0.05, slack=0.015),
        agrees(farthest(MEAN_OVER_LAYERS), max_z=4, resolution=0.01, slack=0.015),
        agrees(least_precise(MEAN_OVER_LAYERS), max_z=4, resolution=0.01, slack=0.015),
    ),
)


GRADIENTS_PHASES = Claim(
    id="gradients-phases",
    title="Gradients vanish, stay or explode by phase",
    statement="On real images the gradients of the loss at initialisation vanish with depth in the ordered phase, "
    "keep their size at the edge of chaos and explode beyond it, at the predicted rate.",
    source="arXiv:2505.12096, figure of gradients by class over depth",
    rule=all_of(
        *(between(factor(f"{name}, ordered"), 0, 0.97) for name in ("tanh", "relu")),
        *(between(factor(f"{name}, edge"), 0.95, 1.05) for name in ("tanh", "relu")),
        *(
            between(factor(name), 1.03, math.inf)
            for name in ("tanh, prejudice", "tanh, neutrality", "relu, chaotic-deep")
        ),
        agrees(farthest(), max_z=4, resolution=0.01, slack=0.01),
        agrees(least_precise(), max_z=4, resolution=0.01, slack=0.01),
    ),
)


GRADIENTS_ONE_CLASS = Claim(
    id="gradients-one-class",
    title="In the chaotic-deep phase gradients explode for one class only",
    statement="In deep chaotic ReLU networks the first-layer gradients of images of the class that is not "
    "favoured grow with depth, and those of the favoured class do not.",
    source="arXiv:2505.12096, figure of gradients by class over depth",
    rule=all_of(
        greater(log_growth("unfavoured", MEDIAN), 0.0, z=3),
        greater(log_growth("unfavoured", MEAN), 0.0, z=3),
        between(log_growth("favoured", MEDIAN), -math.inf, 0),
        also=between(log_growth("favoured", MEAN), -math.inf, 0),
    ),
)


GRADIENTS_ERROR_LAW = Claim(
    id="gradients-error-law",
    title="The law of the two errors",
    statement="The mean squared error signals of the favoured and of the other class are those of Gaussian "
    "logits, in the mean over networks and in their median, in every phase.",
    source="ours; it follows from the theory of the guessing bias, arXiv:2505.12096",
    rule=all_of(
        agrees(farthest(MEAN_ERROR), max_z=4, resolution=0.05, slack=0.03),
        agrees(least_precise(MEAN_ERROR), max_z=4, resolution=0.05, slack=0.03),
        agrees(farthest(SHARE_ABOVE_THE_MEDIAN), max_z=4, resolution=0.05, slack=0.03),
        agrees(least_precise(SHARE_ABOVE_THE_MEDIAN), max_z=4, resolution=0.05, slack=0.03),
    ),
    revised=TIGHTENED,
)
