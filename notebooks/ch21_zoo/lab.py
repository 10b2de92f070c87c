"""The classification architectures of torchvision before training, described by what a run of them shows."""

from __future__ import annotations

import html
import math
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.stats import permutation_test
from torch import Tensor, nn
from torch.nn import functional as F

from igbrepro.claims import normal_error
from igbrepro.data import Dataset
from igbrepro.diagnosis import diagnose
from igbrepro.ensembles import OneNumberLaw, matrix_law, max_fractions
from igbrepro.errors import ParameterError
from igbrepro.networks import build
from igbrepro.probes import Node, batch_statistics, carrier, evaluating, last_layer, recording, signal, trace
from igbrepro.runs import Run


def enlarge(images: ArrayLike, side: int) -> Tensor:
    """Images (n, 1 or 3, height, width) as a tensor (n, 3, side, side), by linear interpolation."""
    x = torch.as_tensor(np.asarray(images, dtype=np.float32))
    if x.ndim != 4 or x.shape[1] not in (1, 3):
        raise ParameterError(f"images of shape {tuple(x.shape)}: need (n, 3, height, width), or one channel.")
    x = x.expand(-1, 3, -1, -1)
    if x.shape[2:] == (side, side):
        return x.contiguous()
    return F.interpolate(x, size=(side, side), mode="bilinear", antialias=True)


@dataclass(frozen=True)
class Structure:
    """What a run of a model shows of its design.

    norm: "none", "batch", "layer", or both.  norm_after_layer: share of the norms that directly follow a layer.
    sums: residual sums.  activation: the most frequent one, or "none".
    head: name of the last layer.  reads: kind of the node whose values it reads ("norm", "sum", "layer"), after the
        activations `rectifier` and a mean or maximum over `positions` positions (1: none).
    rectified: the head's inputs are never negative.
    after_head: functions applied to the last layer's outputs.
    """

    norm: str
    norm_after_layer: float
    sums: int
    activation: str
    head: str
    reads: str
    rectifier: str
    positions: int
    rectified: bool
    after_head: str


@torch.no_grad()
def structure(model: nn.Module, inputs: Tensor) -> Structure:
    """The Structure of a classifier, from a run in eval mode on two or more inputs (n, ...).

    Raises ParameterError for a model without layers between its inputs and its output.
    """
    with evaluating(model), batch_statistics(model):
        found, _ = trace(model, inputs)
    head = found.last_layer()
    if found.output is None or head is None:
        raise ParameterError("model: its output does not depend on the inputs through any layer it shows.")
    norms = [node for node in found.nodes if node.kind == "norm"]
    follow = [_skip(node.parents[0]).kind == "layer" for node in norms]
    activations = [node.op for node in found.nodes if node.kind == "activation"]
    after = [n.op for n in found.nodes if n.index > head.index and n.kind in ("activation", "pool", "norm")]
    between, source = _before(head)
    functions = [feed.function for feed in head.given]
    return Structure(
        norm=" + ".join(sorted({node.op.removesuffix("_norm") for node in norms})) or "none",
        norm_after_layer=float(np.mean(follow)) if follow else math.nan,
        sums=len(found.residual_sums()),
        activation=max(sorted(set(activations)), key=activations.count, default="none"),
        head=head.name,
        reads=source.kind,
        rectifier=" ".join(node.op for node in between if node.kind == "activation"),
        positions=round(math.prod(_shrinks(node) for node in between if node.kind == "pool")),
        rectified=bool(functions) and all(f is not None and _never_negative(f) for f in functions),
        after_head=", ".join(after),
    )


def _skip(node: Node) -> Node:
    """The node itself, or what it is another view of."""
    while node.kind == "other" and len(node.parents) == 1:
        node = node.parents[0]
    return node


def _before(head: Node) -> tuple[list[Node], Node]:
    """The activations, pools and joins in front of the last layer, and the node that they start from."""
    found, node = [], head.parents[0]
    while node.kind in ("activation", "pool", "join", "other"):
        found.append(node)
        node = carrier(node.parents)
    return found[::-1], node


def _shrinks(pool: Node) -> float:
    return math.prod(pool.parents[0].shape) / math.prod(pool.shape)


def _never_negative(function: Any) -> bool:
    return bool((function(torch.linspace(-20, 20, 2001, dtype=torch.float64)) >= 0).all())


@dataclass(frozen=True)
class Start:
    """How biased one untrained network is.

    share: of the images that go to the favourite class, the mean over heads; share_error: its standard error.
    from_gamma, from_c, from_pairs: what the laws make of gamma, of c and of every pair's correlation; gamma and c are
        those of `diagnose`, but c and the pairs after each image's mean over the nodes is taken off, which no guess
        depends on.
    share_of_all: the same for all nodes as one head.  gradient: mean squared gradient of the first stage over that of
        the last.  stages: their number.  zero_head: the last layer came with weights of zero and was drawn anew.
    """

    share: float
    share_error: float
    share_of_all: float
    gamma: float
    c: float
    from_gamma: float
    from_c: float
    from_pairs: float
    gradient: float
    stages: int
    zero_head: bool


def start(
    model: nn.Module, inputs: Tensor, law: OneNumberLaw, n_classes: int, *, head: str | None = None, seed: int = 0
) -> Start:
    """Diagnose a model whose output nodes are read as heads of n_classes, and predict the share of their favourite.

    inputs: (n, ...).  law: for n_classes and n inputs.  The output nodes of an untrained network are independent given
    its body, so that a head of 1,000 classes is 100 heads of 10.
    head: name of the last layer, if it is known.  Weights of zero there, which make all logits equal, are drawn anew
    by PyTorch's default, in place.
    """
    layer = model.get_submodule(head) if head else last_layer(model, inputs)[1]
    zero_head = _fill_zeros(layer, seed)
    with recording([("", model)]) as calls:
        found = diagnose(model, inputs, seed=seed)
    output = calls[-1].out
    logits = getattr(output, "logits", output).detach().double().cpu().numpy()
    shares = max_fractions(logits, n_classes)
    centred = logits - logits.mean(1, keepdims=True)
    gamma, c = found.head["gamma"], signal(torch.as_tensor(centred))["c"]
    pairs = float(law(c))
    if c >= 0:
        covariance, rng = centred @ centred.T / centred.shape[1], np.random.default_rng(seed)
        pairs, _ = matrix_law(covariance, {n_classes: law}, 20 * logits.shape[1], rng)[n_classes]
    return Start(
        share=float(shares.mean()),
        share_error=float(shares.std(ddof=1) / math.sqrt(len(shares))),
        share_of_all=found.head["max_fraction"],
        gamma=gamma,
        c=c,
        from_gamma=float(law(max(gamma, 0) / (1 + max(gamma, 0)))),
        from_c=float(law(c)),
        from_pairs=pairs,
        gradient=float(found.layers["gradient"].iloc[0]),
        stages=len(found.layers),
        zero_head=zero_head,
    )


@torch.no_grad()
def _fill_zeros(head: nn.Module, seed: int) -> bool:
    if head.weight.any():
        return False
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head.reset_parameters()
    return True


@torch.no_grad()
def head_correlation(model: nn.Module, inputs: Tensor) -> float:
    """Mean cosine of the logits of two inputs (n, ...); batch normalisation uses the statistics of the inputs."""
    with evaluating(model), batch_statistics(model):
        return signal(model(inputs))["c"]


def pooled_correlation(positions: ArrayLike) -> np.ndarray:
    """Correlation of two inputs after norm, ReLU and the mean over independent positions: 1 / (1 + (pi - 1) / P).

    A normalised node is N(0, 1) over inputs and positions, and relu has mean square E[relu]^2 = 1 / (2 pi) and
    variance (1 - 1 / pi) / 2, of which the mean over P positions leaves one P-th.  Ours.
    """
    return 1 / (1 + (math.pi - 1) / np.asarray(positions, dtype=float))


@cache
def one_number_law(n_classes: int, n_images: int, n_law_draws: int, drawn_by: int) -> OneNumberLaw:
    """The law for so many classes and images, whose noise depends on these numbers alone."""
    return OneNumberLaw(n_classes, n_images, np.random.default_rng(drawn_by), n_law_draws)


def _drawn(run: Run, dataset: Dataset, n_images: int, drawn_by: int) -> tuple[nn.Module, Tensor]:
    """The network of a run, and its images, in double precision: rounding then moves no guess."""
    images = dataset.subset(n_test=n_images, seed=drawn_by).inputs("test", flat=False)
    model = build(run.spec, run.init, torch.Generator().manual_seed(run.seed))
    return model.double(), enlarge(images, run.spec.input_shape[1]).double()


def start_table(
    run: Run, dataset: Dataset, n_images: int, drawn_by: int, n_classes: int, n_law_draws: int
) -> pd.DataFrame:
    """What `experiment.start` says."""
    model, x = _drawn(run, dataset, n_images, drawn_by)
    law = one_number_law(n_classes, n_images, n_law_draws, drawn_by)
    seen = structure(model, x[:2])
    found = asdict(seen) | asdict(start(model, x, law, n_classes, head=seen.head, seed=run.seed))
    rows = [(name, *((said, 1.0) if isinstance(said, str) else ("", said))) for name, said in found.items()]
    return pd.DataFrame(rows, columns=["metric", "split", "value"])


def networks(frame: pd.DataFrame) -> pd.DataFrame:
    """Those numbers with one row a network, by run and seed, and a column for each field of Structure and Start."""
    index = ["run", "seed"]
    found = frame.pivot(index=index, columns="metric", values="value")
    for field in (*fields(Structure), *fields(Start)):
        if field.type == "str":
            found[field.name] = frame[frame["metric"] == field.name].set_index(index)["split"]
        elif field.type in ("int", "bool"):
            found[field.name] = found[field.name].astype(field.type)
    return found


def head_reads(found: pd.DataFrame) -> pd.Series:
    """What the heads read in a few words, "norm, relu, pool of 4"."""
    pools = found["positions"].map(lambda positions: f"pool of {positions}" if positions > 1 else "")
    parts = zip(found["reads"], found["rectifier"], pools, strict=True)
    return pd.Series([", ".join(filter(None, row)) for row in parts], found.index)


def pool_table(run: Run, dataset: Dataset, n_images: int, drawn_by: int) -> pd.DataFrame:
    """What `experiment.pool` says."""
    model, x = _drawn(run, dataset, n_images, drawn_by)
    numbers = {"positions": structure(model, x[:2]).positions, "c": head_correlation(model, x)}
    return pd.DataFrame({"metric": numbers.keys(), "value": numbers.values()})


class Contrast(NamedTuple):
    """Two groups of families compared: difference of their means, its error, the p-value, numbers of families."""

    difference: float
    error: float
    p: float
    n_with: int
    n_without: int


def contrast(values: pd.Series, chosen: pd.Series, families: pd.Series) -> Contrast:
    """Mean of the chosen architectures less that of the others, a family counting as one, whatever its size.

    values, chosen (bool), families: by architecture.  A family with members on both sides counts once on each.
    error: two of them are as sure as two of a normal law (Welch's standard error, Student's t).  p: two-sided, of all
    ways to deal the families out to two groups of these sizes.
    Both are nan where a group has fewer than two families.
    """
    a, b = (values[side].groupby(families[side]).mean().to_numpy() for side in (chosen, ~chosen))
    difference = float(a.mean() - b.mean()) if len(a) and len(b) else math.nan
    if min(len(a), len(b)) < 2:
        return Contrast(difference, math.nan, math.nan, len(a), len(b))
    parts = np.array([a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)])
    if parts.sum() == 0:
        return Contrast(difference, 0.0, math.nan, len(a), len(b))
    freedom = parts.sum() ** 2 / (parts**2 / [len(a) - 1, len(b) - 1]).sum()
    error = normal_error(math.sqrt(parts.sum()), freedom)
    p = permutation_test((a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), vectorized=True, n_resamples=np.inf)
    return Contrast(difference, error, float(p.pvalue), len(a), len(b))


def sortable(frame: pd.DataFrame, label: str) -> str:
    """A table as HTML that scrolls in a box of its own and that the book's pages can sort (book/_assets/sortable.js).

    label: what the table is, for those who cannot see it.
    """
    table = frame.to_html(index=False, border=0, classes="igb-sortable", na_rep="–")
    return f'<div class="igb-table-box" tabindex="0" role="region" aria-label="{html.escape(label)}">{table}</div>'
