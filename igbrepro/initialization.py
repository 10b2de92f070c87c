"""Random initialisation by (sigma_w2, sigma_b2), the raw variances of the theory."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import nn

from igbrepro.errors import ParameterError
from igbrepro.network import InitSpec

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def initialize_(model: Model, init: InitSpec, *, generator: torch.Generator | None = None) -> Model:
    """Draw every Linear layer in place: W_ij ~ N(0, sigma_w2 / fan_in), b_i ~ N(0, sigma_b2); returns the model.

    generator: numbers are drawn on its device and copied to the parameter's, so a CPU generator gives the same
    network everywhere; None uses torch's global state.
    Raises ParameterError if the model has parameters outside its Linear layers, which would be left undrawn.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            _normal_(module.weight, init.sigma_w2 / module.in_features, generator)
            if module.bias is not None:
                _normal_(module.bias, init.sigma_b2, generator)
        elif next(module.parameters(recurse=False), None) is not None:
            raise ParameterError(
                f"model: the layer {name!r} ({type(module).__name__}) has parameters but no rule to draw them; "
                "only Linear layers are known."
            )
    return model


def _normal_(parameter: nn.Parameter, variance: float, generator: torch.Generator | None) -> None:
    """Fill with N(0, variance); a variance of zero gives exact zeros."""
    device = parameter.device if generator is None else generator.device
    draw = torch.randn(parameter.shape, generator=generator, device=device, dtype=parameter.dtype)
    parameter.copy_(draw.mul_(math.sqrt(variance)))
