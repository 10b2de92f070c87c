"""The runs of chapter 17: untrained networks of every architecture under many heads, and theory on the same images."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, Spec, ViTSpec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep

if TYPE_CHECKING:
    from pandas import DataFrame

CLASSES = (2, 10, 100)

ALL_STORED = True  # the notebook needs the data for nothing but these runs


def dataset(p: Parameters) -> Dataset:
    """What the networks are shown."""
    return load(p.dataset, fallback=True).scaled(p.scaling)


def kinds(p: Parameters, data: DataFacts) -> dict[str, tuple[list[int], Callable[[int], Spec]]]:
    """Every architecture: its depths, and the network of a depth."""
    shape = {"input_shape": data.input_shape}
    found: dict[str, tuple[list[int], Callable[[int], Spec]]] = {}
    for kind, scale in (("MLP", None), ("residual MLP", p.branch_scale)):
        for name, label in (("tanh", "tanh"), ("relu", "ReLU")):
            found[f"{kind}, {label}"] = (
                p.mlp_depths,
                lambda depth, name=name, scale=scale: MLPSpec(name, depth, p.width, residual=scale, **shape),
            )
    for name, label in (("tanh", "tanh"), ("relu", "ReLU")):
        found[f"CNN, {label}"] = p.mlp_depths, lambda depth, name=name: CNNSpec(name, depth, p.channels, **shape)
    for label, norm in (("no norm", False), ("batch norm", True)):
        found[f"ResNet, {label}"] = (
            p.stage_blocks,
            lambda depth, norm=norm: ResNetSpec("relu", (depth,) * 3, 16, norm=norm, **shape),
        )
    for kind, whole in (("ViT", True), ("ViT, simplified", False)):
        found[kind] = (
            p.vit_blocks,
            lambda depth, whole=whole: ViTSpec("relu", depth, norm=whole, residual=whole, **shape),
        )
    return found


def middle(depths: list[int]) -> int:
    """The depth at which sigma_w2 is varied."""
    return sorted(depths)[len(depths) // 2]


def points(p: Parameters, data: DataFacts) -> dict[str, tuple[str, int, float]]:
    """What is run, by the name of the run: kind, depth, and ratio of sigma_w2 to its critical value."""
    if 1.0 not in p.ratios:
        raise ParameterError(f"ratios={p.ratios}: need 1.0, the edge, at which depth is varied.")
    found = {}
    for kind, (depths, _) in kinds(p, data).items():
        pairs = {(depth, 1.0) for depth in depths} | {(middle(depths), ratio) for ratio in p.ratios}
        found |= {f"{kind}, depth {depth}, ratio {ratio:g}": (kind, depth, ratio) for depth, ratio in sorted(pairs)}
    return found


def networks(p: Parameters, data: DataFacts) -> dict[str, tuple[Spec, InitSpec]]:
    """The same as descriptions."""
    known, found = kinds(p, data), {}
    for name, (kind, depth, ratio) in points(p, data).items():
        spec = known[kind][1](depth)
        found[name] = spec, InitSpec.from_ratio(ratio, spec.activation, p.sigma_b2)
    return found


def end_to_end(spec: Spec) -> bool:
    """Whether theory follows given images through such a network."""
    return isinstance(spec, MLPSpec | CNNSpec)


def _law(p: Parameters) -> dict[str, object]:
    """What the sampled laws depend on."""
    names = ("n_images", "n_law_nodes", "n_law_draws")
    return {name: p[name] for name in names} | {"drawn_by": p.seed}


def _ensemble(p: Parameters, spec: Spec, classes: tuple[int, ...]) -> Measured:
    n = p.n_theory_networks if end_to_end(spec) else p.n_networks
    sizes = {"classes": list(classes), "n_networks": n, "n_nodes": p.n_nodes // n}
    return Measured(start, _law(p) | sizes, inputs=n * p.n_images)


def untrained(p: Parameters, data: DataFacts) -> Sweep:
    """An ensemble of every kind."""
    all_of_them = networks(p, data)
    settings = {name: _ensemble(p, spec, CLASSES) for name, (spec, _) in all_of_them.items()}
    return Sweep(all_of_them, settings, (p.seed,))


def theory(p: Parameters, data: DataFacts) -> Sweep:
    """Infinite width on the same images, where there is such a theory."""
    known = {name: one for name, one in networks(p, data).items() if end_to_end(one[0])}
    return Sweep(known, Measured(limit, _law(p) | {"classes": list(CLASSES)}, inputs=p.n_images), (p.seed,))


def channels(p: Parameters, data: DataFacts) -> Sweep:
    """Chaotic ReLU CNNs of several numbers of channels, drawn with another seed; called "16 channels"."""
    init = InitSpec.from_ratio(max(p.ratios), "relu", p.sigma_b2)
    found = {
        f"{n} channels": (CNNSpec("relu", middle(p.mlp_depths), n, input_shape=data.input_shape), init)
        for n in sorted({*p.other_channels, p.channels})
    }
    settings = {name: _ensemble(p, spec, CLASSES[-1:]) for name, (spec, _) in found.items()}
    return Sweep(found, settings, (p.seed + 1,))


def start(run: Run, dataset: Dataset, **arguments) -> DataFrame:
    """Shares of the favourite in an ensemble of networks, and what the laws make of the correlations in them.

    step is the number of classes, split "mean" over the networks or its standard "error": of share, measured; of "one
    number" and "variances", the laws of c and of "c of variances", whose error is that of the share minus the law,
    network by network; of matrix, that of the mean of the correlation matrices.
    """
    from lab import start_table

    return start_table(run, dataset, **arguments)


def limit(run: Run, dataset: Dataset, **arguments) -> DataFrame:
    """The share of the favourite that theory of infinite width predicts, from the whole matrix, "limit", and from its
    mean correlation, "limit, one number"; step and split as of `start`.
    """
    from lab import limit_table

    return limit_table(run, dataset, **arguments)
