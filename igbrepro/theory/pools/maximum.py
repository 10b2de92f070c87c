"""Max-pooling: the largest of k nodes, by one- and two-dimensional integrals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial import chebyshev
from scipy.special import ndtr

from igbrepro.errors import ParameterError
from igbrepro.theory.kernels.base import Array, Kernel, correlation_gap
from igbrepro.theory.kernels.closed_forms import Bent, BentDerivative
from igbrepro.theory.kernels.folded_max import LEAST_C, FoldedMax, check_pair, dip
from igbrepro.theory.kernels.tabulated import tabulated_gap_root
from igbrepro.theory.pools.pool import Pool
from igbrepro.theory.quadrature import NODES, bivariate_normal_cdf_gap, expectation, normal_density, pair_expectation

if TYPE_CHECKING:
    from igbrepro.theory.activations import Activation

LINEAR_GAP = 1e-18  # below this 1 - c, deviations are replaced by their linear limit
FAR2 = 80.0  # x^2 + z^2 beyond which the density of a pair, below exp(-40), counts as zero
_ANGLES = 20  # Chebyshev nodes over the angle between two inputs


class MaxPool(Pool):
    """The largest phi of each window, for activations that never fall, or fall up to one point and rise above it.

    Maps of two inputs take correlations of the inputs from -0.5 on.
    """

    torch_function = "torch.amax"
    torch_image_function = "torch.nn.functional.max_pool2d"

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
        single = activation.function, activation.derivative, self.k, self.correlation
        return _Max(*single) if activation.slope is None else _HomogeneousMax(*single, activation.slope)

    def aligned_slope(self, activation: Activation) -> float:
        """That of the largest node: E[g^2 phi'^2] / E[g^2]."""
        phi, k, rho = activation, self.k, self.correlation

        def of_max(f: Callable[[Array], Array]) -> float:  # f of the largest of k standard normal numbers
            if rho:
                return float(expectation(f, 1.0, _largest_node(k, rho)))
            return float(expectation(lambda x: k * ndtr(x) ** (k - 1) * f(x), 1.0))

        return of_max(lambda x: phi(x) ** 2 * activation.derivative(x) ** 2) / of_max(lambda x: phi(x) ** 2)


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
        x_own, z_own, gap = np.broadcast_arrays(own[:, None], own, s)
        table = _largest_pair(self.k, x_own, z_own, gap, other)

        def given(at: Array) -> Array:
            return step / np.sqrt(self.rho) * normal_density((own - np.sqrt(1 - self.rho) * at) / np.sqrt(self.rho))

        rows = given(x) @ table
        return np.stack([given(ends[:, None]) @ row for ends, row in zip(z, rows, strict=True)])


@dataclass(frozen=True)
class _HomogeneousMax(_Max):
    """The same for a piecewise-linear phi, whose pair maps are one function of the angle between the two inputs."""

    slope: float

    largest_q = 1e100

    def covariance(self, q_a: Array, q_b: Array, cov: Array) -> Array:
        s, one = correlation_gap(q_a, q_b, cov), np.ones(())
        return np.sqrt(q_a) * np.sqrt(q_b) * (self.second_moment(one) - self.deviation(one, s))

    def deviation(self, q: Array, s: Array) -> Array:
        check_pair(s)
        return q * s * chebyshev.chebval(_unit_angle(s), _ratio_series(self.slope, self.k, self.rho))

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


@lru_cache(maxsize=256)
def _ratio_series(slope: float, k: int, rho: float) -> Array:
    """Chebyshev coefficients of deviation(1, s) / s over the angle, in which it is smooth."""
    kernel = _HomogeneousMax(Bent(slope), BentDerivative(slope), k, rho, slope)

    def ratio(unit: Array) -> Array:
        s = 2 * np.sin((unit + 1) * np.arccos(LEAST_C) / 4) ** 2
        return kernel._exact_deviation(s) / s

    return chebyshev.chebinterpolate(ratio, _ANGLES)  # pyright: ignore[reportArgumentType, reportCallIssue]
