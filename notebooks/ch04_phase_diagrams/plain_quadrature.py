"""Lines and fixed points of the phase diagram a second time, from their definitions alone.

Adaptive quadrature and root bracketing of SciPy on plain Python functions: slow, short, and without a line of
`igbrepro.theory`, so that agreement between the two says something.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.integrate import quad
from scipy.optimize import brentq

Function = Callable[[float], float]
REACH = 9.0  # standard deviations; the normal density has fallen to 1e-18 there


def gaussian_mean(f: Function, q: float) -> float:
    """E f(u), u ~ N(0, q)."""
    root = math.sqrt(q)

    def integrand(z: float) -> float:
        return f(root * z) * math.exp(-z * z / 2)

    return quad(integrand, -REACH, REACH, epsabs=1e-12, epsrel=1e-12, limit=200)[0] / math.sqrt(2 * math.pi)


def pair_mean(f: Function, q: float, c: float) -> float:
    """E f(u) f(v) for normal u, v of variance q and correlation c in [0, 1].

    Given their common part, u and v are independent: the mean of the square of a conditional mean.
    """
    common, own = math.sqrt(c), q * (1 - c)
    return gaussian_mean(lambda s: gaussian_mean(lambda t: f(common * s + t), own) ** 2, q)


def edge_sigma_w2(phi: Function, slope: Function, sigma_b2: float) -> float:
    """sigma_w2 with sigma_w2 E[phi'^2] = 1 at the variance q = sigma_w2 E[phi^2] + sigma_b2; sigma_b2 > 0."""

    def line(q: float) -> float:
        return 1 / gaussian_mean(lambda x: slope(x) ** 2, q)

    return _on_line(phi, line, sigma_b2)


def neutral_sigma_w2(phi: Function, sigma_b2: float) -> float:
    """sigma_w2 at which inputs of correlation 1/2 keep it, at the variance that is kept too; sigma_b2 > 0."""

    def line(q: float) -> float:
        return q / 2 / (gaussian_mean(lambda x: phi(x) ** 2, q) - pair_mean(phi, q, 0.5))

    return _on_line(phi, line, sigma_b2)


def _on_line(phi: Function, line: Function, sigma_b2: float) -> float:
    """sigma_w2 = line(q) at the q that solves q = line(q) E[phi^2] + sigma_b2."""

    def excess(log_q: float) -> float:
        q = math.exp(log_q)
        return q - line(q) * gaussian_mean(lambda x: phi(x) ** 2, q) - sigma_b2

    return line(math.exp(brentq(excess, math.log(1e-2 * sigma_b2), math.log(1e2), xtol=1e-12)))


def fixed_point(phi: Function, slope: Function, sigma_w2: float, sigma_b2: float) -> tuple[float, float, float]:
    """(q, chi, c): the variance that a layer keeps, the gradient multiplier there, the correlation that attracts.

    For a phi that saturates, where the q-map is concave.  The correlation is 1 for chi <= 1, else the root of the c-map
    in [0, 1).
    """
    q = brentq(
        lambda q: sigma_w2 * gaussian_mean(lambda x: phi(x) ** 2, q) + sigma_b2 - q, sigma_b2, sigma_w2 + sigma_b2
    )
    chi = sigma_w2 * gaussian_mean(lambda x: slope(x) ** 2, q)
    if chi <= 1:
        return q, chi, 1.0
    c = brentq(lambda c: (sigma_w2 * pair_mean(phi, q, c) + sigma_b2) / q - c, 0.0, 1 - 1e-4, xtol=1e-12)
    return q, chi, c


def mean_max_fraction(gamma: float) -> float:
    """E max(G, 1 - G) of two classes, with G = Phi(sqrt(gamma) z) the share of inputs given to one of them."""

    def larger(z: float) -> float:
        share = 0.5 * math.erfc(-math.sqrt(gamma / 2) * z)
        return max(share, 1 - share)

    return 2 * quad(lambda z: larger(z) * math.exp(-z * z / 2), 0, REACH, epsabs=1e-12)[0] / math.sqrt(2 * math.pi)
