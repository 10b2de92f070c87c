"""The runs of chapter 14: residual networks of our layer, scaled and unscaled, and plain ones, on ten classes; and
residual networks with the layer of the paper's code on two.
"""

from __future__ import annotations

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.runs import DataFacts, Parameters, Sweep, starts
from igbrepro.training import TrainSettings, log_steps

PAPER_SCALING = "standard"  # pixels of mean 0 and variance 1, as in the paper's code


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True).scaled("unit")


def training(p: Parameters, data: DataFacts) -> Sweep:
    """Our layer: every kind of block at every sigma_w2; runs are called "scaled 0.2"."""
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


def paper_training(p: Parameters, data: DataFacts) -> Sweep:
    """The paper's layer, x <- phi(x + (W x + b) / sqrt(depth)), with sigma_w2 in units of the plain network's critical
    value, on two classes and standardised pixels; runs are called "tanh 1.25".
    """
    ratios = {"tanh": p.paper_tanh_ratios, "relu": p.paper_relu_ratios}
    depth = p.paper_depth
    unit = {"residual": depth**-0.5, "residual_unit": "post-activation"}
    specs = {name: MLPSpec(name, depth, p.paper_width, 2, data.input_shape, **unit) for name in ratios}
    settings = TrainSettings(
        p.paper_steps,
        p.paper_batch_size,
        p.paper_lr,
        labels="parity",
        n_eval=p.paper_n_eval,
        eval_points=log_steps(p.paper_steps, 32),
        precision=p.precision,
    )
    return Sweep(starts(ratios, specs, p.paper_sigma_b2), settings, p.paper_seeds, PAPER_SCALING)
