"""The runs of chapter 21: torchvision's architectures before training, diagnosed, and the last pool on its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from igbrepro.data import Dataset, load
from igbrepro.networks import TORCHVISION, TorchvisionSpec, least_side
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep

if TYPE_CHECKING:
    from pandas import DataFrame

ALL_STORED = True  # the notebook needs the data for nothing but these runs


def dataset(p: Parameters) -> Dataset:
    """What the networks are shown."""
    return load(p.dataset, fallback=True).scaled(p.scaling)


def catalogue(p: Parameters) -> DataFrame:
    """The architectures asked for by name, with their families, sizes, the side of images, and why one is not run."""
    names = p.architectures or list(TORCHVISION)
    sides = {name: least_side(name, p.resolution) for name in names}
    found = pd.DataFrame([TORCHVISION[name]._asdict() for name in names], index=pd.Index(names))
    found["side"] = pd.Series(sides)
    found["left_out"] = [_too_large(p, row) for row in found.itertuples()]
    return found[["family", "parameters", "operations", "side", "left_out"]]


def _too_large(p: Parameters, row: Any) -> str:
    if row.side > max(p.largest_side, p.resolution):
        return f"needs images of {row.side} pixels a side"
    if row.parameters > p.most_parameters:
        return f"{row.parameters / 1e6:.0f} million weights"
    if row.operations > p.most_operations:
        return f"{row.operations / 1e9:.0f} billion multiplications an image"
    return ""


def _kept(p: Parameters) -> DataFrame:
    found = catalogue(p)
    return found[found["left_out"] == ""]


def _drawn(p: Parameters) -> dict[str, Any]:
    """What the images depend on."""
    return {"n_images": p.n_images, "drawn_by": p.seed}


def survey(p: Parameters, data: DataFacts) -> Sweep:
    """All that are not too large."""
    sides = _kept(p)["side"]
    networks = {name: (TorchvisionSpec(name, p.n_nodes, (3, side, side)), "default") for name, side in sides.items()}
    arguments = _drawn(p) | {"n_classes": p.n_classes, "n_law_draws": p.n_law_draws}
    return Sweep(networks, Measured(start, arguments, inputs=4 * p.n_images), p.seeds)


def pools(p: Parameters, data: DataFacts) -> Sweep:
    """The smallest of every family on images of several sizes, called "resnet18, 64 pixels"."""
    kept = _kept(p)
    networks = {}
    for name in kept.groupby("family")["operations"].idxmin():
        for side in sorted({least_side(name, pixels) for pixels in p.pool_resolutions}):
            networks[f"{name}, {side} pixels"] = TorchvisionSpec(name, p.n_nodes, (3, side, side)), "default"
    return Sweep(networks, Measured(pool, _drawn(p), inputs=p.n_images), p.seeds[:1])


def start(run: Run, dataset: Dataset, **arguments) -> DataFrame:
    """The fields of lab's Structure and Start as metrics; the value of a text is 1, and split what it says."""
    from lab import start_table

    return start_table(run, dataset, **arguments)


def pool(run: Run, dataset: Dataset, **arguments) -> DataFrame:
    """c, the correlation of the logits of two images, and positions, over how many the last pool goes."""
    from lab import pool_table

    return pool_table(run, dataset, **arguments)
