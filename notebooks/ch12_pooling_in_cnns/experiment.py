"""The runs of chapter 12: CNNs with overlapping average- or max-pools, untrained and trained on ten classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igbrepro.data import Dataset, load
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep
from igbrepro.theory import RELU, AveragePool, MaxPool, critical_sigma_w2
from igbrepro.training import TrainSettings

if TYPE_CHECKING:
    from pandas import DataFrame

GRADIENT = "independent, gradient"  # a start that is not trained

ALL_STORED = True  # the notebook needs the data for nothing but these runs


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True)


def window_means(run: Run, dataset: Dataset, n_images: int, n_networks: int) -> DataFrame:
    """How correlated the nodes of windows are in untrained networks, and what pools hand on, layer by layer."""
    import lab

    return lab.window_means(run, dataset, n_images, n_networks)


def profile(run: Run, dataset: Dataset, n_images: int, n_networks: int) -> DataFrame:
    """Sizes of signals and gradients in untrained networks, stage by stage."""
    import lab

    return lab.profile(run, dataset, n_images, n_networks)


def _networks(p: Parameters, data: DataFacts) -> dict:
    """Both pools from all five starts, called "max, He"."""
    networks = {}
    for kind, pool, measured in (
        ("average", AveragePool(4), p.average_sigma_w2),
        ("max", MaxPool(4), p.max_sigma_w2),
    ):
        spec = CNNSpec(
            "relu", p.depth, p.channels, n_classes=len(data.classes), input_shape=data.input_shape, pool=pool
        )
        independent = {c: float(critical_sigma_w2(RELU, pool=pool, criterion=c)) for c in ("signal", "gradient")}
        starts = {
            "measured": InitSpec(measured),
            "independent": InitSpec(independent["signal"]),
            GRADIENT: InitSpec(independent["gradient"]),
            "He": InitSpec(2.0),
            "default": "default",
        }
        networks |= {f"{kind}, {name}": (spec, init) for name, init in starts.items()}
    return networks


def windows(p: Parameters, data: DataFacts) -> Sweep:
    """Each pool at one start, which shows the correlations of all."""
    networks = _networks(p, data)
    sizes = {"n_images": p.n_images, "n_networks": p.n_networks}
    measured = Measured(window_means, sizes, inputs=4 * p.n_images * p.n_networks)
    return Sweep({kind: networks[f"{kind}, He"] for kind in ("average", "max")}, measured, (p.seed,))


def profiles(p: Parameters, data: DataFacts) -> Sweep:
    """Both pools from all five starts, untrained."""
    sizes = {"n_images": p.n_images, "n_networks": p.n_profile_networks}
    measured = Measured(profile, sizes, inputs=3 * p.n_images * p.n_profile_networks)
    return Sweep(_networks(p, data), measured, (p.seed,))


def training(p: Parameters, data: DataFacts) -> Sweep:
    """Both pools from four starts.

    The start "measured" is given by parameters, which the notebook compares with what `windows` say: runs are declared
    before anything is measured.
    """
    networks = {name: one for name, one in _networks(p, data).items() if not name.endswith(GRADIENT)}
    points = range(0, p.steps, p.eval_every)
    settings = TrainSettings(p.steps, p.batch_size, p.lr, labels="classes", n_eval=p.n_eval, eval_points=points)
    return Sweep(networks, settings, p.seeds)
