"""The runs of chapter 22: what the paper's figures show of networks of its own sizes, before training and in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec, SelectedStart
from igbrepro.networks import MLPSpec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep, starts
from igbrepro.training import TrainSettings, log_steps

if TYPE_CHECKING:
    from pandas import DataFrame

BRIDGE_RANGE = (1.0, 3.0)  # of sigma_w2
GRADIENT_RATIOS = (0.1, 2.0)  # of sigma_w2 to its critical value


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True)


def bridge(p: Parameters, data: DataFacts) -> Sweep:
    """Untrained tanh and ReLU networks over a grid of sigma_w2, called "tanh 1.21"; the inputs are random, not data."""
    specs = {a: MLPSpec(a, p.bridge_depth, p.bridge_width, input_shape=(p.bridge_inputs,)) for a in ("relu", "tanh")}
    grid = np.linspace(*BRIDGE_RANGE, p.n_bridge)
    networks = {f"{a} {w2:.2f}": (spec, InitSpec(w2, p.sigma_b2)) for a, spec in specs.items() for w2 in grid}
    return Sweep(networks, Measured(correlations, inputs=2 * p.bridge_inputs), (p.seed,))


def correlations(run: Run, dataset: Dataset) -> DataFrame:
    """One network on orthogonal inputs, as many as they have features, layer by layer (step).

    c_guesses: gamma / (1 + gamma).  c_low, c_mean, c_high: over pairs of inputs, 5 %, mean and 95 %.
    """
    import pandas as pd

    from igbrepro.ensembles import Measure, gaussian_inputs, simulate

    inputs = gaussian_inputs(run.spec.input_size, run.spec.input_size, run.seed, exact=True)
    measure = Measure(n_heads=1, quantile_levels=(0.05, 0.95))
    found = simulate(run.spec, run.init, inputs, n_networks=1, seed=run.seed, measure=measure)
    low, high = found.pair_c_quantiles[0].T
    columns = {"c_guesses": found.c[0], "c_low": low, "c_mean": found.pair_c_mean[0], "c_high": high}
    return pd.DataFrame(columns).rename_axis("step").melt(var_name="metric", ignore_index=False).reset_index()


def gradients(p: Parameters, data: DataFacts) -> Sweep:
    """Untrained ReLU networks over ratios of sigma_w2 to its critical value, called "0.5"."""
    spec = MLPSpec("relu", p.depth, p.width, 2, data.input_shape)
    ratios = np.linspace(*GRADIENT_RATIOS, p.n_ratios)
    networks = {f"{ratio:.2f}": (spec, InitSpec.from_ratio(ratio, "relu", p.sigma_b2)) for ratio in ratios}
    inputs = 3 * 3 * p.gradient_images
    return Sweep(networks, Measured(class_gradients, {"n_images": p.gradient_images}, inputs), p.gradient_seeds)


def class_gradients(run: Run, dataset: Dataset, n_images: int) -> DataFrame:
    """Norms of the gradient of the mean loss by the weights of the first layer ("first") and by all parameters ("all").

    Metrics such as first_favoured: over images labelled with the class that this network gives more of them to, over
    the others (unfavoured), over all (global).  largest_fraction: of that class.
    """
    import pandas as pd
    import torch
    from torch.nn import functional as F

    from igbrepro.networks import build

    some = dataset.subset(n_test=n_images, seed=run.seed)
    images = torch.from_numpy(some.inputs("test", flat=False)).double()  # single precision underflows at small ratios
    labels = torch.from_numpy(some.labels("test", "parity"))
    model = build(run.spec, run.init, torch.Generator().manual_seed(run.seed)).double()
    logits = model(images)
    share, favoured = torch.bincount(logits.argmax(1), minlength=2).double().div(len(labels)).max(0)
    losses = F.cross_entropy(logits, labels, reduction="none")
    parameters = list(model.parameters())
    rows = [("largest_fraction", float(share))]
    which = {"global": labels >= 0, "favoured": labels == favoured, "unfavoured": labels != favoured}
    for name, chosen in which.items():
        found = torch.autograd.grad(losses[chosen].mean(), parameters, retain_graph=True)
        norms = torch.stack([one.square().sum() for one in found])
        rows += [(f"first_{name}", float(norms[0].sqrt())), (f"all_{name}", float(norms.sum().sqrt()))]
    return pd.DataFrame(rows, columns=["metric", "value"])


def networks(p: Parameters, data: DataFacts) -> dict[str, tuple[MLPSpec, InitSpec]]:
    """The tanh networks of the training figure, called "tanh 1.25"."""
    return starts({"tanh": p.tanh_ratios}, {"tanh": MLPSpec("tanh", p.depth, p.width, 2, data.input_shape)}, p.sigma_b2)


def training(p: Parameters, data: DataFacts) -> Sweep:
    """These from starts that are selected as the paper's are."""
    if len(p.tanh_shares) != len(p.tanh_ratios):
        raise ParameterError(f"tanh_shares={p.tanh_shares!r}: need one for each of tanh_ratios={p.tanh_ratios!r}.")
    chosen = {
        name: (spec, SelectedStart(init, share, n_inputs=p.n_eval))
        for (name, (spec, init)), share in zip(networks(p, data).items(), p.tanh_shares, strict=True)
    }
    settings = TrainSettings(
        p.steps,
        p.batch_size,
        p.lr,
        labels="parity",
        n_eval=p.n_eval,
        n_eval_train=p.n_eval,
        eval_points=log_steps(p.steps, 24),
        precision=p.precision,
    )
    return Sweep(chosen, settings, p.seeds)
