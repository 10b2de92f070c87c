"""Signal propagation in wide random networks: variance q, correlation c and gradient multiplier chi, layer by layer.

Poole et al. 2016, Schoenholz et al. 2017; the correlation is carried as 1 - c, which in the ordered phase falls far
below the spacing of floating-point numbers next to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize.elementwise import find_root

from igbrepro.errors import ParameterError
from igbrepro.theory.activations import Activation, get_activation
from igbrepro.theory.checks import finite, no_pool, whole
from igbrepro.theory.gaussian import expectation

TINY = 1e-14  # without bias, a variance that falls below this counts as vanished
MARGIN = 1e-12  # how far chi must exceed 1 for a correlation fixed point below 1


class _Correlated:
    """What follows from 1 - c."""

    one_minus_c: np.ndarray

    @property
    def c(self) -> np.ndarray:
        """Correlation of the pre-activations of two inputs."""
        return 1 - self.one_minus_c

    @property
    def gamma(self) -> np.ndarray:
        """IGB's gamma = sigma_mu^2 / sigma_y^2 = c / (1 - c); infinite at c = 1."""
        with np.errstate(divide="ignore"):
            return np.divide(1 - self.one_minus_c, self.one_minus_c)


@dataclass(frozen=True)
class FixedPoint(_Correlated):
    """q, one_minus_c, chi (and c, gamma) that depth leads to; arrays of the common shape of the parameters."""

    q: np.ndarray
    one_minus_c: np.ndarray
    chi: np.ndarray


@dataclass(frozen=True)
class Trajectory(_Correlated):
    """q, one_minus_c, chi (and c, gamma) along the layers, shape (depth + 1, ...); index 0 is the start."""

    q: np.ndarray
    one_minus_c: np.ndarray
    chi: np.ndarray


@dataclass(frozen=True)
class DepthScales:
    """e-folding depths of the variance (xi_q), the correlation (xi_c), the gradient (xi_gradient); inf at an edge."""

    xi_q: np.ndarray
    xi_c: np.ndarray
    xi_gradient: np.ndarray


class MeanField:
    """The infinite-width maps of one layer h' = W phi(h) + b, W_ij ~ N(0, sigma_w2/fan_in), b_i ~ N(0, sigma_b2).

    activation: an Activation or its name.
    sigma_w2 > 0, sigma_b2 >= 0: raw variances; arrays broadcast with each other and with every method's arguments.
    pool: None (single-node activations).
    Raises ParameterError for values outside these ranges or not finite.
    Source: Poole et al. 2016, eqs. (3) and (5); Schoenholz et al. 2017, eqs. (3) to (9).
    """

    def __init__(
        self, activation: Activation | str, *, sigma_w2: ArrayLike, sigma_b2: ArrayLike = 0.0, pool: None = None
    ) -> None:
        no_pool(pool)
        self.activation = get_activation(activation)
        self.sigma_w2 = finite("sigma_w2", sigma_w2, 0, open_low=True)
        self.sigma_b2 = finite("sigma_b2", sigma_b2, 0)
        self.shape = np.broadcast_shapes(self.sigma_w2.shape, self.sigma_b2.shape)

    def __repr__(self) -> str:
        return f"MeanField({self.activation.name}, sigma_w2={self.sigma_w2}, sigma_b2={self.sigma_b2})"

    def q_map(self, q: ArrayLike) -> np.ndarray:
        """Variance after one more layer, sigma_w2 E[phi^2] + sigma_b2, from the variance q >= 0."""
        return self._q_map(finite("q", q, 0))

    def cov_map(self, q_a: ArrayLike, q_b: ArrayLike, cov: ArrayLike) -> np.ndarray:
        """Covariance after one more layer for two inputs of variances q_a, q_b and covariance cov.

        Raises ParameterError unless |cov| <= sqrt(q_a q_b).
        """
        q_a, q_b, cov = finite("q_a", q_a, 0), finite("q_b", q_b, 0), finite("cov", cov, -np.inf)
        if np.any(np.abs(cov) > np.sqrt(q_a * q_b) * (1 + 1e-12)):
            raise ParameterError(f"cov={cov!r}: a covariance is at most sqrt(q_a q_b) in size; pass cov, not c.")
        return self.sigma_w2 * self.activation.kernel.covariance(q_a, q_b, cov) + self.sigma_b2

    def c_map(self, c: ArrayLike, q: ArrayLike) -> np.ndarray:
        """Correlation after one more layer, for two inputs of correlation c in [-1, 1] and equal variances q > 0."""
        c, q = finite("c", c, -1, 1), finite("q", q, 0, open_low=True)
        after = self._q_map(q)
        high = 1 - self.sigma_w2 * self.activation.kernel.deviation(q, 1 - c) / after
        if np.all(c > 0):
            return high
        return np.where(c > 0, high, self.cov_map(q, q, c * q) / after)

    def chi(self, q: ArrayLike) -> np.ndarray:
        """Gradient multiplier sigma_w2 E[phi'^2] at variance q: mean squared gradients grow by chi a layer."""
        q = np.minimum(np.asarray(q, dtype=float), self._largest_q)
        return self.sigma_w2 * self.activation.kernel.square_slope(q)

    def trajectory(self, depth: int, q0: ArrayLike = 1.0, c0: ArrayLike = 0.0) -> Trajectory:
        """q, c, gamma and chi through `depth` more layers, for two inputs that start with q0 and c0.

        depth >= 1; q0 >= 0 and c0 in [-1, 1] broadcast with the parameters to shape (...,).
        Returns arrays of shape (depth + 1, ...), index 0 the start.  Raises ParameterError outside these ranges.
        """
        depth, q0, c0 = whole("depth", depth, 1), finite("q0", q0, 0), finite("c0", c0, -1, 1)
        shape = np.broadcast_shapes(self.shape, q0.shape, c0.shape)
        q, s = np.empty((depth + 1, *shape)), np.empty((depth + 1, *shape))
        q[0], s[0] = q0, 1 - c0
        for layer in range(depth):
            q[layer + 1], s[layer + 1] = self._step(q[layer], s[layer])
        return Trajectory(q, s, self.chi(q))

    def fixed_point(self, q0: ArrayLike = 1.0) -> FixedPoint:
        """Where depth leads from the starting variance q0 > 0: q, c, gamma and chi there.

        q is inf where the variance diverges and 0 where it vanishes. Where no layer singles out a correlation (a linear
        network, or tanh without bias at sigma_w2 <= 1, whose q vanishes) every c is kept; c is then given as its limit
        for sigma_b2 -> 0, which is 1. Homogeneous activations without bias at chi = 1 keep q0.
        """
        q0 = finite("q0", q0, 0, open_low=True)
        shape = np.broadcast_shapes(self.shape, q0.shape)
        q0, w2, b2 = (np.broadcast_to(v, shape) for v in (q0, self.sigma_w2, self.sigma_b2))
        flat = MeanField(self.activation, sigma_w2=w2.ravel(), sigma_b2=b2.ravel())
        q = flat._fixed_q(q0.ravel())
        chi, one_minus_c = flat.chi(q), np.zeros(q.shape)
        inside = np.isfinite(q) & (q > 0) & (chi > 1 + MARGIN)
        if not self.activation.homogeneous and np.any(inside):
            target = q[inside] / flat.sigma_w2[inside]
            one_minus_c[inside] = self.activation.kernel.gap_root(q[inside], target)
        return FixedPoint(q.reshape(shape), one_minus_c.reshape(shape), chi.reshape(shape))

    def depth_scales(self) -> DepthScales:
        """Depths over which q and c approach their fixed point, and gradients grow or fall, by a factor e.

        -1/log of the slopes of the q-map and of the normalised c-map there, and 1/|log chi|.
        Source: Schoenholz et al. 2017, eqs. (7) to (9).
        """
        at = self.fixed_point()
        phi, kernel = self.activation, self.activation.kernel
        q = np.clip(at.q, TINY, self._largest_q)
        q_slope = self.sigma_w2 * expectation(lambda x: phi(x) * phi.derivative(x) * x, q) / q
        c_slope = self.sigma_w2 * q * kernel.slope_covariance(q, at.one_minus_c) / self._q_map(q)

        def scale(slope: np.ndarray) -> np.ndarray:
            rate = np.abs(np.log(slope))
            return np.divide(1, rate, out=np.full(rate.shape, np.inf), where=rate > MARGIN)

        return DepthScales(scale(q_slope), scale(c_slope), scale(at.chi))

    @property
    def _largest_q(self) -> float:
        return self.activation.kernel.largest_q

    def _q_map(self, q: np.ndarray) -> np.ndarray:
        after = self.sigma_w2 * self.activation.kernel.second_moment(np.minimum(q, self._largest_q)) + self.sigma_b2
        return np.where(q >= self._largest_q, np.inf, after)

    def _step(self, q: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(q, 1 - c) one layer on; 1 - c is kept where the variance has vanished."""
        now = np.minimum(q, self._largest_q)
        after = self.sigma_w2 * self.activation.kernel.second_moment(now) + self.sigma_b2
        lost = self.sigma_w2 * self.activation.kernel.deviation(now, s)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(q >= self._largest_q, np.inf, after), np.where(after > 0, lost / after, s)

    def _fixed_q(self, q0: np.ndarray) -> np.ndarray:
        """The fixed point of the q-map that iteration from q0 runs into; all arrays have shape (m,)."""
        w2, b2, kernel = self.sigma_w2, self.sigma_b2, self.activation.kernel
        if self.activation.homogeneous:
            gain = w2 * kernel.second_moment(np.ones(()))
            with np.errstate(divide="ignore", invalid="ignore"):
                settled = np.where(gain < 1, b2 / (1 - gain), np.inf)
            return np.where((b2 == 0) & (np.abs(gain - 1) < MARGIN), q0, settled)

        def growth(log_q: np.ndarray, w2: np.ndarray, b2: np.ndarray) -> np.ndarray:
            q = np.exp(log_q)
            return (w2 * kernel.second_moment(q) + b2) / q - 1

        here, q = np.log(q0), np.full(q0.shape, np.nan)
        upward = growth(here, w2, b2) > 0
        low, high, moving = here.copy(), here.copy(), np.arange(q0.size)
        while moving.size:  # march in the direction of the iteration until the growth changes sign
            up = upward[moving]
            last = np.where(up, high[moving], low[moving])
            front = np.minimum(np.where(up, last + 1.5, last - 1.5), np.log(self._largest_q))
            low[moving], high[moving] = np.minimum(last, front), np.maximum(last, front)
            q[moving[front >= np.log(self._largest_q)]] = np.inf
            q[moving[front < np.log(1e-30)]] = 0.0
            crossed = (growth(front, w2[moving], b2[moving]) > 0) != up
            moving = moving[~crossed & np.isnan(q[moving])]
        open_ = np.isnan(q)
        root = find_root(growth, (low[open_], high[open_]), args=(w2[open_], b2[open_]), tolerances={"xatol": 1e-15})
        q[open_] = np.exp(root.x)
        return np.where((b2 == 0) & (q < TINY), 0.0, q)
