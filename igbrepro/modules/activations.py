"""Activations as torch modules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igbrepro.errors import ParameterError
from igbrepro.theory import Activation, get_activation

Elementwise = Callable[[Tensor], Tensor]


_TORCH: dict[str, Elementwise] = {
    "linear": lambda x: x,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "gelu": F.gelu,
}


def register_torch_activation(activation: Activation, function: Elementwise) -> None:
    """Tell `build` how a new Activation is computed in torch, elementwise and differentiably.

    Raises ParameterError if `function` is not the same function as `activation` (compared on 201 points of [-8, 8]).
    """
    x = torch.linspace(-8, 8, 201, dtype=torch.float64)
    gap = float((function(x) - torch.as_tensor(activation(x.numpy()))).abs().max())
    if not gap < 1e-6:
        raise ParameterError(
            f"function={function!r}: differs from the activation {activation.name!r} by {gap:.1e} on [-8, 8]; "
            "the torch and the NumPy form must be one function."
        )
    _TORCH[activation.name] = function


def torch_activation(activation: Activation | str) -> Elementwise:
    """The torch form of an activation: a function of a tensor of any shape, same shape back, differentiable.

    Raises ParameterError for an unknown name, or an Activation that torch has not been told about.
    """
    activation = get_activation(activation)
    if activation.name in _TORCH:
        return _TORCH[activation.name]
    if activation.slope is not None:
        return partial(F.leaky_relu, negative_slope=activation.slope)
    raise ParameterError(
        f"activation={activation.name!r}: no torch form is known; add it with "
        "igbrepro.layers.register_torch_activation(activation, function)."
    )


class ActivationLayer(nn.Module):
    """An Activation as a module, so that hooks and `print(model)` see it."""

    def __init__(self, activation: Activation | str) -> None:
        super().__init__()
        self.activation = get_activation(activation)
        self._function = torch_activation(self.activation)

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)

    def extra_repr(self) -> str:
        return self.activation.name
