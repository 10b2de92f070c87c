"""Residual layers with the activation after the sum, x' = phi(x + r (W x + b)), at infinite width.

Their nodes are not normal: each is a Markov chain x' = phi(x + xi) with a normal kick xi of covariance
r^2 (sigma_w2 E[x_a x_b] + sigma_b2) over the inputs, fresh in every layer, E being the mean over nodes. The kick of two
inputs depends on their own products alone, so that the law of a pair follows from the law of that pair in the layer
before. Here it is carried along as a density on a grid, of which the activation moves the mass and the kick smooths it.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from scipy import sparse
from scipy.fft import next_fast_len

from igbrepro.checks import finite, whole
from igbrepro.errors import ParameterError
from igbrepro.theory.mean_field import MeanField, Trajectory

_PER_KICK = 5  # grid points in one standard deviation of the kick
_COARSEST = 0.15  # spacing where phi has a scale of its own
_PER_GAP = 3  # grid points in the root mean square of x_a - x_b, as far as
_REFINED = 1000  # nodes on an axis allow it
_REACH = 7.5  # standard deviations of the kick beyond the last mass
_NEGLIGIBLE = 1e-13
_POINTS, _WEIGHTS = (one.copy() for one in np.polynomial.legendre.leggauss(4))
LARGEST_GRID = 3000
"""Nodes on an axis: more are refused, the chain is then too wide for its kick."""


def post_activation_trajectory(
    mean_field: MeanField, depth: int, *, residual: float, q0: float = 1.0, c0: float = 0.0
) -> Trajectory:
    """q, c and chi of a network of `depth` hidden layers: x^(0) = W x + b, depth - 1 such layers, and a linear head.

    mean_field: of the plain layer, one point (sigma_w2, sigma_b2).  residual: r.  q0 > 0, c0 in [-1, 1]: variance and
    correlation of x^(0), which is normal.
    Arrays are (depth + 1,): q = E[x_a^2] and c = E[x_a x_b] / q after as many layers, E being the mean over nodes, with
    no mean taken off; the last are those of the logits.  chi is the growth of squared gradients from a layer to the one
    before it, of a gradient that comes from the head; its product over the first depth - 1 layers is that of the whole
    body, and the last two are sigma_w2, of the head.  It depends on all layers above, as phi flattens some nodes and
    not others: E[g^2 | x] is carried down.
    Errors of the grid are below 1e-3 of q and of gradients, and below 1e-2 of 1 - c while that is above 1e-3.
    Raises ParameterError for values outside these ranges, and for r so small that no grid of feasible size resolves it.
    """
    depth = whole("depth", depth, 1)
    r, q, c = (
        finite("residual", residual, 0, open_low=True),
        finite("q0", q0, 0, open_low=True),
        finite("c0", c0, -1, 1),
    )
    plain = mean_field.pool is None and mean_field.residual is None and not mean_field.shape
    if not plain or r.size * q.size * c.size > 1:
        raise ParameterError(
            f"mean_field={mean_field!r}: need one plain layer without pool or residual, and one residual, q0 and c0."
        )
    w2, b2 = float(mean_field.sigma_w2), float(mean_field.sigma_b2)
    pairs, chain = [_Pair(q.item(), q.item() * c.item())], _Chain(mean_field, r.item())
    for _ in range(depth - 1):
        pairs.append(chain.step(pairs[-1]))
    gradients = chain.gradients()
    squares, products = np.array([*pairs, _Pair(*(w2 * one + b2 for one in pairs[-1]))]).T
    apart = np.maximum(squares - products, 0) / squares
    chi = np.append(gradients[:-1] / gradients[1:], [w2, w2])
    return Trajectory(squares, apart, chi)


class _Pair(NamedTuple):
    """E[x_a^2] and E[x_a x_b]."""

    q: float
    product: float


class _Grid(NamedTuple):
    """Nodes first * spacing, (first + 1) * spacing, ...; 0 is one of them, so that a kink there lies between cells."""

    spacing: float
    first: int
    n: int

    @property
    def nodes(self) -> np.ndarray:
        return self.spacing * (self.first + np.arange(self.n))


class _Chain:
    """The law of one node for a pair of inputs, layer after layer, as that of u = x + xi on a grid."""

    def __init__(self, mean_field: MeanField, r: float) -> None:
        self._phi = mean_field.activation
        self._w2, self._b2, self._r2 = r**2 * float(mean_field.sigma_w2), r**2 * float(mean_field.sigma_b2), r**2
        self._density: np.ndarray | None = None
        self._grid = _Grid(1.0, 0, 1)
        self._layers: list[_Layer] = []

    def _make_grid(self, spacing: float, gap: float, low: float, high: float) -> _Grid:
        """Nodes from low to high with this spacing, or the smaller one `gap` as far as _REFINED nodes go.

        A gap much smaller than that is lost anyway.
        """
        finest = (high - low) / _REFINED
        spacing = min(spacing, max(gap, finest)) if gap > finest / 10 else spacing
        first, last = int(np.floor(low / spacing)), int(np.ceil(high / spacing))
        n = int(cast(Any, next_fast_len(last - first + 1, real=True)))
        if n > LARGEST_GRID:
            raise ParameterError(
                f"residual={np.sqrt(self._r2):.3g}: layers that change so little need a grid of {n} points an axis, "
                f"more than {LARGEST_GRID}; take a larger residual."
            )
        return _Grid(spacing, first, n)

    def step(self, pair: _Pair) -> _Pair:
        """One layer: x -> u = x + xi -> phi(u).  The first starts from a normal x."""
        kick = np.array([self._w2 * pair.q + self._b2, self._w2 * pair.product + self._b2])
        spacing = np.sqrt(kick[0]) / _PER_KICK
        if not self._phi.homogeneous:
            spacing = min(spacing, _COARSEST)
        gap = np.sqrt(2 * max(pair.q - pair.product, 0)) / _PER_GAP
        if self._density is None:
            reach = _REACH * np.sqrt(kick[0] + pair.q)
            grid = self._make_grid(spacing, gap, -reach, reach)
            at_zero = np.zeros((grid.n, grid.n))
            at_zero[-grid.first, -grid.first] = 1.0
            self._density = _smoothed(at_zero, grid, kick + pair)
        else:
            along = self._density.sum(1)
            kept = np.flatnonzero(np.minimum(along.cumsum(), along[::-1].cumsum()[::-1]) > _NEGLIGIBLE)
            image = self._phi(self._grid.nodes[kept])
            reach = _REACH * np.sqrt(kick[0])
            grid = self._make_grid(spacing, gap, min(image.min(), 0) - reach, max(image.max(), 0) + reach)
            points, interpolate, weights = _rule(self._grid)
            deposit = _deposit(self._phi(points), grid)
            move = deposit @ sparse.diags_array(weights) @ interpolate
            slopes = sparse.diags_array(weights * self._phi.derivative(points) ** 2)
            self._layers[-1] = self._layers[-1]._replace(onward=deposit @ slopes @ interpolate)
            self._density = _smoothed(move @ (move @ self._density).T, grid, kick)
        self._grid, along = grid, self._density.sum(1)
        points, interpolate, weights = _rule(grid)
        value, slopes = self._phi(points), self._phi.derivative(points) ** 2
        self._layers.append(_Layer(grid, kick[0], along, interpolate.T @ (weights * slopes), None))
        q = float((weights * value**2) @ (interpolate @ along))
        first = interpolate.T @ (weights * value)
        return _Pair(q, min(float(first @ self._density @ first), q))

    def gradients(self) -> np.ndarray:
        """E[g^2] in x^(0), x^(1), .. of a gradient that is 1 in the last of them, whatever x is there.

        A unit hands it down along the skip, with the kick's law between one x and the next, and by the weights to all
        nodes alike.
        """
        found, below = [1.0], None
        for layer in self._layers[::-1]:
            if below is None or layer.onward is None:
                value = layer.slopes
            else:
                kicked, shared = below
                value = layer.onward.T @ (kicked + shared)
            mean = float(value @ layer.law)
            found.append((1 + self._w2) * mean)
            below = _smoothed_line(value, layer.grid, layer.kick), self._w2 * mean
        return np.array(found[::-1])


class _Layer(NamedTuple):
    """What gradients need of one layer: the variance of its kick, the law of u and phi'(u)^2 dx on its grid.

    slopes: integrates phi'(u)^2 over a law of u.  onward: takes a law of u to one of phi(u) on the next grid, times
    phi'(u)^2; None for the last layer.
    """

    grid: _Grid
    kick: float
    law: np.ndarray
    slopes: np.ndarray
    onward: sparse.csr_array | None


def _smoothed(mass: np.ndarray, grid: _Grid, covariance: np.ndarray) -> np.ndarray:
    """Masses (n, n) on the grid after a normal kick of variances covariance[0] and covariance[1] between inputs."""
    own, shared = covariance
    k = 2 * np.pi * np.fft.fftfreq(grid.n, grid.spacing)
    j = 2 * np.pi * np.fft.rfftfreq(grid.n, grid.spacing)
    exponent = own * (k[:, None] ** 2 + j**2) / 2 + shared * np.multiply.outer(k, j)
    return np.fft.irfft2(np.fft.rfft2(mass) * np.exp(-exponent), mass.shape)


def _smoothed_line(mass: np.ndarray, grid: _Grid, variance: float) -> np.ndarray:
    k = 2 * np.pi * np.fft.rfftfreq(grid.n, grid.spacing)
    return np.fft.irfft(np.fft.rfft(mass) * np.exp(-variance * k**2 / 2), grid.n)


def _rule(grid: _Grid) -> tuple[np.ndarray, sparse.csr_array, np.ndarray]:
    """Gauss-Legendre points of all cells, the matrix that interpolates a function of the nodes there, and weights.

    Weights are in units of the spacing: densities are kept as masses, density times spacing.
    """
    fractions = (np.arange(grid.n - 1)[:, None] + (1 + _POINTS) / 2).ravel()
    return (
        grid.spacing * (grid.first + fractions),
        _cubic(fractions, grid.n),
        np.tile(_WEIGHTS / 2, grid.n - 1),
    )


def _deposit(values: np.ndarray, grid: _Grid) -> sparse.csr_array:
    """Columns that put a mass at each of `values` on four nodes, with its moments up to the third."""
    return _cubic(np.clip(values / grid.spacing - grid.first, 0, grid.n - 1), grid.n).T


def _cubic(places: np.ndarray, n: int) -> sparse.csr_array:
    """Cubic Lagrange interpolation from nodes 0, 1, .. n - 1 to places between them: a matrix (len(places), n)."""
    start = np.clip(np.floor(places).astype(int) - 1, 0, n - 4)
    t = places - start
    coefficients = [
        -(t - 1) * (t - 2) * (t - 3) / 6,
        t * (t - 2) * (t - 3) / 2,
        -t * (t - 1) * (t - 3) / 2,
        t * (t - 1) * (t - 2) / 6,
    ]
    columns = start[:, None] + np.arange(4)
    rows = np.repeat(np.arange(len(places)), 4)
    return sparse.csr_array((np.stack(coefficients, 1).ravel(), (rows, columns.ravel())), (len(places), n))
