"""The runs of chapter 14: residual networks with scaled and unscaled blocks, and plain ones, on ten classes."""

from __future__ import annotations

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.runs import DataFacts, Parameters, Sweep
from igbrepro.training import TrainSettings, log_steps


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True).scaled("unit")


def training(p: Parameters, data: DataFacts) -> Sweep:
    """Every kind of block at every sigma_w2; runs are called "scaled 0.2"."""
    if 2.0 not in p.plain_sigma_w2:
        raise ParameterError(f"plain_sigma_w2={p.plain_sigma_w2}: need 2.0, the edge of chaos of ReLU.")
    n_classes = 2 if p.labels == "parity" else len(data.classes)
    kinds = {
        "plain": (p.plain_sigma_w2, None),
        "unscaled": (p.unscaled_sigma_w2, 1.0),
        "scaled": (p.scaled_sigma_w2, p.depth**-0.5),
    }
    networks = {}
    for kind, (values, scale) in kinds.items():
        spec = MLPSpec("relu", p.depth, p.width, n_classes, data.input_shape, residual=scale)
        networks |= {f"{kind} {sigma_w2:g}": (spec, InitSpec(sigma_w2, p.sigma_b2)) for sigma_w2 in values}
    settings = TrainSettings(
        p.steps,
        p.batch_size,
        p.lr,
        labels=p.labels,
        n_eval=p.n_eval,
        eval_points=log_steps(p.steps, 24),
        precision=p.precision,
    )
    return Sweep(networks, settings, p.seeds)
