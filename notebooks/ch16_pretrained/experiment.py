"""The runs of chapter 16: a vision transformer trained before, rescaled, at the start and while its head is trained."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import pandas as pd

from igbrepro.data import Dataset, load
from igbrepro.networks import ViTSpec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep

# What is rescaled, by kind of network.
KINDS = {"pre-trained": "weights", "pre-trained, all parameters": "all", "never trained": "weights"}
TORCHVISION = {"vit_b_16": (12, 768, 12), "vit_l_16": (24, 1024, 16)}  # blocks, width, heads

ALL_STORED = True  # the notebook needs the data for nothing but these runs


def dataset(p: Parameters) -> Dataset:
    """What the miniature is trained on before, and all heads are."""
    return load(p.dataset, fallback=True)


def network(p: Parameters, data: DataFacts) -> ViTSpec:
    """The network as it was trained before."""
    if p.pretrained == "miniature":
        return ViTSpec("gelu", p.depth, p.width, p.heads, p.patch, p.mlp_ratio, len(p.first_classes), data.input_shape)
    depth, width, heads = TORCHVISION[p.pretrained]
    return ViTSpec("gelu", depth, width, heads, 16, 4, 1000, (3, 224, 224))


def before(p: Parameters) -> dict[str, object]:
    """What makes the pre-trained weights, besides network and seed."""
    if p.pretrained != "miniature":
        # A path is no plain value: runs from a file of one's own are not stored.
        return {"pretrained": p.pretrained, "weights_file": p.weights_file and Path(p.weights_file)}
    names = ("pretrained", "first_classes", "pretrain_steps", "pretrain_lr", "pretrain_batch_size", "n_eval")
    return {name: p[name] for name in names}


def scales(p: Parameters) -> list[float]:
    """The sigma_w2 of the sweep and of training, in order; weights are multiplied by their roots."""
    return sorted({*p.sweep, *p.sigma_w2})


def starts(p: Parameters, data: DataFacts) -> Sweep:
    """The bias of the first guesses at every sigma_w2, before any training of the head."""
    drawn = {"n_images": p.n_images, "n_heads": p.n_heads, "drawn_by": p.seed}
    shared = before(p) | drawn | {"factors": [sqrt(scale) for scale in scales(p)]}
    spec, inputs = network(p, data), _pretraining(p) + 3 * len(scales(p)) * p.n_images
    settings = {
        kind: Measured(start, shared | {"kind": kind}, inputs, trains=kind != "never trained") for kind in KINDS
    }
    return Sweep({kind: (spec, "default") for kind in KINDS}, settings, p.seeds)


def training(p: Parameters, data: DataFacts) -> Sweep:
    """A fresh head trained on the body at every sigma_w2; runs are called "sigma_w2 0.5"."""
    names = ("steps", "lr", "weight_decay", "batch_size", "n_eval", "precision")
    shared = before(p) | {name: p[name] for name in names} | {"drawn_by": p.seed}
    spec, inputs = network(p, data), _pretraining(p) + data.n_train + data.n_test
    settings = {
        f"sigma_w2 {scale:g}": Measured(head_trained, shared | {"factor": sqrt(scale)}, inputs, trains=True)
        for scale in p.sigma_w2
    }
    return Sweep({name: (spec, "default") for name in settings}, settings, p.seeds)


def _pretraining(p: Parameters) -> int:
    """The inputs that pass before."""
    return 3 * p.pretrain_steps * p.pretrain_batch_size if p.pretrained == "miniature" else 0


def start(run: Run, dataset: Dataset, **arguments) -> pd.DataFrame:
    """By the place of the factor in `factors`, as step: c, largest class fraction, and what the law makes of c.

    Step 0 has the accuracy that pre-training reached, too.
    """
    from lab import start_table

    return start_table(run.spec, run.seed, dataset, **arguments)


def head_trained(run: Run, dataset: Dataset, **arguments) -> pd.DataFrame:
    """The history of the head, evaluated on test images."""
    from lab import train_head

    return train_head(run.spec, run.seed, dataset, **arguments)
