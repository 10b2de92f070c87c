"""Multi-node activations: one output from k nodes, g(x_1 .. x_k) = max or mean of phi(x_i).

`pool.kernel(activation)` is a Kernel like that of a single node (kernels.py), so every mean-field map takes it as it
is. Its Gaussian expectations need one- and two-dimensional integrals at most, whatever k is; nothing is sampled.

The nodes of a window are N(0, q) with pairwise correlation rho (`correlation`): 0 is the paper's case, fully connected
layers; in a convolutional network neighbouring nodes have rho > 0; at rho = 1 there is no pooling at all. With R the
k x k matrix of these correlations, two inputs of correlation c have Cov(x_i, y_j) = q c R_ij, and the slope of the
covariance map at c = 1, which is the gradient multiplier, is sum_ij R_ij E[d_i g d_j g] (Price's theorem).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import ndtr

from igbrepro.errors import ParameterError
from igbrepro.theory.checks import finite, whole
from igbrepro.theory.folded_max import LEAST_C, FoldedMax, check_pair, dip
from igbrepro.theory.gaussian import (
    NODES,
    bivariate_normal_cdf_gap,
    expectation,
    normal_density,
    pair_expectation,
)  # fmt: skip
from igbrepro.theory.kernels import Array, Kernel, correlation_gap
from igbrepro.theory.tabulated import tabulated_gap_root

if TYPE_CHECKING:
    from igbrepro.theory.activations import Activation

LINEAR_GAP = 1e-18  # below this 1 - c, deviations are replaced by their linear limit
FAR2 = 80.0  # x^2 + z^2 beyond which the density of a pair, below exp(-40), counts as zero
_ANGLES = 20  # Chebyshev nodes over the angle between two inputs
_LEGENDRE, _LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(24)


@dataclass(frozen=True)
class Pool(ABC):
    """A pool over windows of k nodes whose pairwise correlation is `correlation`, in [0, 1].

    Raises ParameterError unless k is a whole number from 2 and the correlation lies in its range.
    """

    k: int
    correlation: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", whole("k", self.k, 2))
        object.__setattr__(self, "correlation", float(finite("correlation", self.correlation, 0, 1)))

    def kernel(self, activation: Activation) -> Kernel:
        """The Gaussian expectations of this pool after `activation`."""
        return activation.kernel if self.correlation == 1 else self._kernel(activation)

    @abstractmethod
    def _kernel(self, activation: Activation) -> Kernel: ...


class AveragePool(Pool):
    """The mean of phi over each window."""

    def _kernel(self, activation: Activation) -> Kernel:
        return _Average(activation, self.k, self.correlation)


class MaxPool(Pool):
    """The largest phi of each window, for activations that never fall, or fall up to one point and rise above it.

    Maps of two inputs take correlations of the inputs from -0.5 on.
    """

    def _kernel(self, activation: Activation) -> Kernel:
        lowest = dip(activation.derivative)
        if lowest is None or (lowest > -np.inf and self.correlation):
            raise ParameterError(
                f"pool={self!r}: {activation.name} falls somewhere, so that its largest value need not come from the "
                "largest node; max-pooling is known for activations that never fall or have one dip, the latter with "
                "correlation=0."
            )
        if lowest > -np.inf:
            return FoldedMax(activation.function, activation.derivative, self.k, lowest)
        kind = _HomogeneousMax if activation.homogeneous else _Max
        return kind(activation.function, activation.derivative, self.k, self.correlation)


def check_pool(pool: object) -> Pool | None:
    """`pool` if it is a Pool or None; raises ParameterError for anything else."""
    if pool is not None and not isinstance(pool, Pool):
        raise ParameterError(f"pool={pool!r}: need None, MaxPool(k) or AveragePool(k).")
    return pool


def pooled_kernel(activation: Activation, pool: Pool | None) -> Kernel:
    """The Gaussian expectations of `activation`, with its pool if there is one; raises ParameterError as check_pool."""
    return activation.kernel if check_pool(pool) is None else pool.kernel(activation)


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


@dataclass(frozen=True)
class _Max(Kernel):
    """phi of the largest of k nodes, phi smooth but for a kink at zero and nowhere falling.

    One input: the largest node has density k Phi(z)^(k-1) n(z); with rho > 0, k n(z) E_v[Phi(sqrt(1-rho) z -
    sqrt(rho) v)^(k-1)].  Two inputs of correlation c, F their bivariate normal distribution function: either one node
    is the largest for both, with density k F^(k-1) d^2F/dxdy, or two nodes are, k (k-1) F^(k-2) dF/dx dF/dy.
    """

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    k: int
    rho: float
    one_node: Array = field(init=False, repr=False, compare=False)

    largest_q = 1e8

    def __post_init__(self) -> None:
        object.__setattr__(self, "one_node", _largest_node(self.k, self.rho))

    def mean(self, q: Array) -> Array:
        return expectation(self.function, q, self.one_node)

    def second_moment(self, q: Array) -> Array:
        return expectation(lambda x: self.function(x) ** 2, q, self.one_node)

    def square_slope(self, q: Array) -> Array:
        return expectation(lambda x: self.derivative(x) ** 2, q, self.one_node)

    def variance_slope(self, q: Array) -> Array:
        return expectation(lambda x: self.function(x) * self.derivative(x) * x, q, self.one_node) / q

    def covariance(self, q_a: Array, q_b: Array, cov: Array) -> Array:
        f = self.function
        return self._pairs(lambda x, y: f(x) * f(y), q_a, q_b, correlation_gap(q_a, q_b, cov), 1.0)

    def deviation(self, q: Array, s: Array) -> Array:
        f = self.function
        half_square = self._pairs(lambda x, y: (f(x) - f(y)) ** 2 / 2, q, q, np.maximum(s, LINEAR_GAP), 1.0)
        return half_square * np.minimum(s / LINEAR_GAP, 1)

    def slope_covariance(self, q: Array, s: Array) -> Array:
        slope = self.derivative
        return self._pairs(lambda x, y: slope(x) * slope(y), q, q, s, self.rho)

    def gap_root(self, q: Array, bias: Array) -> Array:
        return tabulated_gap_root(self, q, bias)

    def _pairs(self, f: Callable, q_a: Array, q_b: Array, s: Array, other: float) -> Array:
        """E[f(x, y)] over the largest nodes of two inputs; pairs of two different nodes count `other` times."""
        check_pair(s)

        def density(x: Array, z: Array, s: Array) -> Array:
            if self.rho:
                return np.stack([self._shared_density(x, *each, other) for each in zip(z, s[:, 0, 0], strict=True)])
            x, z, s = np.broadcast_arrays(x, z, s)
            near, out = x**2 + z**2 < FAR2, np.zeros(z.shape)
            out[near] = _largest_pair(self.k, x[near], z[near], s[near], other)
            return out

        return pair_expectation(f, q_a, q_b, s, density=density)

    def _shared_density(self, x: Array, z: Array, s: float, other: float) -> Array:
        """The density of pairs at x (n, 1), z (n, m) for nodes that share a part: that of independent nodes, averaged.

        Given x, a node's own part is N(sqrt(1 - rho) x, rho); and so for z.
        """
        step = min(0.3, 0.7 * np.sqrt(self.rho))
        own = np.arange(-10, 10 + step, step)
        table = _largest_pair(self.k, *np.broadcast_arrays(own[:, None], own, s), other)

        def given(at: Array) -> Array:
            return step / np.sqrt(self.rho) * normal_density((own - np.sqrt(1 - self.rho) * at) / np.sqrt(self.rho))

        rows = given(x) @ table
        return np.stack([given(ends[:, None]) @ row for ends, row in zip(z, rows, strict=True)])


@dataclass(frozen=True)
class _HomogeneousMax(_Max):
    """The same for a piecewise-linear phi, whose pair maps are one function of the angle between the two inputs."""

    largest_q = 1e100

    def covariance(self, q_a: Array, q_b: Array, cov: Array) -> Array:
        s, one = correlation_gap(q_a, q_b, cov), np.ones(())
        return np.sqrt(q_a) * np.sqrt(q_b) * (self.second_moment(one) - self.deviation(one, s))

    def deviation(self, q: Array, s: Array) -> Array:
        check_pair(s)
        return q * s * chebyshev.chebval(_unit_angle(s), _ratio_series(self))

    def _exact_deviation(self, s: Array) -> Array:
        return super().deviation(np.ones_like(s), s)

    def mean(self, q: Array) -> Array:
        return np.sqrt(q) * super().mean(np.ones(()))

    def second_moment(self, q: Array) -> Array:
        return q * super().second_moment(np.ones(()))

    def square_slope(self, q: Array) -> Array:
        return np.full_like(q, super().square_slope(np.ones(())))

    def variance_slope(self, q: Array) -> Array:
        return self.second_moment(np.ones_like(q))


def _largest_node(k: int, rho: float) -> Array:
    """Density of the largest of k standard nodes of pairwise correlation rho, over that of one, at NODES."""
    v, step = np.linspace(-9, 9, 181, retstep=True) if rho else (np.zeros(1), 1.0)
    weight = step * normal_density(v) if rho else np.ones(1)
    return k * ndtr(np.sqrt(1 - rho) * NODES[:, None] - np.sqrt(rho) * v) ** (k - 1) @ weight


def _largest_pair(k: int, x: Array, z: Array, s: Array, other: float) -> Array:
    """Density of the largest nodes of two inputs, at x and y = c x + r z, over that of the pair (x, z).

    Pairs of two different nodes count `other` times.
    """
    c, r = 1 - s, np.sqrt(s * (2 - s))
    y = c * x + r * z
    below = bivariate_normal_cdf_gap(x, y, s)
    two = r * np.exp((z**2 - y**2) / 2) * ndtr(z) * ndtr(r * x - c * z)  # dF/dx dF/dy over the density of (x, z)
    return k * below ** (k - 2) * (below + other * (k - 1) * two)


def _unit_angle(s: Array) -> Array:
    """The angle between two inputs of correlation 1 - s, mapped from [0, arccos(LEAST_C)] to [-1, 1]."""
    return 4 * np.arcsin(np.sqrt(np.asarray(s) / 2)) / np.arccos(LEAST_C) - 1


@lru_cache(maxsize=32)
def _ratio_series(kernel: _HomogeneousMax) -> Array:
    """Chebyshev coefficients of deviation(1, s) / s over the angle, in which it is smooth."""

    def ratio(unit: Array) -> Array:
        s = 2 * np.sin((unit + 1) * np.arccos(LEAST_C) / 4) ** 2
        return kernel._exact_deviation(s) / s

    return chebyshev.chebinterpolate(ratio, _ANGLES)
