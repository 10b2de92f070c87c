"""The runs of chapter 6: tanh and ReLU networks in every phase, trained on pictures in two classes."""

from __future__ import annotations

from igbrepro.data import Dataset, load
from igbrepro.networks import MLPSpec
from igbrepro.runs import DataFacts, Parameters, Sweep, starts
from igbrepro.training import TrainSettings, log_steps


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True).scaled(p.scaling)


def training(p: Parameters, data: DataFacts) -> Sweep:
    """Every ratio of sigma_w2 to its critical value, at one learning rate."""
    n_classes = 2 if p.labels == "parity" else len(data.classes)
    ratios = {"tanh": p.tanh_ratios, "relu": p.relu_ratios}
    specs = {name: MLPSpec(name, p.depth, p.width, n_classes, data.input_shape) for name in ratios}
    settings = TrainSettings(
        p.steps,
        p.batch_size,
        p.lr,
        labels=p.labels,
        n_eval=p.n_eval,
        eval_points=log_steps(p.steps, 32),
        precision=p.precision,
    )
    return Sweep(starts(ratios, specs, p.sigma_b2), settings, p.seeds)
