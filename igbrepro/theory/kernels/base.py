"""Gaussian expectations of an activation phi: what the mean-field maps are made of.

A kernel answers six questions, elementwise over NumPy arrays, for x, y ~ N(0, q) of correlation c:

    mean(q)                     E[phi(x)]
    second_moment(q)            E[phi(x)^2]
    square_slope(q)             E[phi'(x)^2]
    covariance(q_a, q_b, cov)   E[phi(x) phi(y)], variances q_a, q_b
    deviation(q, s)             E[phi(x)^2] - E[phi(x) phi(y)] at c = 1 - s, to full *relative* accuracy as s -> 0
    slope_covariance(q, s)      E[phi'(x) phi'(y)] at c = 1 - s

and `gap_root(q, bias)` solves deviation(q, s) = (second_moment(q) + bias) s for s in (0, 1]: the fixed point of the
correlation map at q = sigma_w2 (second_moment(q) + bias), bias = sigma_b2 / sigma_w2.

Closed forms: Cho & Saul 2009 (piecewise linear), Williams 1998 (erf), Gaussian integration by parts (GELU).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize.elementwise import find_root

Array = np.ndarray


TINY_GAP = 1e-15  # the smallest 1 - c told from zero when solving for a fixed point


def correlation_gap(q_a: Array, q_b: Array, cov: Array) -> Array:
    """1 - c for the covariance `cov`, clipped to [0, 2]; 1 where a variance is zero."""
    norm = np.sqrt(q_a) * np.sqrt(q_b)
    return np.clip(1 - np.divide(cov, norm, out=np.zeros(np.broadcast(norm, cov).shape), where=norm > 0), 0, 2)


class Kernel:
    """Base of all kernels: the root that needs nothing but `deviation`."""

    largest_q = 1e100  # a variance above this counts as infinite

    def gap_root(self, q: Array, bias: Array) -> Array:
        """s in (0, 1] at which deviation(q, s) / s, a falling function of s, equals second_moment(q) + bias.

        0 where it never does.  q, bias: shape (m,), bias >= 0.  Returns shape (m,).
        """
        target = self.second_moment(q) + bias

        def excess(log_s: Array, q: Array, target: Array) -> Array:
            s = np.exp(log_s)
            return self.deviation(q, s) / s / target - 1

        lowest = np.full(q.shape, np.log(TINY_GAP))
        found = find_root(excess, (lowest, np.zeros(q.shape)), args=(q, target), tolerances={"xatol": 1e-15})
        return np.where(found.success, np.exp(found.x), np.where(excess(0 * q, q, target) >= 0, 1.0, 0.0))
