"""The runs of chapter 11: plain CNNs, ReLU and tanh, in every phase and by named initialisations, on ten classes."""

from __future__ import annotations

from igbrepro.data import Dataset, load
from igbrepro.initialization import Init
from igbrepro.networks import CNNSpec, Spec
from igbrepro.runs import DataFacts, Parameters, Sweep, starts
from igbrepro.training import TrainSettings, log_steps


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True)


def _networks(p: Parameters, data: DataFacts) -> dict[str, tuple[Spec, Init]]:
    """Every ratio of sigma_w2 to its critical value, "relu 0.75", and every named initialisation, "relu he"."""
    n_classes = 2 if p.labels == "parity" else len(data.classes)
    sizes = {"n_classes": n_classes, "input_shape": data.input_shape, "strides": tuple(p.strides)}
    found: dict[str, tuple[Spec, Init]] = {}
    for name, ratios, schemes in (
        ("relu", p.relu_ratios, p.relu_schemes),
        ("tanh", p.tanh_ratios, p.tanh_schemes),
    ):
        spec = CNNSpec(name, p.depth, p.channels, **sizes)
        found |= starts({name: ratios}, {name: spec}, p.sigma_b2)
        found |= {f"{name} {scheme}": (spec, scheme) for scheme in schemes}
    return found


def training(p: Parameters, data: DataFacts) -> Sweep:
    """All of them, at one learning rate."""
    settings = TrainSettings(
        p.steps, p.batch_size, p.lr, labels=p.labels, n_eval=p.n_eval, eval_points=log_steps(p.steps, 16)
    )
    return Sweep(_networks(p, data), settings, p.seeds)
