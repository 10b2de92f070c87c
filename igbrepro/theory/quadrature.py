"""Expectations over one or two Gaussian variables, for any variance and any correlation.

The workhorse is a double-exponential rule on the half line, z = exp(t - exp(-t - 4)): its nodes crowd towards zero at
every scale, so one set of nodes serves q from 1e-8 to 1e4, whether the integrand has a kink at zero or turns there
within 1/sqrt(q). Every integral is also summed over every second node; since the rule's error squares when the step is
halved, agreement of the two to 1e-6 means an error near 1e-12, and disagreement raises NotConverged.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, owens_t

from igbrepro.checks import finite
from igbrepro.errors import NotConverged


def _half_line(step: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes z > 0 and weights of integral f(z) dz, for f that has died out by z = 16; an even number of them."""
    t = np.arange(-7.6, 2.8, step)
    t = t[: len(t) // 2 * 2]
    squeeze = np.exp(-t - _SHIFT)
    z = np.exp(t - squeeze)
    return z, step * z * (1 + squeeze)


def _whole_line(step: float) -> tuple[np.ndarray, np.ndarray, slice]:
    """Nodes and weights of E[f(z)], z ~ N(0, 1), in two mirrored halves; every second node makes a coarser rule."""
    z, weight = _half_line(step)
    z, weight = np.concatenate([-z, z]), np.concatenate([weight, weight])
    return z, weight * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), slice(0, None, 2)


_SHIFT = 4.0  # scales down to exp(-4), the width of phi at q = 1e4, keep the full density of nodes
NODES, WEIGHTS, COARSE = _whole_line(0.09)
HALF_NODES, HALF_WEIGHTS = _half_line(0.09)  # of integral f(z) dz over z > 0, f dead by z = 16
_BOTH = np.stack([WEIGHTS, np.zeros_like(WEIGHTS)], axis=1)  # the rule, and the rule of every second node
_BOTH[COARSE, 1] = 2 * WEIGHTS[COARSE]
_OUTER, _OUTER_WEIGHTS, _ = _whole_line(0.05)
_INNER, _INNER_WEIGHTS = _half_line(0.05)
_FAR = 6.5  # standard deviations beyond which the inner rule need not be centred on y = 0
_ROWS, _CHUNK = 2048, 32  # variances, and pairs, integrated at once
_AGREEMENT = 1e-6
_SMALLEST = 1e-290  # rounding errors of sums below this are not relative ones any more


def _check(fine: np.ndarray, coarse: np.ndarray, scale: np.ndarray) -> None:
    gap, scale = np.abs(fine - coarse), np.maximum(scale, _SMALLEST)
    if not (gap <= _AGREEMENT * scale).all():
        raise NotConverged(
            f"Gaussian expectation: two step sizes differ by {np.max(gap / scale):.1e} of the integrand's size "
            f"({_AGREEMENT:.0e} is allowed); an activation may have a kink at zero, but must be smooth elsewhere, "
            "and one that saturates near zero has its limit at variances of about 1e5."
        )


def normal_density(z: np.ndarray) -> np.ndarray:
    """The standard normal density."""
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def expectation(f: Callable[[np.ndarray], np.ndarray], q: ArrayLike, density: np.ndarray | float = 1.0) -> np.ndarray:
    """E[f(x)] for x ~ N(0, q), elementwise over q.

    f: elementwise, smooth away from zero.  q: shape (...,), q >= 0.  Returns shape (...,).
    density: of another law of x / sqrt(q) over that of N(0, 1), at NODES.
    Raises ParameterError for a negative or non-finite q, NotConverged if the quadrature's own error estimate is too
    large.
    """
    q = finite("q", q, 0)
    root, result = np.sqrt(q.reshape(-1, 1)), np.empty(q.size)
    for start in range(0, q.size, _ROWS):
        part = slice(start, start + _ROWS)
        values = f(root[part] * NODES) * density
        fine, coarse = (values @ _BOTH).T
        _check(fine, coarse, np.abs(values) @ WEIGHTS)
        result[part] = fine
    return result.reshape(q.shape)


def pair_expectation(
    f: Callable[[np.ndarray, np.ndarray], np.ndarray],
    q_a: ArrayLike,
    q_b: ArrayLike,
    one_minus_c: ArrayLike,
    scale: ArrayLike = 0.0,
    density: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """E[f(x, y)] for jointly normal x, y with variances q_a, q_b and correlation c, elementwise.

    The correlation enters as 1 - c in [0, 2], so that nothing is lost next to c = 1. The inner integral, over y given
    x, is split where y = 0.  Shapes (...,) broadcast; returns their common shape.  Raises as `expectation`; errors
    count in proportion to E|f|, or to `scale` if that is larger.
    density: of another law of the pair over the normal one, as a function of x/sqrt(q_a), of z in y/sqrt(q_b) =
    c x/sqrt(q_a) + sqrt(1 - c^2) z, and of 1 - c.
    """
    q_a, q_b, s = finite("q_a", q_a, 0), finite("q_b", q_b, 0), finite("one_minus_c", one_minus_c, 0, 2)
    q_a, q_b, s, scale = np.broadcast_arrays(q_a, q_b, s, scale)
    shape, scale, (q_a, q_b, s) = q_a.shape, scale.ravel(), (v.ravel()[:, None, None] for v in (q_a, q_b, s))
    outer = _OUTER[:, None]
    result = np.empty(q_a.shape[0])
    for start in range(0, len(result), _CHUNK):
        part = slice(start, start + _CHUNK)
        c, r = 1 - s[part], np.sqrt(s[part] * (2 - s[part]))
        x = np.sqrt(q_a[part]) * outer
        with np.errstate(divide="ignore"):
            centre = np.clip(-c * outer / r, -_FAR, _FAR)  # where y = 0
        inner, coarse, size = (np.zeros(centre.shape[:2]) for _ in range(3))
        for distance in (-_INNER, _INNER):
            z = centre + distance
            weight = _INNER_WEIGHTS * normal_density(z)
            if density is not None:
                one = slice(0, 1) if np.all(s[part] == s[part][0]) else slice(None)  # the same for all pairs
                weight = weight * density(outer, z[one], s[part][one])
            values = weight * f(x, np.sqrt(q_b[part]) * (c * outer + r * z))
            inner += values.sum(-1)
            coarse += 2 * values[..., ::2].sum(-1)
            size += np.abs(values).sum(-1)
        result[part] = inner @ _OUTER_WEIGHTS
        size = np.maximum(size @ _OUTER_WEIGHTS, scale[part])
        _check(result[part], 2 * (coarse[:, COARSE] @ _OUTER_WEIGHTS[COARSE]), size)
    return result.reshape(shape)


def bivariate_normal_cdf(h: ArrayLike, k: ArrayLike, rho: ArrayLike) -> np.ndarray:
    """P(x < h, y < k) for standard normal x, y with correlation rho in [-1, 1]; elementwise over broadcast shapes.

    h, k may be infinite.  Raises ParameterError for a rho outside its range.
    """
    return bivariate_normal_cdf_gap(h, k, 1 - finite("rho", rho, -1, 1))


def bivariate_normal_cdf_gap(h: ArrayLike, k: ArrayLike, gap: ArrayLike) -> np.ndarray:
    """The same at correlation 1 - gap, accurate as gap -> 0; by Owen's T function."""
    h, k = (np.clip(v, -40, 40) + 0.0 for v in (h, k))  # beyond 40 the tail is zero in float64; no negative zeros
    h, k = np.where(h == 0, 1e-100, h), np.where(k == 0, 1e-100, k)
    root = np.sqrt(np.maximum(gap, 1e-300) * np.maximum(2 - np.asarray(gap), 1e-300))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        t = owens_t(h, (k - h + gap * h) / (h * root)) + owens_t(k, (h - k + gap * k) / (k * root))
    return np.maximum((ndtr(h) + ndtr(k)) / 2 - t - 0.5 * ((h < 0) != (k < 0)), 0.0)
