"""The runs of chapter 13: residual CNNs with batch normalisation, without, and with scaled branches."""

from __future__ import annotations

import numpy as np
import pandas as pd

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import Init, InitSpec
from igbrepro.networks import ResNetSpec, Spec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep
from igbrepro.training import TrainSettings, log_steps

TWIN_INPUTS = 2  # of each class, in a batch of the twins

ALL_STORED = True  # the notebook needs the data for nothing but these runs


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True)


def networks(p: Parameters, data: DataFacts) -> dict[str, tuple[Spec, Init]]:
    """Every kind of block at every sigma_w2, "plain 0.5", and by PyTorch's default, "plain default"."""
    if min(len(p.norm_sigma_w2), len(p.plain_sigma_w2)) < 2:
        raise ParameterError("norm_sigma_w2, plain_sigma_w2: need two values or more of each.")
    if not set(p.norm_sigma_w2) & set(p.plain_sigma_w2):
        raise ParameterError("norm_sigma_w2, plain_sigma_w2: need a value in common, at which the two are compared.")
    shape = {"stages": tuple(p.stages), "width": p.width, "input_shape": data.input_shape}
    kinds = {
        "norm": ([*p.norm_sigma_w2, "default"], True, None),
        "plain": ([*p.plain_sigma_w2, "default"], False, None),
        "scaled": (p.scaled_sigma_w2, False, "depth"),
    }
    found: dict[str, tuple[Spec, Init]] = {}
    for kind, (values, norm, scale) in kinds.items():
        spec = ResNetSpec("relu", **shape, n_classes=len(data.classes), norm=norm, scale=scale)
        for value in values:
            named = value == "default"
            found[f"{kind} {value}" if named else f"{kind} {value:g}"] = spec, value if named else InitSpec(value)
    return found


def twins(p: Parameters, data: DataFacts) -> Sweep:
    """A normalised network and its twins with larger weights, trained for a few steps."""
    spec, _ = networks(p, data)["norm default"]
    arguments = {"factor": p.twin_factor, "steps": p.twin_steps, "lr": p.lr}
    inputs = 3 * 3 * TWIN_INPUTS * p.twin_steps * len(data.classes)
    return Sweep({"norm 2": (spec, InitSpec(2.0))}, Measured(twin_losses, arguments, inputs), (p.seed,))


def untrained(p: Parameters, data: DataFacts) -> Sweep:
    """An ensemble of each before training."""
    names = ("n_images", "n_tables", "n_networks")
    inputs = (3 * p.n_tables + p.n_networks) * p.n_images
    return Sweep(networks(p, data), Measured(start, {name: p[name] for name in names}, inputs), (p.seed,))


def training(p: Parameters, data: DataFacts) -> Sweep:
    """All of them, at one learning rate; test images are normalised by their own statistics."""
    settings = TrainSettings(
        p.steps,
        p.batch_size,
        p.lr,
        labels="classes",
        n_eval=p.n_eval,
        eval_points=log_steps(p.steps, 16),
        batch_statistics=True,
        precision=p.precision,
    )
    return Sweep(networks(p, data), settings, p.seeds)


def twin_losses(run: Run, dataset: Dataset, factor: float, steps: int, lr: float) -> pd.DataFrame:
    """A network with batch normalisation, and a twin whose normalised weights are `factor` times as large.

    logits: of the first batch; step is the input.  gradient: size of that by the normalised weights, on this batch.
    loss: of every batch before its update by Adam, step from 1; of the twin with the learning rate of these weights
        multiplied by `factor`, and as it was.
    """
    import torch
    from lab import adam_losses, gradient_size, rescale_

    from igbrepro.networks import build

    part = dataset.subset(n_train=max(2, steps) * TWIN_INPUTS * len(dataset.classes), seed=run.seed)
    x = torch.from_numpy(part.inputs("train", flat=False)).double()
    y = torch.from_numpy(part.labels("train"))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(run.seed))
    batches = [(x[index], y[index]) for index in order.chunk(steps)]

    def network(by: float) -> torch.nn.Module:
        model = build(run.spec, run.init, torch.Generator().manual_seed(run.seed)).double()
        return rescale_(model, by, eps=1e-30).train()

    tables = []
    for which, by in (("original", 1.0), ("twin", factor)):
        with torch.no_grad():
            logits = network(by)(batches[0][0]).numpy()
        inputs, classes = np.indices(logits.shape).reshape(2, -1)
        size = gradient_size(network(by), *batches[0])
        numbers = {"step": inputs, "class": classes, "value": logits.ravel()}
        tables += [
            pd.DataFrame({"metric": "logits", "split": which} | numbers),
            pd.DataFrame({"metric": "gradient", "split": which, "step": [0], "value": size}),
        ]
    for which, by, rate in (("original", 1.0, lr), ("rate scaled too", factor, lr * factor), ("rate kept", factor, lr)):
        losses = adam_losses(network(by), batches, lr, rate)
        numbers = {"step": range(1, len(losses) + 1), "value": losses}
        tables.append(pd.DataFrame({"metric": "loss", "split": which} | numbers))
    return pd.concat(tables, ignore_index=True)


def start(run: Run, dataset: Dataset, n_images: int, n_tables: int, n_networks: int) -> pd.DataFrame:
    """Signals and first guesses of untrained networks on test images; network by network from the same normal numbers.

    q, gamma: medians over n_tables networks, after every stage; step 0 is the stem, the last one the head.
    c, c_error: mean over them of gamma / (1 + gamma), and its standard error.
    max_class_fraction: of n_networks networks; step is the network.
    """
    import torch

    from igbrepro.networks import build
    from igbrepro.probes import batch_statistics, layer_table
    from igbrepro.training import max_class_fraction

    images = torch.from_numpy(dataset.subset(n_test=n_images, seed=run.seed).inputs("test", flat=False))

    def network(number: int) -> torch.nn.Module:
        return build(run.spec, run.init, torch.Generator().manual_seed(1000 * run.seed + number)).eval()

    tables = pd.concat(layer_table(network(number), images) for number in range(n_tables))
    stages = tables.assign(c=tables["gamma"] / (1 + tables["gamma"])).groupby(level=0)
    by_stage = pd.DataFrame(
        {
            "q": stages["q"].median(),
            "gamma": stages["gamma"].median(),
            "c": stages["c"].mean(),
            "c_error": stages["c"].sem(),
        }
    )
    shares = []
    for number in range(n_networks):
        model = network(number)
        with torch.no_grad(), batch_statistics(model):
            shares.append(float(max_class_fraction(model(images))))
    return pd.concat(
        [
            by_stage.rename_axis(index="step").melt(var_name="metric", ignore_index=False).reset_index(),
            pd.DataFrame({"metric": "max_class_fraction", "step": range(n_networks), "value": shares}),
        ],
        ignore_index=True,
    )
