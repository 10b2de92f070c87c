"""How many networks are worth training side by side in one stack."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from igbrepro.networks import CNNSpec, MLPSpec, ResNetSpec, Spec, ViTSpec
from igbrepro.theory import get_activation
from igbrepro.training.settings import TrainSettings

_HOST_PARAMETERS = 30_000_000  # in one stack: beyond this it only takes memory
_HOST_NETWORKS = 16
_NETWORKS = 64  # on an accelerator
_MEMORY = 2**32  # bytes, of an accelerator that does not say what it has
_EVALUATED = 250  # inputs at once


def stack_size(spec: Spec, plan: TrainSettings, device: torch.device) -> int:
    """The largest stack of networks of `spec` that pays.

    On the CPU, with one thread a process, that of plain fully connected ones and of post-activation units.  Other
    residual ones and pooled ones would gain too, but train alone so that their numbers stay the same to the bit; image
    networks gain nothing (benchmarks/test_training.py).  On an accelerator that of every kind of ours, as many as half
    of its free memory holds.
    """
    if device.type == "cpu":
        if not isinstance(spec, MLPSpec) or spec.pool is not None:
            return 1
        if spec.residual is not None and not spec.post_activation:
            return 1
        parameters = spec.width * (spec.input_size + (spec.depth - 1) * spec.width + spec.n_classes)
        return max(1, min(_HOST_NETWORKS, _HOST_PARAMETERS // parameters))
    if not isinstance(spec, MLPSpec | CNNSpec | ResNetSpec | ViTSpec):
        return 1  # its module may do what cannot be batched
    if not isinstance(spec, MLPSpec) and not get_activation(spec.activation).portable:
        return 1
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else _MEMORY
    return max(1, min(_NETWORKS, free // 2 // training_bytes(spec, plan)))


def training_bytes(spec: Spec, plan: TrainSettings) -> int:
    """About the memory that one network takes in training: weights, gradients and the optimiser's two numbers for each;
    what the backward pass keeps, three times for gradients and copies; or the widest layer in an evaluation.
    """
    with torch.device("meta"):  # which has shapes and no numbers
        model = spec.module()
        parameters = list(model.parameters())
        kept = _kept(model, torch.empty(2, *spec.input_shape), parameters)
    trained = max(plan.batch_size, max(plan.n_eval, plan.n_eval_train) if plan.gradients else 0)
    most = max(plan.n_eval, plan.n_eval_train)
    evaluated = most if plan.batch_statistics else min(most, _EVALUATED)
    of_inputs = max(trained * sum(kept), evaluated * max(kept, default=0)) // 2
    return 16 * sum(one.numel() for one in parameters) + 3 * of_inputs


def _kept(model: torch.nn.Module, x: Tensor, parameters: Sequence[Tensor]) -> list[int]:
    """Bytes of every tensor, parameters left out, that a forward pass keeps for the backward pass."""
    found: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        found[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(x)
    del output
    own = {one.untyped_storage()._cdata for one in parameters}
    return [one.untyped_storage().nbytes() for key, one in found.items() if key not in own]
