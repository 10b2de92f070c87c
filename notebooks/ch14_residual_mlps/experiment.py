"""The runs of chapter 14: residual networks of our layer, scaled and unscaled, and plain ones, on ten classes; and
residual networks with the layer of the paper's code on two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep, starts
from igbrepro.training import TrainSettings, log_steps

if TYPE_CHECKING:
    from pandas import DataFrame

PAPER_SCALING = "standard"  # pixels of mean 0 and variance 1, as in the paper's code
GRADIENT_IMAGES = 10  # over which squared gradients are averaged


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


def _paper_networks(p: Parameters, data: DataFacts) -> dict[str, tuple[MLPSpec, InitSpec]]:
    """The paper's layer, x <- phi(x + (W x + b) / sqrt(depth)), with sigma_w2 in units of the plain network's critical
    value; networks are called "tanh 1.25".
    """
    ratios, depth = {"tanh": p.paper_tanh_ratios, "relu": p.paper_relu_ratios}, p.paper_depth
    specs = {
        name: MLPSpec(
            name,
            depth,
            p.paper_width,
            2,
            data.input_shape,
            residual=depth**-0.5,
            residual_unit="post-activation",
        )
        for name in ratios
    }
    return starts(ratios, specs, p.paper_sigma_b2)


def paper_untrained(p: Parameters, data: DataFacts) -> Sweep:
    """What untrained networks of the paper's layer do to images of standardised pixels."""
    names = {"n_images": "n_images", "n_networks": "paper_n_networks", "n_gradients": "paper_n_gradients"}
    arguments = {name: p[parameter] for name, parameter in names.items()} | {"n_heads": p.paper_n_heads}
    inputs = p.paper_n_networks * p.n_images + 3 * p.paper_n_gradients * GRADIENT_IMAGES
    return Sweep(_paper_networks(p, data), Measured(start, arguments, inputs), [p.seed], PAPER_SCALING)


def start(run: Run, dataset: Dataset, n_images: int, n_networks: int, n_heads: int, n_gradients: int) -> DataFrame:
    """Of n_networks networks, with n_heads heads each, on n_images test images.

    share: of the favourite class, the mean over heads, one number a network (its class).  growth: of squared gradients
    from the last hidden layer to the first, one number for each of n_gradients other networks.  one_minus_c, gradient:
    by layer (its step), means over networks; gradients relative to the last hidden layer.
    """
    import numpy as np
    import pandas as pd

    from igbrepro.ensembles import Measure, Sampling, gradient_profile, simulate

    images = dataset.subset(n_test=n_images, seed=run.seed).inputs("test")
    options = {"measure": Measure(n_heads=n_heads), "sampling": Sampling("dense"), "progress": False}
    ensemble = simulate(run.spec, run.init, images, n_networks=n_networks, seed=run.seed, **options)
    some = images[:GRADIENT_IMAGES]
    squares = gradient_profile(run.spec, run.init, some, n_networks=n_gradients, seed=run.seed)[:, :-1]
    squares /= squares[:, [-1]]
    numbers = {
        "share": ("class", ensemble.max_fraction[:, -1]),
        "growth": ("class", squares[:, 0]),
        "one_minus_c": ("step", ensemble.one_minus_c.mean(0)),
        "gradient": ("step", squares.mean(0)),
    }
    rows = [
        pd.DataFrame({"metric": metric, by: np.arange(len(values)), "value": values})
        for metric, (by, values) in numbers.items()
    ]
    found = pd.concat(rows, ignore_index=True)
    return found.assign(step=found["step"].fillna(0).astype(int))


def paper_training(p: Parameters, data: DataFacts) -> Sweep:
    """The paper's layer on two classes and standardised pixels."""
    settings = TrainSettings(
        p.paper_steps,
        p.paper_batch_size,
        p.paper_lr,
        labels="parity",
        n_eval=p.paper_n_eval,
        eval_points=log_steps(p.paper_steps, 32),
        precision=p.precision,
    )
    return Sweep(_paper_networks(p, data), settings, p.paper_seeds, PAPER_SCALING)
