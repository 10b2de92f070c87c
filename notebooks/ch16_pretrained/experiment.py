"""The runs of chapter 16: a vision transformer trained before, rescaled, at the start and in fine-tuning."""

from __future__ import annotations

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
    """What the miniature is trained on before, and all are fine-tuned on."""
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
    names = ("pretrained", "first_classes", "pretrain_steps", "pretrain_lr", "batch_size", "n_eval")
    return {name: p[name] for name in names}


def all_factors(p: Parameters) -> list[float]:
    """Those of the sweep and of fine-tuning, in order."""
    return sorted({*p.sweep, *p.factors})


def starts(p: Parameters, data: DataFacts) -> Sweep:
    """The bias of the first guesses at every factor, before any fine-tuning."""
    drawn = {"n_images": p.n_images, "n_heads": p.n_heads, "drawn_by": p.seed}
    shared = before(p) | drawn | {"factors": all_factors(p)}
    spec, inputs = network(p, data), _pretraining(p) + 3 * len(all_factors(p)) * p.n_images
    settings = {
        kind: Measured(start, shared | {"kind": kind}, inputs, trains=kind != "never trained") for kind in KINDS
    }
    return Sweep({kind: (spec, "default") for kind in KINDS}, settings, p.seeds)


def training(p: Parameters, data: DataFacts) -> Sweep:
    """Fine-tuning from every factor: first the head alone, then all weights."""
    names = ("head_steps", "head_lr", "all_steps", "all_lr", "batch_size", "n_eval")
    shared = before(p) | {name: p[name] for name in names} | {"drawn_by": p.seed}
    spec = network(p, data)
    inputs = _pretraining(p) + (p.head_steps + 3 * p.all_steps) * p.batch_size + 28 * p.n_eval
    settings = {f"factor {f:g}": Measured(fine_tuned, shared | {"factor": f}, inputs, trains=True) for f in p.factors}
    return Sweep({name: (spec, "default") for name in settings}, settings, p.seeds)


def _pretraining(p: Parameters) -> int:
    """The inputs that pass before."""
    return 3 * p.pretrain_steps * p.batch_size if p.pretrained == "miniature" else 0


def start(run: Run, dataset: Dataset, **arguments) -> pd.DataFrame:
    """By the place of the factor in `factors`, as step: c, largest class fraction, and what the law makes of c.

    Step 0 has the accuracy that pre-training reached, too.
    """
    from lab import start_table

    return start_table(run.spec, run.seed, dataset, **arguments)


def fine_tuned(run: Run, dataset: Dataset, **arguments) -> pd.DataFrame:
    """Both stages, steps counted on: step `head_steps` is the end of the first and the start of the second."""
    from lab import fine_tune

    return fine_tune(run.spec, run.seed, dataset, **arguments)
