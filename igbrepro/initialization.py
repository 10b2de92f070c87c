"""Random initialisation by (sigma_w2, sigma_b2), the raw variances of the theory, or by two well-known rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torchvision.models import vision_transformer

from igbrepro.errors import ParameterError
from igbrepro.network import InitSpec

Model = TypeVar("Model", bound=nn.Module)
Draw = Callable[[Tensor, float], None]  # fills a weight (fan_out, ...) in place, its variance times a gain

SCHEMES = ("default", "he", "xavier")


def check_init(init: InitSpec | str) -> InitSpec | str:
    """`init` if it is an InitSpec or one of SCHEMES; raises ParameterError for anything else."""
    if not isinstance(init, InitSpec) and init not in SCHEMES:
        raise ParameterError(f"init={init!r}: need an InitSpec(sigma_w2, sigma_b2), or one of {', '.join(SCHEMES)}.")
    return init


@torch.no_grad()
def initialize_(model: Model, init: InitSpec | str, *, generator: torch.Generator | None = None) -> Model:
    """Draw every weight of a model in place, and return the model.

    init: InitSpec draws W_ij ~ N(0, gain sigma_w2 / fan_in) and b_i ~ N(0, sigma_b2) in every linear, convolutional and
        attention layer; fan_in counts the inputs of one output (of a convolution: channels times positions), and gain
        is the layer's attribute of that name, 1 where it has none.  "he" (variance 2 / fan_in, biases 0) and "xavier"
        (2 / (fan_in + fan_out), biases 0) are PyTorch's.
    Normalisation layers start as the identity, class tokens and positions of transformers as torchvision has them.
    generator: numbers are drawn on its device and copied to the parameter's, so a CPU generator gives the same
    network everywhere; None uses torch's global state.
    Raises ParameterError if the model has parameters in other layers, which would be left undrawn, and for "default",
    which `models.build` gives.
    """
    if check_init(init) == "default":
        raise ParameterError('init="default": what PyTorch draws when a model is built; build it anew.')
    if isinstance(init, InitSpec):
        weight: Draw = partial(_by_fan_in_, init.sigma_w2, generator)
        sigma_b2 = init.sigma_b2
    else:
        weight, sigma_b2 = partial(_by_scheme_, init, generator), 0.0
    for name, module in model.named_modules():
        match module:
            case nn.Linear() | nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
                weight(module.weight, getattr(module, "gain", 1.0))
                biases = [module.bias]
            case nn.MultiheadAttention(in_proj_weight=Tensor()):
                for part in module.in_proj_weight.chunk(3):
                    weight(part, getattr(module, "gain", 1.0))
                biases = [module.in_proj_bias]
            case _NormBase() | nn.LayerNorm() | nn.GroupNorm():
                module.reset_parameters()
                continue
            case vision_transformer.VisionTransformer():
                module.class_token.zero_()
                continue
            case vision_transformer.Encoder():
                _normal_(module.pos_embedding, 0.02**2, generator)
                continue
            case _:
                if next(module.parameters(recurse=False), None) is not None:
                    raise ParameterError(
                        f"model: the layer {name!r} ({type(module).__name__}) has parameters but no rule to draw them; "
                        "linear, convolutional, attention and normalisation layers are known."
                    )
                continue
        for bias in biases:
            if bias is not None:
                _normal_(bias, sigma_b2, generator)
    return model


def _by_fan_in_(sigma_w2: float, generator: torch.Generator | None, weight: Tensor, gain: float) -> None:
    _normal_(weight, gain * sigma_w2 / weight[0].numel(), generator)


def _by_scheme_(scheme: str, generator: torch.Generator | None, weight: Tensor, gain: float) -> None:
    device = weight.device if generator is None else generator.device
    drawn = torch.empty(weight.shape, dtype=weight.dtype, device=device)
    if scheme == "he":
        nn.init.kaiming_normal_(drawn, nonlinearity="relu", generator=generator)
    else:
        nn.init.xavier_normal_(drawn, generator=generator)
    weight.copy_(drawn)


def _normal_(parameter: Tensor, variance: float, generator: torch.Generator | None) -> None:
    """Fill with N(0, variance); a variance of zero gives exact zeros."""
    device = parameter.device if generator is None else generator.device
    draw = torch.randn(parameter.shape, generator=generator, device=device, dtype=parameter.dtype)
    parameter.copy_(draw.mul_(math.sqrt(variance)))
