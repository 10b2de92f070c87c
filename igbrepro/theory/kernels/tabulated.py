"""Fixed points of the correlation map for many variances at once, for kernels whose every pair integral is dear."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import chebyshev

from igbrepro.errors import NotConverged
from igbrepro.theory.kernels.base import Array, Kernel, gap_root

FEW = 40  # variances for which no table is made
_TABLE_ERROR = 1e-9


def tabulated_gap_root(kernel: Kernel, q: Array, bias: Array) -> Array:
    """Kernel.gap_root of `kernel`, from a table of its deviations if more than FEW variances are asked for."""
    table = kernel if q.size <= FEW else _Tabulated(kernel, float(q.min()), float(q.max()))
    return gap_root(table.second_moment, table.deviation, q, bias)


class _Tabulated:
    """Deviations of another kernel for variances in [low, high] and s in [0, 1], from a table over (log q, angle)."""

    def __init__(self, kernel: Kernel, low: float, high: float) -> None:
        self._kernel, self._middle = kernel, np.log(low * high) / 2
        self._half = max(np.log(high / low) / 2, 1e-6)
        for degree in (12, 24, 48):
            a, b = (np.cos(np.pi * (np.arange(n) + 0.5) / n) for n in (degree, 24))
            values = np.stack(
                [self._exact(a, angle) for angle in b], axis=1
            )  # the nodes' densities know the angle only
            left, right = (np.linalg.inv(chebyshev.chebvander(v, len(v) - 1)) for v in (a, b))
            self._table = left @ values @ right.T
            probe = np.linspace(-0.97, 0.97, 7)
            gaps = [np.max(np.abs(self._ratio(probe, angle) / self._exact(probe, angle) - 1)) for angle in (-0.99, 0.3)]
            if max(gaps) < _TABLE_ERROR:
                return
        raise NotConverged(
            f"table of the c-map over q in [{low:.3g}, {high:.3g}]: off by {max(gaps):.1e} ({_TABLE_ERROR:g} is "
            "allowed); take a smaller range of sigma_w2 and sigma_b2."
        )

    def second_moment(self, q: Array) -> Array:
        return self._kernel.second_moment(q)

    def deviation(self, q: Array, s: Array) -> Array:
        return s * self._ratio((np.log(q) - self._middle) / self._half, 8 / np.pi * np.arcsin(np.sqrt(s / 2)) - 1)

    def _ratio(self, a: Array, b: Array | float) -> Array:
        rows, columns = (chebyshev.chebvander(v, n - 1) for v, n in zip((a, b), self._table.shape, strict=True))
        return ((rows @ self._table) * columns).sum(-1)

    def _exact(self, a: Array, b: float) -> Array:
        s = 2 * np.sin((b + 1) * np.pi / 8) ** 2
        return self._kernel.deviation(np.exp(self._middle + self._half * a), np.full(a.shape, s)) / s
