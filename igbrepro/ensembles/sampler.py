"""Two samplers of one law: the next layer of a random network, given the activations of the layer before.

Take n activation vectors x_a of fan-in N (rows of X, shape (n, N)). The pre-activations W x_a + b of one node, with
W ~ N(0, sigma_w2 / N) and b ~ N(0, sigma_b2), are jointly Gaussian over the inputs a, with covariance
K = sigma_w2 X X^T / N + sigma_b2 1 1^T, and nodes are independent of each other. `GramSampler` draws from that law
through a factor of the n x n matrix K, exactly, without ever holding W. `DenseSampler` draws W: the reference.

Both return the mean over inputs of every node apart from the deviations from it, so that sigma_y2 keeps its digits
when all inputs have nearly one image.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import helmert
from torch import Tensor

from igbrepro.initialization import InitSpec

DENSE_BLOCK = 2**23  # weights drawn at a time: 64 MiB in float64, so width 10,000 needs no 800 MB matrix


class NormalStream:
    """Standard normal draws that depend on (seed, index) alone, so network i is the same in an ensemble of any size.

    On the CPU they come from NumPy, whose float64 normals take half the time of torch's; elsewhere from the device's
    own generator. `inputs` is a separate NumPy generator, for drawing fresh inputs.
    """

    def __init__(self, seed: int, index: int, device: torch.device) -> None:
        weights, inputs = np.random.SeedSequence(seed, spawn_key=(index,)).spawn(2)
        self.inputs = np.random.default_rng(inputs)
        self._numpy = np.random.Generator(np.random.SFC64(weights))
        self._torch = None
        if device.type != "cpu":
            self._torch = torch.Generator(device).manual_seed(int(weights.generate_state(1, np.uint64)[0] >> 1))

    def fill_(self, out: Tensor) -> Tensor:
        """Overwrite the contiguous tensor `out` with independent N(0, 1) draws and return it."""
        if self._torch is not None:
            return out.normal_(generator=self._torch)
        array = out.numpy()
        self._numpy.standard_normal(out=array, dtype=array.dtype.type)
        return out


class Preactivations(NamedTuple):
    """One layer, h_a = mean + deviations_a: mean (width,) over the inputs, deviations (n, width) that sum to zero."""

    mean: Tensor
    deviations: Tensor


def centre_(x: Tensor) -> Tensor:
    """Subtract the mean over rows in place and return it; rows that are all one leave exact zeros."""
    first = x[0].clone()
    x -= first
    mean = x.mean(0)
    x -= mean
    return mean.add_(first)


def gram(x: Tensor) -> Tensor:
    """x x^T, shape (n, n), of a contiguous matrix of shape (n, N)."""
    if x.device.type != "cpu":
        return x @ x.T
    array = x.numpy()
    return torch.from_numpy(array @ array.T)  # NumPy sees the symmetry and does half the work


class _Sampler:
    """Holds the law and the buffers. What `draw` returns is overwritten by the next call."""

    def __init__(self, init: InitSpec, n_inputs: int, device: torch.device, dtype: torch.dtype) -> None:
        self.init = init
        self.n_inputs = n_inputs
        self._like = {"device": device, "dtype": dtype}
        self._buffers: dict[str, Tensor] = {}

    def _buffer(self, name: str, *shape: int) -> Tensor:
        if name not in self._buffers or self._buffers[name].shape != shape:
            self._buffers[name] = torch.empty(shape, **self._like)
        return self._buffers[name]


class GramSampler(_Sampler):
    """The exact sampler: O(n^2 (width + fan_in)) work and n normal draws a node.

    The mean over inputs m is factored first; then the deviations D = X - 1 m, less their part along m, through their
    Gram matrix in an orthonormal basis of the complement of 1. Deep in the ordered phase, where K is nearly of rank
    one, D thus has a factor of its own and loses no digits to m. No jitter is ever added: where the Gram matrix of the
    deviations is too ill-conditioned for Cholesky, a thin QR of the deviations themselves takes its place.
    """

    def __init__(self, init: InitSpec, n_inputs: int, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__(init, n_inputs, device, dtype)
        self._basis = torch.as_tensor(helmert(n_inputs), **self._like)  # (n - 1, n): orthonormal rows, orthogonal to 1
        self._least_pivot = 1e3 * torch.finfo(dtype).eps
        self.n_qr = 0  # layers that needed the thin QR

    def draw(self, x: Tensor, width: int, normal: NormalStream) -> Preactivations:
        """Pre-activations of `width` nodes above the activations x (n, fan_in), which are used up (overwritten)."""
        scale, factor = self.factor(x)
        z = normal.fill_(self._buffer("normal", factor.shape[1], width))
        deviations = torch.mm(factor, z, out=self._buffer("preactivations", self.n_inputs, width))
        return Preactivations(z[0] * scale, deviations)

    def factor(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The law of one node as (scale, A), A of shape (n, k): mean scale z_0 and deviations A z, with z ~ N(0, 1_k).

        Overwrites x with its deviations less their part along the mean. A bias is one more feature of every input,
        sigma_b, which lengthens the mean and takes no part in the deviations.
        """
        unit = math.sqrt(self.init.sigma_w2 / x.shape[1])
        mean = centre_(x)
        length = torch.linalg.vector_norm(mean)
        direction = mean / length if length > 0 else mean
        along = unit * torch.mv(x, direction)
        x.addr_(along, direction, alpha=-1 / unit)

        legs = torch.stack([unit * length, torch.as_tensor(math.sqrt(self.init.sigma_b2), **self._like)])
        scale = torch.linalg.vector_norm(legs)
        share, bias_share = legs / scale if scale > 0 else legs
        first = self._basis @ (along * share)
        rest = self._rest_factor(x, unit, self._basis @ (along * bias_share))
        return scale, self._basis.T @ torch.cat([first[:, None], rest], dim=1)

    def _rest_factor(self, x: Tensor, unit: float, extra: Tensor) -> Tensor:
        """F of shape (n - 1, k) with F F^T = unit^2 B x x^T B^T + extra extra^T, B the basis."""
        target = self._basis @ (gram(x) * unit**2) @ self._basis.T + torch.outer(extra, extra)
        trace = target.trace()
        if trace == 0 or not torch.isfinite(trace):
            return (extra * trace)[:, None]
        factor, info = torch.linalg.cholesky_ex(target / trace)
        pivots = factor.diagonal() ** 2
        if info == 0 and pivots.min() > self._least_pivot * pivots.max():
            return factor * trace.sqrt()
        self.n_qr += 1
        features = torch.cat([unit * (self._basis @ x), extra[:, None]], dim=1)
        return torch.linalg.qr(features.T, mode="r").R.T


class DenseSampler(_Sampler):
    """The reference: the weights themselves, O(n fan_in width) work, drawn in blocks of rows."""

    def draw(self, x: Tensor, width: int, normal: NormalStream) -> Preactivations:
        """Pre-activations of `width` nodes above the activations x (n, fan_in)."""
        fan_in = x.shape[1]
        rows = min(width, max(1, DENSE_BLOCK // fan_in))
        h = self._buffer("preactivations", self.n_inputs, width)
        weights = self._buffer("weights", rows, fan_in)
        for start in range(0, width, rows):
            block = normal.fill_(weights[: width - start])
            h[:, start : start + rows] = x @ block.T
        h *= math.sqrt(self.init.sigma_w2 / fan_in)
        h += math.sqrt(self.init.sigma_b2) * normal.fill_(torch.empty(width, **self._like))
        return Preactivations(centre_(h), h)


SAMPLERS = {"gram": GramSampler, "dense": DenseSampler}
