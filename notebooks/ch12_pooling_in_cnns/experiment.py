"""The runs of chapter 12: CNNs with overlapping average- or max-pools, from four starts, on ten classes."""

from __future__ import annotations

from igbrepro.data import Dataset, load
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec
from igbrepro.runs import DataFacts, Parameters, Sweep
from igbrepro.theory import RELU, AveragePool, MaxPool, critical_sigma_w2
from igbrepro.training import TrainSettings


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True)


def training(p: Parameters, data: DataFacts) -> Sweep:
    """Both pools from every start; runs are called "max, He".

    The start "measured" is given by the parameters, since runs are declared before anything is measured.
    """
    networks = {}
    for kind, pool, measured in (
        ("average", AveragePool(4), p.average_sigma_w2),
        ("max", MaxPool(4), p.max_sigma_w2),
    ):
        spec = CNNSpec(
            "relu", p.depth, p.channels, n_classes=len(data.classes), input_shape=data.input_shape, pool=pool
        )
        starts = {
            "measured": InitSpec(measured),
            "independent": InitSpec(float(critical_sigma_w2(RELU, pool=pool, criterion="signal"))),
            "He": InitSpec(2.0),
            "default": "default",
        }
        networks |= {f"{kind}, {name}": (spec, init) for name, init in starts.items()}
    points = range(0, p.steps, p.eval_every)
    settings = TrainSettings(p.steps, p.batch_size, p.lr, labels="classes", n_eval=p.n_eval, eval_points=points)
    return Sweep(networks, settings, p.seeds)
