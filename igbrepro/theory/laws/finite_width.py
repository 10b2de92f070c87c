"""The first correction in 1/width to the correlation of two inputs, layer by layer, for any activation.

Given layer l, the overlaps K_ab = sigma_w2 <phi_a phi_b> + sigma_b2 of the next layer are averages over N nodes, so
they scatter about the infinite-width map F with a covariance Sigma/N. To first order in 1/N their covariance V and the
shift d of their means obey

    V_next = F' V F'^T + Sigma,      d_next = F' d + F'':V / 2,

with F' and F'' the first and second derivatives of F. All inputs are alike (equal variance, equal correlation of every
pair), so V has five different entries, named by the inputs that their overlaps join: aa with aa, aa with bb, aa with
ab, aa with bc, ab with ab. Fourth moments follow from nodes that are independent given what their inputs share.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from igbrepro.checks import finite
from igbrepro.errors import ParameterError
from igbrepro.theory.mean_field import MeanField

LEAST_GAP = 1e-4  # smallest 1 - c at which the differences below keep their digits
_STEP = 0.01
# Points (K_aa, K_bb, K_ab) of the differences, in steps; two step sizes are combined so that errors of second order go.
_STENCIL = np.array(
    [
        (0, 0, 0),
        (1, 0, 0),
        (-1, 0, 0),
        (0, 0, 1),
        (0, 0, -1),
        (1, 1, 0),
        (1, -1, 0),
        (-1, -1, 0),
        (1, 0, 1),
        (1, 0, -1),
        (-1, 0, 1),
        (-1, 0, -1),
    ]
)
_Z = np.linspace(-9, 9, 401)
_WEIGHT = np.exp(-(_Z**2) / 2) / np.exp(-(_Z**2) / 2).sum()


class WidthGap(NamedTuple):
    """What a finite width N takes from c = gamma/(1 + gamma): arrays (depth + 1,), to be divided by N.

    gamma: N times (c of infinite width - mean over networks of gamma/(1 + gamma)).
    pair: the same for the correlation c_ab = q_ab / sqrt(q_aa q_bb) of two inputs, which does not know their lengths.
    """

    gamma: NDArray[np.float64]
    pair: NDArray[np.float64]


class _Covariance(NamedTuple):
    """Covariances of overlaps by the inputs that they join; times 1/N."""

    aa_aa: float
    aa_bb: float
    aa_ab: float
    aa_bc: float
    ab_ab: float

    def plus(self, other: _Covariance, times: float = 1.0) -> _Covariance:
        return _Covariance(*(mine + times * its for mine, its in zip(self, other, strict=True)))


def width_gap(
    field: MeanField, depth: int, q0: float = 1.0, c0: float = 0.0, n_inputs: float = np.inf, scatter: float = 0.0
) -> WidthGap:
    """The gap between networks of width N and infinite width, to first order in 1/N, for `depth` more layers.

    field: with scalar sigma_w2 and sigma_b2.  q0, c0 in [0, 1): variance and correlation of every pair in layer 0.
    n_inputs: how many inputs gamma is measured over.
    scatter: 0 for inputs that have these norms and correlations exactly; N/d for random Gaussian ones of d features,
        whose own norms and correlations scatter (sigma_b2 = 0 only).
    Raises ParameterError outside these ranges, and where 1 - c falls below LEAST_GAP.
    """
    if field.pool is not None or field.residual is not None:
        raise ParameterError(f"field={field!r}: the correction in 1/width is known for plain layers only.")
    if field.shape != ():
        raise ParameterError(f"field={field!r}: need scalar sigma_w2 and sigma_b2; take one point at a time.")
    finite("c0", c0, 0, 1)
    finite("scatter", scatter, 0)
    path = field.trajectory(depth, q0, c0)
    if path.one_minus_c.min() < LEAST_GAP:
        deepest = int(np.argmax(path.one_minus_c < LEAST_GAP)) - 1
        raise ParameterError(f"depth={depth}: 1 - c falls below {LEAST_GAP:g} after layer {deepest}; stop there.")
    layers = list(zip(path.q.tolist(), path.one_minus_c.tolist(), strict=True))
    spread = _Covariance(0, 0, 0, 0, 0).plus(_sampling(*layers[0]), scatter)
    shift = (0.0, 0.0)
    gaps = []
    for q, s in layers[:-1]:
        gaps.append(_gaps(q, s, shift, spread, n_inputs))
        shift, spread = _next(field, q, s, shift, spread)
    gaps.append(_gaps(*layers[-1], shift, spread, n_inputs))
    return WidthGap(*np.array(gaps).T)


def relu_gap_limit(c0: float = 0.0, scatter: float = 0.0) -> float:
    """What width_gap(...).gamma tends to in deep bias-free ReLU networks, of any sigma_w2.

    There the inputs end up as one direction with different lengths. Each layer adds (2/N) (6 - 4 m) to the variance of
    the logarithm of the ratio of two squared lengths, m = E[relu(u)^2 relu(v)^2] for normal u, v of that layer's c, and
    an eighth of that variance stays in 1/(1 + gamma).
    """
    angle = np.arccos(finite("c0", c0, 0, 1))
    total, n_layers = 2 * finite("scatter", scatter, 0) * np.sin(angle) ** 2, 5_000
    for _ in range(n_layers):
        c = np.cos(angle)
        total += 6 - 2 / np.pi * (3 * np.sin(angle) * c + (np.pi - angle) * (1 + 2 * c**2))
        angle = np.arccos(min(1.0, c + (np.sin(angle) - angle * c) / np.pi))
    return float(total + 8 * (1 - np.cos(angle)) * n_layers) / 4


def _gaps(q: float, s: float, shift: tuple[float, float], spread: _Covariance, n_inputs: float) -> tuple[float, float]:
    """N times the gaps of gamma/(1 + gamma) and c_ab, measured on N nodes, in a layer of variance q and 1 - c = s."""
    seen, c = spread.plus(_sampling(q, s)), 1 - s
    shift_aa, shift_ab = shift
    first = (c * shift_aa - shift_ab) / q
    var_total = seen.aa_aa / n_inputs + seen.aa_bb * (1 - 1 / n_inputs)
    cov_common = 2 * seen.aa_ab / n_inputs + seen.aa_bc * (1 - 2 / n_inputs)
    pair = seen.aa_ab - c * (0.75 * seen.aa_aa + 0.25 * seen.aa_bb)
    return first + (cov_common - c * var_total) / q**2, first + pair / q**2


def _next(
    field: MeanField, q: float, s: float, shift: tuple[float, float], v: _Covariance
) -> tuple[tuple[float, float], _Covariance]:
    """Shift (of aa, of ab) and covariance of the overlaps one layer on."""
    slope, bend = _variance_derivatives(field, q)
    own, both, own_own, both_both, own_other, own_both = (
        4 * _differences(field, q, s, 1) - _differences(field, q, s, 2)
    ) / 3
    curved = 2 * own_own * v.aa_aa + 2 * own_other * v.aa_bb + 4 * own_both * v.aa_ab + both_both * v.ab_ab
    lengths = v.aa_aa + v.aa_bb
    carried = _Covariance(
        aa_aa=slope**2 * v.aa_aa,
        aa_bb=slope**2 * v.aa_bb,
        aa_ab=slope * (own * lengths + both * v.aa_ab),
        aa_bc=slope * (2 * own * v.aa_bb + both * v.aa_bc),
        ab_ab=2 * own**2 * lengths + 4 * own * both * v.aa_ab + both**2 * v.ab_ab,
    )
    shift_aa, shift_ab = shift
    after = slope * shift_aa + bend * v.aa_aa / 2, 2 * own * shift_aa + both * shift_ab + curved / 2
    return after, carried.plus(_fresh(field, q, s))


def _sampling(q: float, s: float) -> _Covariance:
    """N times the covariance of the overlaps of N Gaussian nodes, K_ac K_bd + K_ad K_bc."""
    k = (1 - s) * q
    return _Covariance(2 * q * q, 2 * k * k, 2 * q * k, 2 * k * k, q * q + k * k)


def _fresh(field: MeanField, q: float, s: float) -> _Covariance:
    """Sigma: N times the covariance of the overlaps sigma_w2 <phi_a phi_b> of N independent nodes."""
    phi = field.activation(np.sqrt(q) * (np.sqrt(1 - s) * _Z[:, None] + np.sqrt(s) * _Z))
    m1, m2, m3, m4 = (phi**power @ _WEIGHT for power in (1, 2, 3, 4))  # given what the inputs have in common
    aa, ab = _WEIGHT @ m2, _WEIGHT @ m1**2
    moments = (m4, m2 * m2, m3 * m1, m2 * m1**2, m2 * m2)
    products = (aa * aa, aa * aa, aa * ab, aa * ab, ab * ab)
    return _Covariance(*(field.sigma_w2**2 * (_WEIGHT @ m - p) for m, p in zip(moments, products, strict=True)))


def _variance_derivatives(field: MeanField, q: float) -> tuple[float, float]:
    """First and second derivative of the variance map."""
    low, here, high = field.q_map(q * np.array([1 - _STEP, 1, 1 + _STEP]))
    return (high - low) / (2 * q * _STEP), (high + low - 2 * here) / (q * _STEP) ** 2


def _differences(field: MeanField, q: float, s: float, steps: int) -> NDArray[np.float64]:
    """Derivatives of K'_ab by K_aa, K_ab, K_aa^2, K_ab^2, K_aa K_bb, K_aa K_ab, by central differences."""
    h = steps * _STEP * s * q
    f = field.cov_map(*(np.array([q, q, (1 - s) * q]) + h * _STENCIL).T)
    first = (f[1] - f[2], f[3] - f[4])
    second = (
        f[1] + f[2] - 2 * f[0],
        f[3] + f[4] - 2 * f[0],
        (f[5] + f[7] - 2 * f[6]) / 4,
        (f[8] - f[9] - f[10] + f[11]) / 4,
    )
    return np.array([*(value / (2 * h) for value in first), *(value / h**2 for value in second)])
