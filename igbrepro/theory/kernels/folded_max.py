"""The maximum over k nodes of an activation with one dip, such as GELU, which falls up to a point m and rises above it.

Below a level phi(x), x > m, lie the nodes of the interval [l(x), x], l(x) < m being the other point of that level. So
P(g <= phi(x)) = A(x)^k with A the normal measure of the interval, jointly for two inputs R(x, y)^k with R that of the
rectangle, and expectations follow by integrating over the levels:

    E[h(g)] = h(phi(m)) + the integral of h'(phi(x)) phi'(x) (1 - A(x)^k) over x > m,
    E[(g - g')^2] / 2 = the integral of phi'(x) phi'(y) (P(g <= phi(x), g' > phi(y)) + P(g' <= phi(x), g > phi(y)))
                        over m < x < y.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize.elementwise import find_root
from scipy.special import ndtr

from igbrepro.errors import ParameterError
from igbrepro.theory.kernels.base import Array, Kernel, correlation_gap
from igbrepro.theory.kernels.tabulated import tabulated_gap_root
from igbrepro.theory.quadrature import HALF_NODES, HALF_WEIGHTS, bivariate_normal_cdf_gap, normal_density
from igbrepro.theory.roots import brent_root

LEAST_C = -0.5  # below this correlation the pair integrals of a maximum are not resolved
FAR = 9.0  # standard deviations within which everything happens
_POINT, _WEIGHT = np.polynomial.legendre.leggauss(48)


def dip(derivative: Callable[[Array], Array]) -> float | None:
    """Where a function that falls, then rises, has its minimum: -inf if it never falls, None if it is of another kind.

    Looked for on [-8, 8].
    """
    x = np.linspace(-8, 8, 1601)
    slopes = derivative(x)
    falling = slopes < 0
    if not falling.any():
        return -np.inf
    last = int(np.flatnonzero(falling)[-1])
    if (slopes[:last] > 0).any() or last == len(x) - 1:
        return None
    return brent_root(lambda at: float(derivative(np.array(at))) - 1e-300, x[last], x[last + 1], xtol=1e-15)


def check_pair(s: Array) -> None:
    """Raises ParameterError for pairs whose 1 - c = s is too large for the integrals of a maximum."""
    if np.any(s > 1 - LEAST_C + 1e-12):
        raise ParameterError(f"c={1 - np.max(s):.3g}: maps of a maximum take correlations from {LEAST_C} on.")


@dataclass(frozen=True)
class FoldedMax(Kernel):
    """The kernel of max_i phi(x_i), i = 1..k independent nodes, for phi with its only minimum at `lowest`."""

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    k: int
    lowest: float

    largest_q = 1e8

    def mean(self, q: Array) -> Array:
        return self._each(lambda q: self._bottom(q) + self._levels(q, np.ones_like), q)

    def second_moment(self, q: Array) -> Array:
        return self._each(lambda q: self._bottom(q) ** 2 + self._levels(q, lambda value: 2 * value), q)

    def square_slope(self, q: Array) -> Array:
        def one(q: float) -> float:
            """The largest node is at x or, left of the dip, at l(x), whose slope along the level is phi'(x)/phi'(l)."""
            x, weight, left = self._grid(q)
            slope, other, root = self.derivative(x), self.derivative(left), np.sqrt(q)
            density = slope**2 * normal_density(x / root) - slope * other * normal_density(left / root)
            return self.k * self._inside(x, left, q) ** (self.k - 1) * density / root @ weight

        return self._each(one, q)

    def variance_slope(self, q: Array) -> Array:
        step = 1e-3 * q
        ends = [self.second_moment(q + i * step) for i in (-2, -1, 1, 2)]
        return (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step)

    def covariance(self, q_a: Array, q_b: Array, cov: Array) -> Array:
        s = correlation_gap(q_a, q_b, cov)
        check_pair(s)
        squares = (self.second_moment(q_a) + self.second_moment(q_b)) / 2
        return squares - self._each(self._half_square, q_a, q_b, s)

    def deviation(self, q: Array, s: Array) -> Array:
        check_pair(s)
        return self._each(self._half_square, q, q, s)

    def slope_covariance(self, q: Array, s: Array) -> Array:
        step = np.minimum(1e-2, np.maximum(s, 1e-6) / 4)
        s = np.maximum(s, 2.5 * step)
        ends = [self.deviation(q, s + i * step) for i in (-2, -1, 1, 2)]
        return (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step * q)

    def gap_root(self, q: Array, bias: Array) -> Array:
        return tabulated_gap_root(self, q, bias)

    def _start(self, q: float) -> float:
        """The lowest node that is of any account: the dip, unless that is too far out to be felt."""
        return max(self.lowest, -FAR * np.sqrt(q))

    def _bottom(self, q: float) -> float:
        return float(self.function(np.array(self._start(q))))

    @staticmethod
    def _each(f: Callable[..., float], *arguments: Array) -> Array:
        arguments = np.broadcast_arrays(*(np.asarray(v, float) for v in arguments))
        return np.array([f(*one) for one in zip(*(v.ravel() for v in arguments), strict=True)]).reshape(
            arguments[0].shape
        )

    def _grid(self, q: float) -> tuple[Array, Array, Array]:
        """Levels x > m where x ~ N(0, q) may be found, their weights, and the other points of these levels."""
        root, start = np.sqrt(q), self._start(q)
        x = np.concatenate([start * (1 - _POINT) / 2, root * HALF_NODES])
        weight = np.concatenate([-start / 2 * _WEIGHT, root * HALF_WEIGHTS])
        return x, weight, self._left(x, root)

    def _left(self, x: Array, root: float) -> Array:
        """l(x) < m with phi(l) = phi(x), or -40 root where it lies below that."""
        far = min(self.lowest, 0.0) - 40 * root
        level, left = self.function(x), np.full(x.shape, far)
        found = self.function(np.array(far)) > level
        ends = np.full(found.sum(), far), np.full(found.sum(), self.lowest)
        left[found] = find_root(lambda y, v: self.function(y) - v, ends, args=(level[found],)).x
        return left

    def _inside(self, x: Array, left: Array, q: float) -> Array:
        root = np.sqrt(q)
        return ndtr(x / root) - ndtr(left / root)

    def _levels(self, q: float, slope: Callable[[Array], Array]) -> float:
        x, weight, left = self._grid(q)
        above = -np.expm1(self.k * np.log(np.maximum(self._inside(x, left, q), 1e-300)))
        return float(slope(self.function(x)) * self.derivative(x) * above @ weight)

    def _half_square(self, q_a: float, q_b: float, s: float) -> float:
        """E[(g - g')^2] / 2 for variances q_a, q_b and correlation 1 - s."""
        if s == 0 and q_a == q_b:
            return 0.0
        return sum(self._crossing(*pair, s) for pair in ((q_a, q_b), (q_b, q_a))) / 2

    def _crossing(self, q_a: float, q_b: float, s: float) -> float:
        """Twice the integral over x < y of phi'(x) phi'(y) P(g <= phi(x), g' > phi(y))."""
        x, weight, left = (v[:, None] for v in self._grid(q_a))
        a, b = np.sqrt(q_a), np.sqrt(q_b)
        apart = np.sqrt(s * (2 - s)) * b + abs(a - b)
        y = x + apart * HALF_NODES
        y_left = self._left(y.ravel(), max(a, b)).reshape(y.shape)
        inside = self._inside(x, left, q_a)
        both = np.zeros(y.shape)
        for sign_x, end_x in ((1, x), (-1, left)):
            for sign_y, end_y in ((1, y), (-1, y_left)):
                ends = np.broadcast_arrays(end_x / a, end_y / b, s)
                both += sign_x * sign_y * bivariate_normal_cdf_gap(*ends)
        powers = sum(inside**j * both ** (self.k - 1 - j) for j in range(self.k))
        slopes = self.derivative(x) * self.derivative(y)
        return 2 * float((slopes * (inside - both) * powers * (apart * HALF_WEIGHTS)).sum(1) @ weight[:, 0])
