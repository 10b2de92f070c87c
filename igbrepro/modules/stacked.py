"""Several networks of one description as one batched module."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn.attention import SDPBackend, sdpa_kernel

from igbrepro.errors import ParameterError
from igbrepro.modules.activations import ActivationLayer
from igbrepro.modules.blocks import ResidualBlock
from igbrepro.modules.pools import PoolLayer

_UNITS = ([ActivationLayer, nn.Linear], [ActivationLayer, PoolLayer, nn.Linear])
_AFTER = [nn.Linear, ActivationLayer]  # of post-activation units


def stacked(models: Sequence[nn.Module]) -> nn.Module:
    """Networks of one description as one module: a StackedMLP of those that `build` makes of an MLPSpec, else a
    StackedModule; either copies their parameters and buffers.
    """
    return StackedMLP(cast(Sequence[nn.Sequential], models)) if _layered(models[0]) else StackedModule(models)


def _layered(model: nn.Module) -> bool:
    """Whether a model is made as MLPSpec.module() makes it: equal layers, residual all or none but the ends."""
    if not isinstance(model, nn.Sequential):
        return False
    if any(isinstance(module, ResidualBlock) and module.after is not None for module in model):
        return _post_activation(model)
    blocks = [module.scale if isinstance(module, ResidualBlock) else None for module in model]
    parts = [one for module in model for one in (module.block if isinstance(module, ResidualBlock) else [module])]
    kinds = [type(part) for part in parts]
    unit = next((unit for unit in _UNITS if kinds[2 : 2 + len(unit)] == unit), None)
    if unit is None or kinds != [nn.Flatten, nn.Linear, *unit * ((len(kinds) - 2) // len(unit))]:
        return False
    nodes = {repr(part) for part in parts if not isinstance(part, nn.Flatten | nn.Linear)}
    biased = all(part.bias is not None for part in parts if isinstance(part, nn.Linear))
    return biased and len(nodes) == len(unit) - 1 and (not any(blocks) or len(set(blocks[2 : -len(unit)])) == 1)


def _post_activation(model: nn.Sequential) -> bool:
    """Whether all layers but the ends are post-activation units of one kind."""
    flatten, first, *units, head = model
    if [type(flatten), type(first), type(head)] != [nn.Flatten, nn.Linear, nn.Linear]:
        return False
    made = {repr(unit.after) + repr(unit.scale) for unit in units if isinstance(unit, ResidualBlock)}
    kinds = [[*map(type, unit.block), type(unit.after)] for unit in units if isinstance(unit, ResidualBlock)]
    biased = all(part.bias is not None for part in model.modules() if isinstance(part, nn.Linear))
    return biased and len(made) == 1 and kinds == [_AFTER] * len(units)


class StackedMLP(nn.Module):
    """Several networks of one MLPSpec, made by `build`, as one module with a leading axis for the network.

    Maps (n_networks, n, *input_shape) to logits (n_networks, n, n_classes), copying the models' parameters:
    weights[l] (n_networks, fan_in, fan_out), biases[l] (n_networks, 1, fan_out).
    Raises ParameterError for networks of another make.
    """

    def __init__(self, models: Sequence[nn.Sequential]) -> None:
        super().__init__()
        if not _layered(models[0]):
            raise ParameterError("models: need networks that `build` made of an MLPSpec; StackedModule takes any.")
        layers = list(zip(*([m for m in model.modules() if isinstance(m, nn.Linear)] for model in models), strict=True))
        parts = list(models[0].modules())
        self.activation = next(module for module in parts if isinstance(module, ActivationLayer))
        self.pool = next((module for module in parts if isinstance(module, PoolLayer)), None)
        block = next((module for module in parts if isinstance(module, ResidualBlock)), None)
        self.residual = None if block is None else block.scale
        self.post_activation = block is not None and block.after is not None
        with torch.no_grad():
            self.weights = nn.ParameterList(torch.stack([one.weight.T for one in layer]) for layer in layers)
            self.biases = nn.ParameterList(torch.stack([one.bias[None] for one in layer]) for layer in layers)

    def forward(self, x: Tensor) -> Tensor:
        first, *hidden, head = zip(self.biases, self.weights, strict=True)
        h = torch.baddbmm(first[0], x.flatten(2), first[1])
        for bias, weight in hidden:
            layer = torch.baddbmm(bias, h if self.post_activation else self._nodes(h), weight)
            h = layer if self.residual is None else h + self.residual * layer
            if self.post_activation:
                h = self.activation(h)
        return torch.baddbmm(head[0], h if self.post_activation else self._nodes(h), head[1])

    def _nodes(self, h: Tensor) -> Tensor:
        h = self.activation(h)
        return h if self.pool is None else self.pool(h)


class StackedModule(nn.Module):
    """Several modules of one make as one, with a leading axis for the network, by `torch.vmap`.

    Maps (n_networks, n, *input_shape) to what the modules give, stacked.  `each` is a copy of the first of them that
    holds the parameters and buffers of all, (n_networks, ...), under their names: batch normalisation keeps the running
    statistics of every network, and its modes are those of `each`.
    What a module does must not depend on the values it meets, and all must be in one mode, training or not.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__()
        parameters, buffers = stack_module_state(list(models))
        self.each = copy.deepcopy(models[0])
        for name, value in (parameters | buffers).items():
            owner, _, leaf = name.rpartition(".")
            if name in parameters:
                value = nn.Parameter(value.detach(), requires_grad=value.requires_grad)
            setattr(self.each.get_submodule(owner), leaf, value)

    def forward(self, x: Tensor) -> Tensor:
        state = dict(self.each.named_parameters()) | dict(self.each.named_buffers())
        with _plain_attention():
            return torch.vmap(self._one, randomness="different")(state, x)

    def _one(self, state: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(self.each, state, (x,))


@contextlib.contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention as matrix products and a softmax: not all of torch's faster forms can be batched over networks."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
