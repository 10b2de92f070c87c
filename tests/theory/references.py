"""Gaussian expectations by methods that share nothing with igbrepro.theory, to judge it by."""

from itertools import pairwise

import mpmath as mp
import numpy as np
from scipy.integrate import quad
from scipy.special import expit

from igbrepro.theory import Activation

SOFTPLUS = Activation("softplus", lambda x: np.logaddexp(0, x), expit)
SILU = Activation("silu", lambda x: x * expit(x), lambda x: expit(x) * (1 + x * expit(-x)))
HARD_TANH = Activation("hard_tanh", lambda x: np.clip(x, -1, 1), lambda x: (np.abs(x) < 1).astype(float))


def mean(f, q):
    """E[f(x)], x ~ N(0, q), for scalars; QUADPACK's adaptive rule on pieces that meet at zero and at |x| = 1."""

    def weighted(z):
        return f(np.sqrt(q) * z) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

    inner = min(1 / np.sqrt(q), 1.0)
    ends = [-14, -inner, 0, inner, 14]
    return sum(quad(weighted, a, b, epsabs=0, epsrel=1e-13, limit=400)[0] for a, b in pairwise(ends))


def pair_mean(f, q_a, q_b, c, panels=50):
    """E[f(x, y)] for scalars, f smooth on the scale of 1: Gauss-Legendre on a grid of panels, symmetric in x and y."""
    node, weight = np.polynomial.legendre.leggauss(10)
    edges = np.linspace(-10, 10, panels + 1)
    half = (edges[1] - edges[0]) / 2
    z = (edges[:-1, None] + half * (1 + node)).ravel()
    weight = np.tile(half * weight, panels) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    common, opposite = np.sqrt((1 + c) / 2) * z[:, None], np.sqrt((1 - c) / 2) * z[None, :]
    return weight @ f(np.sqrt(q_a) * (common + opposite), np.sqrt(q_b) * (common - opposite)) @ weight


def relu_kernel(q_a, q_b, c):
    """E[relu(x) relu(y)] with mpmath numbers (Cho & Saul 2009, the first-order arc-cosine kernel)."""
    return mp.sqrt(q_a * q_b) / (2 * mp.pi) * (mp.sqrt(1 - c**2) + c * (mp.pi - mp.acos(c)))


def erf_kernel(q_a, q_b, c):
    """E[erf(x) erf(y)] with mpmath numbers (Williams 1998)."""
    return 2 / mp.pi * mp.asin(2 * c * mp.sqrt(q_a * q_b) / mp.sqrt((1 + 2 * q_a) * (1 + 2 * q_b)))


def gelu_kernel(q_a, q_b, c):
    """E[gelu(x) gelu(y)] with mpmath numbers, from the law of (x, y, u, v) with u <= x, v <= y standard normal.

    gelu(x) = E_u[x 1(u < x)], so this is E[x y; s > 0, t > 0] with s = x - u, t = y - v jointly normal: a second moment
    of a truncated normal pair (Tallis 1961) and the regression of x and y on (s, t).
    """
    cov = c * mp.sqrt(q_a * q_b)
    s2, t2 = 1 + q_a, 1 + q_b
    det = s2 * t2 - cov**2
    root = mp.sqrt(det)
    orthant = mp.mpf(1) / 4 + mp.asin(cov / mp.sqrt(s2 * t2)) / (2 * mp.pi)
    # moments of (s, t) over the positive quadrant
    st = cov * orthant + root / (2 * mp.pi)
    ss = s2 * orthant + cov * root / (2 * mp.pi) / t2
    tt = t2 * orthant + cov * root / (2 * mp.pi) / s2
    # E[x | s, t] = a s + b t, E[y | s, t] = d s + e t; the covariance of the rest follows from the total
    a, b = (q_a * t2 - cov * cov) / det, (cov * s2 - q_a * cov) / det
    d, e = (cov * t2 - q_b * cov) / det, (q_b * s2 - cov * cov) / det
    rest = cov - (a * d * s2 + (a * e + b * d) * cov + b * e * t2)
    return rest * orthant + a * d * ss + (a * e + b * d) * st + b * e * tt
