"""The runs of chapter 23: networks of every depth from every sigma_w2, trained; and very deep ones near the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from igbrepro.data import Dataset, load
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, Spec
from igbrepro.runs import DataFacts, Measured, Parameters, Run, Sweep
from igbrepro.theory import MaxPool, critical_sigma_w2

if TYPE_CHECKING:
    from pandas import DataFrame

ALL_STORED = True  # the notebook needs the data for nothing but these runs
KINDS = ("tanh MLP", "ReLU MLP", "tanh CNN", "pooled ReLU CNN", "residual tanh MLP")


def dataset(p: Parameters) -> Dataset:
    """What is trained on."""
    return load(p.dataset, fallback=True)


def specs(p: Parameters, data: DataFacts) -> dict[str, Spec]:
    """The five kinds of network, each at the depth where its row ends."""
    mlp, cnn = max(p.depths), max(p.cnn_depths)
    shape = {"n_classes": 2, "input_shape": data.input_shape}
    conv = {"channels": p.channels, "strides": tuple(p.strides), **shape}
    found = (
        MLPSpec("tanh", mlp, p.width, **shape),
        MLPSpec("relu", mlp, p.width, **shape),
        CNNSpec("tanh", cnn, **conv),
        CNNSpec("relu", cnn, pool=MaxPool(4), **conv),
        MLPSpec("tanh", mlp, p.width, residual=1.0, **shape),
    )
    return dict(zip(KINDS, found, strict=True))


def start(p: Parameters, spec: Spec, ratio: float) -> InitSpec:
    """At a ratio to the critical sigma_w2: of a residual network, to that of the plain one; of one with pools, to that
    at which pools of independent nodes keep the gradient.
    """
    critical = critical_sigma_w2(spec.activation, p.sigma_b2, pool=spec.pool, criterion="gradient")
    return InitSpec(ratio * float(critical), p.sigma_b2)


def _row(p: Parameters, spec: Spec, lr: float, **more: object) -> Measured:
    """Settings of one row of a map: every depth, one after the other."""
    depths = p.depths if isinstance(spec, MLPSpec) else p.cnn_depths
    names = ("steps", "batch_size", "n_eval", "n_images", "n_heads")
    arguments = {name: p[name] for name in names} | {"depths": list(depths), "lr": lr} | more
    inputs = (3 * p.steps * p.batch_size + p.n_eval + p.n_images) * sum(depths) / max(depths)
    return Measured(learned, arguments, inputs, trains=True)


def _rows(p: Parameters, data: DataFacts, kinds: tuple[str, ...], optimizers: dict[str, float], seeds: list) -> Sweep:
    """Rows of the maps of these kinds, by every optimiser and its learning rate."""
    if 1.0 not in p.ratios or min(p.ratios) >= 1 or max(p.ratios) <= 1:
        raise ParameterError(f"ratios={p.ratios}: need 1.0, the edge, and a ratio on either side of it.")
    known, networks, settings = specs(p, data), {}, {}
    for kind in kinds:
        for optimizer, lr in optimizers.items():
            for ratio in p.ratios:
                name = f"{kind}, {optimizer}, {ratio:g}"
                networks[name] = known[kind], start(p, known[kind], ratio)
                settings[name] = _row(p, known[kind], lr, optimizer=optimizer)
    return Sweep(networks, settings, seeds)


def maps(p: Parameters, data: DataFacts) -> Sweep:
    """Plain tanh and ReLU MLPs by both optimisers: rows called "tanh MLP, sgd, 0.7"."""
    return _rows(p, data, KINDS[:2], {"adam": p.lr, "sgd": p.sgd_lr}, p.seeds)


def others(p: Parameters, data: DataFacts) -> Sweep:
    """The other kinds of network, by Adam."""
    return _rows(p, data, KINDS[2:], {"adam": p.lr}, p.other_seeds)


def epsilons(p: Parameters, data: DataFacts) -> Sweep:
    """Rows of ordered tanh MLPs, trained by Adam with its own epsilon and with a larger one: "0.55, ε = 1e-05"."""
    spec = specs(p, data)["tanh MLP"]
    networks, settings = {}, {}
    for ratio in p.epsilon_ratios:
        for epsilon in (1e-8, p.epsilon):
            name = f"{ratio:g}, ε = {epsilon:g}"
            networks[name] = spec, start(p, spec, ratio)
            more = {"epsilon": epsilon} if epsilon != 1e-8 else {}
            settings[name] = _row(p, spec, p.lr, optimizer="adam", **more)
    return Sweep(networks, settings, p.seeds)


def deep(p: Parameters, data: DataFacts) -> Sweep:
    """Very deep plain tanh networks: "MLP, 1000 layers, orthogonal, 0.9"; the learning rate falls with the depth."""
    networks, settings = {}, {}
    for kind, depths in (("MLP", p.deep_depths), ("CNN", p.deep_cnn_depths)):
        for depth in depths:
            if kind == "MLP":
                spec: Spec = MLPSpec("tanh", depth, p.width, 2, data.input_shape)
            else:
                spec = CNNSpec("tanh", depth, p.channels, 2, data.input_shape, strides=tuple(p.strides))
            for weights in ("normal", "orthogonal"):
                for ratio in p.deep_ratios:
                    name = f"{kind}, {depth} layers, {weights}, {ratio:g}"
                    networks[name] = spec, InitSpec.from_ratio(ratio, "tanh", 0.0)
                    arguments = {name: p[name] for name in ("batch_size", "n_eval")}
                    arguments |= {"steps": p.deep_steps, "lr": p.deep_lr / depth, "orthogonal": weights == "orthogonal"}
                    inputs = 3 * p.deep_steps * p.batch_size + 9 * p.n_eval
                    settings[name] = Measured(deepest, arguments, inputs, trains=True)
    return Sweep(networks, settings, p.deep_seeds)


def learned(run: Run, dataset: Dataset, **arguments) -> DataFrame:
    """Of networks of every depth (step): accuracy after training on two classes, and largest class fraction before.

    max_class_fraction: mean over heads of the network that is then trained, on n_images test images; predicted: by the
    theory of infinite width from the same images, of plain networks.
    """
    from lab import row

    return row(run, dataset, **arguments)


def deepest(run: Run, dataset: Dataset, **arguments) -> DataFrame:
    """Test accuracy of one deep network by step of the training."""
    from lab import train_deep

    return train_deep(run, dataset, **arguments)
