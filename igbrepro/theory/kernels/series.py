"""The kernel of any smooth activation, from the Hermite coefficients of phi.

With he_n the orthonormal Hermite polynomials and a_n(q) = E[phi(sqrt(q) z) he_n(z)], Mehler's formula gives

    E[phi(x) phi(y)] = sum_n a_n(q_a) a_n(q_b) c^n,

so at equal variances the correlation map is a power series with positive coefficients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from igbrepro.errors import NotConverged
from igbrepro.theory.kernels.base import Array, Kernel, correlation_gap, variance_slope
from igbrepro.theory.quadrature import expectation, pair_expectation

# number of terms and step of the rule: enough for tanh up to q of about 1.6, 5 and 17
SERIES = ((192, 0.14), (640, 0.07), (2048, 0.036))
SERIES_ERROR = 1e-12
ROUNDING = 4e-15  # of a_1 in units of a_0, where the latter is much larger
LINEAR_GAP = 1e-18  # below this 1 - c, the pair quadrature's difference is replaced by its linear limit


@lru_cache(maxsize=8)
def hermite_rule(n_terms: int, step: float) -> tuple[Array, Array]:
    """Nodes z (m,) and the matrix (m, n_terms) which turns phi(sqrt(q) z) into a_0 ... a_(n_terms - 1).

    The trapezoidal rule on [-12, 12], where the integrand has fallen below 1e-15; its error is exponentially small in
    1/step for a phi that is analytic near the real axis.
    """
    z = np.arange(-round(12 / step), round(12 / step) + 1) * step
    he = np.empty((n_terms, len(z)))  # he_n(z) exp(-z^2/4), which stays bounded
    he[0] = np.exp(-(z**2) / 4)
    he[1] = z * he[0]
    for n in range(1, n_terms - 1):
        he[n + 1] = (z * he[n] - np.sqrt(n) * he[n - 1]) / np.sqrt(n + 1)
    return z, np.ascontiguousarray((he * (step / np.sqrt(2 * np.pi)) * np.exp(-(z**2) / 4)).T)


def power_gaps(s: Array, n_terms: int) -> Array:
    """1 - c^n for n < n_terms at c = 1 - s, to full relative accuracy as s -> 0; shape s.shape + (n_terms,)."""
    s, n = s[..., None], np.arange(n_terms)
    near = -np.expm1(n * np.log1p(-np.minimum(s, 0.5)))
    far = s > 0.5
    return np.where(far, 1 - (1 - s) ** n, near) if far.any() else near


@dataclass(frozen=True)
class Smooth(Kernel):
    """Any phi with its derivative, analytic but for a kink at zero at most.

    How much of the series is left out is known, because sum_n n a_n^2 = q E[phi'^2] is also had by quadrature. Where it
    is more than 1e-12 of the whole a longer series is tried, and in the end the two-dimensional quadrature.
    """

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]

    largest_q = 1e8

    def mean(self, q: Array) -> Array:
        return expectation(self.function, q)

    def second_moment(self, q: Array) -> Array:
        return expectation(lambda x: self.function(x) ** 2, q)

    def square_slope(self, q: Array) -> Array:
        return expectation(lambda x: self.derivative(x) ** 2, q)

    def variance_slope(self, q: Array) -> Array:
        return variance_slope(self.function, self.derivative, q)

    def covariance(self, q_a: Array, q_b: Array, cov: Array) -> Array:
        q_a, q_b, s = np.broadcast_arrays(q_a, q_b, correlation_gap(q_a, q_b, cov))
        small, large, gap = np.minimum(q_a, q_b).ravel(), np.maximum(q_a, q_b).ravel(), s.ravel()

        def series(i: Array, a: Array, tier: int) -> Array:  # complete in the larger variance, so in the smaller too
            return np.sum(a * self._coefficients(small[i], tier) * (1 - gap[i, None]) ** np.arange(a.shape[1]), axis=1)

        def quadrature(i: Array) -> Array:
            size = np.sqrt(self.second_moment(large[i]) * self.second_moment(small[i]))
            return pair_expectation(lambda x, y: self.function(x) * self.function(y), large[i], small[i], gap[i], size)

        return self._by_tier(large, series, quadrature).reshape(s.shape)

    def deviation(self, q: Array, s: Array) -> Array:
        q, s = np.broadcast_arrays(q, s)
        variance, gap = q.ravel(), s.ravel()

        def series(i: Array, a: Array, tier: int) -> Array:
            return (a**2 * power_gaps(gap[i], a.shape[1])).sum(axis=1)

        def quadrature(i: Array) -> Array:
            half_square = pair_expectation(
                lambda x, y: (self.function(x) - self.function(y)) ** 2 / 2,
                variance[i],
                variance[i],
                np.maximum(gap[i], LINEAR_GAP),
            )
            return half_square * np.minimum(gap[i] / LINEAR_GAP, 1)

        return self._by_tier(variance, series, quadrature).reshape(q.shape)

    def slope_covariance(self, q: Array, s: Array) -> Array:
        q, s = np.broadcast_arrays(q, s)
        variance, gap = q.ravel(), s.ravel()

        def series(i: Array, a: Array, tier: int) -> Array:
            n = np.arange(1, a.shape[1])
            return np.sum(a[:, 1:] ** 2 * n * (1 - gap[i, None]) ** (n - 1), axis=1) / variance[i]

        def quadrature(i: Array) -> Array:
            return pair_expectation(
                lambda x, y: self.derivative(x) * self.derivative(y),
                variance[i],
                variance[i],
                gap[i],
                self.square_slope(variance[i]),
            )

        return self._by_tier(variance, series, quadrature).reshape(q.shape)

    def gap_root(self, q: Array, bias: Array) -> Array:
        def series(i: Array, a: Array, tier: int) -> Array:
            """Newton's method on sum_(m > 0) c^m sum_(n > m) a_n^2 = a_0^2 + bias; the left is convex and rising in c.

            This is deviation/(1 - c) less its value at c = 0, so that nothing cancels where c* is small.
            """
            target = a[:, 0] ** 2 + bias[i]
            tails = np.ascontiguousarray(np.cumsum(a[:, :1:-1] ** 2, axis=1)[:, ::-1].T)
            tails = tails[np.max(tails / np.maximum(tails[0], 1e-300), axis=1) > 1e-18]
            c = np.zeros(len(i))
            for _ in range(100):
                value, slope = np.zeros_like(c), np.zeros_like(c)
                for tail in tails[::-1]:  # Horner's scheme; the last factor c is for the missing power 0
                    slope *= c
                    slope += value
                    value *= c
                    value += tail
                slope, value = slope * c + value, value * c
                step = np.divide(target - value, slope, out=np.zeros_like(c), where=slope > 0)
                c, last = np.clip(c + step, 0, 1), c
                if np.all(np.abs(c - last) <= 1e-9):  # the convergence is quadratic
                    return 1 - c
            raise NotConverged(f"c-map: |dc|={np.max(np.abs(c - last)):.1e} after 100 Newton steps (tol 1e-09).")

        return self._by_tier(q, series, lambda i: Kernel.gap_root(self, q[i], bias[i]))

    def _coefficients(self, q: Array, tier: int) -> Array:
        z, rule = hermite_rule(*SERIES[tier])
        return self.function(np.sqrt(q)[:, None] * z) @ rule

    def _by_tier(self, q: Array, series: Callable, quadrature: Callable) -> Array:
        """Values over q (m,): series(i, a, tier) at the indices i whose series is complete, else quadrature(i)."""
        out, left = np.full(q.shape, np.nan), np.arange(q.size)
        whole = q * self.square_slope(q)
        for tier, (n_terms, _) in enumerate(SERIES):
            rows = 1_000_000 // n_terms
            for start in range(0, left.size, rows):
                part = left[start : start + rows]
                a = self._coefficients(q[part], tier)
                square, rounding = a**2, ROUNDING * np.sqrt(whole[part])
                left_out = np.abs(whole[part] - square @ np.arange(n_terms))
                complete = left_out <= SERIES_ERROR * whole[part] + rounding * np.sqrt(square.sum(axis=1))
                done = part[complete]
                if done.size:
                    out[done] = series(done, a[complete], tier)
            left = left[np.isnan(out[left])]
            if not left.size:
                return out
        out[left] = quadrature(left)
        return out
