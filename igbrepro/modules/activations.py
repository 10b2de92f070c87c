"""Activations as torch modules."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igbrepro.errors import ParameterError
from igbrepro.theory import Activation, get_activation

Elementwise = Callable[[Tensor], Tensor]
_NAMES = "torch.nn.functional.mish"


def torch_activation(activation: Activation | str) -> Elementwise:
    """The torch form of an activation: a function of a tensor of any shape, same shape back, differentiable.

    Raises ParameterError for an unknown name, an Activation without a torch form, or one whose torch form is another
    function than its NumPy form (compared on 201 points of [-8, 8]).
    """
    return _torch_activation(get_activation(activation))


@lru_cache(maxsize=256)
def _torch_activation(activation: Activation) -> Elementwise:
    if activation.torch_function is not None:
        function = named_function(activation.torch_function)
    elif activation.slope is not None:
        function = _bent(activation.slope)
    else:
        raise ParameterError(
            f"activation={activation.name!r}: has no torch form; give it one, "
            f'Activation(..., torch_function="{_NAMES}") or a function of a tensor.'
        )
    with torch.device("cpu"), torch.no_grad():  # `build` makes modules on the device "meta", which computes nothing
        x = torch.linspace(-8, 8, 201, dtype=torch.float64)
        gap = float((function(x) - torch.as_tensor(activation(x.numpy()))).abs().max())
    if not gap < 1e-6:
        raise ParameterError(
            f"torch_function={activation.torch_function!r}: differs from the activation {activation.name!r} by "
            f"{gap:.1e} on [-8, 8]; the torch and the NumPy form must be one function."
        )
    return function


def named_function(function: Callable | str) -> Callable:
    """A function as it is, or the one that a dotted name like "torch.nn.functional.mish" stands for.

    Raises ParameterError for a name that leads nowhere.
    """
    if callable(function):
        return function
    module, _, name = function.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError):
        raise ParameterError(f"torch_function={function!r}: leads to no function; need a name like {_NAMES}.") from None


def _identity(x: Tensor) -> Tensor:
    return x


def _bent(slope: float) -> Elementwise:
    known: dict[float, Elementwise] = {0.0: torch.relu, 1.0: _identity}
    return known.get(slope) or partial(F.leaky_relu, negative_slope=slope)


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
