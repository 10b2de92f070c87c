"""Average-pooling: closed forms from the kernel of a single node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

from igbrepro.theory.kernels.base import Array, Kernel
from igbrepro.theory.pools.pool import Pool
from igbrepro.theory.quadrature import expectation, normal_density, pair_expectation

if TYPE_CHECKING:
    from igbrepro.theory.activations import Activation

_LEGENDRE, _LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(24)


class AveragePool(Pool):
    """The mean of phi over each window."""

    torch_function = "torch.mean"
    torch_image_function = "torch.nn.functional.avg_pool2d"

    def _kernel(self, activation: Activation) -> Kernel:
        return _Average(activation, self.k, self.correlation)

    def aligned_slope(self, activation: Activation) -> float:
        """By counting which of the nodes i, j, l of E[phi_i phi_j phi'_l^2] are the same.

        Correlated nodes are independent given the part that they share.
        """
        k, phi, rho = self.k, activation, self.correlation
        pairs, triples = k * (k - 1), k * (k - 1) * (k - 2)

        def slope2(x: Array) -> Array:
            return activation.derivative(x) ** 2

        def square(x: Array) -> Array:
            return phi(x) ** 2

        def ends(mean: Array, second: Array, slope: Array, one: Array, both: Array) -> tuple[Array, Array]:
            total = k * both + pairs * (second * slope + 2 * one * mean) + triples * mean**2 * slope
            return total, k * second + pairs * mean**2

        if not rho:
            moments = (phi, square, slope2, lambda x: phi(x) * slope2(x), lambda x: square(x) * slope2(x))
            total, whole = ends(*(expectation(f, 1.0) for f in moments))
        else:
            low = float(activation.derivative(np.array(-1.0)))

            def given(v: Array) -> tuple[Array, Array]:
                return ends(*_bent_moments(low, np.sqrt(rho) * v, np.sqrt(1 - rho)))

            total, whole = (expectation(lambda v, i=i: given(v)[i], 1.0) for i in (0, 1))
        return float(total / k**2 / whole)


def _bent_moments(low: float, mean: Array, deviation: float) -> tuple[Array, Array, Array, Array, Array]:
    """E of phi, phi^2, phi'^2, phi phi'^2 and (phi phi')^2 for x ~ N(mean, deviation^2), phi of slopes 1 and `low`."""
    z = mean / max(deviation, 1e-100)
    right, density = ndtr(z), deviation * normal_density(np.clip(z, -40, 40))
    up1, up2 = mean * right + density, (mean**2 + deviation**2) * right + mean * density
    down0, down1, down2 = 1 - right, mean - up1, mean**2 + deviation**2 - up2
    first, second = up1 + low * down1, up2 + low**2 * down2
    return first, second, right + low**2 * down0, up1 + low**3 * down1, up2 + low**4 * down2


@dataclass(frozen=True)
class _Average(Kernel):
    """(1/k) sum phi(x_i): everything follows from the kernel of one node, since E[g g'] = (kappa(c) + (k - 1)
    kappa(rho c)) / k, where kappa(c) is the covariance of phi at correlation c.
    """

    activation: Activation
    k: int
    rho: float

    @property
    def base(self) -> Kernel:
        """The kernel of one node."""
        return self.activation.kernel

    @property
    def largest_q(self) -> float:
        return self.base.largest_q

    def _mix(self, one: Array, two: Array) -> Array:
        """The average over the k^2 pairs of nodes: `one` from a node with itself, `two` from two nodes."""
        return (one + (self.k - 1) * two) / self.k

    def mean(self, q: Array) -> Array:
        return self.base.mean(q)

    def second_moment(self, q: Array) -> Array:
        return self._mix(self.base.second_moment(q), self._between(q, q, q))

    def square_slope(self, q: Array) -> Array:
        return self._mix(self.base.square_slope(q), self._slope_between(q, np.zeros_like(q)))

    def variance_slope(self, q: Array) -> Array:
        phi, slope = self.activation, self.activation.derivative
        one = expectation(lambda x: phi(x) * slope(x) * x, q)
        two = pair_expectation(lambda x, y: slope(x) * x * phi(y), q, q, 1 - self.rho, np.sqrt(self.second_moment(q)))
        return self._mix(one, two) / q

    def covariance(self, q_a: Array, q_b: Array, cov: Array) -> Array:
        return self._mix(self.base.covariance(q_a, q_b, cov), self._between(q_a, q_b, cov))

    def deviation(self, q: Array, s: Array) -> Array:
        return self._mix(self.base.deviation(q, s), self._between_deviation(q, s))

    def slope_covariance(self, q: Array, s: Array) -> Array:
        return self._mix(self.base.slope_covariance(q, s), self._slope_between(q, s))

    def gap_root(self, q: Array, bias: Array) -> Array:
        if self.rho:
            return super().gap_root(q, bias)
        return self.base.gap_root(q, (self.k - 1) * self.base.mean(q) ** 2 + self.k * bias)

    def _between(self, q_a: Array, q_b: Array, cov: Array) -> Array:
        if self.rho:
            return self.base.covariance(q_a, q_b, self.rho * cov)
        return self.base.mean(q_a) * self.base.mean(q_b)

    def _slope_between(self, q: Array, s: Array) -> Array:
        return self.rho * self.base.slope_covariance(q, 1 - self.rho * (1 - s)) if self.rho else np.zeros_like(q * s)

    def _between_deviation(self, q: Array, s: Array) -> Array:
        """kappa(rho) - kappa(rho (1 - s)), as the integral of its slope where the difference would lose digits."""
        if not self.rho:
            return np.zeros_like(q * s)
        q, s = np.broadcast_arrays(q, s)
        gap, width = 1 - self.rho, self.rho * s
        direct = self.base.deviation(q, gap + width) - self.base.deviation(q, np.full_like(q, gap))
        near = width[..., None] * (1 + _LEGENDRE) / 2
        slopes = self.base.slope_covariance(np.repeat(q[..., None], len(_LEGENDRE), -1), gap + near)
        integral = q * width / 2 * (slopes @ _LEGENDRE_WEIGHTS)
        return np.where(width < gap, integral, direct)
