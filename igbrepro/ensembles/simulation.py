"""Ensembles of finite random networks: what the theory's averages become at a width and a data size one can have.

>>> spec = MLPSpec("tanh", depth=30, width=1000, input_shape=(784,))
>>> result = simulate(spec, InitSpec(1.5, 0.1), gaussian_inputs(100, 784, seed=0), n_networks=20, seed=1)
>>> result.summary("gamma")          # one row a layer: mean, standard error, median and quantiles over networks
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from numbers import Integral

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from tqdm import tqdm

from igbrepro.ensembles.results import EnsembleResult, Snapshot
from igbrepro.ensembles.sampler import SAMPLERS, DenseSampler, GramSampler, NormalStream, Preactivations, gram
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.modules import torch_activation, torch_pool
from igbrepro.networks import MLPSpec

__all__ = ["EnsembleResult", "Snapshot", "gaussian_inputs", "simulate"]

Inputs = ArrayLike | Callable[[np.random.Generator], ArrayLike]


def gaussian_inputs(
    n: int,
    dim: int,
    seed: int | np.random.Generator,
    correlation: float = 0.0,
    norm2: ArrayLike = 1.0,
    exact: bool = False,
) -> NDArray[np.float64]:
    """n Gaussian inputs of `dim` features, shape (n, dim), with a given norm and correlation.

    norm2: |x_a|^2 / dim, one number or one for each input.  correlation: x_a . x_b / (|x_a| |x_b|) of every pair.
    exact=False: expected values, of jointly normal features; the pairs of a sample scatter by about 1/sqrt(dim).
    exact=True: this sample's own norms and correlations have these very values, so that every pair of inputs starts
    where the theory does; needs dim >= n.
    Raises ParameterError for sizes below 1 (n below 2), norm2 <= 0, or correlation outside [-1/(n-1), 1].
    """
    _whole("n", n, 2)
    _whole("dim", dim, 1)
    norm2 = np.asarray(norm2, dtype=float)
    if norm2.shape not in ((), (n,)) or not np.all(np.isfinite(norm2) & (norm2 > 0)):
        raise ParameterError(f"norm2={norm2!r}: need one mean square > 0, or one for each of the {n} inputs.")
    if not -1 / (n - 1) <= correlation <= 1:
        raise ParameterError(f"correlation={correlation!r}: {n} inputs can share {-1 / (n - 1):.4g} to 1 only.")
    if exact and dim < n:
        raise ParameterError(f"dim={dim}: exact correlations of n={n} inputs need dim >= n; or take exact=False.")
    x = np.random.default_rng(seed).standard_normal((n, dim))
    if exact:
        left, _, right = np.linalg.svd(x, full_matrices=False)
        x = math.sqrt(dim) * (left @ right)  # the orthogonal frame nearest to x
    apart, together = math.sqrt(1 - correlation), math.sqrt(max(0.0, 1 + (n - 1) * correlation))
    x = apart * x + (together - apart) * x.mean(0)  # the symmetric root of the equicorrelated n x n matrix
    return np.sqrt(norm2)[..., None] * x


@torch.no_grad()
def simulate(
    spec: MLPSpec,
    init: InitSpec,
    inputs: Inputs,
    *,
    n_networks: int,
    seed: int,
    method: str = "gram",
    n_heads: int = 100,
    heads_at_every_layer: bool = False,
    keep_layers: Iterable[int] = (),
    keep_nodes: int = 16,
    quantile_levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "float64",
    progress: bool | None = None,
) -> EnsembleResult:
    """Draw `n_networks` random networks of `spec` under `init`, feed them `inputs`, and measure every layer.

    inputs: (n, ...) array with spec.input_size features each, n >= 2, the same for all networks; or a function of a
        NumPy generator that returns such an array, called once for each network.
    seed: network i depends on (seed, i) alone, not on n_networks. Numbers differ between methods and devices.
    method: "gram", the exact sampler of pre-activations, or "dense", which draws the weights. They sample one law;
        "gram" is the faster by about width / n, and for widths below n the slower.
    n_heads: independent heads of spec.n_classes nodes on each body. The last layer has max(width, n_heads * n_classes)
        nodes of the law of the logits, of which the heads are the first.
    heads_at_every_layer: read heads out of each layer too, from groups of its own nodes.
    keep_layers: layers (0..depth) of which a Snapshot is kept, with the pre-activations of `keep_nodes` nodes.
    quantile_levels: of the correlations c_ab over pairs of inputs.
    device: None is the CPU.  dtype: "float64" or "float32"; at any depth sigma_y2/sigma_mu2 is right down to the square
        of its precision, about 1e-31 or 1e-14.
    progress: a bar on stderr; None shows it on a terminal only.

    Returns an EnsembleResult (NumPy). Ctrl-C says how many networks were done.
    Raises ParameterError for unknown names, sizes out of range, and inputs that are too few, misshapen or not finite.
    """
    _whole("n_networks", n_networks, 1)
    _whole("seed", seed, 0)
    if method not in SAMPLERS:
        close = "".join(f"; did you mean {name!r}?" for name in get_close_matches(str(method), SAMPLERS, n=1))
        raise ParameterError(f"method={method!r}: need 'gram' or 'dense'{close}")
    device, dtype = _place(device, dtype)
    reading = _Reading(spec, n_heads, heads_at_every_layer, tuple(keep_layers), keep_nodes, tuple(quantile_levels))
    phi, pool = torch_activation(spec.activation), None if spec.pool is None else torch_pool(spec.pool)
    shared = None if callable(inputs) else _checked(inputs, spec)
    sampler = None
    bar = tqdm(total=n_networks, unit="network", disable=None if progress is None else not progress)
    done = 0
    try:
        for network in range(n_networks):
            normal = NormalStream(seed, network, device)
            array = _checked(inputs(normal.inputs), spec) if shared is None else shared
            if sampler is None:
                sampler = SAMPLERS[method](init, len(array), device, dtype)
                recorder = _Recorder(reading, n_networks, len(array))
            elif len(array) != sampler.n_inputs:
                raise ParameterError(f"inputs: {len(array)} for network {network}, {sampler.n_inputs} before it.")
            x = torch.tensor(array, device=device, dtype=dtype)
            stream = None
            for layer, nodes in enumerate(reading.nodes):
                pre = (
                    _windows(spec, sampler, x, nodes, normal) if layer < spec.depth else sampler.draw(x, nodes, normal)
                )
                if spec.residual is not None and layer < spec.depth:
                    stream = _add(stream, pre, spec.residual)
                    pre = Preactivations(stream.mean, stream.deviations.clone())
                h = recorder.record(network, layer, pre)
                if h is None:
                    break
                x = phi(h) if pool is None else pool(phi(h))
            done += 1
            bar.update()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"simulate: stopped after {done} of {n_networks} networks") from None
    finally:
        bar.close()
    return recorder.result(init, method, seed)


def _windows(
    spec: MLPSpec, sampler: GramSampler | DenseSampler, x: Tensor, nodes: int, normal: NormalStream
) -> Preactivations:
    """One hidden layer; where the pool's nodes are correlated, each is made of one part of its own and a shared one."""
    rho = 0.0 if spec.pool is None else spec.pool.correlation
    if rho == 0:
        return sampler.draw(x, nodes, normal)
    pre = sampler.draw(x, nodes + nodes // spec.pool.k, normal)

    def mix(values: Tensor) -> Tensor:
        shared = values[..., nodes:].repeat_interleave(spec.pool.k, dim=-1)
        return math.sqrt(1 - rho) * values[..., :nodes] + math.sqrt(rho) * shared

    return Preactivations(mix(pre.mean), mix(pre.deviations))


def _add(stream: Preactivations | None, block: Preactivations, scale: float) -> Preactivations:
    """stream + scale * block in tensors of its own; the block itself below the first residual layer."""
    if stream is None:
        return Preactivations(block.mean.clone(), block.deviations.clone())
    return Preactivations(*(old.add(new, alpha=scale) for old, new in zip(stream, block, strict=True)))


@dataclass(frozen=True)
class _Reading:
    """What is measured; see simulate. nodes: how many each layer has."""

    spec: MLPSpec
    n_heads: int
    heads_at_every_layer: bool
    keep_layers: tuple[int, ...]
    keep_nodes: int
    quantile_levels: tuple[float, ...]

    def __post_init__(self) -> None:
        spec = self.spec
        _whole("n_heads", self.n_heads, 1)
        _whole("keep_nodes", self.keep_nodes, 1)
        if any(not isinstance(layer, Integral) or not 0 <= layer <= spec.depth for layer in self.keep_layers):
            raise ParameterError(f"keep_layers={self.keep_layers!r}: layers are integers, 0 to depth={spec.depth}.")
        if not all(0 <= level <= 1 for level in self.quantile_levels):
            raise ParameterError(f"quantile_levels={self.quantile_levels!r}: need levels between 0 and 1.")
        if self.heads_at_every_layer and self.n_heads * spec.n_classes > spec.width:
            raise ParameterError(
                f"n_heads={self.n_heads}: heads of {spec.n_classes} classes at every layer of width {spec.width} "
                f"leave room for n_heads <= {spec.width // spec.n_classes}."
            )

    @property
    def nodes(self) -> list[int]:
        return [self.spec.width] * self.spec.depth + [max(self.spec.width, self.n_heads * self.spec.n_classes)]

    @property
    def head_layers(self) -> list[int]:
        return list(range(self.spec.depth + 1)) if self.heads_at_every_layer else [self.spec.depth]


class _Recorder:
    """Measures layer after layer into arrays with one row a network; what is never measured stays nan."""

    def __init__(self, reading: _Reading, n_networks: int, n_inputs: int) -> None:
        def blank(*shape: int) -> NDArray[np.float64]:
            return np.full((n_networks, *shape), np.nan)

        self._reading, self._n_inputs = reading, n_inputs
        layers = reading.spec.depth + 1
        self._statistics = {name: blank(layers) for name in PER_LAYER}
        self._statistics["pair_c_quantiles"] = blank(layers, len(reading.quantile_levels))
        self._fractions = blank(len(reading.head_layers), reading.n_heads, reading.spec.n_classes)
        self._snapshots = {
            layer: Snapshot(
                node_mean=blank(nodes),
                node_variance=blank(nodes),
                covariance=blank(n_inputs, n_inputs),
                preactivations=blank(min(nodes, reading.keep_nodes), n_inputs),
            )
            for layer, nodes in enumerate(reading.nodes)
            if layer in reading.keep_layers
        }

    def record(self, network: int, layer: int, pre: Preactivations) -> Tensor | None:
        """Measure one layer; returns h (n, nodes), in place of the deviations, or None if it has overflowed."""
        nodes = len(pre.mean)
        with np.errstate(over="ignore", invalid="ignore"):
            within = gram(pre.deviations).numpy(force=True).astype(np.float64) / nodes
        cross = (pre.deviations @ pre.mean).numpy(force=True).astype(np.float64) / nodes
        mean2 = float(pre.mean @ pre.mean) / nodes
        if not (math.isfinite(mean2) and np.isfinite(within).all()):
            self._statistics["q"][network, layer:] = np.inf
            return None
        for name, value in layer_statistics(mean2, cross, within, self._reading.quantile_levels).items():
            self._statistics[name][network, layer] = value
        snapshot = self._snapshots.get(layer)
        if snapshot is not None:
            snapshot.node_mean[network] = pre.mean.numpy(force=True)
            snapshot.node_variance[network] = pre.deviations.var(0).numpy(force=True)
            snapshot.covariance[network] = mean2 + cross[:, None] + cross + within
        h = pre.deviations.add_(pre.mean)
        if snapshot is not None:
            snapshot.preactivations[network] = h[:, : self._reading.keep_nodes].T.numpy(force=True)
        if layer in self._reading.head_layers:
            fractions = _class_fractions(h, self._reading.n_heads, self._reading.spec.n_classes)
            self._fractions[network, self._reading.head_layers.index(layer)] = fractions.numpy(force=True)
        return h

    def result(self, init: InitSpec, method: str, seed: int) -> EnsembleResult:
        """All that was recorded."""
        return EnsembleResult(
            spec=self._reading.spec,
            init=init,
            method=method,
            seed=seed,
            n_inputs=self._n_inputs,
            quantile_levels=self._reading.quantile_levels,
            class_fractions=self._fractions[:, -1],
            layer_class_fractions=self._fractions if self._reading.heads_at_every_layer else None,
            snapshots=self._snapshots,
            **self._statistics,
        )


def layer_statistics(
    mean2: float, cross: NDArray[np.floating], within: NDArray[np.floating], quantile_levels: Sequence[float]
) -> dict[str, float | NDArray[np.float64]]:
    """Unbiased statistics of one layer from its second moments over nodes i, h_ai = mu_i + d_ai, sum_a d_ai = 0.

    mean2: <mu^2>.  cross: <d_a mu>, (n,).  within: <d_a d_b>, (n, n).
    1 - c_ab comes from the distance of h_a and h_b less the difference of their lengths, which keeps its digits where
    all h_a are nearly one vector: 1 - c_ab = (|h_a - h_b|^2 - (|h_a| - |h_b|)^2) / (2 |h_a| |h_b|). An input whose
    signal has died has no correlation, and statistics over pairs are then nan.
    """
    n = len(cross)
    variance = np.trace(within) / n
    sigma_y2 = variance * n / (n - 1)
    a, b = _pairs(n)
    own = np.diagonal(within)
    deviation2 = 2 * cross + own  # |h_a|^2 = mean2 + deviation2_a
    length2 = mean2 + deviation2
    length = np.sqrt(np.where(length2 > 1e-14 * (mean2 + variance), length2, np.nan))
    distance2 = own[a] + own[b] - 2 * within[a, b]
    difference = (deviation2[a] - deviation2[b]) / (length[a] + length[b])
    one_minus_c = np.maximum(distance2 - difference**2, 0) / (2 * length[a] * length[b])
    return {
        "q": mean2 + variance,
        "sigma_y2": sigma_y2,
        "sigma_mu2": mean2 - sigma_y2 / n,
        "pair_one_minus_c": one_minus_c.mean(),
        "pair_c_std": one_minus_c.std(),
        "pair_c_quantiles": np.quantile(1 - one_minus_c, quantile_levels),
    }


PER_LAYER = ("q", "sigma_y2", "sigma_mu2", "pair_one_minus_c", "pair_c_std")


@lru_cache(maxsize=1)
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(n, 1)


def _class_fractions(h: Tensor, n_heads: int, n_classes: int) -> Tensor:
    """Share of inputs in each class, (n_heads, n_classes), of heads made of the first nodes of h (n, nodes)."""
    winner = h[:, : n_heads * n_classes].unflatten(1, (n_heads, n_classes)).argmax(-1)
    return torch.stack([(winner == k).to(torch.float64).mean(0) for k in range(n_classes)], dim=-1)


def _checked(inputs: ArrayLike, spec: MLPSpec) -> NDArray[np.float64]:
    """The inputs as a finite array (n, input_size), n >= 2."""
    x = np.asarray(inputs, dtype=np.float64)
    if x.ndim < 2 or math.prod(x.shape[1:]) != spec.input_size:
        raise ParameterError(
            f"inputs: shape {x.shape}, need (n, {spec.input_size}) for input_shape={spec.input_shape}."
        )
    if len(x) < 2:
        raise ParameterError(f"inputs: {len(x)} of them; a variance over inputs needs 2 or more.")
    if not np.isfinite(x).all():
        raise ParameterError(f"inputs: {np.count_nonzero(~np.isfinite(x))} values are not finite; clean the data.")
    return x.reshape(len(x), -1)


def _place(device: str | torch.device | None, dtype: str | torch.dtype) -> tuple[torch.device, torch.dtype]:
    """A device that works and holds the dtype."""
    types = {"float64": torch.float64, "float32": torch.float32}
    name = str(dtype).removeprefix("torch.")
    if name not in types:
        raise ParameterError(f"dtype={dtype!r}: need 'float64' or 'float32'.")
    dtype = types[name]
    try:
        device = torch.device("cpu" if device is None else device)
        torch.empty(0, device=device, dtype=dtype)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ParameterError(f"device={device!r}: no {dtype} there ({error}); device=None is the CPU.") from error
    return device, dtype


def _whole(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ParameterError(f"{name}={value!r}: need a whole number, {least} or more.")
