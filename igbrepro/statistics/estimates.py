"""Estimates with standard errors from samples over networks and from series over widths (NumPy and SciPy only)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from igbrepro.errors import ParameterError


class Estimate(NamedTuple):
    """A value and its standard error, floats or arrays of one shape."""

    value: np.ndarray
    error: np.ndarray


class WidthFit(NamedTuple):
    """mean = limit + slope / width, elementwise: what infinite width would give, and how fast a width gets there."""

    limit: Estimate
    slope: Estimate


def jackknife(function: Callable[[np.ndarray], ArrayLike], samples: ArrayLike) -> Estimate:
    """A smooth function of a sample mean, and its standard error by leaving out one sample at a time.

    samples: (n, ...), n >= 2 independent draws.  function: of their mean (...,), to a number or an array.
    The value is the plain function of the mean. Raises ParameterError for fewer than two samples.
    """
    samples = np.asarray(samples, dtype=float)
    n = len(samples)
    if n < 2:
        raise ParameterError(f"samples: {n} of them; a standard error needs 2 or more.")
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


def weighted_mean(values: ArrayLike, errors: ArrayLike) -> Estimate:
    """Mean of independent estimates (k, ...), weighted by their inverse variances."""
    weight = 1 / np.asarray(errors, dtype=float) ** 2
    return Estimate((weight * np.asarray(values, dtype=float)).sum(0) / weight.sum(0), weight.sum(0) ** -0.5)


def width_fit(widths: ArrayLike, mean: ArrayLike, std_error: ArrayLike) -> WidthFit:
    """Weighted least squares of mean = limit + slope / width.

    widths: (k,), k >= 2 different ones.  mean, std_error: (k, ...), independent, errors > 0.
    Raises ParameterError for fewer widths.
    """
    x = 1 / np.asarray(widths, dtype=float)
    return WidthFit(*_line(x, np.asarray(mean, dtype=float), np.asarray(std_error, dtype=float), "widths"))


def _line(x: np.ndarray, y: np.ndarray, error: np.ndarray, name: str) -> tuple[Estimate, Estimate]:
    """Intercept and slope of the weighted straight line through (x, y ± error), x (k,), y (k, ...)."""
    if len(np.unique(x)) < 2:
        raise ParameterError(f"{name}: need at least two different values to fit a line.")
    x = x.reshape(-1, *[1] * (y.ndim - 1))
    weight = 1 / error**2
    s0, s1, s2 = weight.sum(0), (weight * x).sum(0), (weight * x**2).sum(0)
    t0, t1 = (weight * y).sum(0), (weight * x * y).sum(0)
    det = s0 * s2 - s1**2
    intercept = Estimate((s2 * t0 - s1 * t1) / det, np.sqrt(s2 / det))
    return intercept, Estimate((s0 * t1 - s1 * t0) / det, np.sqrt(s0 / det))


def z_limit(n_comparisons: int, false_alarm: float = 1e-3) -> float:
    """The |z| that the largest of `n_comparisons` normal z-scores exceeds with probability at most `false_alarm`."""
    if n_comparisons < 1 or not 0 < false_alarm < 1:
        raise ParameterError(
            f"n_comparisons={n_comparisons}, false_alarm={false_alarm}: need at least one, and a probability."
        )
    return float(-ndtri(false_alarm / 2 / n_comparisons))
