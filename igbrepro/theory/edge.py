"""At the edge of chaos: how the correlation approaches 1 as a power of depth, and with which amplitude.

1 - c_l -> RELU_KAPPA / l^2 for ReLU without bias, and -> edge_beta / l for smooth activations at q* > 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from igbrepro.errors import ParameterError
from igbrepro.theory.activations import Activation, get_activation
from igbrepro.theory.checks import finite
from igbrepro.theory.gaussian import expectation
from igbrepro.theory.mean_field import MeanField
from igbrepro.theory.phases import EDGE_TOLERANCE, critical_sigma_w2

RELU_KAPPA = 9 * np.pi**2 / 2
_STEP = 1e-4


def edge_beta(activation: Activation | str, sigma_b2: ArrayLike) -> np.ndarray:
    """beta = 2 E[phi'^2] / (q* E[phi''^2]) at the edge of chaos, the amplitude of 1 - c_l -> beta / l.

    activation: smooth (phi'' is taken as a difference of phi').  sigma_b2 > 0: any shape, returned.
    Raises ParameterError for a piecewise-linear activation or sigma_b2 <= 0.
    """
    phi, sigma_b2 = get_activation(activation), finite("sigma_b2", sigma_b2, 0, open_low=True)
    if phi.homogeneous:
        raise ParameterError(f"activation={phi.name!r}: has a kink or no curvature; its law is not beta / l.")
    at = MeanField(phi, sigma_w2=critical_sigma_w2(phi, sigma_b2), sigma_b2=sigma_b2).fixed_point(q0=1e-4)
    if not np.all(np.abs(at.chi - 1) < EDGE_TOLERANCE):
        raise ParameterError(f"activation={phi.name!r}: its edge at sigma_b2={sigma_b2} has no stable variance.")
    q = at.q
    slope2 = expectation(lambda x: phi.derivative(x) ** 2, q)
    curvature2 = expectation(lambda x: ((phi.derivative(x + _STEP) - phi.derivative(x - _STEP)) / (2 * _STEP)) ** 2, q)
    return 2 * slope2 / (q * curvature2)


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
