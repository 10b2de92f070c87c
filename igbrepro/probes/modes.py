"""Modes a model is looked at in, all of which are given back: eval, batch statistics, random numbers."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from igbrepro.errors import ParameterError


def logits_of(output: Any) -> Any:
    """What a model gives, or its logits: the attribute or the key `logits`, or the first of a tuple, if a tensor."""
    if isinstance(output, Mapping) and "logits" in output:
        return output["logits"]
    found = getattr(output, "logits", output)
    return found[0] if isinstance(found, tuple) and found and isinstance(found[0], Tensor) else found


def batch_of(inputs: ArrayLike | Tensor, model: nn.Module, name: str = "inputs") -> Tensor:
    """Two or more inputs (n, ...) as a tensor on the device, and if they are floats of the type, of a model.

    Raises ParameterError, naming the argument, for anything else, bytes of images among it.
    """
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    if first is None:
        raise ParameterError("model: has no parameters, so there is nothing to look at.")
    try:
        x = inputs.detach() if isinstance(inputs, Tensor) else torch.as_tensor(np.asarray(inputs))
    except (TypeError, ValueError, RuntimeError):
        raise ParameterError(
            f"{name}: {type(inputs).__name__}; need one tensor or array (n, ...), such as next(iter(loader))[0]. A "
            "model of several inputs can be wrapped in one that takes a single tensor."
        ) from None
    if x.ndim < 2 or len(x) < 2:
        raise ParameterError(f"{name} of shape {tuple(x.shape)}: need (n, ...) with n >= 2 inputs.")
    if x.dtype == torch.uint8:
        raise ParameterError(f"{name} of type uint8: scale the images to floats of mean 0 and deviation 1 first.")
    return x.to(first.device, first.dtype) if x.is_floating_point() else x.to(first.device)


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode, and afterwards for every module the mode it had."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in before:
            module.training = mode


@contextlib.contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """Let batch normalisation use the statistics of the inputs it is given, and keep none of them.

    An untrained network's running statistics are placeholders, so that in eval mode it is not normalised at all.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for norm, (training, tracked) in zip(norms, before, strict=True):
            norm.training, norm.track_running_stats = training, tracked


def fresh_norms(model: nn.Module) -> nn.ModuleList:
    """The batch normalisations of a model that have seen no batch; the count alone is 0 in old pre-trained ones too."""
    norms = (module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm))
    return nn.ModuleList(
        norm
        for norm in norms
        if norm.running_mean is not None
        and not (norm.num_batches_tracked or norm.running_mean.any() or (norm.running_var != 1).any())
    )


def norms_by_batch(model: nn.Module) -> nn.Module:
    """Where the batch normalisations are that a probe reads by the statistics of its inputs: the one rule about them.

    In training mode all of them, as in the next step of training.  In eval mode those that have seen no batch, whose
    running statistics are placeholders; trained ones use their own statistics, as they do wherever the model is used.
    """
    return model if model.training else fresh_norms(model)


@contextlib.contextmanager
def undisturbed(model: nn.Module, by_batch: nn.Module) -> Iterator[None]:
    """Eval mode, with batch statistics in the norms of `by_batch`; modes, buffers and random numbers are given back.

    Random numbers are those of the CPU and of the model's device, for models that draw some even in eval mode.
    """
    first = next(itertools.chain(model.parameters(), model.buffers()), torch.empty(0))
    kind = first.device.type if first.device.type in ("cuda", "xpu") else "cuda"
    devices = [first.device] if first.device.type == kind else []
    with torch.random.fork_rng(devices, device_type=kind), evaluating(model), batch_statistics(by_batch):
        yield


@contextlib.contextmanager
def _slow_attention() -> Iterator[None]:
    """Keep torch's attention layers on the path that their own code describes."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
