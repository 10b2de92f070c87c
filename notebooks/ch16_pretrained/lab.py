"""Vision transformers that were trained before: where they come from, rescaled weights, fresh heads, their training."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torchvision import models as zoo
from torchvision.models import WeightsEnum
from torchvision.models.vision_transformer import VisionTransformer

from igbrepro.checks import finite, whole
from igbrepro.data import Dataset
from igbrepro.ensembles import OneNumberLaw, head_covariance, head_nodes, max_fractions, mean_correlation
from igbrepro.errors import DataMissing, ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import ViTSpec, build
from igbrepro.probes import features
from igbrepro.training import Conduct, TrainSettings, log_steps, train, train_module

PRETRAINED = {
    "vit_b_16": (zoo.vit_b_16, zoo.ViT_B_16_Weights.IMAGENET1K_V1),
    "vit_l_16": (zoo.vit_l_16, zoo.ViT_L_16_Weights.IMAGENET1K_V1),
}
PARTS = ("weights", "all")
_CHUNK = 250  # images that pass through a body at once


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


def new_head_(
    model: nn.Module, n_classes: int, generator: torch.Generator | None = None, factor: float = 1.0
) -> nn.Module:
    """Give a vision transformer a fresh head of n_classes; returns the model.

    Weights are N(0, factor^2 / width), so that the factor has rescaled the head, too; biases are 0.
    """
    transformer = _transformer(model)
    head = nn.Linear(transformer.hidden_dim, whole("n_classes", n_classes, 2))
    with torch.no_grad():
        draw = torch.randn(head.weight.shape, generator=generator)
        head.weight.copy_(draw * (factor / transformer.hidden_dim**0.5))
        head.bias.zero_()
    transformer.heads = nn.Sequential(head)
    return model


def for_fine_tuning(dataset: Dataset, pretrained: str, first_classes: Sequence[int] = ()) -> Dataset:
    """The classes that the miniature was not trained on before; of torchvision's networks, the whole."""
    others = [k for k in range(len(dataset.classes)) if k not in first_classes]
    return dataset.only(others) if pretrained == "miniature" else dataset


_bodies: dict[str, tuple[nn.Module, float]] = {}  # pre-trained once in a process


def body(
    spec: ViTSpec, seed: int, dataset: Dataset, pretrained: str, weights_file: str | None = None, **training
) -> tuple[nn.Module, float]:
    """A pre-trained network, not to be changed, and the accuracy it had reached; nan for torchvision's.

    training: of the miniature, first_classes, pretrain_steps, pretrain_lr, pretrain_batch_size and n_eval.
    """
    if pretrained != "miniature":
        seed = 0  # torchvision has only one
        training = {}  # and is not trained here
    key = repr((spec, seed, dataset.sha256, dataset.scaling, pretrained, weights_file, sorted(training.items())))
    if key not in _bodies:
        if pretrained == "miniature":
            steps = training["pretrain_steps"]
            settings = TrainSettings(
                steps,
                training["pretrain_batch_size"],
                training["pretrain_lr"],
                labels="classes",
                n_eval=training["n_eval"],
                eval_points=log_steps(steps, 8),
            )
            history = train(spec, "default", dataset.only(training["first_classes"]), settings, seed=seed)
            _bodies[key] = history.model.cpu(), float(history.series("accuracy").iloc[-1])
        else:
            _bodies[key] = load_pretrained(pretrained, weights_file), float("nan")
    return _bodies[key]


def start_table(
    spec: ViTSpec,
    seed: int,
    dataset: Dataset,
    *,
    kind: str,
    factors: Sequence[float],
    n_images: int,
    n_heads: int,
    drawn_by: int,
    **before,
) -> pd.DataFrame:
    """One row a number and factor, whose place in `factors` is the step: "c", "measured" and "predicted".

    kind: "pre-trained", "pre-trained, all parameters" or "never trained".  drawn_by: seed of images and heads.
    """
    target = for_fine_tuning(dataset, before["pretrained"], before.get("first_classes", ()))
    n_classes = len(target.classes)
    images = target.subset(n_test=n_images, seed=drawn_by).inputs("test", flat=False)
    law = OneNumberLaw(n_classes, n_images, np.random.default_rng(drawn_by))
    accuracy = None
    if kind != "never trained":
        model, accuracy = body(spec, seed, dataset, **before)
    elif before["pretrained"] == "miniature":
        model = build(spec, "default", torch.Generator().manual_seed(seed))
    else:
        model = untrained(before["pretrained"], seed)
    rows = [] if accuracy is None else [(0, "accuracy before", accuracy)]
    for place, factor in enumerate(factors):
        copy = rescale_(deepcopy(model), factor, "all" if kind.endswith("all parameters") else "weights")
        z = features(copy.to(Conduct().on), images)[0].cpu()
        c = mean_correlation(head_covariance(z, InitSpec(1.0)))
        generator = torch.Generator().manual_seed(drawn_by * 1000 + seed)
        nodes = head_nodes(z, InitSpec(1.0), n_classes * n_heads, generator)
        measured = max_fractions(nodes, n_classes).mean()
        rows += [(place, "c", c), (place, "measured", measured), (place, "predicted", float(law(c)))]
    return pd.DataFrame(rows, columns=["step", "metric", "value"])


def train_head(
    spec: ViTSpec,
    seed: int,
    dataset: Dataset,
    *,
    factor: float,
    steps: int,
    lr: float,
    weight_decay: float,
    batch_size: int,
    n_eval: int,
    precision: str,
    drawn_by: int,
    **before,
) -> pd.DataFrame:
    """The history of a fresh head on a rescaled body that stays as it is; the head is drawn with the same factor.

    Since the body does not move, its features of every image are computed once.  drawn_by: seed of the head, with
    `seed`.  before: as of `body`.
    """
    target = for_fine_tuning(dataset, before["pretrained"], before.get("first_classes", ()))
    model = rescale_(deepcopy(body(spec, seed, dataset, n_eval=n_eval, **before)[0]), factor)
    new_head_(model, len(target.classes), torch.Generator().manual_seed(drawn_by * 1000 + seed), factor)
    settings = TrainSettings(
        steps,
        batch_size,
        lr,
        weight_decay=weight_decay,
        labels="classes",
        n_eval=n_eval,
        eval_points=log_steps(steps, 20),
        precision=precision,
    )
    return train_module(_transformer(model).heads, seen_by_head(model, target, precision), settings, seed=seed).frame


@torch.no_grad()
def seen_by_head(model: nn.Module, dataset: Dataset, precision: str = "float32") -> Dataset:
    """The features (n, width) float32 that the head of a vision transformer reads, in place of the images, as they are.

    precision: "float32" or "bfloat16", in which the body multiplies.
    """
    device, transformer = Conduct().on, _transformer(model)
    heads, transformer.heads = transformer.heads, nn.Identity()
    model.to(device).eval()
    found = {}
    for split in ("train", "test"):
        parts = []
        for start in range(0, len(dataset.images(split)), _CHUNK):
            images = dataset.standardise(dataset.images(split)[start : start + _CHUNK])
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                parts.append(model(torch.from_numpy(images).to(device)).float().cpu())
        found[f"{split}_images"] = torch.cat(parts).numpy()
    transformer.heads = heads
    return replace(dataset, scaling="unit", moments=None, **found)
