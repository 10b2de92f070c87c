"""The runs of chapter 18: designs on the edge of chaos, with heads as drawn, centred or forced; an ordered network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import HeadStart, InitSpec, Start
from igbrepro.networks import MLPSpec
from igbrepro.runs import DataFacts, Parameters, Sweep
from igbrepro.theory import Design, design, reachable_gamma
from igbrepro.training import TrainSettings, log_steps


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True).scaled(p.scaling)


def inputs(p: Parameters) -> dict[str, float]:
    """Mean square and mean correlation of the training images, as `design` takes them, to two digits.

    A large part of the data has so many in common with the whole, so that the designs are the same on both.
    """
    images = dataset(p).inputs("train")
    (n, d), mean = images.shape, images.mean(axis=0, dtype=float)
    norm2 = float(np.square(images).mean(dtype=float))
    correlation = (n * (mean @ mean) / d / norm2 - 1) / (n - 1)
    # Standardised images can have one a little below 0, for which no design is known.
    return {"norm2": float(f"{norm2:.2g}"), "input_correlation": max(round(float(correlation), 2), 0.0)}


def designs(p: Parameters) -> dict[str, Design]:
    """A design for every gamma that is asked for, by names such as "tanh, γ = 4"; the least bias of each first.

    Variances are rounded to six digits, so that runs have the same keys on every machine.
    """
    if len(p.tanh_targets) < 2:
        raise ParameterError(f"tanh_targets={p.tanh_targets}: need two or more, the weakest and the strongest bias.")
    setting = inputs(p)
    least, _ = reachable_gamma("relu", p.depth, **setting)
    targets = {"tanh": p.tanh_targets, "relu": [factor * least for factor in p.relu_factors]}
    found = {}
    for activation, label in (("tanh", "tanh"), ("relu", "ReLU")):
        for target in targets[activation]:
            made = design(activation, p.depth, target, **setting)
            rounded = {name: float(f"{getattr(made, name):.6g}") for name in ("sigma_w2", "sigma_b2")}
            found[f"{label}, γ = {target:.3g}"] = replace(made, **rounded)
    return found


def training(p: Parameters, data: DataFacts) -> Sweep:
    """Every tanh design as drawn, the weakest, the strongest and ReLU's with other heads; "tanh, γ = 30, centred"."""
    made, n_classes = designs(p), 2 if p.labels == "parity" else len(data.classes)
    tanh = [name for name in made if name.startswith("tanh")]
    relu = next(name for name in made if name.startswith("ReLU"))
    one_class = (1.0, *(0.0,) * (n_classes - 1))

    def network(name: str, head: str, ratio: float = 1.0) -> tuple[MLPSpec, Start]:
        init = InitSpec(ratio * made[name].sigma_w2, made[name].sigma_b2)
        heads = {"centred": "centred", "forced": one_class}
        start = HeadStart(init, heads[head], p.n_head_images) if head in heads else init
        return MLPSpec(made[name].activation, p.depth, p.width, n_classes, data.input_shape), start

    arms = [(name, "as drawn") for name in tanh]
    arms += [(tanh[0], "forced"), (tanh[-1], "centred"), (tanh[-1], "forced")]
    arms += [(relu, head) for head in ("as drawn", "centred", "forced")]
    networks = {f"{name}, {head}": network(name, head) for name, head in arms}
    networks["tanh, ordered, centred"] = network(list(made)[1], "centred", p.ordered_ratio)
    points = log_steps(p.steps, p.n_eval_points)
    settings = TrainSettings(
        p.steps, p.batch_size, p.lr, labels=p.labels, n_eval=p.n_eval, eval_points=points, precision=p.precision
    )
    return Sweep(networks, settings, p.seeds)
