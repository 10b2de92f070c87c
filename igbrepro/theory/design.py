"""The inverse question: which initialisation gives a wanted bias?"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from igbrepro.errors import ParameterError
from igbrepro.theory.activations import Activation
from igbrepro.theory.checks import finite
from igbrepro.theory.guessing_bias import c_from_gamma
from igbrepro.theory.mean_field import MeanField, Trajectory

_RANGE = np.geomspace(0.3, 30, 24)


def sigma_w2_for_gamma(
    gamma: float, activation: Activation | str, *, sigma_b2: float, depth: int, norm2: float = 1.0
) -> float:
    """The largest sigma_w2 in [0.3, 30] at which gamma takes this value after `depth` activations.

    For uncorrelated inputs with |x|^2 / d = norm2.
    Raises ParameterError where no sigma_w2 does, as for bias-free ReLU, whose gamma does not depend on sigma_w2.
    """
    target, norm2 = float(c_from_gamma(gamma)), float(finite("norm2", norm2, 0, open_low=True))

    def excess(sigma_w2: np.ndarray | float) -> np.ndarray:
        path = from_independent_inputs(MeanField(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2), depth, norm2)
        return path.c[-1] - target

    above = excess(_RANGE) > 0
    crossings = np.flatnonzero(above[:-1] != above[1:])
    if not len(crossings):
        low, high = _RANGE[[0, -1]]
        raise ParameterError(
            f"gamma={gamma!r}: not reached by {activation} at depth={depth}, sigma_b2={sigma_b2} for any sigma_w2 in "
            f"[{low:g}, {high:g}]; change gamma or sigma_b2."
        )
    i = crossings[-1]
    return float(brentq(excess, _RANGE[i], _RANGE[i + 1], xtol=1e-10))


def from_independent_inputs(mean_field: MeanField, depth: int, norm2: float = 1.0) -> Trajectory:
    """The trajectory from h^(1) = W x + b on, for uncorrelated inputs with |x|^2 / d = norm2: only biases correlate."""
    q0 = mean_field.sigma_w2 * norm2 + mean_field.sigma_b2
    return mean_field.trajectory(depth, q0=q0, c0=mean_field.sigma_b2 / q0)
