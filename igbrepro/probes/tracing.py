"""What feeds what in a model of any kind, seen by running it once: layers, activations, pools, norms, residual sums.

Every torch function that is called on the way from the inputs to the output becomes a Node, whatever class of module
called it. No list of activations is kept: a function of one tensor that acts on each number alone is one.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map_only, tree_unflatten
from torch.utils.weak import WeakIdKeyDictionary

from igbrepro.probes.modes import _slow_attention, logits_of

WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MultiheadAttention)
_APPLY = {F.linear, F.conv1d, F.conv2d, F.conv3d, F.multi_head_attention_forward}
_NORMS = {F.batch_norm, F.layer_norm, F.group_norm, F.instance_norm, F.rms_norm}
_SUMS = {"add", "add_", "__add__", "__radd__", "__iadd__", "sub", "sub_", "__sub__", "__rsub__", "__isub__"}
_PRODUCTS = {"matmul", "__matmul__", "mm", "bmm", "baddbmm", "einsum", "scaled_dot_product_attention", "embedding"}
_PRODUCTS |= {"lstm", "gru", "rnn_tanh", "rnn_relu"}
_POOLS = ("max_pool", "avg_pool", "adaptive_", "lp_pool")
_REDUCTIONS = {"mean", "amax", "max", "sum"}
_JOINS = {"cat", "concat", "concatenate"}
_CONSTANTS = ("new_", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like")
_PROBE = torch.tensor([-3.1, -1.0, -0.6, -0.2, 0.3, 0.7, 1.2, 2.9], dtype=torch.float64)

Elementwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Feed:
    """What has happened to a signal, or to the `weight` (fraction) of its numbers, since the node `origin`.

    activation: names of the functions of one number it went through, and function: their composition; () and None
        where there are none.
    share: mean square after over before of everything else on the way, pools, gates and constants, as measured.
    """

    origin: Node
    activation: tuple[str, ...] = ()
    function: Elementwise | None = None
    share: float = 1.0
    weight: float = 1.0

    def through(self, name: str, function: Elementwise) -> Feed:
        """The same after one more function of one number."""
        before = self.function
        after = function if before is None else lambda x: function(before(x))
        return replace(self, activation=(*self.activation, name), function=after)


@dataclass(eq=False)
class Node:
    """One tensor on the way from the inputs to the output.

    kind: "input", "layer", "norm", "sum", "product", "activation", "pool", "join" or "other".
    index: when it was computed.  name: path of the module that computed it; op: the function's name.
    feeds: of the tensor itself; given: those of a layer's input.  mean_square: of the tensor, where it is measured.
    weights: names of the parameters that a product reads which belong to no known layer.
    """

    kind: str
    index: int
    name: str
    op: str
    parents: tuple[Node, ...] = field(default=(), repr=False)
    feeds: tuple[Feed, ...] = field(default=(), repr=False)
    given: tuple[Feed, ...] = field(default=(), repr=False)
    mean_square: float = float("nan")
    shape: tuple[int, ...] = ()
    weights: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trace:
    """The nodes of one run in order, and the node of the output (None if the output does not depend on the inputs)."""

    nodes: list[Node]
    output: Node | None

    def layers(self) -> dict[str, Node]:
        """The first use of every layer with weights, by its name."""
        found: dict[str, Node] = {}
        for node in self.nodes:
            if node.kind == "layer":
                found.setdefault(node.name, node)
        return found

    def residual_sums(self) -> list[tuple[Node, Node]]:
        """Every sum in which one operand went through more layers than the other since they parted.

        (sum, branch): branch is the operand that did.
        """
        found = []
        for node in self.nodes:
            if node.kind == "sum":
                (a, b), (left, right) = node.parents, map(_ancestors, node.parents)
                if not left & right:  # one of them comes from weights alone, such as a bias by position
                    continue
                parted = _ancestors(max(left & right, key=lambda n: n.index))
                more = [sum(n.kind == "layer" for n in side - parted) for side in (left, right)]
                if more[0] != more[1]:
                    found.append((node, a if more[0] > more[1] else b))
        return found

    def cut_off(self) -> list[str]:
        """Names of the layers that run but whose output does not reach that of the model, as far as torch shows."""
        inside = _ancestors(self.output) if self.output is not None else set()
        return [name for name, node in self.layers().items() if node not in inside]

    def last_layer(self) -> Node | None:
        """The last node with weights, of a known layer or of none, that the output depends on; None if there is none.

        Where the trace does not reach the output, the last one that ran.
        """
        inside = _ancestors(self.output) if self.output is not None else set(self.nodes)
        applied = [node for node in self.nodes if node.kind == "layer" or (node.kind == "product" and node.weights)]
        return next((node for node in reversed(applied) if node in inside), None)

    def trunk(self) -> list[Node]:
        """The nodes that every way from the inputs to the output passes, in order."""
        if self.output is None:
            return []
        inside = sorted(_ancestors(self.output), key=lambda node: node.index)
        reach, found = 0, []
        last_use = {parent: node.index for node in inside for parent in node.parents}
        for node in inside:
            if reach <= node.index:
                found.append(node)
            reach = max(reach, last_use.get(node, 0))
        return found


def carrier(parents: tuple[Node, ...]) -> Node:
    """Of the operands of a call the one that is the signal: the largest; of equals, as x and its gate, the first."""
    return max(parents, key=lambda node: (math.prod(node.shape), -node.index))


def _ancestors(node: Node) -> set[Node]:
    """A node and everything it was computed from."""
    found, todo = {node}, [node]
    while todo:
        for parent in todo.pop().parents:
            if parent not in found:
                found.add(parent)
                todo.append(parent)
    return found


def _kind(func: Callable, parents: tuple[Node, ...], out: Tensor, function: Elementwise | None) -> str:
    """The kind of the node that a call makes which is no layer of the model's."""
    op = func.__name__
    if func in _NORMS:
        return "norm"
    if func in _APPLY or op in _PRODUCTS:
        return "product"
    if op in _SUMS and len(parents) == 2:
        return "sum"
    if op in _JOINS and len(parents) > 1:
        return "join"
    if function is not None:
        return "activation"
    if op.startswith(_POOLS):
        return "pool"
    reduces = op in _REDUCTIONS and len(parents) == 1 and out.numel() < math.prod(parents[0].shape)
    return "pool" if reduces else "other"


def trace(
    model: nn.Module,
    inputs: Tensor,
    *,
    measure: bool = False,
    on_layer: Callable[[Node, nn.Module], None] | None = None,
    on_tensor: Callable[[Node, Tensor], Tensor] | None = None,
) -> tuple[Trace, Any]:
    """Run a model on inputs (n, ...) and return its Trace and its output; mode and gradients are as they are.

    measure: compute the mean square of every tensor, from which the shares of feeds come; else they are 1.
    on_layer: called before a layer is applied, with its node and module; it may change the weights.
    on_tensor: called with every node and its tensor; what it returns takes the tensor's place.
    """
    tracer = _Tracer(model, measure, on_layer, on_tensor)
    inputs = inputs.view_as(inputs)  # an object of our own, which nobody else holds
    node = tracer.add("input", "", "", (), inputs)
    node.feeds = (Feed(node),)
    with _slow_attention(), tracer.naming(), tracer:
        output = model(inputs)
    logits = logits_of(output)
    return Trace(tracer.order, tracer.nodes.get(logits) if isinstance(logits, Tensor) else None), output


class _Tracer(TorchFunctionMode):
    def __init__(self, model: nn.Module, measure: bool, on_layer: Callable | None, on_tensor: Callable | None) -> None:
        super().__init__()
        self.model, self.measure, self.on_layer, self.on_tensor = model, measure, on_layer, on_tensor
        self.nodes: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self.order: list[Node] = []
        self.path = [""]
        self.names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.owners = {
            id(parameter): (name, module)
            for name, module in model.named_modules()
            if isinstance(module, WEIGHTED)
            for parameter in module.parameters(recurse=False)
        }

    @contextlib.contextmanager
    def naming(self) -> Iterator[None]:
        """Keep `path`, the names of the modules that are running."""

        def leave(*_: Any) -> None:
            self.path.pop()

        hooks = []
        for name, module in self.model.named_modules():
            hooks.append(module.register_forward_pre_hook(lambda *_, name=name: self.path.append(name)))
            hooks.append(module.register_forward_hook(leave, always_call=True))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def add(self, kind: str, name: str, op: str, parents: tuple[Node, ...], out: Tensor) -> Node:
        node = Node(kind, len(self.order), name, op, parents, shape=tuple(out.shape))
        if self.measure and out.is_floating_point():
            node.mean_square = float(torch.linalg.vector_norm(out.detach())) ** 2 / max(out.numel(), 1)
        self.order.append(node)
        self.nodes[out] = node
        return node

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        parents = tuple(dict.fromkeys(self.nodes[t] for t in given if t in self.nodes))
        owner = next((self.owners[id(t)] for t in given if id(t) in self.owners), None) if func in _APPLY else None
        if (not parents and owner is None) or func.__name__.startswith(_CONSTANTS):  # such as the masks of attention
            return func(*args, **kwargs)
        feeds = carrier(parents).feeds if parents else ()
        if owner is not None and self.on_layer is not None:
            self.on_layer(Node("layer", len(self.order), owner[0], "", parents, given=feeds), owner[1])
        known = func in _APPLY or func in _NORMS or len(parents) != 1 or "dropout" in func.__name__
        function = None if known else self._elementwise(func, args, kwargs)
        out = func(*args, **kwargs)

        def note(tensor: Tensor) -> Tensor:
            if not tensor.is_floating_point():
                return tensor
            op = func.__name__
            kind = "layer" if owner else _kind(func, parents, tensor, function)
            node = self.add(kind, owner[0] if owner else self.path[-1], op, parents, tensor)
            self._feed(node, feeds, function)
            if node.kind == "product":
                node.weights = tuple(self.names[id(t)] for t in given if id(t) in self.names)
            if self.on_tensor is None:
                return tensor
            replaced = self.on_tensor(node, tensor)
            self.nodes[replaced] = node
            return replaced

        return tree_map_only(Tensor, note, out)

    def _feed(self, node: Node, feeds: tuple[Feed, ...], function: Elementwise | None) -> None:
        """Set what the next layer will know of a tensor."""
        if node.kind == "layer":
            node.given = feeds
        if node.kind in ("layer", "norm", "sum", "product") or not feeds:
            node.feeds = (Feed(node),)
        elif node.kind == "activation" and function is not None:
            node.feeds = tuple(feed.through(node.op, function) for feed in feeds)
        elif node.kind == "join":
            total = sum(math.prod(parent.shape) for parent in node.parents)
            node.feeds = tuple(
                replace(feed, weight=feed.weight * math.prod(parent.shape) / total)
                for parent in node.parents
                for feed in parent.feeds
            )
        elif node.op == "pad" or "dropout" in node.op:  # neither is a matter of the signal inside
            node.feeds = feeds
        else:
            before = carrier(node.parents).mean_square
            share = node.mean_square / before if before else math.nan
            share = share if math.isfinite(share) else 1.0
            node.feeds = tuple(replace(feed, share=feed.share * share) for feed in feeds)

    def _elementwise(self, func: Callable, args: tuple, kwargs: dict) -> Elementwise | None:
        """The function of one number that a call applies to its one traced tensor; None if it is none, or linear."""
        hole = object()  # where the number goes, in place of the tensor, which is not to be kept alive
        leaves, structure = tree_flatten((args, kwargs))
        traced = [isinstance(leaf, Tensor) and leaf in self.nodes for leaf in leaves]
        others = [leaf for leaf, one in zip(leaves, traced, strict=True) if isinstance(leaf, Tensor) and not one]
        if any(other.numel() != 1 for other in others):
            return None
        fixed = [
            hole if one else leaf.detach().double() if isinstance(leaf, Tensor) else leaf
            for leaf, one in zip(leaves, traced, strict=True)
        ]

        def function(x: Tensor) -> Tensor:
            put, named = tree_unflatten([x.clone() if leaf is hole else leaf for leaf in fixed], structure)
            return func(*put, **named)

        try:
            with torch.no_grad():
                y = function(_PROBE)
                same = y.shape == _PROBE.shape and y.dtype == _PROBE.dtype
                alone = same and torch.equal(function(_PROBE.flip(0)[:3]), y.flip(0)[:3])
                linear = alone and torch.allclose(y / _PROBE, y[0] / _PROBE[0])
        except Exception:  # whatever a function makes of eight numbers that it was not written for
            return None
        return function if alone and not linear else None
