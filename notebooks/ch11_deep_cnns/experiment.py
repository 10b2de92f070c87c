"""The runs of chapter 11: plain CNNs in every phase and by named initialisations, and MLPs, on ten classes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from igbrepro.data import Dataset, load
from igbrepro.initialization import Init, InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, Spec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep, starts
from igbrepro.training import TrainSettings, log_steps

ALL_STORED = True  # the notebook needs the data for nothing but these runs


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True)


def networks(p: Parameters, data: DataFacts) -> dict[str, tuple[Spec, Init]]:
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


def untrained(p: Parameters, data: DataFacts) -> Sweep:
    """An ensemble of each before training."""
    names = ("n_images", "n_networks", "n_heads", "labels")
    passes = 6  # forward: of a table with two gradients five, of the features one
    settings = Measured(start, {name: p[name] for name in names}, inputs=passes * p.n_networks * p.n_images)
    return Sweep(networks(p, data), settings, (p.seed,))


def training(p: Parameters, data: DataFacts) -> Sweep:
    """All of them, at one learning rate."""
    settings = TrainSettings(
        p.steps,
        p.batch_size,
        p.lr,
        labels=p.labels,
        n_eval=p.n_eval,
        eval_points=log_steps(p.steps, p.n_points),
        precision=p.precision,
    )
    return Sweep(networks(p, data), settings, p.seeds)


def perceptrons(p: Parameters, data: DataFacts) -> Sweep:
    """The paper's fully connected networks on the same images, in their own classes; runs are called "tanh 0.8"."""
    size = (p.mlp_depth, p.mlp_width, len(data.classes), data.input_shape)
    ratios = {"tanh": p.mlp_tanh_ratios, "relu": p.mlp_relu_ratios}
    settings = TrainSettings(
        p.mlp_steps,
        p.mlp_batch_size,
        p.mlp_lr,
        labels="classes",
        n_eval=p.n_eval,
        eval_points=log_steps(p.mlp_steps, 24),
        precision=p.precision,
    )
    return Sweep(starts(ratios, {name: MLPSpec(name, *size) for name in ratios}, p.sigma_b2), settings, p.mlp_seeds)


def start(run: Run, dataset: Dataset, n_images: int, n_networks: int, n_heads: int, labels: str) -> pd.DataFrame:
    """Gradients and first guesses of untrained networks on test images.

    weight_gradient: median over networks of the mean squared gradient of the loss by the weights of a convolution; step
        is the layer, from 1.  first_gradient: that of layer 1, network by network; step is the network.
    max_class_fraction: mean over n_heads heads, network by network.  mean_correlation: of the logits, over pairs of
        images, for infinitely many channels; neither for initialisations by name.
    """
    import torch

    from igbrepro.ensembles import head_nodes, infinite_covariance, max_fractions, mean_correlation
    from igbrepro.networks import build
    from igbrepro.probes import features, layer_table

    spec, init = run.spec, run.init
    some = dataset.subset(n_test=n_images, seed=run.seed)
    images, targets = some.inputs("test", flat=False), some.labels("test", labels)
    gradients, shares = [], []
    for network in range(n_networks):
        generator = torch.Generator().manual_seed(run.seed * 10_000 + network)
        model = build(spec, init, generator)
        gradients.append(layer_table(model, images, targets, seed=network)["weight_gradient"][: spec.depth])
        if isinstance(init, InitSpec):
            body, gain = features(model, images)
            nodes = head_nodes(body, init, spec.n_classes * n_heads, generator, gain)
            shares.append(max_fractions(nodes, spec.n_classes).mean())
    by_layer = np.array(gradients)
    numbers = [
        ("weight_gradient", range(1, spec.depth + 1), np.median(by_layer, axis=0)),
        ("first_gradient", range(n_networks), by_layer[:, 0]),
    ]
    if isinstance(init, InitSpec):
        c = mean_correlation(infinite_covariance(spec, init, images))
        numbers += [("max_class_fraction", range(n_networks), shares), ("mean_correlation", [0], [c])]
    tables = [pd.DataFrame({"metric": metric, "step": steps, "value": values}) for metric, steps, values in numbers]
    return pd.concat(tables, ignore_index=True)
