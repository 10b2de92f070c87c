"""How large the error of softmax cross-entropy is at initialisation, for the favoured and the other of two classes.

Over the inputs, the difference of the two logits is Gaussian: its mean, fixed by the weights, is z sqrt(2 q c) with z ~
N(0, 1) over networks; its variance is 2 q (1 - c). The gradient of the loss of an input, with respect to the two
logits, is (p - 1, 1 - p), p the probability given to its label; so its square is 2 (1 - p)^2 at the logits and
2 (1 - p)^2 prod chi in a layer below, the product over the layers between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, ndtr, ndtri

from igbrepro.checks import finite
from igbrepro.theory.quadrature import NODES, WEIGHTS, normal_density

_FAR = 40.0  # logit differences beyond which (1 - p)^2 is 0 or 1
_POINT, _WEIGHT = np.polynomial.legendre.leggauss(80)
_X = np.concatenate([_FAR / 2 * (_POINT - 1), _FAR / 2 * (_POINT + 1)])
_STEP = np.tile(_FAR / 2 * _WEIGHT, 2) * (expit(-_X) ** 2 - (_X < 0))  # what (1 - p)^2 differs from a step


def class_errors(q: ArrayLike, c: ArrayLike, z: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Mean over inputs of (1 - p)^2 for inputs of the (favoured, unfavoured) class, in networks of a given z.

    q >= 0, c in [0, 1]: variance and correlation of the logits.  z >= 0: how far the mean logits are apart, in their
    standard deviations over networks.  Arrays broadcast; returns two of their common shape.
    Raises ParameterError outside these ranges.
    """
    q, c, z = finite("q", q, 0), finite("c", c, 0, 1), finite("z", z, 0)
    mean, deviation = z * np.sqrt(2 * q * c), np.sqrt(2 * q * (1 - c))
    return _error(mean, deviation), _error(-mean, deviation)


def median_class_errors(q: ArrayLike, c: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """class_errors of the median network, whose z is 0.674: both are monotone in z."""
    return class_errors(q, c, ndtri(0.75))


def mean_class_errors(q: ArrayLike, c: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """class_errors averaged over networks.

    For c = 1 and large q the favoured class's mean comes from the few networks with z near 0: it falls like q^(-1/2),
    the median like exp(-1.9 sqrt(q)).
    """
    half = NODES > 0
    q, c = np.broadcast_arrays(finite("q", q, 0), finite("c", c, 0, 1))
    favoured, unfavoured = class_errors(q[..., None], c[..., None], NODES[half])
    return 2 * favoured @ WEIGHTS[half], 2 * unfavoured @ WEIGHTS[half]


def errors_of_networks(difference: ArrayLike, labels: ArrayLike, power: int = 0) -> dict[str, np.ndarray]:
    """Mean (1 - p)^2 |x|^power over n given inputs ("all"), and over those of the "favoured" and "unfavoured" class.

    difference: (..., n), x = logit 1 minus logit 0 of networks (...,).  labels: (n,), 0 or 1.  Values are (...,); nan
    where no input is labelled so.  The favoured class is the one that more of the n inputs are given (at a tie
    class 0), as in the lab of chapter 9.
    """
    difference, one = np.asarray(difference, dtype=float), np.asarray(labels) == 1
    squares = expit(np.where(one, -difference, difference)) ** 2 * np.abs(difference) ** power
    favoured = one == ((difference > 0).mean(-1) > 0.5)[..., None]

    def mean(chosen: np.ndarray) -> np.ndarray:
        count = chosen.sum(-1)
        return np.divide((squares * chosen).sum(-1), count, out=np.full(count.shape, np.nan), where=count > 0)

    return {"all": squares.mean(-1), "favoured": mean(favoured), "unfavoured": mean(~favoured)}


def sampled_logits(covariance: ArrayLike, n_networks: int, rng: np.random.Generator) -> np.ndarray:
    """Differences of the two logits of networks of infinite width, (n_networks, n), for errors_of_networks.

    covariance: (n, n) of a logit over the inputs; the two logits of a network are independent and Gaussian.
    """
    value, vector = np.linalg.eigh(finite("covariance", covariance, -np.inf))
    return (rng.standard_normal((n_networks, len(value))) * np.sqrt(2 * np.maximum(value, 0))) @ vector.T


def _error(mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """E[(1 - p)^2] for a logit difference N(mean, deviation^2) in favour of the label; (1 - p) = 1/(1 + exp(x))."""
    mean, deviation = (v[..., None] for v in np.broadcast_arrays(mean, deviation))
    narrow = (expit(-(mean + np.minimum(deviation, 1) * NODES)) ** 2) @ WEIGHTS
    wide = np.maximum(deviation, 1)
    step = ndtr(-mean / wide)[..., 0] + (normal_density((_X - mean) / wide) / wide) @ _STEP
    return np.where(deviation[..., 0] <= 1, narrow, step)
