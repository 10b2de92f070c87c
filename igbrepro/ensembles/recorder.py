"""The statistics of one layer of one network, and the arrays in which an ensemble gathers them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from igbrepro.ensembles.results import EnsembleResult, Snapshot
from igbrepro.ensembles.sampler import Preactivations, gram
from igbrepro.ensembles.settings import Measure
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec

PER_LAYER = ("q", "sigma_y2", "sigma_mu2", "pair_one_minus_c", "pair_c_std")


class Recorder:
    """Measures layer after layer into arrays with one row a network; what is never measured stays nan."""

    def __init__(self, spec: MLPSpec, measure: Measure, n_networks: int, n_inputs: int) -> None:
        def blank(*shape: int) -> NDArray[np.float64]:
            return np.full((n_networks, *shape), np.nan)

        self._spec, self._measure, self._n_inputs = spec, measure, n_inputs
        self._levels, self._head_layers = tuple(measure.quantile_levels), measure.head_layers(spec)
        layers = spec.depth + 1
        self._statistics = {name: blank(layers) for name in PER_LAYER}
        self._statistics["pair_c_quantiles"] = blank(layers, len(self._levels))
        self._fractions = blank(len(self._head_layers), measure.n_heads, spec.n_classes)
        self._snapshots = {
            layer: Snapshot(
                node_mean=blank(nodes),
                node_variance=blank(nodes),
                covariance=blank(n_inputs, n_inputs),
                preactivations=blank(min(nodes, measure.keep_nodes), n_inputs),
            )
            for layer, nodes in enumerate(measure.nodes(spec))
            if layer in tuple(measure.keep_layers)
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
        for name, value in layer_statistics(mean2, cross, within, self._levels).items():
            self._statistics[name][network, layer] = value
        snapshot = self._snapshots.get(layer)
        if snapshot is not None:
            snapshot.node_mean[network] = pre.mean.numpy(force=True)
            snapshot.node_variance[network] = pre.deviations.var(0).numpy(force=True)
            snapshot.covariance[network] = mean2 + cross[:, None] + cross + within
        h = pre.deviations.add_(pre.mean)
        if snapshot is not None:
            snapshot.preactivations[network] = h[:, : self._measure.keep_nodes].T.numpy(force=True)
        if layer in self._head_layers:
            fractions = _class_fractions(h, self._measure.n_heads, self._spec.n_classes)
            self._fractions[network, self._head_layers.index(layer)] = fractions.numpy(force=True)
        return h

    def result(self, init: InitSpec, method: str, seed: int) -> EnsembleResult:
        """All that was recorded."""
        return EnsembleResult(
            spec=self._spec,
            init=init,
            method=method,
            seed=seed,
            n_inputs=self._n_inputs,
            quantile_levels=self._levels,
            class_fractions=self._fractions[:, -1],
            layer_class_fractions=self._fractions if self._measure.heads_at_every_layer else None,
            snapshots=self._snapshots,
            **self._statistics,
        )


def layer_statistics(
    mean2: float, cross: NDArray[np.floating], within: NDArray[np.floating], quantile_levels: Iterable[float]
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
        "pair_c_quantiles": np.quantile(1 - one_minus_c, tuple(quantile_levels)),
    }


@lru_cache(maxsize=1)
def _pairs(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return np.triu_indices(n, 1)


def _class_fractions(h: Tensor, n_heads: int, n_classes: int) -> Tensor:
    """Share of inputs in each class, (n_heads, n_classes), of heads made of the first nodes of h (n, nodes)."""
    winner = h[:, : n_heads * n_classes].unflatten(1, (n_heads, n_classes)).argmax(-1)
    return torch.stack([(winner == k).to(torch.float64).mean(0) for k in range(n_classes)], dim=-1)
