"""What a classifier's logits say, per class: fractions of guesses, accuracies, losses."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def class_fractions(logits: Tensor) -> Tensor:
    """Share of inputs guessed to be of each class: logits (..., n, n_classes) -> (..., n_classes), summing to 1.

    The leading axes may be several networks.  NaN for every class where a logit is NaN: no guess was made.
    """
    guesses = F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    broken = logits.isnan().any(-1).any(-1)
    return guesses.mean(-2).masked_fill(broken[..., None], torch.nan)


def max_class_fraction(logits: Tensor) -> Tensor:
    """Share of inputs guessed to be of the favourite class: (..., n, n_classes) -> (...), from 1/n_classes to 1."""
    return class_fractions(logits).amax(-1)


def class_accuracies(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of each class guessed rightly, (n, n_classes), (n,) -> (n_classes,); NaN for an absent class."""
    n_classes = logits.shape[-1]
    right = labels[logits.argmax(-1) == labels]
    counts = [torch.bincount(which, minlength=n_classes).double() for which in (right, labels)]
    return (counts[0] / counts[1]).to(logits.dtype)


def class_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy (nats) of each class: (n, n_classes), (n,) -> (n_classes,); NaN for an absent class."""
    losses = F.cross_entropy(logits, labels, reduction="none")
    member = F.one_hot(labels, logits.shape[-1]).to(losses.dtype)
    return torch.where(member.bool(), losses[:, None], 0.0).sum(0) / member.sum(0)


def evaluate(logits: Tensor, labels: Tensor) -> dict[str, float | list[float]]:
    """All of these at once: numbers over all inputs, and lists of one number per class.

    accuracy, loss, max_class_fraction; class_fraction, class_accuracy, class_loss.  Where a logit is NaN the loss is
    NaN, and so is everything else.
    """
    fractions = class_fractions(logits)
    right = (logits.argmax(-1) == labels).to(logits.dtype).mean()
    broken = fractions.isnan().any()
    return {
        "accuracy": float(right.masked_fill(broken, torch.nan)),
        "loss": float(F.cross_entropy(logits, labels)),
        "max_class_fraction": float(fractions.amax()),
        "class_fraction": fractions.tolist(),
        "class_accuracy": class_accuracies(logits, labels).masked_fill(broken, torch.nan).tolist(),
        "class_loss": class_losses(logits, labels).masked_fill(broken, torch.nan).tolist(),
    }
