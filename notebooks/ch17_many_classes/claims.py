"""Claims of chapter 17, many classes."""

from __future__ import annotations

from igbrepro.claims import Claim, Rule, all_of, between, greater
from igbrepro.runs import audit_claim

CLASSES = (2, 10, 100)

TOLERANCE = 0.05

# Names of measurements, as the notebook gives them.
FEWEST_CHANNELS = "gap, fewest channels"
FEWEST_MINUS_MOST = "gap, fewest minus most channels"


def worst_gap(k: int) -> str:
    """Measured minus predicted for k classes."""
    return f"worst gap, {k} classes"


def matrix_lead(k: int) -> str:
    """How much less the whole matrix errs than one number, for k classes."""
    return f"error of one number minus error of the matrix, {k} classes"


def _within() -> Rule:
    """The worst gap of each number of classes is within the tolerance."""
    return all_of(*(between(worst_gap(k), -TOLERANCE, TOLERANCE) for k in CLASSES))


START_MLP = Claim(
    id="start-mlp",
    title="Multilayer perceptrons start as predicted",
    statement="The mean share of the favourite of 2, 10 and 100 classes in untrained plain and residual multilayer "
    "perceptrons on real images is the one that the theory of infinite width predicts from the images alone, to "
    "within 0.05 at every depth and σ_w² tried.",
    source="arXiv:2505.12096, mean-field theory of the initial guessing bias, carried to many classes; the test on "
    "whole covariance matrices is ours",
    rule=_within(),
)


START_CNN = Claim(
    id="start-cnn",
    title="Convolutional networks start as predicted",
    statement="The mean share of the favourite of 2, 10 and 100 classes in untrained plain convolutional networks "
    "on real images is the one that the theory of infinitely many channels predicts, to within 0.05 at every depth "
    "and σ_w² tried.",
    source="follows from arXiv:2505.12096, whose code has a class of CNN and no experiment with it; the theory of "
    "given images is that of Xiao et al. 2018, the test ours",
    rule=_within(),
)


START_CNN_WIDTH = Claim(
    id="start-cnn-width",
    title="What a ReLU CNN lacks is channels",
    statement="In chaotic ReLU CNNs of few channels the favourite of 100 classes gets less than the theory of "
    "infinitely many channels predicts, and the gap shrinks as channels are added.",
    source="ours; exploratory",
    rule=all_of(greater(FEWEST_CHANNELS, 0.0), greater(FEWEST_MINUS_MOST, 0.0)),
)


START_ONE_NUMBER = Claim(
    id="start-one-number",
    title="One number for every architecture",
    statement="One number, γ = c/(1 − c) with the mean correlation c of two images at the logits, predicts the "
    "mean share of the favourite of 2, 10 and 100 classes to within 0.05 in every architecture, at every depth and "
    "σ_w² tried.",
    source="arXiv:2505.12096, background on the initial guessing bias (many classes) and experiments; the test is ours",
    rule=_within(),
)


START_VARIANCES = Claim(
    id="start-variances",
    title="γ as a ratio of variances",
    statement="γ as it is defined, the variance over output nodes of a node's mean over images, divided by the "
    "variance over images within a node, predicts the mean share of the favourite of 2, 10 and 100 classes to "
    "within 0.05 in every architecture, at every depth and σ_w² tried.",
    source="arXiv:2505.12096, definition of γ and background on the initial guessing bias (many classes)",
    rule=_within(),
)


START_MATRIX = Claim(
    id="start-matrix",
    title="One matrix for every architecture",
    statement="One correlation matrix of the images, averaged over the networks of a kind, predicts the mean share "
    "of the favourite of 2, 10 and 100 classes to within 0.05 in every architecture, and for 100 classes better "
    "than one number does.",
    source="ours",
    rule=all_of(_within(), greater(matrix_lead(max(CLASSES)), 0.0)),
)


AUDIT = audit_claim("many_classes", measured=True, trains=False)
