"""Fits to series over widths and depths: limits, exponents, and decays whose power is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from igbrepro.errors import ParameterError
from igbrepro.statistics.estimates import Estimate

UNKNOWN = 1e6


class WidthFit(NamedTuple):
    """mean = limit + slope / width, elementwise: what infinite width would give, and how fast a width gets there."""

    limit: Estimate
    slope: Estimate


def width_fit(widths: ArrayLike, mean: ArrayLike, std_error: ArrayLike) -> WidthFit:
    """Least squares of mean = limit + slope / width, each width weighted by itself.

    That is what the law of fluctuations gives, variances of order 1/width; the errors found go into those of the result
    alone (see `weighted_mean`).
    widths: (k,), k >= 2 different ones.  mean, std_error: (k, ...), independent.
    Raises ParameterError for fewer widths.
    """
    widths = np.asarray(widths, dtype=float)
    return WidthFit(*_line(1 / widths, np.asarray(mean, float), np.asarray(std_error, float), widths, "widths"))


def power_law(x: ArrayLike, y: ArrayLike, std_error: ArrayLike, weights: ArrayLike | None = None) -> Estimate:
    """The exponent p of y ~ x^p, by least squares on logarithms, y all positive or all negative.

    Where y changes its sign no power is told: 0 with the error UNKNOWN, which is too noisy for every rule.

    x: (k,), positive.  y, std_error: (k, ...).  weights: (k,), known beforehand (`weighted_mean` says why); equal.
    Raises ParameterError for fewer than two different x.
    """
    x, y, error = (np.asarray(v, dtype=float) for v in (x, y, std_error))
    same = (y > 0).all(0) | (y < 0).all(0)
    size = np.where(same, np.abs(y), 1.0)
    weight = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=float)
    power, unsure = _line(np.log(x), np.log(size), error / size, weight, "x")[1]
    return Estimate(np.where(same, power, 0.0)[()], np.where(same, unsure, UNKNOWN)[()])


class PowerDecay(NamedTuple):
    """1 - c_l = amplitude / (l + log_term log l + ...)^power, fitted; floats or arrays of one shape."""

    amplitude: np.ndarray
    log_term: np.ndarray


def power_decay(one_minus_c: ArrayLike, power: float, first: int) -> PowerDecay:
    """Amplitude and logarithmic correction of a decay of 1 - c_l of known power, freed of its slow corrections.

    u_l = (1 - c_l)^(-1/power) grows by A + B/u_l + o(1/u_l) a layer: the straight line through its increments against
    1/u, over the layers from `first` on, gives A at 1/u = 0; then amplitude = A^(-power) and log_term = B/A^2.

    one_minus_c: (layers, ...), at least first + 3 layers, of theory: it has no noise, and the fit no error.
    Raises ParameterError for fewer layers.
    """
    u = np.asarray(one_minus_c, dtype=float) ** (-1 / power)
    if len(u) < first + 3:
        raise ParameterError(f"one_minus_c: {len(u)} layers; a fit from layer {first} on needs {first + 3} or more.")
    x, y = 1 / u[first:-1], np.diff(u[first:], axis=0)
    slope = ((x - x.mean(0)) * (y - y.mean(0))).sum(0) / ((x - x.mean(0)) ** 2).sum(0)
    growth = y.mean(0) - slope * x.mean(0)
    return PowerDecay(growth**-power, slope / growth**2)


def _line(x: np.ndarray, y: np.ndarray, error: np.ndarray, weight: np.ndarray, name: str) -> tuple[Estimate, Estimate]:
    """Intercept and slope of the straight line through (x, y ± error), x and weight (k,), y and error (k, ...)."""
    if len(np.unique(x)) < 2:
        raise ParameterError(f"{name}: need at least two different values to fit a line.")
    off = x - (weight * x).sum() / weight.sum()
    of_slope = weight * off / (weight * off**2).sum()
    of_intercept = weight / weight.sum() - of_slope * (x - off).mean()
    intercept, slope = (
        Estimate(np.tensordot(share, y, 1)[()], np.sqrt(np.tensordot(share**2, error**2, 1))[()])
        for share in (of_intercept, of_slope)
    )
    return intercept, slope
