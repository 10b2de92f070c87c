"""Windows of a pooled convolutional network: how correlated their nodes are, measured and, for averages, predicted.

Two correlations matter. That of the *nodes* of a window, rho, decides how much of the signal a pool hands on. That of
the *gradients* of neighbouring windows decides how much of the gradient it passes back, since a node that is a member
of several windows gets the sum of what they send.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from igbrepro.data import Dataset
from igbrepro.errors import ParameterError
from igbrepro.modules import WindowPool
from igbrepro.networks import CNNSpec, build
from igbrepro.probes import Node, batch_of, carrier, layer_table, norms_by_batch, trace, undisturbed
from igbrepro.runs import Run
from igbrepro.theory import RELU, AveragePool, MaxPool, Pool, critical_sigma_w2

COLUMNS = ["layer", "q", "rho", "handed_on", "gradient_rho", "passed_back"]


def factor(pool: Pool, criterion: str, rho: ArrayLike) -> np.ndarray:
    """What a pool after ReLU hands on of the "signal", or passes back of the "gradient", at window correlations rho."""
    at = np.clip(rho, 0, 1)
    gains = [critical_sigma_w2(RELU, pool=replace(pool, correlation=r), criterion=criterion) for r in at]
    return 1 / np.array(gains, dtype=float)


def window_means(run: Run, dataset: Dataset, n_images: int, n_networks: int) -> pd.DataFrame:
    """`window_table` of n_networks untrained networks on n_images test images; columns as of a stored run.

    Metrics are its columns, step the layer; split: "mean" and "std_error" over networks; of average-pools "theory",
    that of `average_window_theory`; of max-pools "each window", what the first layer hands on by theory if every window
    has its own correlation, a mean over up to 100 networks.
    """
    inputs = dataset.subset(n_test=n_images, seed=run.seed).inputs("test", flat=False)
    models = [_untrained(run, number) for number in range(n_networks)]
    tables = pd.concat([window_table(model, inputs) for model in models]).groupby("layer")
    found = {"mean": tables.mean(), "std_error": tables.sem()}
    pool = run.spec.pool
    if isinstance(pool, AveragePool):
        found["theory"] = average_window_theory(run.spec, inputs).set_index("layer")
    long = [table.reset_index().melt("layer", var_name="metric").assign(split=split) for split, table in found.items()]
    rows = pd.concat(long).rename(columns={"layer": "step"})
    if isinstance(pool, MaxPool):
        roots = np.linspace(0, 1, 101)  # of 1 - rho, in which the factor is smooth
        curve, pixels, own = factor(pool, "signal", 1 - roots**2), torch.as_tensor(inputs), []
        for model in models[:100]:
            with torch.no_grad():
                q, rho = window_correlations(model[0](pixels), 2)
            own.append(np.average(np.interp(np.sqrt(1 - np.clip(rho, 0, 1)), roots, curve), weights=q))
        each = {"step": 1, "split": "each window", "metric": "handed_on", "value": np.mean(own)}
        rows = pd.concat([rows, pd.DataFrame([each])])
    return rows


def profile(run: Run, dataset: Dataset, n_images: int, n_networks: int) -> pd.DataFrame:
    """q, gradient and weight_gradient of `layer_table` of n_networks untrained networks on n_images test images.

    Network by network; columns as of a stored run, step the stage, from 0.
    """
    images, rows = dataset.subset(n_test=n_images, seed=run.seed), []
    inputs, labels = images.inputs("test", flat=False), images.labels("test")
    for number in range(n_networks):
        table = layer_table(_untrained(run, number), inputs, labels)
        for metric in ("q", "gradient", "weight_gradient"):
            rows += [(step, f"network {number}", metric, value) for step, value in enumerate(table[metric])]
    return pd.DataFrame(rows, columns=["step", "split", "metric", "value"])


def _untrained(run: Run, number: int) -> nn.Module:
    return build(run.spec, run.init, torch.Generator().manual_seed(1000 * run.seed + number))


def window_correlations(h: Tensor, side: int, stride: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Mean square q of the nodes of every window of side x side of h (n, channels, H, W), and their correlation rho.

    Both (n, windows down, windows across), with means over channels and members.  rho is the mean over pairs of
    positions of E[x_i x_j], uncentred, over q; 0 where all nodes are.  stride: of the windows; with 1 the image is
    continued periodically.
    Raises ParameterError for a side below 2.
    """
    if side < 2:
        raise ParameterError(f"side={side!r}: a window of one node has no pairs; need 2 or more.")
    k, shifts = side**2, product(range(side), repeat=2)
    nodes = torch.stack([torch.roll(h.double(), (-i, -j), (2, 3))[:, :, ::stride, ::stride] for i, j in shifts])
    q = nodes.square().mean((0, 2))
    of_mean = nodes.mean(0).square().mean(1)  # q (1 + (k - 1) rho) / k
    rho = torch.where(q > 0, (k * of_mean / q - 1) / (k - 1), 0)
    return q.numpy(force=True), rho.numpy(force=True)


def window_correlation(h: Tensor, side: int, stride: int = 1) -> float:
    """The correlation of two nodes of one window over all windows, each counted with its mean square."""
    q, rho = window_correlations(h, side, stride)
    return float(np.average(rho, weights=q))


def window_table(model: nn.Module, inputs: ArrayLike | Tensor, *, seed: int = 0) -> pd.DataFrame:
    """What every WindowPool of a model of any kind does to given inputs (n, channels, H, W), one row for each use.

    The model is run twice in eval mode and left as it was; norms as in probes.norms_by_batch.
    Columns:
        layer: number of the pool, from 1.  q: mean square of the nodes in front of its activation.
        rho: correlation of those nodes within a window, as window_correlation gives it.
        handed_on: mean square of the pool's outputs over q, so that sigma_w2 times it is the growth of q in the layer.
        gradient_rho: correlation of the gradients of its outputs within a window, of f, a random combination of the
            logits (weights from `seed`).
        passed_back: squared gradient of one node in front of the activation over that of one output of the pool.
    Raises ParameterError for a model without a WindowPool, or one that does not use those it has.
    """
    pools = {name: module for name, module in model.named_modules() if isinstance(module, WindowPool)}
    if not pools:
        raise ParameterError("model: has no WindowPool; build a CNNSpec with a pool.")
    x = batch_of(inputs, model)
    with undisturbed(model, norms_by_batch(model)):
        outline, _ = trace(model, x)
    applied = [node for node in outline.nodes if node.kind == "pool" and node.name in pools]
    if not applied:
        raise ParameterError("model: none of its WindowPools is applied to what comes from the inputs.")
    uses = [(pools[node.name], _nodes_of(node).index, node.index) for node in applied]
    kept = {index: torch.empty(0) for _, *indices in uses for index in indices}

    def keep(node: Node, tensor: Tensor) -> Tensor:
        if node.index not in kept:
            return tensor
        kept[node.index] = tensor if tensor.requires_grad else tensor.requires_grad_()
        return tensor.clone()  # for what comes after, which may work in place

    with undisturbed(model, norms_by_batch(model)), torch.enable_grad():
        _, logits = trace(model, x, on_tensor=keep)
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(seed)).to(logits)
    found = torch.autograd.grad((weights * logits).sum(), list(kept.values()))
    gradients = dict(zip(kept, found, strict=True))
    rows = []
    for number, (pool, front, end) in enumerate(uses, 1):
        before, after, back, sent = kept[front].detach(), kept[end].detach(), gradients[front], gradients[end]
        q = float(before.double().square().mean())
        rows.append(
            (
                number,
                q,
                window_correlation(before, pool.side, pool.stride),
                float(after.double().square().mean()) / q,
                window_correlation(sent, pool.side),
                float(back.double().square().mean() / sent.double().square().mean()),
            )
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _nodes_of(pool: Node) -> Node:
    """What the activation in front of a pool is applied to; where there is none, what the pool itself reads."""
    node = carrier(pool.parents)
    while node.name == pool.name or node.kind == "activation":  # its own padding, and the activation
        node = carrier(node.parents)
    return node


def average_window_theory(spec: CNNSpec, images: ArrayLike) -> pd.DataFrame:
    """window_table at infinitely many channels, for average-pools of stride 1 on given images (n, channels, H, W).

    The covariance of every two positions of an image is followed through convolutions, activations and pools, and that
    of the gradients back from the head, whose weights make those of different positions independent. Nothing is
    measured and no sigma_w2 enters: without biases a homogeneous network's correlations do not depend on it.
    Columns as in window_table, q at sigma_w2 = 1.
    Raises ParameterError unless the activation is homogeneous (ReLU and its like) and every layer is average-pooled
    with stride 1.
    Source: the infinite-channel kernel of convolutional networks (Novak et al. 2019), with pools in every layer.
    """
    all_pooled = all(spec.has_pool(layer) for layer in range(1, spec.depth + 1))
    if not (
        isinstance(spec.pool, AveragePool) and spec.pool_stride == 1 and all_pooled and spec.activation.homogeneous
    ):
        raise ParameterError(
            f"spec={spec!r}: known for homogeneous activations, average-pooled with stride 1 throughout."
        )
    images = np.asarray(images, dtype=float)
    n, channels = images.shape[:2]
    pixels = images.reshape(n, channels, -1)
    kernel, one = spec.activation.kernel, np.ones(())
    signal = np.einsum("ncp,ncr->npr", pixels, pixels) / channels
    size, forward, convolutions = spec.input_shape[1:], [], []
    for layer in range(1, spec.depth + 1):
        gather = _gather(size, spec.kernel, spec.stride(layer), -(spec.kernel // 2))
        nodes = np.mean([signal[:, at][:, :, at] for at in gather], axis=0)
        size = spec.sizes[layer - 1]
        q = np.einsum("npp->np", nodes)
        scale = np.sqrt(q[:, :, None] * q[:, None, :])
        c = np.clip(nodes / np.where(scale > 0, scale, 1), -1, 1)
        windows = _gather(size, spec.pool_side, 1, 0)
        pool = np.zeros((len(q[0]), len(q[0])))
        for at in windows:
            pool[np.arange(len(at)), at] += 1 / len(windows)
        signal = pool @ (scale * kernel.covariance(one, one, c)) @ pool.T
        forward.append((q.mean(), _window_mean(nodes, windows), np.einsum("npp->", signal) / q.sum()))
        convolutions.append((gather, windows, pool, kernel.slope_covariance(np.ones_like(c), 1 - c)))
    sent, backward = np.broadcast_to(np.eye(len(pool)), signal.shape), []
    for gather, windows, pool, slopes in reversed(convolutions):
        back = slopes * (pool.T @ sent @ pool)
        ratio = np.einsum("npp->", back) / np.einsum("npp->", sent)
        backward.append((_window_mean(sent, windows), ratio))
        below = np.zeros((n, *2 * (int(gather.max()) + 1,)))
        for at in gather:
            below[:, at[:, None], at] += back
        sent = below
    rows = [(layer, *f, *b) for layer, f, b in zip(range(1, spec.depth + 1), forward, reversed(backward), strict=True)]
    return pd.DataFrame(rows, columns=COLUMNS)


def _gather(size: Sequence[int], side: int, stride: int, start: int) -> np.ndarray:
    """Flat indices (side^2, positions) of the members of every window of an image continued periodically."""
    height, width = size
    rows, columns = np.arange(0, height, stride), np.arange(0, width, stride)
    offsets = range(start, start + side)
    return np.array(
        [
            (((rows + i) % height)[:, None] * width + (columns + j) % width).ravel()
            for i, j in product(offsets, repeat=2)
        ]
    )


def _window_mean(covariance: np.ndarray, windows: np.ndarray) -> float:
    """As window_correlation, from the covariances (n, positions, positions) of the nodes."""
    pairs = np.mean([covariance[:, a, b].mean() for a, b in combinations(windows, 2)])
    return float(pairs / np.einsum("npp->np", covariance).mean())
