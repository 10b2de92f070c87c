"""The runs of chapter 6: tanh and ReLU networks in every phase, trained on pictures in two classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec, SelectedStart
from igbrepro.networks import MLPSpec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep, starts
from igbrepro.training import TrainSettings, log_steps

if TYPE_CHECKING:
    from pandas import DataFrame

FEW_POINTS = 14  # evaluations of the networks that are trained on few images


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True).scaled(p.scaling)


def networks(p: Parameters, data: DataFacts) -> dict[str, tuple[MLPSpec, InitSpec]]:
    """Every ratio of sigma_w2 to its critical value; networks are called "tanh 1.25"."""
    n_classes = 2 if p.labels == "parity" else len(data.classes)
    ratios = {"tanh": p.tanh_ratios, "relu": p.relu_ratios}
    specs = {name: MLPSpec(name, p.depth, p.width, n_classes, data.input_shape) for name in ratios}
    return starts(ratios, specs, p.sigma_b2)


def training(p: Parameters, data: DataFacts) -> Sweep:
    """All of them at one learning rate, from starts as they are drawn or, where shares are given, as selected."""
    asked: dict[str, float] = {}
    for name, ratios, shares in (("tanh", p.tanh_ratios, p.tanh_shares), ("relu", p.relu_ratios, p.relu_shares)):
        if shares is not None and len(shares) != len(ratios):
            raise ParameterError(f"{name}_shares={shares!r}: need one for each of {name}_ratios={ratios!r}, or None.")
        asked |= {f"{name} {ratio:g}": share for ratio, share in zip(ratios, shares or (), strict=False)}
    chosen = {
        name: (spec, SelectedStart(init, asked[name]) if name in asked else init)
        for name, (spec, init) in networks(p, data).items()
    }
    settings = TrainSettings(
        p.steps,
        p.batch_size,
        p.lr,
        labels=p.labels,
        n_eval=p.n_eval,
        n_eval_train=p.n_eval_train,
        eval_points=log_steps(p.steps, 32),
        precision=p.precision,
    )
    return Sweep(chosen, settings, p.seeds)


def memorising(p: Parameters, data: DataFacts) -> Sweep:
    """The tanh networks on few images, which each of them sees many times."""
    few = {name: network for name, network in networks(p, data).items() if name.startswith("tanh ")}
    arguments = {name: p[name] for name in ("few_images", "few_steps", "batch_size", "lr", "labels", "n_eval")}
    inputs = 3 * p.few_steps * p.batch_size + FEW_POINTS * (p.n_eval + p.few_images)
    return Sweep(few, Measured(on_few, arguments, inputs, trains=True), p.few_seeds)


def on_few(
    run: Run,
    dataset: Dataset,
    few_images: int,
    few_steps: int,
    batch_size: int,
    lr: float,
    labels: str,
    n_eval: int,
) -> DataFrame:
    """Trained on few_images images, the classes in equal numbers, the same for every seed; all are evaluated."""
    from igbrepro.training import train

    settings = TrainSettings(
        few_steps,
        batch_size,
        lr,
        labels=labels,
        n_eval=n_eval,
        n_eval_train=few_images,
        eval_points=range(0, few_steps, -(-few_steps // (FEW_POINTS - 1))),
    )
    part = dataset.subset(n_train=few_images, seed=0)
    frame = train(run.spec, run.init, part, settings, seed=run.seed, progress=False).frame
    return frame[frame["metric"].isin(["accuracy", "loss", "max_class_fraction"])]
