"""Vision transformers that were trained before: where they come from, rescaled weights, fresh heads."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torchvision import models as zoo
from torchvision.models import WeightsEnum
from torchvision.models.vision_transformer import VisionTransformer

from igbrepro.checks import finite, whole
from igbrepro.errors import DataMissing, ParameterError

PRETRAINED = {
    "vit_b_16": (zoo.vit_b_16, zoo.ViT_B_16_Weights.IMAGENET1K_V1),
    "vit_l_16": (zoo.vit_l_16, zoo.ViT_L_16_Weights.IMAGENET1K_V1),
}
PARTS = ("weights", "all")


def load_pretrained(name: str, weights_file: str | os.PathLike | None = None) -> nn.Sequential:
    """torchvision's ViT with the weights it learned on ImageNet, behind a layer that resizes any image to 224 x 224.

    name: "vit_b_16" or "vit_l_16".  weights_file: a state file of that network; by default torchvision's, from torch's
    hub folder or the net, its checksum verified.
    Raises ParameterError for another name, DataMissing where the weights cannot be had or are of another network.
    """
    make, weights = _known(name)
    remedy = f"download {weights.url} on a machine with a net and pass weights_file=PATH"
    try:
        if weights_file is None:
            state = weights.get_state_dict(progress=False, check_hash=True)
        else:
            state = torch.load(Path(weights_file).expanduser(), map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        where = name if weights_file is None else weights_file
        raise DataMissing(f"the weights of {where} cannot be had ({error}); {remedy}.") from error
    with torch.device("meta"):
        model = make(weights=None)
    try:
        model.load_state_dict(state, assign=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise DataMissing(f"{weights_file or name}: these are not the weights of {name} ({error}); {remedy}.") from None
    return _resizing(model.requires_grad_(True))


def untrained(name: str, seed: int) -> nn.Sequential:
    """The same network as torchvision draws it, from a seed, with no weights learned."""
    make, _ = _known(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(whole("seed", seed, 0))
        return _resizing(make(weights=None))


def _known(name: str) -> tuple[Callable[..., VisionTransformer], WeightsEnum]:
    if name not in PRETRAINED:
        raise ParameterError(f"name={name!r}: need one of {', '.join(PRETRAINED)}.")
    return PRETRAINED[name]


def _resizing(model: VisionTransformer) -> nn.Sequential:
    return nn.Sequential(nn.Upsample(size=(model.image_size,) * 2, mode="bilinear"), model)


def _transformer(model: nn.Module) -> VisionTransformer:
    found = [module for module in model.modules() if isinstance(module, VisionTransformer)]
    if len(found) != 1:
        raise ParameterError(f"model: has {len(found)} of torchvision's vision transformers in it; need exactly one.")
    return found[0]


@torch.no_grad()
def rescale_(model: nn.Module, factor: float, parts: str = "weights") -> nn.Module:
    """Multiply the parameters of a model by `factor` in place, so that sigma_w2 changes by factor^2; returns the model.

    parts: "weights", the matrices of linear, convolutional and attention layers, as the paper's code does; biases,
        layer norms, positions and class token stay.  "all": every parameter.
    Raises ParameterError for a factor that is not positive, or other parts.
    """
    factor = finite("factor", factor, 0, open_low=True).item()
    if parts not in PARTS:
        raise ParameterError(f"parts={parts!r}: need one of {', '.join(PARTS)}.")
    for module in model.modules():
        match module:
            case nn.Linear() | nn.Conv2d():
                matrices = [module.weight]
            case nn.MultiheadAttention():
                if module.in_proj_weight is None:
                    raise ParameterError("model: attention with keys and values of another width is not known here.")
                matrices = [module.in_proj_weight]  # its output layer is a Linear
            case _:
                matrices = []
        for parameter in matrices if parts == "weights" else module.parameters(recurse=False):
            parameter.mul_(factor)
    return model


def new_head_(model: nn.Module, n_classes: int, generator: torch.Generator | None = None) -> nn.Module:
    """Give a vision transformer a fresh head of n_classes: weights N(0, 1/width), biases 0; returns the model."""
    transformer = _transformer(model)
    head = nn.Linear(transformer.hidden_dim, whole("n_classes", n_classes, 2))
    with torch.no_grad():
        draw = torch.randn(head.weight.shape, generator=generator)
        head.weight.copy_(draw / transformer.hidden_dim**0.5)
        head.bias.zero_()
    transformer.heads = nn.Sequential(head)
    return model


def freeze_body_(model: nn.Module, frozen: bool = True) -> nn.Module:
    """Let only the head of a vision transformer be trained, or (frozen=False) all of it; returns the model."""
    model.requires_grad_(not frozen)
    _transformer(model).heads.requires_grad_(True)
    return model
