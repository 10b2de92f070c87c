"""Several fully connected networks of one description as one batched module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from igbrepro.errors import ParameterError
from igbrepro.modules.activations import ActivationLayer
from igbrepro.modules.blocks import ResidualBlock
from igbrepro.modules.pools import PoolLayer


class StackedMLP(nn.Module):
    """Several networks of one MLPSpec, made by `build`, as one module with a leading axis for the network.

    Maps (n_networks, n, *input_shape) to logits (n_networks, n, n_classes), copying the models' parameters:
    weights[l] (n_networks, fan_in, fan_out), biases[l] (n_networks, 1, fan_out).
    Raises ParameterError for networks with pools or residual layers.
    """

    def __init__(self, models: Sequence[nn.Sequential]) -> None:
        super().__init__()
        if any(isinstance(module, PoolLayer | ResidualBlock) for module in models[0]):
            raise ParameterError("models: pools and residual layers cannot be stacked; train such networks one by one.")
        layers = list(zip(*([m for m in model if isinstance(m, nn.Linear)] for model in models), strict=True))
        self.activation = next(module for module in models[0] if isinstance(module, ActivationLayer))
        with torch.no_grad():
            self.weights = nn.ParameterList(torch.stack([one.weight.T for one in layer]) for layer in layers)
            self.biases = nn.ParameterList(torch.stack([one.bias[None] for one in layer]) for layer in layers)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = zip(self.biases, self.weights, strict=True)
        h = torch.baddbmm(first[0], x.flatten(2), first[1])
        for bias, weight in others:
            h = torch.baddbmm(bias, self.activation(h), weight)
        return h
