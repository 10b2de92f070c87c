"""The inverse question: which initialisation gives a wanted bias?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from igbrepro.checks import finite, whole
from igbrepro.errors import ParameterError
from igbrepro.theory.activations import Activation, get_activation
from igbrepro.theory.class_fraction import ClassFraction, c_from_gamma
from igbrepro.theory.mean_field import MeanField, Trajectory
from igbrepro.theory.phases import EDGE_TOLERANCE, edge_line
from igbrepro.theory.pools.pool import Pool
from igbrepro.theory.roots import brent_root

LARGEST_SIGMA_B2 = 1e3  # gamma grows with sigma_b2 without bound; here the search ends
ROUNDING = 1e-12  # smallest c that is told from 0
_SCAN = np.append(0.0, np.geomspace(1e-8, LARGEST_SIGMA_B2, 23))
_RANGE = np.geomspace(0.3, 30, 24)


@dataclass(frozen=True)
class Design:
    """An initialisation on the edge of chaos, and what it gives at the head of a network of `depth` activations.

    sigma_w2, sigma_b2: raw variances.  gamma, q: of the logits at infinite width.
    """

    activation: Activation
    depth: int
    pool: Pool | None
    sigma_w2: float
    sigma_b2: float
    gamma: float
    q: float

    def max_fraction(self, n_classes: int = 2) -> float:
        """Mean share of its favourite class before training, over networks, for infinitely many inputs."""
        return ClassFraction(self.gamma, n_classes).mean_max()


def design(
    activation: Activation | str,
    depth: int,
    target_gamma: float,
    *,
    pool: Pool | None = None,
    norm2: float = 1.0,
    input_correlation: float = 0.0,
    criterion: str = "gradient",
) -> Design:
    """The initialisation on the edge of chaos whose logits, after `depth` activations, have gamma = target_gamma.

    One parameter is free on the edge, sigma_b2 in [0, LARGEST_SIGMA_B2]; sigma_w2 is its critical_sigma_w2.  Networks
    are fully connected or of such statistics, h^(1) = W x + b with |x|^2 / d = norm2 and the correlation
    input_correlation >= 0 of every pair of inputs.
    With sigma_b2 gamma rises from a least value without bound (biases are common to all inputs), except for small
    sigma_b2, where it may fall first, for smooth activations and correlated inputs. Of several sigma_b2 with that gamma
    the largest is taken: it sits at its fixed point the soonest.  Points at which the network would not stay (GELU and
    its like with small sigma_b2, see critical_sigma_w2) are left out.
    criterion: of critical_sigma_w2.
    Raises ParameterError for a gamma out of reach, with the range that is in reach.
    """
    line = _Line(activation, depth, pool, norm2, input_correlation, criterion)
    target = float(finite("target_gamma", target_gamma, 0))
    scan, gammas = line.scan()
    if target < gammas.min():
        scan, gammas = line.with_least(scan, gammas)
        if np.isclose(target, gammas.min(), rtol=1e-9, atol=1e-12):
            return line.at(scan[np.argmin(gammas)])
    if not gammas.min() <= target <= gammas.max():
        raise ParameterError(
            f"target_gamma={target_gamma!r}: out of reach of {line} at depth={line.depth}, whose gamma on the edge of "
            f"chaos goes from {gammas.min():.4g} to {gammas.max():.4g} (sigma_b2 up to {LARGEST_SIGMA_B2:g}); "
            "take another depth or activation, or keep the body and centre the head "
            "(igbrepro.initialization.center_head_)."
        )
    above = gammas > target
    crossings = np.flatnonzero(above[:-1] != above[1:])
    if not len(crossings):  # the target is the largest of all
        return line.at(scan[np.argmax(gammas)])
    low, high = scan[crossings[-1]], scan[crossings[-1] + 1]

    def excess(sigma_b2: float) -> float:
        return float(line.gamma(sigma_b2)) - target

    if low == 0:
        return line.at(brent_root(excess, low, high, xtol=1e-30, rtol=1e-14, maxiter=1000))
    return line.at(np.exp(brent_root(lambda x: excess(np.exp(x)), np.log(low), np.log(high), xtol=1e-14)))


def reachable_gamma(
    activation: Activation | str,
    depth: int,
    *,
    pool: Pool | None = None,
    norm2: float = 1.0,
    input_correlation: float = 0.0,
    criterion: str = "gradient",
) -> tuple[float, float]:
    """(least, largest) gamma that `design` can give after `depth` activations, arguments as there.

    The least is 0 for odd activations and independent inputs, and about depth^2 / RELU_KAPPA for deep ReLU networks
    (laws/edge.py); the largest is that at LARGEST_SIGMA_B2, or the last sigma_b2 at which an edge is known.
    Raises ParameterError where there is no edge to be on.
    """
    line = _Line(activation, depth, pool, norm2, input_correlation, criterion)
    _, gammas = line.with_least(*line.scan())
    return float(gammas.min()), float(gammas.max())


class _Line:
    """The edge of chaos as a curve over sigma_b2, and the logits of the networks on it."""

    def __init__(
        self,
        activation: Activation | str,
        depth: int,
        pool: Pool | None,
        norm2: float,
        correlation: float,
        criterion: str,
    ) -> None:
        self.activation, self.depth, self.pool = get_activation(activation), whole("depth", depth, 1), pool
        self.criterion = criterion
        self.norm2 = float(finite("norm2", norm2, 0, open_low=True))
        self.correlation = float(finite("input_correlation", correlation, 0, 1))

    def __str__(self) -> str:
        return self.activation.name + (f" with {self.pool}" if self.pool else "")

    def points(self, sigma_b2: ArrayLike) -> tuple[np.ndarray, Trajectory, np.ndarray]:
        """sigma_w2, the trajectory from the inputs to the logits, and whether this is an edge: all (..., of sigma_b2).

        Where there is none the first two say nothing.
        """
        sigma_b2 = np.asarray(sigma_b2, dtype=float)
        found, _ = edge_line(self.activation, sigma_b2, self.pool, self.criterion)
        sigma_w2 = np.where(np.isnan(found), 1.0, found)
        field = MeanField(self.activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2, pool=self.pool)
        path = from_inputs(field, self.depth, self.norm2, self.correlation)
        there = np.isfinite(found) & np.isfinite(path.q[-1])
        if not self.activation.homogeneous:
            there &= np.abs(field.fixed_point(path.q[0]).chi - 1) < EDGE_TOLERANCE
        return sigma_w2, path, there

    def gamma(self, sigma_b2: ArrayLike) -> np.ndarray:
        """gamma of the logits; nan off the edge."""
        _, path, there = self.points(sigma_b2)
        return np.where(there, _gamma(path), np.nan)

    def scan(self) -> tuple[np.ndarray, np.ndarray]:
        """The sigma_b2 of the scan at which there is an edge, and their gamma >= 0."""
        gammas = self.gamma(_SCAN)
        there = ~np.isnan(gammas)
        if not there.any():
            raise ParameterError(
                f"activation={self.activation.name!r}: {self} has no edge of chaos at which networks stay, for any "
                f"sigma_b2 up to {LARGEST_SIGMA_B2:g}; take another activation or pool."
            )
        return _SCAN[there], gammas[there]

    def with_least(self, sigma_b2: np.ndarray, gammas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A scan with the point of least gamma put in, if that lies between two of its points (or beyond its ends)."""
        least = int(np.argmin(gammas))
        if sigma_b2[least] == 0:
            return sigma_b2, gammas
        k = int(np.flatnonzero(_SCAN == sigma_b2[least])[0])
        low, high = np.log(_SCAN[max(k - 1, 1)]), np.log(_SCAN[min(k + 1, len(_SCAN) - 1)])

        def height(log_sigma_b2: float) -> float:
            gamma = float(self.gamma(np.exp(log_sigma_b2)))
            return np.inf if np.isnan(gamma) else gamma

        found: Any = minimize_scalar(height, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
        if found.fun >= gammas[least]:
            return sigma_b2, gammas
        at = int(np.searchsorted(sigma_b2, np.exp(found.x)))
        return np.insert(sigma_b2, at, np.exp(found.x)), np.insert(gammas, at, found.fun)

    def at(self, sigma_b2: float) -> Design:
        """The design with this sigma_b2."""
        sigma_w2, path, _ = self.points(sigma_b2)
        return Design(
            self.activation,
            self.depth,
            self.pool,
            float(sigma_w2),
            float(sigma_b2),
            float(_gamma(path)),
            float(path.q[-1]),
        )


def _gamma(path: Trajectory) -> np.ndarray:
    """gamma of the logits; 0 where their c is too small to be told from rounding."""
    return np.where(path.c[-1] < ROUNDING, 0.0, path.gamma[-1])


def sigma_w2_for_gamma(
    gamma: float, activation: Activation | str, *, sigma_b2: float, depth: int, norm2: float = 1.0
) -> float:
    """The largest sigma_w2 in [0.3, 30] at which gamma takes this value after `depth` activations, at a given sigma_b2.

    For uncorrelated inputs with |x|^2 / d = norm2; on the edge of chaos it is not, for which see `design`.
    Raises ParameterError where no sigma_w2 does, as for bias-free ReLU, whose gamma does not depend on sigma_w2.
    """
    target, norm2 = float(c_from_gamma(gamma)), float(finite("norm2", norm2, 0, open_low=True))

    def excess(sigma_w2: np.ndarray | float) -> np.ndarray:
        path = from_inputs(MeanField(activation, sigma_w2=sigma_w2, sigma_b2=sigma_b2), depth, norm2)
        return path.c[-1] - target

    above = excess(_RANGE) > 0
    crossings = np.flatnonzero(above[:-1] != above[1:])
    if not len(crossings):
        low, high = _RANGE[[0, -1]]
        raise ParameterError(
            f"gamma={gamma!r}: not reached by {activation} at depth={depth}, sigma_b2={sigma_b2} for any sigma_w2 in "
            f"[{low:g}, {high:g}]; change gamma or sigma_b2."
        )
    i = crossings[-1]
    return brent_root(excess, _RANGE[i], _RANGE[i + 1], xtol=1e-10)


def from_inputs(mean_field: MeanField, depth: int, norm2: float = 1.0, correlation: float = 0.0) -> Trajectory:
    """The trajectory from h^(1) = W x + b on, for inputs with |x|^2 / d = norm2 and this correlation of every pair."""
    signal = mean_field.sigma_w2 * norm2
    q0 = signal + mean_field.sigma_b2
    return mean_field.trajectory(depth, q0=q0, c0=np.minimum((signal * correlation + mean_field.sigma_b2) / q0, 1.0))


def trajectory_from(mean_field: MeanField, inputs: ArrayLike, depth: int) -> Trajectory:
    """The trajectory of given inputs (n, ...), from h^(1) = W x + b on, at their mean |x|^2 / d and mean overlap.

    Pairs of one mean overlap stand for all pairs; data_kernel follows each by itself.
    Raises ParameterError for fewer than 2 inputs.
    """
    x = finite("inputs", inputs, -np.inf)
    if x.ndim < 2 or len(x) < 2:
        raise ParameterError(f"inputs: shape {x.shape}; need (n, ...) with n >= 2 inputs.")
    n, x = len(x), x.reshape(len(x), -1)
    square = np.square(x).sum() / x.size
    overlap = (np.square(x.sum(0)).sum() / x.size - square) / (n - 1)
    q0 = mean_field.sigma_w2 * square + mean_field.sigma_b2
    c0 = (mean_field.sigma_w2 * overlap + mean_field.sigma_b2) / q0
    return mean_field.trajectory(depth, q0=q0, c0=np.minimum(c0, 1.0))


def from_independent_inputs(mean_field: MeanField, depth: int, norm2: float = 1.0) -> Trajectory:
    """The same for uncorrelated inputs: only biases correlate."""
    return from_inputs(mean_field, depth, norm2)
