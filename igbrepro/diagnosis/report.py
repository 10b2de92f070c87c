"""What a network of any kind does to its inputs before training, why it would not train, and what to change.

>>> print(diagnose(model, inputs))
"""

from __future__ import annotations

import json
import math
import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from igbrepro.diagnosis import files
from igbrepro.diagnosis.advice import DEPTH_SCALES, LeftOut, advise
from igbrepro.errors import ParameterError
from igbrepro.figures import PHASE_COLORS, panels
from igbrepro.initialization import edge_of_chaos, residual_factors
from igbrepro.probes import Node, Trace, batch_of, logits_of, norms_by_batch, signal, trace, undisturbed
from igbrepro.theory import Phase

BATCH_NORM_GROWTH = math.log(math.pi / (math.pi - 1))  # of squared gradients, a normalised ReLU layer; Yang et al. 2019
_COLUMNS = 76  # of printed text
_WEIGHTS = pd.Index(["layer", "fed_by", "sigma_w2", "edge", "normed", "numbers"])  # columns of Diagnosis.weights
_ROWS = ("layer", "norm", "sum", "pool", "product", "join")


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found.

    layers: one row a stage of the trunk, in order; columns
        layer, kind, op: name of the module (of the function, where the model itself calls it); layer, norm, sum
            (residual), pool, join or product; the function applied.
        q, c, gamma, sigma_mu2, sigma_y2: mean square of a node, mean cosine between two inputs, and the variances over
            inputs and nodes with their ratio.
        gradient: mean squared gradient of a random combination of the logits, summed over nodes, over that of the last
            stage; chi: its growth from the next stage to this one.
        imbalance: mean squared gradient of the cross-entropy of an input whose label is not the favourite class, over
            that of one whose label is.
    weights: one row a layer with weights; layer, fed_by, sigma_w2 (fan_in times the mean square of the weights) and
        edge (the sigma_w2 at which this layer would keep gradients; nan where the run does not show what feeds it).
    head: n_inputs, n_classes, max_fraction, favourite, gamma, c, q of the logits (c says more of the favourite's share
        than gamma where logits of some inputs are longer than of others) and, with labels, the loss, accuracy
        and `class_gradient`: for each class the mean squared gradient of its inputs' loss at the first stage.
    phase: the Phase of the paper that the network behaves like, or None if nothing passes through it.
    log_growth: ln of the squared gradient at the first stage over that at the last, global pools left out.
    depth_scale: stages over which the squared gradient changes by a factor e; c_scale: the same of 1 - c.
    """

    layers: pd.DataFrame
    weights: pd.DataFrame
    head: dict[str, Any]
    phase: Phase | None
    log_growth: float
    depth_scale: float
    c_scale: float
    verdict: str
    advice: tuple[str, ...]

    def __str__(self) -> str:
        columns = ["layer", "kind", "q", "c", "gamma", "chi", "gradient", "imbalance"]
        short: Any = "{:.3g}".format
        table = self.layers[columns].to_string(index=False, float_format=short, max_rows=40)
        advice = (textwrap.fill(f"- {line}", _COLUMNS, subsequent_indent="  ") for line in self.advice)
        return "\n".join([table, "", textwrap.fill(self.verdict, _COLUMNS), *advice])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values; numbers that are not finite are None."""
        return _finite(self._fields())

    def _fields(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "advice": list(self.advice),
            "phase": None if self.phase is None else self.phase.label,
            "log_growth": self.log_growth,
            "depth_scale": self.depth_scale,
            "c_scale": self.c_scale,
            "head": self.head,
            "layers": self.layers.to_dict("records"),
            "weights": self.weights.to_dict("records"),
        }

    def to_json(self) -> str:
        """`to_dict` as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def save(self, path: str | os.PathLike) -> None:
        """Write everything to a JSON file, from which `Diagnosis.load` makes the same again."""
        files.write(path, "Diagnosis", self._fields())

    @classmethod
    def load(cls, path: str | os.PathLike) -> Diagnosis:
        """The diagnosis that `save` wrote.  Raises ParameterError for a file that cannot be read, or another one."""
        found = files.read(path, "Diagnosis")
        phases = {phase.label: phase for phase in Phase}
        try:
            head = found["head"]
            if "class_gradient" in head:
                head["class_gradient"] = {int(label): value for label, value in head["class_gradient"].items()}
            found["layers"] = pd.DataFrame(found["layers"])
            found["weights"] = pd.DataFrame(found["weights"], columns=None if found["weights"] else _WEIGHTS)
            phase = None if found["phase"] is None else phases[found["phase"]]
            values: dict[str, Any] = found | {"phase": phase, "advice": tuple(found["advice"])}
            return cls(**values)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ParameterError(f"path={str(path)!r}: is no diagnosis of this version ({error}).") from error

    def figure(self, before: Diagnosis | None = None) -> Figure:
        """Gradient, signal and correlation by stage, and the weights of every layer against the edge of chaos.

        before: another diagnosis to set beside it, dashed, such as that of the model before it was changed.
        """
        fig, axes = panels(4)
        axes[3].axhline(1, color=PHASE_COLORS[Phase.EDGE], linewidth=1)
        for found, style in ((before, "s:"), (self, "o-")):
            if found is not None:
                found._draw(axes, style)
        labels = ("squared gradient, last = 1", "q, mean square of a node", "1 - c of two inputs")
        for ax, label in zip(axes, labels, strict=False):
            ax.set(xlabel="stage", ylabel=label)
        axes[3].set(xlabel="layer with weights", ylabel=r"$\sigma_w^2$ over that of the edge")
        for ax in axes:
            ax.set_yscale("log")
            low, high = ax.get_ylim()
            room = max(1.0, 10 / math.sqrt(high / low))  # two powers of ten, lest a small scatter look like much
            ax.set_ylim(low / room, high * room)
        handles, texts = axes[0].get_legend_handles_labels()
        if len(handles) > 1:
            fig.legend(handles, texts, loc="outside lower center", ncols=2)
        return fig

    def _draw(self, axes: np.ndarray, style: str) -> None:
        color = "0.3" if self.phase is None else PHASE_COLORS[self.phase]
        label = "no gradient" if self.phase is None else self.phase.label
        stage = np.arange(1, len(self.layers) + 1)
        with np.errstate(invalid="ignore"):
            for ax, values in zip(
                axes, (self.layers["gradient"], self.layers["q"], 1 - self.layers["c"]), strict=False
            ):
                ax.plot(stage, values.where(values > 0), style, color=color, label=label)
        ratio, free = self.weights["sigma_w2"] / self.weights["edge"], self.weights["normed"]
        axes[3].plot(np.flatnonzero(~free) + 1, ratio[~free], style[0], color=color)
        axes[3].plot(np.flatnonzero(free) + 1, ratio[free], style[0], color=color, markerfacecolor="none", alpha=0.5)


@torch.no_grad()
def diagnose(
    model: nn.Module, inputs: ArrayLike | Tensor, labels: ArrayLike | Tensor | None = None, *, seed: int = 0
) -> Diagnosis:
    """Signals, gradients and the starting bias of a classifier, stage by stage, with a verdict and advice.

    model: maps inputs (n, ...) to logits (n, n_classes); an object or dictionary with `logits`, or a tuple whose
        first is the logits, will do.
    inputs: n >= 2 of them, on the model's device or not.  labels: (n,) class numbers, or None.
    The model runs in eval mode, whatever its own; batch normalisation uses the statistics of the inputs as long as it
    has seen no batch, or if the model is in training mode, and its running statistics otherwise.  The model, its
    gradients, hooks, modes and buffers and the state of random numbers are left as they were; weights are not trained.
    seed: of the random combination of logits and of the labels that are not the favourite.
    Cost: one pass forward and three back, one more back with labels.
    Raises ParameterError for inputs or outputs of another form, or a model whose output does not depend on its inputs.
    """
    x = batch_of(inputs, model)
    kept: list[tuple[Node, Tensor]] = []
    with undisturbed(model, norms_by_batch(model)):
        torch.manual_seed(seed)
        outline, _ = trace(model, x[:2])
        trunk = {node.index: node.kind for node in _stages(outline)}

        def keep(node: Node, tensor: Tensor) -> Tensor:
            if trunk.get(node.index) != node.kind:
                return tensor
            kept.append((node, tensor if tensor.requires_grad else tensor.requires_grad_()))
            return tensor.clone()  # for what comes after, which may work in place

        with torch.enable_grad():
            found, output = trace(model, x, measure=True, on_tensor=keep)
        logits = _logits(output, len(x))
        if [node.kind for node in found.nodes] != [node.kind for node in outline.nodes]:
            raise ParameterError("model: goes other ways with two inputs than with all; its stages cannot be compared.")
        if not kept:
            raise ParameterError("model: its output does not depend on the inputs through any layer it shows.")
        return _diagnosis(model, found, kept, logits, labels, seed)


def _logits(output: Any, n: int) -> Tensor:
    logits = logits_of(output)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != n or logits.shape[1] < 2:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ParameterError(f"model: its output is {shape}; need logits ({n}, n_classes), n_classes >= 2.")
    return logits


def _stages(outline: Trace) -> list[Node]:
    """The nodes of the trunk that are rows of the table: of a layer and the norm after it, the norm."""
    trunk = [node for node in outline.trunk() if node.kind in _ROWS]
    normed = {parent for node in trunk if node.kind == "norm" for parent in node.parents}
    return [node for node in trunk if node not in normed or node.kind == "sum"]


def _diagnosis(
    model: nn.Module,
    found: Trace,
    kept: list[tuple[Node, Tensor]],
    logits: Tensor,
    labels: ArrayLike | Tensor | None,
    seed: int,
) -> Diagnosis:
    generator = torch.Generator().manual_seed(seed)
    n, n_classes = logits.shape
    counts = torch.bincount(logits.argmax(1), minlength=n_classes)
    favourite = int(counts.argmax())
    weights = torch.randn(logits.shape, generator=generator).to(logits)
    most = torch.full((n,), favourite, device=logits.device)
    other = torch.randint(1, n_classes, (n,), generator=generator).to(logits.device)

    def loss(target: Tensor) -> Callable[[], Tensor]:
        return lambda: F.cross_entropy(logits, target, reduction="sum")

    gradient, favoured, disfavoured = (
        _squares(value, kept)
        for value in (lambda: (weights * logits).sum(), loss(most), loss((most + other) % n_classes))
    )
    head: dict[str, Any] = {
        "n_inputs": n,
        "n_classes": n_classes,
        "max_fraction": float(counts.max()) / n,
        "favourite": favourite,
        "tied": bool((logits == logits[:, :1]).all()),
        "probabilities": bool((logits >= 0).all() and torch.allclose(logits.sum(1), torch.ones_like(logits[:, 0]))),
        **{key: value for key, value in signal(logits.detach()).items() if key in ("q", "c", "gamma")},
    }
    if labels is not None:
        head |= _with_labels(logits, labels, loss, kept[:1])
    table = pd.DataFrame(
        {
            "layer": node.name or node.op,
            "kind": node.kind,
            "op": node.op,
            **signal(_inputs_first(node, tensor.detach())),
        }
        for node, tensor in kept
    )
    mean = gradient.mean(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["gradient"] = mean / mean[-1]
        table["chi"] = np.append(mean[:-1] / mean[1:], np.nan)
        table["imbalance"] = disfavoured.mean(1) / favoured.mean(1)
    growth = _growth(table, [node for node, _ in kept])
    scales = _scale(growth), _scale(-np.diff(np.log(1 - np.minimum(table["c"], 1 - 1e-12))))
    layers = _weights(model, found)
    total = float(np.sum(growth))
    normed = any(node.kind == "norm" for node in found.nodes)
    phase = _phase(total, head["gamma"], DEPTH_SCALES + normed * len(growth) * BATCH_NORM_GROWTH)
    left_out = LeftOut(tuple(found.cut_off()), tuple(dict.fromkeys(w for node in found.nodes for w in node.weights)))
    return Diagnosis(table, layers, head, phase, total, *scales, *advise(table, layers, head, phase, total, left_out))


def _inputs_first(node: Node, tensor: Tensor) -> Tensor:
    """A stage with the inputs along its first axis: attention computes (positions, n, width)."""
    return tensor.transpose(0, 1) if node.op == F.multi_head_attention_forward.__name__ else tensor


def _squares(value: Callable[[], Tensor], kept: list[tuple[Node, Tensor]]) -> np.ndarray:
    """Squared gradients of a value, summed over the nodes of each stage, input by input: (stages, n)."""
    norm = torch.linalg.vector_norm  # in double: the square of a gradient of 1e-23 is no number of single precision
    with torch.enable_grad():
        found = torch.autograd.grad(value(), [tensor for _, tensor in kept], retain_graph=True, allow_unused=True)
    squares = []
    for g, (node, tensor) in zip(found, kept, strict=True):
        if g is None:
            squares.append(torch.zeros(len(_inputs_first(node, tensor)), dtype=torch.float64, device=tensor.device))
        else:
            squares.append(norm(_inputs_first(node, g).flatten(1), dim=1, dtype=torch.float64).square())
    return torch.stack(squares).cpu().numpy()


def _with_labels(logits: Tensor, labels: ArrayLike | Tensor, loss: Callable, first: list) -> dict[str, Any]:
    y = labels.detach().cpu() if isinstance(labels, Tensor) else torch.as_tensor(np.asarray(labels))
    if y.shape != (len(logits),) or y.is_floating_point() or int(y.min()) < 0 or int(y.max()) >= logits.shape[1]:
        raise ParameterError(
            f"labels of shape {tuple(y.shape)}: need {len(logits)} whole numbers from 0 to {logits.shape[1] - 1}."
        )
    target = y.to(logits.device, torch.int64)
    (squares,) = _squares(loss(target), first)
    of = target.cpu().numpy()
    return {
        "loss": float(F.cross_entropy(logits, target)),
        "accuracy": float((logits.argmax(1) == target).double().mean()),
        "class_gradient": {int(k): float(squares[of == k].mean()) for k in np.unique(of)},
    }


def _growth(table: pd.DataFrame, nodes: list[Node]) -> np.ndarray:
    """ln of the growth of the squared gradient from each stage to the one before it, but for global pools."""
    inner = [node.kind != "pool" or math.prod(node.shape[2:]) > 1 for node in nodes[1:]]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(table["chi"].to_numpy()[:-1])[inner]


def _scale(logs: np.ndarray) -> float:
    """Stages over which a quantity that changes by these logarithms a stage changes by a factor e."""
    mean = abs(float(np.mean(logs))) if len(logs) else 0.0
    return 1 / mean if mean > 0 else math.inf


def _phase(total: float, gamma: float, most: float) -> Phase | None:
    """The phase by the total growth of the gradient, of which up to `most` counts as none, and by the final gamma."""
    if not math.isfinite(total):
        return None
    if -DEPTH_SCALES <= total <= most:
        return Phase.EDGE
    if total < 0:
        return Phase.ORDERED
    deep = gamma > 9  # c above 0.9: c = 1 cannot be told from it at finite width
    return Phase.CHAOTIC_DEEP if deep else Phase.PREJUDICE if gamma > 1 else Phase.NEUTRALITY


def _weights(model: nn.Module, found: Trace) -> pd.DataFrame:
    """sigma_w2 of every layer, and that of the edge for what feeds it."""
    residual, rows = residual_factors(found), []
    normed = {parent for node in found.nodes if node.kind == "norm" for parent in node.parents}
    for name, node in found.layers().items():
        module: Any = model.get_submodule(name)
        weight = module.in_proj_weight if isinstance(module, nn.MultiheadAttention) else module.weight
        if weight is None:
            continue
        try:
            edge = edge_of_chaos(node.given)[0] if node.given else math.nan
        except ParameterError:
            edge = math.nan
        if not isinstance(module, nn.MultiheadAttention):
            edge *= residual.get(name, 1.0)
        fed = " ".join(dict.fromkeys(one for feed in node.given for one in feed.activation)) or "no activation"
        if fed == "no activation" and all(feed.origin.kind == "input" for feed in node.given):
            fed = "the inputs"
        sigma_w2 = float(weight.square().mean(dtype=torch.float64)) * weight[0].numel()
        rows.append((name, fed if node.given else "?", sigma_w2, edge, node in normed, weight.numel()))
    return pd.DataFrame(rows, columns=_WEIGHTS)


def _finite(value: Any) -> Any:
    """Plain values for JSON."""
    if isinstance(value, dict):
        return {str(key): _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return getattr(value, "item", lambda: value)()
