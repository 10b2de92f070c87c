"""How the correlation approaches 1 as a power of depth, and with which amplitude.

1 - c_l -> edge_beta / l for smooth activations at the edge of chaos with q* > 0. For ReLU 1 - c_l -> RELU_KAPPA / l^2
without bias, whatever sigma_w2 is, and with bias above the edge; on the edge with bias it is RELU_KAPPA / (4 l^2), and
below it (sigma_w2 / 2)^l.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from igbrepro.checks import finite
from igbrepro.errors import ParameterError
from igbrepro.theory.activations import Activation, get_activation
from igbrepro.theory.mean_field import MeanField
from igbrepro.theory.phases import EDGE_TOLERANCE, edge_line
from igbrepro.theory.quadrature import expectation

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
    at = MeanField(phi, sigma_w2=edge_line(phi, sigma_b2)[0], sigma_b2=sigma_b2).fixed_point(q0=1e-4)
    if not np.all(np.abs(at.chi - 1) < EDGE_TOLERANCE):
        raise ParameterError(f"activation={phi.name!r}: its edge at sigma_b2={sigma_b2} has no stable variance.")
    q = at.q
    slope2 = expectation(lambda x: phi.derivative(x) ** 2, q)
    curvature2 = expectation(lambda x: ((phi.derivative(x + _STEP) - phi.derivative(x - _STEP)) / (2 * _STEP)) ** 2, q)
    return 2 * slope2 / (q * curvature2)
