"""Residual layers h' = h + r (W g(h) + b) at infinite width: what depth leads to, for r = 1 and for r = 1/sqrt(depth).

No residual network has a fixed point of its variance; instead there are laws of growth and, with r = 1/sqrt(depth), a
differential equation in t = layer / depth. Yang & Schoenholz 2017 study relatives of these networks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from scipy.optimize.elementwise import find_root

from igbrepro.checks import finite
from igbrepro.errors import ParameterError
from igbrepro.theory.laws.edge import RELU_KAPPA
from igbrepro.theory.mean_field import MeanField, Trajectory


def relu_residual_kappa(sigma_w2: ArrayLike, residual: float = 1.0) -> np.ndarray:
    """Amplitude of 1 - c_l -> kappa / l^2 in residual ReLU networks without bias: (9 pi^2/2) ((1 + a)/a)^2.

    a = residual^2 sigma_w2 / 2.  sigma_w2 > 0: any shape, returned.
    """
    a = finite("residual", residual, 0, open_low=True) ** 2 * finite("sigma_w2", sigma_w2, 0, open_low=True) / 2
    return RELU_KAPPA * ((1 + a) / a) ** 2


class SignLimit(NamedTuple):
    """End of unscaled residual networks with a bounded activation that tends to +-1; arrays of one shape.

    c: what the correlation tends to.  power: the deviation of c from it dies out like l^(-power) if the activation is
    the sign itself; tanh adds a term l^(-1/2) unless sigma_b2 = 0.
    """

    c: np.ndarray
    power: np.ndarray


def sign_limit(sigma_w2: ArrayLike, sigma_b2: ArrayLike = 0.0) -> SignLimit:
    """The attracting fixed point of c -> (sigma_w2 (2/pi) arcsin(c) + sigma_b2) / (sigma_w2 + sigma_b2) below 1.

    sigma_w2 > 0, sigma_b2 >= 0 broadcast.  It is 0 without bias and 1/2 at sigma_w2 = 3 sigma_b2.
    """
    w2, b2 = np.broadcast_arrays(finite("sigma_w2", sigma_w2, 0, open_low=True), finite("sigma_b2", sigma_b2, 0))
    share = w2 / (w2 + b2)

    # with c = cos(theta): (1 - c)/theta = share (2/pi), 0 < theta <= pi/2; the left side rises as far as theta = 2.3
    def excess(theta: np.ndarray, share: np.ndarray) -> np.ndarray:
        return 2 * np.sin(theta / 2) ** 2 / theta - share * 2 / np.pi

    theta = find_root(excess, (np.full(share.shape, 1e-300), np.full(share.shape, 2.0)), args=(share,)).x
    return SignLimit(np.cos(theta), 1 - share * 2 / np.pi / np.sin(theta))


class GradientLaw(NamedTuple):
    """log of the growth of squared gradients over L layers = root sqrt(L) + log_term log L + O(1)."""

    root: np.ndarray
    log_term: np.ndarray


def tanh_gradient_law(sigma_w2: ArrayLike, sigma_b2: ArrayLike = 0.0, residual: float = 1.0) -> GradientLaw:
    """How gradients grow in unscaled residual tanh networks.  sigma_w2 > 0, sigma_b2 >= 0 broadcast."""
    w2, b2 = finite("sigma_w2", sigma_w2, 0, open_low=True), finite("sigma_b2", sigma_b2, 0)
    r = float(finite("residual", residual, 0, open_low=True))
    per_root = 4 / 3 * r * w2 / np.sqrt(2 * np.pi * (w2 + b2))  # chi - 1 -> per_root / sqrt(l)
    lag = np.sqrt(2 / np.pi) * w2 / (r * (w2 + b2) ** 1.5)  # q -> r^2 (w2 + b2) l (1 - 2 lag / sqrt(l))
    return GradientLaw(2 * per_root, per_root * (lag - per_root / 2))


def scaled_limit(
    mean_field: MeanField, times: ArrayLike, q0: ArrayLike, c0: ArrayLike = 0.0
) -> tuple[Trajectory, np.ndarray]:
    """Infinitely deep residual network with r = 1/sqrt(depth), at times t = layer / depth, and its gradient growth.

    mean_field: of the plain layer, parameters of shape (...,).  times: (n,), increasing from 0 or later.  q0 > 0, c0
    below 1: variance and correlation at t = 0, broadcasting.
    Returns the trajectory (n, ...), whose chi is the rate of growth of log squared gradients per unit of t, and that
    log from t back to 0, (n, ...).  Solves dq/dt = q_map(q), d cov/dt = cov_map(cov).
    Raises ParameterError for values outside these ranges.
    """
    shape = np.broadcast_shapes(mean_field.shape, np.shape(q0), np.shape(c0))
    q0 = np.broadcast_to(finite("q0", q0, 0, open_low=True), shape)
    gap0 = q0 * np.broadcast_to(finite("1 - c0", 1 - np.asarray(c0), 0, 2, open_low=True), shape)
    times = finite("times", times, 0)
    if times.ndim != 1 or times.size == 0 or times[-1] == 0 or np.any(np.diff(times) <= 0):
        raise ParameterError(f"times={times!r}: need a list of increasing times >= 0, the last of them > 0.")

    def rates(_: float, state: np.ndarray) -> np.ndarray:
        q, log_gap, _ = state.reshape(3, *shape)
        gap = np.exp(log_gap)
        after = mean_field.q_map(q)
        return np.stack(
            [after, after * (1 - mean_field.c_map(1 - gap / q, q)) / gap, np.broadcast_to(mean_field.chi(q), shape)]
        ).ravel()

    start = np.stack([q0, np.log(gap0), np.zeros(shape)]).ravel()
    found = solve_ivp(rates, (0, float(times[-1])), start, t_eval=times, rtol=1e-9, atol=1e-10, method="DOP853")
    q, log_gap, growth = found.y.T.reshape(len(times), 3, *shape).swapaxes(0, 1)
    return Trajectory(q, np.exp(log_gap) / q, mean_field.chi(q)), growth
