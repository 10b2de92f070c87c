"""The runs of chapter 24: CNNs and ResNets from five initialisations, each at the learning rate that suits it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError, some
from igbrepro.networks import CNNSpec, ResNetSpec, Spec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep
from igbrepro.theory import MaxPool
from igbrepro.training import TrainSettings

SCHEMES = {"proposed": "edge-of-chaos", "default": "default", "He": "he", "Xavier": "xavier"}
SCHEMES |= {"orthogonal": "orthogonal"}

ALL_STORED = True  # the notebook needs the data for nothing but these runs


def dataset(p: Parameters) -> Dataset:
    """What is trained on: pictures of which every `shrink` x `shrink` pixels are one, their mean."""
    full, by = load(p.dataset, fallback=True), p.shrink
    if by == 1:
        return full
    height, width = full.input_shape[1:]
    if by < 1 or height % by or width % by:
        raise ParameterError(f"shrink={by!r}: need a whole number that divides the {height} x {width} pixels.")

    def smaller(split: str) -> np.ndarray:
        images = full.images(split)
        blocks = images.reshape(*images.shape[:2], height // by, by, width // by, by)
        return blocks.mean((3, 5)).round().astype(images.dtype)

    kept = {f"{split}_images": smaller(split) for split in ("train", "test")}
    return replace(full, name=f"{full.name}, {by} x {by} pixels to one", **kept)


def specs(p: Parameters, data: DataFacts) -> dict[str, Spec]:
    """The five networks by name."""
    shape = {"n_classes": len(data.classes), "input_shape": data.input_shape}
    strides = tuple(p.strides)
    residual = {"stages": tuple(p.stages), "width": p.width} | shape
    return {
        "shallow CNN": CNNSpec("relu", p.shallow, p.channels, strides=strides, **shape),
        "deep CNN": CNNSpec("relu", p.deep, p.channels, strides=strides, **shape),
        "pooled CNN": CNNSpec(
            "relu", p.pooled_depth, p.channels, strides=tuple(p.pooled_strides), pool=MaxPool(4), **shape
        ),
        "ResNet": ResNetSpec("relu", norm=False, **residual),
        "ResNet with norm": ResNetSpec("relu", norm=True, **residual),
    }


def networks(p: Parameters, data: DataFacts) -> dict[str, tuple[Spec, str]]:
    """Every network from every start, by names such as "ResNet, He"."""
    return {f"{name}, {start}": (spec, SCHEMES[start]) for name, spec in specs(p, data).items() for start in SCHEMES}


def _budget(p: Parameters, spec: Spec) -> tuple[int, list[float]]:
    """Steps, and learning rates to try, of a kind of network."""
    return (p.cnn_steps, p.cnn_rates) if isinstance(spec, CNNSpec) else (p.resnet_steps, p.resnet_rates)


def _plan(p: Parameters, spec: Spec, lr: float, n_eval: int) -> TrainSettings:
    steps, _ = _budget(p, spec)
    points = np.geomspace(max(1, steps // 16), steps, p.n_points).round().astype(int).tolist()
    return TrainSettings(
        steps,
        p.batch_size,
        lr,
        labels="classes",
        n_eval=n_eval,
        eval_points=points,
        batch_statistics=True,
        precision=p.precision,
    )


def tuning(p: Parameters, data: DataFacts) -> Sweep:
    """Every network from every start at every learning rate, on a part of the training images, judged on the others."""
    every, settings = networks(p, data), {}
    for name, (spec, _) in every.items():
        steps, rates = _budget(p, spec)
        plan = _plan(p, spec, 0.0, p.n_tuning)
        arguments = {
            "rates": list(rates),
            "steps": steps,
            "batch_size": p.batch_size,
            "points": plan.points,
            "n_held_out": p.n_held_out,
            "n_eval": p.n_tuning,
            "precision": p.precision,
        }
        inputs = len(rates) * (3 * steps * p.batch_size + len(plan.points) * p.n_tuning)
        settings[name] = Measured(at_every_rate, arguments, inputs, trains=True)
    return Sweep(every, settings, p.tuning_seeds)


def at_every_rate(run: Run, dataset: Dataset, rates: list[float], n_held_out: int, **training) -> pd.DataFrame:
    """One network from one start, trained once at each rate; the split is the rate, "0.001".

    accuracy, loss, max_class_fraction: on n_eval of the n_held_out training images that are not trained on.
    """
    from lab import learn

    return pd.concat(learn(run, dataset, rate, n_held_out, **training) for rate in rates)


def judging(p: Parameters, data: DataFacts) -> Sweep:
    """Every network from every start at the one rate that `chosen` gives it, on all training images, with other seeds.

    The rates are parameters, which the notebook compares with what `tuning` says: runs are declared before anything is
    measured.
    """
    if both := set(p.tuning_seeds) & set(p.seeds):
        raise ParameterError(f"tuning_seeds, seeds: {some(sorted(map(str, both)))} in both; judge with other seeds.")
    every = networks(p, data)
    rates = {name: rate_of(p, name) for name in every}
    settings = {name: _plan(p, spec, rates[name], p.n_eval) for name, (spec, _) in every.items()}
    return Sweep(every, settings, p.seeds)


def rate_of(p: Parameters, name: str) -> float:
    """The rate that `chosen` gives a run such as "ResNet, He"; raises ParameterError where it gives none."""
    network, _, start = name.partition(", ")
    try:
        return p.chosen[network][start]
    except KeyError:
        raise ParameterError(
            f"chosen: has no learning rate for {name!r}; need one for every network and start."
        ) from None
