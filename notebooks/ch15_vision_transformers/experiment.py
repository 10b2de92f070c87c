"""The runs of chapter 15: vision transformers with and without layer norm and skip connections, on ten classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import ViTSpec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep
from igbrepro.training import TrainSettings, log_steps

if TYPE_CHECKING:
    from pandas import DataFrame

ALL_STORED = True  # the notebook needs the data for nothing but these runs


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True)


def training(p: Parameters, data: DataFacts) -> Sweep:
    """Both kinds from every ratio and from torchvision's default; runs are called "full 0.7", "full default"."""
    if 1.0 not in p.ratios or min(p.ratios) >= 1 or max(p.ratios) <= 1:
        raise ParameterError(f"ratios={p.ratios}: need 1.0, the edge, and a ratio on either side of it.")
    if p.depth < 4:
        raise ParameterError(f"depth={p.depth}: need 4 or more blocks, of which the first and the last are set apart.")
    inits = {f"{ratio:g}": InitSpec.from_ratio(ratio, "relu", 0.0) for ratio in p.ratios} | {"default": "default"}
    size = ("relu", p.depth, p.width, p.heads, p.patch, p.mlp_ratio, len(data.classes), data.input_shape)
    kinds = {"simplified": False, "full": True}  # with layer norm and skip connections?
    specs = {kind: ViTSpec(*size, norm=whole, residual=whole) for kind, whole in kinds.items()}
    networks = {f"{kind} {name}": (spec, init) for kind, spec in specs.items() for name, init in inits.items()}
    settings = TrainSettings(
        p.steps,
        p.batch_size,
        p.lr,
        labels="classes",
        n_eval=p.n_eval,
        eval_points=log_steps(p.steps, 20),
        precision=p.precision,
    )
    return Sweep(networks, settings, p.seeds)


def start(run: Run, dataset: Dataset, n_images: int, n_networks: int, n_heads: int) -> DataFrame:
    """Of untrained networks: sizes and tokens block by block, and the largest class fraction under random heads."""
    import lab

    return lab.start(run, dataset, n_images, n_networks, n_heads)


def untrained(p: Parameters, data: DataFacts) -> Sweep:
    """The same networks before training."""
    sizes = {name: p[name] for name in ("n_images", "n_networks", "n_heads")}
    measured = Measured(start, sizes, inputs=5 * p.n_networks * p.n_images)
    return Sweep(training(p, data).networks, measured, (p.seed,))
