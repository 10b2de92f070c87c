"""The phase diagram of a random network in the plane of (sigma_w2, sigma_b2): its lines and its regions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize.elementwise import find_root

from igbrepro.checks import finite
from igbrepro.errors import NoCommonEdge, NoEdge, ParameterError, UnstableEdge
from igbrepro.theory.activations import Activation, get_activation
from igbrepro.theory.kernels.base import Kernel
from igbrepro.theory.mean_field import FixedPoint, MeanField
from igbrepro.theory.pools.pool import Pool, pooled_kernel

EDGE_TOLERANCE = 1e-6
_LEAST_Q = 1e-6  # where a variance that vanishes on the edge is tried for its stability
_LOG_Q = np.array_split(np.linspace(np.log(1e-20), np.log(1e4), 240), 12)


class Phase(IntEnum):
    """What depth does to gradients (chi) and to the correlation of two inputs (c*); the paper's phase diagram.

    A deep prejudice (c* = 1) is persistent where gamma grows exponentially with depth, and transient where it grows as
    a power of it. Where a variance q* > 0 is kept, chi says which: persistent in order, transient at the edge. That of
    ReLU is transient at the edge and above it, and without bias below it too; that of pooled ReLU never is.
    """

    ORDERED = 0  # chi < 1, c* = 1: gradients vanish, deep prejudice, persistent (ReLU without bias: transient)
    EDGE = 1  # chi = 1: gradients keep their size, transient deep prejudice
    CHAOTIC_DEEP = 2  # chi > 1, c* = 1: gradients explode, deep prejudice, transient for ReLU
    PREJUDICE = 3  # chi > 1, 1/2 < c* < 1: gradients explode, 1 < gamma < inf
    NEUTRALITY = 4  # chi > 1, c* <= 1/2: gradients explode, gamma <= 1

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """The name used in figures and tables."""
        return ("ordered, deep prejudice", "edge of chaos", "chaotic, deep prejudice", "prejudice", "neutrality")[self]


@dataclass(frozen=True)
class PhaseGrid(FixedPoint):
    """The fixed point and the phase over a grid; all maps have shape (len(sigma_b2), len(sigma_w2))."""

    sigma_w2: np.ndarray
    sigma_b2: np.ndarray
    phase: np.ndarray


def critical_sigma_w2(
    activation: Activation | str,
    sigma_b2: ArrayLike = 0.0,
    pool: Pool | None = None,
    criterion: str | None = None,
) -> np.ndarray:
    """The edge of chaos: sigma_w2 at which chi = 1 at the fixed point, for each sigma_b2 >= 0.

    criterion: "gradient" (chi = 1), or "signal" (sigma_w2 E[g^2] = q, defined for homogeneous activations only; for
    others every sigma_w2 has a variance that it keeps). None is "gradient", with the warning NoCommonEdge where the two
    differ: a pooled homogeneous activation has kinks where g is not zero, and then chi = 1 needs a larger sigma_w2
    than the variance does; signal/gradient is the slope of the correlation map at c = 1 for every sigma_w2.
    Returns the shape of sigma_b2; nan, with the warning NoEdge, where no edge is found at variances up to 1e4.
    Piecewise-linear activations have the same value for every sigma_b2, though for sigma_b2 > 0 their variance then
    grows without bound.  For GELU and its like with a small sigma_b2 (GELU: below 0.173) the variance that has chi = 1
    is an unstable fixed point, which the warning UnstableEdge says: networks that start below it settle in the ordered
    phase, and from above it the variance runs away, to a larger fixed point (GELU from 0.150 on: to 19.1 at 0.16) or
    without end.
    Raises ParameterError for other criteria or a negative sigma_b2.
    Source: Schoenholz et al. 2017, section 3; the paper's edge of chaos.
    """
    activation, sigma_b2 = get_activation(activation), finite("sigma_b2", sigma_b2, 0)
    sigma_w2, stable = edge_line(activation, sigma_b2, pool, criterion, stacklevel=3)
    who = activation.name + (f" with {pool}" if pool else "")
    none, loose = np.isnan(sigma_w2), ~np.isnan(sigma_w2) & ~stable
    if none.any():
        warnings.warn(
            f"sigma_b2={float(sigma_b2[none].flat[0]):g}: {who} has no edge of chaos there, hence nan: at no variance "
            "up to 1e4 that a layer keeps is chi = 1; a border of phase_grid is where the variance starts to diverge.",
            NoEdge,
            stacklevel=2,
        )
    if loose.any():
        warnings.warn(
            f"sigma_b2={float(sigma_b2[loose].flat[0]):g}: on the edge of chaos of {who} the variance is not stable: "
            "from below it falls into the ordered phase, from above it runs away; take a larger sigma_b2.",
            UnstableEdge,
            stacklevel=2,
        )
    return sigma_w2


def edge_line(
    activation: Activation | str,
    sigma_b2: ArrayLike,
    pool: Pool | None = None,
    criterion: str | None = "gradient",
    stacklevel: int = 2,
) -> tuple[np.ndarray, np.ndarray]:
    """critical_sigma_w2 without a word where there is none, and whether the variance is stable there.

    Both of the shape of sigma_b2; a variance that is kept whatever it is, that of piecewise-linear activations, counts
    as stable.
    """
    activation, sigma_b2 = get_activation(activation), finite("sigma_b2", sigma_b2, 0)
    kernel, one = pooled_kernel(activation, pool), np.ones(())
    if criterion not in (None, "gradient", "signal"):
        raise ParameterError(f'criterion={criterion!r}: choose "gradient" or "signal".')
    if activation.homogeneous:
        gradient, signal = float(1 / kernel.square_slope(one)), float(1 / kernel.second_moment(one))
        if criterion is None and abs(signal / gradient - 1) > 1e-9:
            warnings.warn(
                f"{activation.name} with {pool}: the gradient is kept at sigma_w2 = {gradient:.7g}, returned here, the "
                f'signal at {signal:.7g}, and no value keeps both; say which with criterion="gradient" or "signal".',
                NoCommonEdge,
                stacklevel=stacklevel,
            )
        sigma_w2 = np.full(sigma_b2.shape, signal if criterion == "signal" else gradient)[()]
        return sigma_w2, np.ones(sigma_b2.shape, dtype=bool)
    if criterion == "signal":
        raise ParameterError(
            f'criterion="signal" selects no value for {activation.name}: every sigma_w2 has a variance that it keeps, '
            'see MeanField.fixed_point; use criterion="gradient".'
        )
    sigma_w2, q = _line(kernel, sigma_b2, lambda q: 1 / kernel.square_slope(q))
    found = ~np.isnan(q)
    slope = np.full(q.shape, np.nan)
    slope[found] = sigma_w2[found] * kernel.variance_slope(np.maximum(q[found], _LEAST_Q))
    return sigma_w2[()], slope < 1 + 1e-7


def neutral_sigma_w2(activation: Activation | str, sigma_b2: ArrayLike = 0.0, pool: Pool | None = None) -> np.ndarray:
    """The neutrality line: sigma_w2 at which c* = 1/2, so gamma* = 1, for each sigma_b2 >= 0.

    Returns the shape of sigma_b2; nan where none is found at variances up to 1e4 (piecewise-linear activations have no
    neutral phase, nor has tanh with MaxPool(k) for k > 2).  At sigma_b2 = 0 it is the end of the line, where the
    variance vanishes.
    Raises ParameterError for a negative sigma_b2.  Source: the paper's phase diagram.
    """
    activation, sigma_b2 = get_activation(activation), finite("sigma_b2", sigma_b2, 0)
    kernel = pooled_kernel(activation, pool)
    if activation.homogeneous:
        return np.full(sigma_b2.shape, np.nan)[()]
    half = np.full((), 0.5)
    return _line(kernel, sigma_b2, lambda q: q / 2 / kernel.deviation(q, half))[0][()]


def _line(
    kernel: Kernel, sigma_b2: np.ndarray, sigma_w2_at: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """A line of the phase diagram, on which sigma_w2 is a known function of the fixed point's variance q: both.

    Along it sigma_b2(q) = q - sigma_w2(q) E[phi^2]: solved for q by bracketing on a grid, then root finding.
    """

    def sigma_b2_at(q: np.ndarray) -> np.ndarray:
        bias = q - sigma_w2_at(q) * kernel.second_moment(q)
        return np.where(np.abs(bias) < 1e-12 * q, 0.0, bias)

    def excess(log_q: np.ndarray, target: np.ndarray) -> np.ndarray:
        return sigma_b2_at(np.exp(log_q)) - target

    target, grid, bias = sigma_b2.ravel(), np.empty(0), np.empty(0)
    for block in _LOG_Q:
        grid, bias = np.append(grid, block), np.append(bias, sigma_b2_at(np.exp(block)))
        if bias.max() > target.max(initial=0):
            break
    if bias[bias != 0][:1] < 0:  # q -> 0 is a point of the line only if a line sets out from there
        bias = np.where(np.cumsum(bias != 0) == 0, -np.inf, bias)
    reached = bias >= target[:, None]
    first = np.argmax(reached, axis=1)
    log_q = np.where(reached.any(axis=1), grid[first], np.nan)
    inner = first > 0
    bracket = (grid[first[inner] - 1], grid[first[inner]])
    log_q[inner] = find_root(excess, bracket, args=(target[inner],), tolerances={"xatol": 1e-13}).x
    found, line = ~np.isnan(log_q), np.full(target.shape, np.nan)
    line[found] = sigma_w2_at(np.exp(log_q[found]))
    return line.reshape(sigma_b2.shape), np.exp(log_q).reshape(sigma_b2.shape)


def classify(
    activation: Activation | str,
    *,
    sigma_w2: ArrayLike,
    sigma_b2: ArrayLike,
    pool: Pool | None = None,
    tolerance: float = EDGE_TOLERANCE,
) -> Phase | np.ndarray:
    """The phase of each (sigma_w2, sigma_b2): one Phase for scalars, else an integer array equal to Phase members.

    tolerance: |chi - 1| up to this counts as the edge.  Raises ParameterError as MeanField does.
    """
    at = MeanField(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2, pool=pool).fixed_point()
    phase = _phase(at, float(finite("tolerance", tolerance, 0)))
    return phase if phase.ndim else Phase(int(phase))


def phase_grid(
    activation: Activation | str, sigma_w2: ArrayLike, sigma_b2: ArrayLike, pool: Pool | None = None
) -> PhaseGrid:
    """Fixed points and phases over the grid of sigma_w2 (n,) and sigma_b2 (m,); maps of shape (m, n).

    Raises ParameterError as MeanField does, and for a pair of numbers in round brackets, which would be two points
    where a range may be meant.
    """
    for name, value in (("sigma_w2", sigma_w2), ("sigma_b2", sigma_b2)):
        if isinstance(value, tuple) and len(value) == 2:
            raise ParameterError(
                f"{name}={value!r}: need the points of the grid; np.linspace({value[0]}, {value[1]}, 100) for a "
                f"range, for these two points [{value[0]}, {value[1]}]."
            )
    w2, b2 = np.atleast_1d(finite("sigma_w2", sigma_w2, 0, open_low=True), finite("sigma_b2", sigma_b2, 0))
    at = MeanField(activation, sigma_w2=w2[None, :], sigma_b2=b2[:, None], pool=pool).fixed_point()
    return PhaseGrid(at.q, at.one_minus_c, at.chi, w2, b2, _phase(at, EDGE_TOLERANCE))


def _phase(at: FixedPoint, tolerance: float) -> np.ndarray:
    regions = [
        (np.abs(at.chi - 1) <= tolerance, Phase.EDGE),
        (at.chi < 1, Phase.ORDERED),
        (at.one_minus_c == 0, Phase.CHAOTIC_DEEP),
        (at.one_minus_c < 0.5, Phase.PREJUDICE),
    ]
    return np.select([where for where, _ in regions], [phase for _, phase in regions], Phase.NEUTRALITY)
