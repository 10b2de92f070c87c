"""The one type of a number with its error, and estimates from samples over networks (NumPy and SciPy only)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri
from scipy.stats import t

from igbrepro.errors import ParameterError


class Estimate(NamedTuple):
    """A value and its standard error (or what its function says in place of one), floats or arrays of one shape.

    Unpacks as `value, error`.
    """

    value: Any
    error: Any

    @classmethod
    def of_mean(cls, samples: ArrayLike) -> Estimate:
        """The mean over the first axis of samples (n, ...), n >= 2 independent draws, and its standard error.

        Raises ParameterError for fewer than two samples.
        """
        samples = _samples(samples)
        return cls(samples.mean(0), samples.std(0, ddof=1) / np.sqrt(len(samples)))


def jackknife(function: Callable[[np.ndarray], ArrayLike], samples: ArrayLike) -> Estimate:
    """A smooth function of a sample mean, and its standard error by leaving out one sample at a time.

    samples: (n, ...), n >= 2 independent draws.  function: of their mean (...,), to a number or an array.
    The value is the plain function of the mean. Raises ParameterError for fewer than two samples.
    """
    samples = _samples(samples)
    n = len(samples)
    total = samples.sum(0)
    left_out = np.array([function((total - one) / (n - 1)) for one in samples])
    return Estimate(np.asarray(function(total / n)), np.sqrt((n - 1) * left_out.var(0)))


def decay_scale(deviations: ArrayLike, last: int, first: int = 0) -> Estimate:
    """The e-folding depth of a deviation that shrinks (or, with a negative sign, grows) from layer `first` to `last`.

    deviations: (n_networks, layers). Their mean over networks is taken at both layers; nan if its sign has changed.
    Raises ParameterError unless 0 <= first < last < layers.
    """
    deviations = np.asarray(deviations, dtype=float)
    if not 0 <= first < last < deviations.shape[1]:
        raise ParameterError(f"first={first}, last={last}: need 0 <= first < last < {deviations.shape[1]} layers.")

    def scale(mean: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return (last - first) / np.log(mean[0] / mean[1])

    return jackknife(scale, deviations[:, [first, last]])


def weighted_mean(values: ArrayLike, errors: ArrayLike, weights: ArrayLike | None = None) -> Estimate:
    """Mean of independent estimates (k, ...) with weights (k,) that are known beforehand, by default equal ones.

    Weights made of the errors that were found would prefer samples that happen to lie low, wherever low ones scatter
    less, as lognormal ones do, and bias the mean.
    """
    weight = np.ones(len(np.asarray(values))) if weights is None else np.asarray(weights, dtype=float)
    share = weight / weight.sum()
    total = np.tensordot(share, np.asarray(values, dtype=float), 1)
    return Estimate(total, np.sqrt(np.tensordot(share**2, np.asarray(errors, dtype=float) ** 2, 1)))


def t_limit(z: float, freedom: float) -> float:
    """How many standard errors with these degrees of freedom (Student's t) are as sure as `z` of a normal law.

    For z = 2 (95.4 %) and three samples, two degrees, 4.53; inf degrees give z itself.
    """
    return float(t.isf(ndtr(-z), freedom)) if freedom < np.inf else float(z)


def z_limit(n_comparisons: int, false_alarm: float = 1e-3, freedom: float = np.inf) -> float:
    """The |z| that the largest of `n_comparisons` z-scores exceeds with probability at most `false_alarm`.

    freedom: degrees of freedom of each score's standard error, one less than its samples; inf: the scores are normal.
    """
    if n_comparisons < 1 or not 0 < false_alarm < 1:
        raise ParameterError(
            f"n_comparisons={n_comparisons}, false_alarm={false_alarm}: need at least one, and a probability."
        )
    return t_limit(float(-ndtri(false_alarm / 2 / n_comparisons)), freedom)


def _samples(samples: ArrayLike) -> np.ndarray:
    array = np.asarray(samples, dtype=float)
    if array.ndim == 0 or len(array) < 2:
        raise ParameterError(f"samples: {array.size} of them; a standard error needs 2 or more.")
    return array
