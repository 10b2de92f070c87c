"""The last layer of a model, and what it reads."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from igbrepro.errors import ParameterError
from igbrepro.probes.modes import batch_of, logits_of, norms_by_batch, undisturbed
from igbrepro.probes.recording import recording
from igbrepro.probes.tracing import WEIGHTED, Trace, trace

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


@torch.no_grad()
def last_layer(model: nn.Module, inputs: ArrayLike | Tensor) -> tuple[str, nn.Module]:
    """Name and module of the layer with weights that is applied last on the way from the inputs (n, ...) to the output.

    What counts is a run on two of the inputs, not the order of registration: layers that do not run, or whose output
    does not reach that of the model, are passed over.  Of attention it is the output projection.
    Raises ParameterError where there is none, or where parameters of a layer of no known kind come after it.
    """
    x = batch_of(inputs, model)[:2]
    with undisturbed(model, norms_by_batch(model)):
        found, _ = trace(model, x)
    return head_of(found, model)


def head_of(found: Trace, model: nn.Module) -> tuple[str, nn.Module]:
    """`last_layer` from a trace of the model."""
    node = found.last_layer()
    if node is None:
        raise ParameterError("model: runs no Linear or convolutional layer that its output depends on.")
    module = model.get_submodule(node.name)
    if isinstance(module, nn.MultiheadAttention):
        return f"{node.name}.out_proj", module.out_proj
    if not isinstance(module, WEIGHTED):
        where = ", ".join(node.weights) or node.name
        raise ParameterError(
            f"model: its last layer is of no known kind (parameters {where}); need a Linear or convolutional layer."
        )
    return node.name, module


@torch.no_grad()
def features(model: nn.Module, inputs: ArrayLike | Tensor) -> tuple[Tensor, float]:
    """What the last layer of a model reads, (n, fan_in), and the `gain` of that layer (1 where it has none).

    inputs: (n, ...), n >= 2; the model is run and left as in `layer_table`.  Where the last layer is applied at several
    positions (a convolution of size 1, a Linear layer on tokens) and the logits are the mean of its outputs, the
    features are the means of what it reads.
    Raises ParameterError for a model without a last layer of this kind, or features that are not finite.
    """
    x = batch_of(inputs, model)
    name, head = last_layer(model, x)
    with undisturbed(model, norms_by_batch(model)), recording([(name, head)]) as calls:
        output = model(x)
    rows = _rows(head, calls[-1].given) if calls else None
    if rows is None:
        raise ParameterError(
            f"model: its last layer {name!r} ({type(head).__name__}) does not read one row of features an input; need "
            "a Linear layer, or a convolution of size 1 or of the size of what it reads."
        )
    body = rows[:, 0] if rows.shape[1] == 1 else rows.mean(1)
    if not body.isfinite().all():
        raise ParameterError("model: its features are not finite; take a smaller sigma_w2 or depth.")
    if rows.shape[1] > 1:
        weight, bias = head.get_parameter("weight"), dict(head.named_parameters()).get("bias")
        logits = F.linear(body, weight.flatten(1), bias)
        given = logits_of(output)
        if not (
            isinstance(given, Tensor) and given.shape == logits.shape and torch.allclose(given, logits, 1e-3, 1e-4)
        ):
            raise ParameterError(
                f"model: its last layer {name!r} is applied at {rows.shape[1]} positions, of whose outputs the logits "
                "are not the mean, so that no one row of features an input belongs to them."
            )
    return body, float(getattr(head, "gain", 1.0))


def _rows(head: nn.Module, given: Tensor) -> Tensor | None:
    """What a layer reads at its positions, (n, positions, fan_in); None where it is no product with such rows."""
    if isinstance(head, nn.Linear):
        return given.flatten(1, -2) if given.ndim > 2 else given[:, None]
    if not isinstance(head, Convolution) or head.groups > 1 or any(side != 0 for side in _padding(head)):
        return None
    if given[0].numel() == head.weight[0].numel():
        return given.flatten(1)[:, None]
    if all(side == 1 for side in (*head.kernel_size, *head.stride)):
        return given.flatten(2).transpose(1, 2)
    return None


def _padding(head: Convolution) -> tuple[int, ...]:
    """Positions added at the sides; those that torch gives by name count as some unless the kernel is of size 1."""
    if isinstance(head.padding, str):
        return () if head.padding == "valid" else tuple(side - 1 for side in head.kernel_size)
    return tuple(head.padding)
