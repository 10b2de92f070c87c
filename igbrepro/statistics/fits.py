"""Power laws fitted to decays over depth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from igbrepro.errors import ParameterError
from igbrepro.statistics.estimates import Estimate, _line


class PowerLaw(NamedTuple):
    """1 - c_l = amplitude / (l + log_term log l + ...)^power, fitted; floats or arrays of one shape."""

    amplitude: np.ndarray
    log_term: np.ndarray


def fit_power_law(one_minus_c: ArrayLike, power: float, first: int) -> PowerLaw:
    """Amplitude and logarithmic correction of the decay of 1 - c_l, freed of its slow corrections.

    u_l = (1 - c_l)^(-1/power) grows by A + B/u_l + o(1/u_l) a layer: the straight line through its increments against
    1/u, over the layers from `first` on, gives A at 1/u = 0; then amplitude = A^(-power) and log_term = B/A^2.

    one_minus_c: (layers, ...), at least first + 3 layers.
    Raises ParameterError for fewer layers.
    """
    u = np.asarray(one_minus_c, dtype=float) ** (-1 / power)
    if len(u) < first + 3:
        raise ParameterError(f"one_minus_c: {len(u)} layers; a fit from layer {first} on needs {first + 3} or more.")
    x, y = 1 / u[first:-1], np.diff(u[first:], axis=0)
    slope = ((x - x.mean(0)) * (y - y.mean(0))).sum(0) / ((x - x.mean(0)) ** 2).sum(0)
    growth = y.mean(0) - slope * x.mean(0)
    return PowerLaw(growth**-power, slope / growth**2)


def power_law(x: ArrayLike, y: ArrayLike, std_error: ArrayLike) -> Estimate:
    """The exponent p of y ~ x^p, by weighted least squares on logarithms; |y| is fitted, so y may be negative.

    x: (k,), positive.  y, std_error: (k, ...).  Raises ParameterError for fewer than two different x.
    """
    y, error = np.abs(np.asarray(y, dtype=float)), np.asarray(std_error, dtype=float)
    return _line(np.log(np.asarray(x, dtype=float)), np.log(y), error / y, "x")[1]
