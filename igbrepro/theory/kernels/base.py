"""Gaussian expectations of an activation phi: what the mean-field maps are made of.

A kernel answers seven questions, elementwise over NumPy arrays, for x, y ~ N(0, q) of correlation c:

    mean(q)                     E[phi(x)]
    second_moment(q)            E[phi(x)^2]
    square_slope(q)             E[phi'(x)^2]
    variance_slope(q)           d E[phi(x)^2] / dq = E[phi(x) phi'(x) x] / q
    covariance(q_a, q_b, cov)   E[phi(x) phi(y)], variances q_a, q_b
    deviation(q, s)             E[phi(x)^2] - E[phi(x) phi(y)] at c = 1 - s, to full *relative* accuracy as s -> 0
    slope_covariance(q, s)      E[phi'(x) phi'(y)] at c = 1 - s

and `gap_root(q, bias)` solves deviation(q, s) = (second_moment(q) + bias) s for s in (0, 1]: the fixed point of the
correlation map at q = sigma_w2 (second_moment(q) + bias), bias = sigma_b2 / sigma_w2.

Closed forms: Cho & Saul 2009 (piecewise linear), Williams 1998 (erf), Gaussian integration by parts (GELU).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
from scipy.optimize.elementwise import find_root

from igbrepro.theory.quadrature import expectation

Array = np.ndarray

TINY_GAP = 1e-15  # the smallest 1 - c told from zero when solving for a fixed point


def correlation_gap(q_a: Array, q_b: Array, cov: Array) -> Array:
    """1 - c for the covariance `cov`, clipped to [0, 2]; 1 where a variance is zero."""
    norm = np.sqrt(q_a) * np.sqrt(q_b)
    return np.clip(1 - np.divide(cov, norm, out=np.zeros(np.broadcast(norm, cov).shape), where=norm > 0), 0, 2)


def variance_slope(function: Callable[[Array], Array], derivative: Callable[[Array], Array], q: Array) -> Array:
    """d E[phi(x)^2] / dq by quadrature, for phi and phi'."""
    return expectation(lambda x: function(x) * derivative(x) * x, q) / q


def gap_root(
    second_moment: Callable[[Array], Array], deviation: Callable[[Array, Array], Array], q: Array, bias: Array
) -> Array:
    """s in (0, 1] at which deviation(q, s) / s, a falling function of s, equals second_moment(q) + bias.

    0 where it never does.  q, bias: shape (m,), bias >= 0.  Returns shape (m,).
    """
    target = second_moment(q) + bias

    def excess(log_s: Array, q: Array, target: Array) -> Array:
        s = np.exp(log_s)
        return deviation(q, s) / s / target - 1

    lowest = np.full(q.shape, np.log(TINY_GAP))
    found = find_root(excess, (lowest, np.zeros(q.shape)), args=(q, target), tolerances={"xatol": 1e-15})
    return np.where(found.success, np.exp(found.x), np.where(excess(0 * q, q, target) >= 0, 1.0, 0.0))


class Kernel(ABC):
    """Base of all kernels, whose methods the module's first lines describe.

    largest_q: a variance above this counts as infinite.
    """

    largest_q: ClassVar[float] = 1e100

    @abstractmethod
    def mean(self, q: Array) -> Array: ...

    @abstractmethod
    def second_moment(self, q: Array) -> Array: ...

    @abstractmethod
    def square_slope(self, q: Array) -> Array: ...

    @abstractmethod
    def variance_slope(self, q: Array) -> Array: ...

    @abstractmethod
    def covariance(self, q_a: Array, q_b: Array, cov: Array) -> Array: ...

    @abstractmethod
    def deviation(self, q: Array, s: Array) -> Array: ...

    @abstractmethod
    def slope_covariance(self, q: Array, s: Array) -> Array: ...

    def gap_root(self, q: Array, bias: Array) -> Array:
        """The root described above; shapes (m,), 0 where there is none."""
        return gap_root(self.second_moment, self.deviation, q, bias)
