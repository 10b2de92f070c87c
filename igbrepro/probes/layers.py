"""What a network of any kind does to given inputs, layer by layer: the numbers of the theory, measured."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.vision_transformer import EncoderBlock

from igbrepro.errors import ParameterError
from igbrepro.modules import ResidualBlock
from igbrepro.probes.modes import batch_of, norms_by_batch, undisturbed
from igbrepro.probes.recording import recording

BLOCKS = (ResidualBlock, BasicBlock, Bottleneck, EncoderBlock)  # read as a whole, at their outputs
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def stages(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers with weights of a model, in the order of registration; residual and encoder blocks count as one."""
    if isinstance(module, BLOCKS + LAYERS):
        yield name, module
        return
    for key, child in module.named_children():
        yield from stages(child, f"{name}.{key}" if name else key)


def layer_table(
    model: nn.Module, inputs: ArrayLike | Tensor, labels: ArrayLike | None = None, *, seed: int = 0
) -> pd.DataFrame:
    """Signals and gradients after every stage of a model, one row each, in the order in which they are computed.

    inputs: (n, ...), n >= 2, on which the model runs once.  Every value of a stage's output is a node, whatever its
    channel and position.  Batch normalisation uses the statistics of these inputs in training mode, and in eval mode
    where it has none of its own (`norms_by_batch`).  The model is left as it was.
    Columns:
        layer, kind: name and class of the module.
        q: mean square of a node.  sigma_mu2, sigma_y2, gamma: unbiased, over inputs and nodes.
        c: mean over pairs of inputs of the cosine of their nodes.
        gradient: mean over inputs of |d f / d h|^2, summed over nodes, f a random combination of the logits
            (weights from `seed`), relative to the last layer.  chi: its growth from the layer after to this one.
        weight_gradient: with labels (n,), mean square over the parameters of a stage of the gradient of the mean
            cross-entropy.
    Raises ParameterError for fewer than two inputs, or a model without such stages.
    """
    found = list(stages(model))
    if not found:
        raise ParameterError("model: has no linear or convolutional layer to look at.")
    x = batch_of(inputs, model)
    with undisturbed(model, norms_by_batch(model)), torch.enable_grad(), recording(found) as calls:
        logits = model(x.requires_grad_() if x.is_floating_point() else x)
    outputs = [(name, module, out) for name, module, _, out in calls]
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(seed)).to(logits)
    signals = [out for _, _, out in outputs]
    gradients = torch.autograd.grad((weights * logits).sum(), signals, retain_graph=labels is not None)
    rows = [{"layer": name, "kind": type(module).__name__, **signal(out.detach())} for name, module, out in outputs]
    table = pd.DataFrame(rows)
    size = np.array([float(g.double().square().flatten(1).sum(1).mean()) for g in gradients])
    with np.errstate(divide="ignore", invalid="ignore"):
        table["gradient"] = size / size[-1]
        table["chi"] = np.append(size[:-1] / size[1:], np.nan)
    if labels is not None:
        loss = F.cross_entropy(logits, torch.as_tensor(np.asarray(labels), device=logits.device))
        parts = [[p for p in module.parameters() if p.requires_grad] for _, module, _ in outputs]
        trained = [p for part in parts for p in part]
        flat = iter(torch.autograd.grad(loss, trained, allow_unused=True) if trained else ())
        squares = [[(next(flat), p.numel()) for p in part] for part in parts]
        table["weight_gradient"] = [
            sum(float(g.double().square().sum()) for g, _ in part if g is not None) / max(sum(n for _, n in part), 1)
            for part in squares
        ]
    return table


def signal(h: Tensor) -> dict[str, float]:
    """Second moments of one stage over inputs and nodes, from its output (n, ...).

    c comes as 1 - c, the variance over inputs of their unit vectors, summed over nodes: no digits are lost near 1.
    """
    h = h.flatten(1)
    h = h if h.dtype in (torch.float32, torch.float64) else h.float()
    lengths = torch.linalg.vector_norm(h, dim=1)
    sigma_y2 = float(h.var(0).mean(dtype=torch.float64))
    sigma_mu2 = float(h.mean(0).square().mean(dtype=torch.float64)) - sigma_y2 / len(h)
    apart = float((h / lengths.clamp_min(torch.finfo(h.dtype).tiny)[:, None]).var(0).sum(dtype=torch.float64))
    return {
        "q": float(lengths.double().square().sum()) / h.numel(),
        "c": 1 - apart if lengths.any() else 0.0,
        "gamma": np.inf if sigma_y2 == 0 else sigma_mu2 / sigma_y2,
        "sigma_mu2": sigma_mu2,
        "sigma_y2": sigma_y2,
    }
