"""Two ways to set the starting bias of any classifier through one vector, the bias of its last layer.

The body, its weights and what they do to signals and gradients stay as they were, so that a network on the edge of
chaos remains on it.

>>> center_head_(model, images)                               # every logit has mean 0 over these images
>>> start_at_prior_(model, images, [0.9, 0.1])                # nine of ten images are guessed to be of class 0
>>> start_at_prior_(model, images, [0.9, 0.1], of="probabilities")       # the mean softmax is (0.9, 0.1)
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from torch import Tensor, nn

from igbrepro.errors import ParameterError
from igbrepro.probes import batch_of, last_layer, undisturbed

Model = TypeVar("Model", bound=nn.Module)
Array = NDArray[np.float64]

TOLERANCE = 1e-4  # of a logit, relative to the largest one and the shift; more for dtypes of fewer digits
COOLING, COOLINGS = 4.0, 20  # steps of temperature from the spread of the logits towards 0


@torch.no_grad()
def center_head_(model: Model, inputs: ArrayLike | Tensor) -> Model:
    """Shift the bias of the last layer in place so that the mean over `inputs` (n, ...) of every logit is 0.

    Means are 0 up to the rounding of the logits.  Two classes then get shares near one half, whatever gamma is; of
    more, classes whose logits spread more over the inputs still get more.
    The model runs twice, in eval mode, with dropout off; batch normalisation uses the statistics of these inputs, as it
    does in the first step of training.  All but that bias is left as it was.
    Raises ParameterError, naming the layer, where the model has no last layer whose bias shifts its logits one to one.
    """
    head = _Head(model, inputs)
    head.shift(-head.logits.mean(0))
    return model


@torch.no_grad()
def start_at_prior_(model: Model, inputs: ArrayLike | Tensor, prior: ArrayLike, of: str = "guesses") -> Model:
    """Set the bias of the last layer in place so that the first predictions for `inputs` (n, ...) follow a class prior.

    prior: (n_classes,), >= 0, summing to 1.
    of: "guesses": the share of the inputs whose largest logit is that of class k becomes prior[k], to within
            n_classes / n, since shares are multiples of 1/n.  A class of prior 0 gets no input, by a small margin.
        "probabilities": the mean over the inputs of the softmax of class k becomes prior[k], all > 0. Among all biases
            this one has the smallest mean cross-entropy for labels that are drawn from the prior.
    Of biases that differ by a constant, which changes no prediction, the one is taken that shifts the mean over classes
    by nothing.  How the model is run, what is left alone and when ParameterError is raised: see center_head_.
    ParameterError is also raised for a prior of another kind, and where many inputs have the same logits, so that no
    bias tells them apart.
    """
    if of not in ("guesses", "probabilities"):
        raise ParameterError(f'of={of!r}: choose "guesses" or "probabilities".')
    head = _Head(model, inputs)
    shares = _checked_prior(prior, head.logits.shape[1], of)
    if of == "probabilities":
        head.shift(_probability_shift(head.logits, shares))
        return model
    after = head.shift(_guess_shift(head.logits, shares))
    n, k = after.shape
    gap = np.abs(_shares(after) - shares).max()
    if gap > (k + 1e-6) / n:
        head.restore()
        raise ParameterError(
            f"prior={shares.tolist()}: the nearest shares of guesses are off by {gap:.3g}, more than n_classes/n = "
            f"{k / n:.3g}, because the logits of many inputs coincide; give the model more digits (model.double()) or "
            'inputs that it tells apart, or take of="probabilities".'
        )
    return model


class _Head:
    """The last layer of a model, its logits (n, n_classes) on given inputs, and how to shift them."""

    def __init__(self, model: nn.Module, inputs: ArrayLike | Tensor) -> None:
        x = batch_of(inputs, model)
        self._model, self._inputs = model, x
        self.logits = self._run()
        name, layer = last_layer(model, x)
        self.name = (
            f"the last layer {name!r} ({type(layer).__name__})" if name else f"the model ({type(layer).__name__})"
        )
        if not isinstance(layer.bias, Tensor):
            raise ParameterError(f"model: {self.name} has no bias to shift; build it with bias=True.")
        if layer.bias.shape != self.logits.shape[1:]:
            raise ParameterError(
                f"model: {self.name} has {layer.bias.numel()} outputs, but there are {self.logits.shape[1]} logits; "
                "need a model that ends with its last layer."
            )
        self.bias, self._before = layer.bias, layer.bias.detach().clone()

    def shift(self, by: Array) -> Array:
        """Add `by` (n_classes,) to the bias and return the new logits; the old bias stays if they do not follow."""
        self.bias.copy_(self._before + torch.as_tensor(by).to(self._before))
        try:
            after = self._run()
        except BaseException:
            self.restore()
            raise
        size = max(np.abs(self.logits).max(), np.abs(by).max(), float(self._before.abs().max()))
        allowed = max(TOLERANCE, 8 * torch.finfo(self._before.dtype).eps) * size
        miss = np.abs(after - self.logits - by).max()
        if not miss <= allowed:
            self.restore()
            raise ParameterError(
                f"model: shifting the bias of {self.name} does not shift the logits by the same amount (off by "
                f"{miss:.3g} of {np.abs(by).max():.3g}); something acts on its output, such as an activation, a "
                "softmax or a scale. Nothing was changed."
            )
        return after

    def restore(self) -> None:
        """Put the old bias back."""
        self.bias.copy_(self._before)

    def _run(self) -> Array:
        with undisturbed(self._model, self._model):
            logits = self._model(self._inputs)
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ParameterError(f"model: returns {found}; need logits of shape (n, n_classes).")
        values = logits.double().numpy(force=True)
        if not np.isfinite(values).all():
            raise ParameterError("model: its logits are not finite on these inputs.")
        return values


def _checked_prior(prior: ArrayLike, n_classes: int, of: str) -> Array:
    try:
        shares = np.asarray(prior, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(f"prior={prior!r}: need {n_classes} numbers.") from None
    if shares.shape != (n_classes,):
        raise ParameterError(f"prior of shape {shares.shape}: the model has {n_classes} classes, need ({n_classes},).")
    if not (np.all(shares >= 0) and abs(shares.sum() - 1) < 1e-6):
        raise ParameterError(f"prior={shares.tolist()}: need shares >= 0 that sum to 1, not {shares.sum():.6g}.")
    if of == "probabilities" and not shares.all():
        raise ParameterError(f"prior={shares.tolist()}: no softmax is 0; need shares > 0, or of='guesses'.")
    return shares / shares.sum()


def _shares(logits: Array) -> Array:
    """Share of the inputs guessed to be of each class: (n, n_classes) -> (n_classes,)."""
    return np.bincount(logits.argmax(1), minlength=logits.shape[1]) / len(logits)


def _probability_shift(logits: Array, shares: Array, temperature: float = 1.0, start: Array | None = None) -> Array:
    """The b of mean 0 with mean_a softmax((logits_a + b) / T) = shares, all > 0.

    It is the minimum of the convex mean_a T logsumexp((logits_a + b) / T) - shares . b; solved in units of T.
    """
    y = logits / temperature

    def height(b: Array) -> tuple[float, Array]:
        return float(np.mean(logsumexp(y + b, axis=1)) - shares @ b), softmax(y + b, axis=1).mean(0) - shares

    def curvature(b: Array, v: Array) -> Array:
        p: Array = softmax(y + b, axis=1)
        return (p * v).mean(0) - (p * (p @ v)[:, None]).mean(0)

    b = np.zeros(len(shares)) if start is None else start / temperature
    found = minimize(height, b, jac=True, hessp=curvature, method="trust-ncg", options={"gtol": 1e-9, "maxiter": 500})
    return temperature * (found.x - found.x.mean())


def _guess_shift(logits: Array, shares: Array) -> Array:
    """The b of mean 0 at which the shares of guesses come closest to `shares`, on the way of T from the spread to 0."""
    wanted = np.flatnonzero(shares)
    y, goal = logits[:, wanted], shares[wanted]
    b = best = np.zeros(len(wanted))
    spread = max(float((y - y.mean(1, keepdims=True)).std()), np.finfo(float).tiny)
    least = np.inf
    for step in range(COOLINGS if len(wanted) > 1 else 0):
        b = _probability_shift(y, goal, spread / COOLING**step, b)
        gap = np.abs(_shares(y + b) - goal).max()
        if gap < least:
            best, least = b, gap
        if least < 0.5 / len(y):
            break
    full = np.zeros(len(shares))
    full[wanted] = best
    if len(wanted) < len(shares):  # the others stay below the best of these, by a hundredth of their spread
        others = np.flatnonzero(shares == 0)
        room = (y + best).max(1, keepdims=True) - logits[:, others]
        full[others] = np.minimum(room.min(0) - 0.01 * np.maximum(room.std(0), 1e-3 * spread), 0.0)
    return full - full.mean()
