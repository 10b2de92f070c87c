"""Fits to series over widths and depths: limits, exponents, and decays whose power is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from igbrepro.errors import ParameterError
from igbrepro.statistics.estimates import Estimate


class WidthFit(NamedTuple):
    """mean = limit + slope / width, elementwise: what infinite width would give, and how fast a width gets there."""

    limit: Estimate
    slope: Estimate


def width_fit(widths: ArrayLike, mean: ArrayLike, std_error: ArrayLike) -> WidthFit:
    """Weighted least squares of mean = limit + slope / width.

    widths: (k,), k >= 2 different ones.  mean, std_error: (k, ...), independent, errors > 0.
    Raises ParameterError for fewer widths.
    """
    x = 1 / np.asarray(widths, dtype=float)
    return WidthFit(*_line(x, np.asarray(mean, dtype=float), np.asarray(std_error, dtype=float), "widths"))


def power_law(x: ArrayLike, y: ArrayLike, std_error: ArrayLike) -> Estimate:
    """The exponent p of y ~ x^p, by weighted least squares on logarithms; |y| is fitted, so y may be negative.

    x: (k,), positive.  y, std_error: (k, ...).  Raises ParameterError for fewer than two different x.
    """
    y, error = np.abs(np.asarray(y, dtype=float)), np.asarray(std_error, dtype=float)
    return _line(np.log(np.asarray(x, dtype=float)), np.log(y), error / y, "x")[1]


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
