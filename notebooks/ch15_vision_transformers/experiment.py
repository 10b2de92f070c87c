"""The runs of chapter 15: the simplified vision transformer on ten classes and on two, and the full one on ten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import Init, InitSpec
from igbrepro.networks import ViTSpec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep
from igbrepro.training import TrainSettings, log_steps

if TYPE_CHECKING:
    from pandas import DataFrame

ALL_STORED = True  # the notebook needs the data for nothing but these runs


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True)


def inits(p: Parameters) -> dict[str, InitSpec]:
    """Every ratio by its name, "0.7"."""
    if 1.0 not in p.ratios or min(p.ratios) >= 1 or max(p.ratios) <= 1:
        raise ParameterError(f"ratios={p.ratios}: need 1.0, the edge, and a ratio on either side of it.")
    return {f"{ratio:g}": InitSpec.from_ratio(ratio, "relu", 0.0) for ratio in p.ratios}


def simplified_spec(p: Parameters, data: DataFacts, n_classes: int) -> ViTSpec:
    """The paper's: no layer norm, no skip connections, patches normalised over the batch, tokens of its own."""
    return ViTSpec(
        "relu",
        p.depth,
        p.width,
        p.heads,
        p.patch,
        p.mlp_ratio,
        n_classes,
        data.input_shape,
        norm=False,
        residual=False,
        patch_norm=True,
        unit_tokens=True,
    )


def settings(p: Parameters, labels: str, steps: int, *, normed: bool) -> TrainSettings:
    """Of every training; normed: whether the network has batch normalisation, which test images then are read by."""
    return TrainSettings(
        steps,
        p.batch_size,
        p.lr,
        labels=labels,
        n_eval=p.n_eval,
        eval_points=log_steps(steps, 20),
        batch_statistics=normed,
        precision=p.precision,
    )


def simplified(p: Parameters, data: DataFacts) -> Sweep:
    """The simplified one from every ratio, on ten classes; runs are called "simplified 0.7"."""
    spec = simplified_spec(p, data, len(data.classes))
    return Sweep(_named("simplified", spec, inits(p)), settings(p, "classes", p.steps, normed=True), p.seeds)


def binarised(p: Parameters, data: DataFacts) -> Sweep:
    """The same on two classes, of even and odd number; runs are called "binarised 0.7"."""
    spec = simplified_spec(p, data, 2)
    return Sweep(_named("binarised", spec, inits(p)), settings(p, "parity", p.steps, normed=True), p.seeds)


def full(p: Parameters, data: DataFacts) -> Sweep:
    """The full one from every ratio and from torchvision's default, on ten classes; runs are called "full 0.7"."""
    size = ("relu", p.full_depth, p.width, p.full_heads, p.patch, p.mlp_ratio, len(data.classes))
    networks = _named("full", ViTSpec(*size, data.input_shape), {**inits(p), "default": "default"})
    return Sweep(networks, settings(p, "classes", p.full_steps, normed=False), p.full_seeds)


def _named(kind: str, spec: ViTSpec, starts: Mapping[str, Init]) -> dict[str, tuple[ViTSpec, Init]]:
    if spec.depth < 4:
        raise ParameterError(
            f"depth={spec.depth}: need 4 or more blocks, of which the first and the last are set apart."
        )
    return {f"{kind} {name}": (spec, init) for name, init in starts.items()}


def start(run: Run, dataset: Dataset, n_images: int, n_networks: int, n_heads: int) -> DataFrame:
    """Of untrained networks: sizes and tokens block by block, and the largest class fraction under random heads."""
    import lab

    return lab.start(run, dataset, n_images, n_networks, n_heads)


def untrained(p: Parameters, data: DataFacts) -> Sweep:
    """Both kinds of ten classes before training."""
    sizes = {name: p[name] for name in ("n_images", "n_networks", "n_heads")}
    measured = Measured(start, sizes, inputs=5 * p.n_networks * p.n_images)
    return Sweep({**simplified(p, data).networks, **full(p, data).networks}, measured, (p.seed,))
