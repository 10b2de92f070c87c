"""Average-pooling: closed forms from the kernel of a single node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from igbrepro.theory.kernels.base import Array, Kernel
from igbrepro.theory.pools.pool import Pool
from igbrepro.theory.quadrature import expectation, pair_expectation

if TYPE_CHECKING:
    from igbrepro.theory.activations import Activation

_LEGENDRE, _LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(24)


class AveragePool(Pool):
    """The mean of phi over each window."""

    def _kernel(self, activation: Activation) -> Kernel:
        return _Average(activation, self.k, self.correlation)


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
