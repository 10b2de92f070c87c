"""What batch normalisation in front of an activation does to the start of a residual network, and to its training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from igbrepro.errors import ParameterError


def block_gamma(stages: Sequence[int], scale: float | None = None, n: int = 400_000, seed: int = 0) -> np.ndarray:
    """gamma after every block of a normalised ReLU ResNet, from numbers alone: (blocks,), one a block.

    stages, scale: as in ResNetSpec.  n: numbers that stand for the values of a node over many inputs.
    A normalised convolution is taken to be standard normal over the inputs in every node, and independent of what it is
    added to. So a stage begins with h = relu(u + r v) and goes on with h' = relu(h + r v), with new normal u, v each
    time; all nodes have one law, and gamma = E[h]^2 / Var[h].  Ours.
    Raises ParameterError for no stages.
    """
    if not stages:
        raise ParameterError("stages=(): need at least one stage.")
    r, rng = 1.0 if scale is None else scale, np.random.default_rng(seed)
    found = []
    h = np.maximum(rng.standard_normal(n), 0)  # the stem
    for stage, blocks in enumerate(stages):
        if stage > 0:
            h = rng.standard_normal(n)  # the shortcut of a new stage is a normalised convolution too
        for _ in range(blocks):
            h = np.maximum(h + r * rng.standard_normal(n), 0)
            found.append(h.mean() ** 2 / h.var())
    return np.array(found)


def normalised_weights(model: nn.Module) -> list[nn.Parameter]:
    """The convolutional weights of a model made from ResNetSpec(norm=True), each of which a norm follows.

    Raises ParameterError for a model without batch normalisation, or with convolutions that have biases.
    """
    found = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not found or len(norms) < len(found) or any(module.bias is not None for module in found):
        raise ParameterError("model: need batch normalisation after every convolution, as in ResNetSpec(norm=True).")
    return [module.weight for module in found]


@torch.no_grad()
def rescale_(model: nn.Module, factor: float, eps: float | None = None) -> nn.Module:
    """Multiply every normalised weight in place; eps: set that of all norms (1e-30 makes the invariance exact)."""
    for weight in normalised_weights(model):
        weight.mul_(factor)
    if eps is not None:
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.eps = eps
    return model


def adam_losses(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], lr: float, lr_normalised: float
) -> np.ndarray:
    """Mean cross-entropy of each batch (inputs, labels) before its update by Adam, (n_batches,); trains the model.

    lr_normalised: learning rate of the normalised weights, lr: of all others.  Adam's own epsilon is negligible
    (1e-30), so that it ignores the size of gradients.
    """
    special = normalised_weights(model)
    ids = {id(weight) for weight in special}
    others = [p for p in model.parameters() if id(p) not in ids]
    optimizer = torch.optim.Adam([{"params": special, "lr": lr_normalised}, {"params": others}], lr=lr, eps=1e-30)
    model.train()
    losses = []
    for inputs, labels in batches:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            break
    return np.array(losses)


def gradient_size(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Norm of the gradient of the mean cross-entropy with respect to all normalised weights, in training mode."""
    model.train()
    loss = F.cross_entropy(model(inputs), labels)
    parts = torch.autograd.grad(loss, normalised_weights(model))
    return math.sqrt(sum(float(part.square().sum()) for part in parts))
