"""Finite networks made from a NetworkSpec: `build(spec, init)` is a torch module, ready to train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igbrepro.errors import ParameterError
from igbrepro.initialization import initialize_
from igbrepro.network import InitSpec, NetworkSpec
from igbrepro.theory import Activation, MaxPool, get_activation
from igbrepro.theory.pooling import Pool

Elementwise = Callable[[Tensor], Tensor]

_TORCH: dict[str, Elementwise] = {
    "linear": lambda x: x,
    "relu": torch.relu,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "gelu": F.gelu,
}


def register_torch_activation(activation: Activation, function: Elementwise) -> None:
    """Tell `build` how a new Activation is computed in torch, elementwise and differentiably.

    Raises ParameterError if `function` is not the same function as `activation` (compared on 201 points of [-8, 8]).
    """
    x = torch.linspace(-8, 8, 201, dtype=torch.float64)
    gap = float((function(x) - torch.as_tensor(activation(x.numpy()))).abs().max())
    if not gap < 1e-6:
        raise ParameterError(
            f"function={function!r}: differs from the activation {activation.name!r} by {gap:.1e} on [-8, 8]; "
            "the torch and the NumPy form must be one function."
        )
    _TORCH[activation.name] = function


def torch_activation(activation: Activation | str) -> Elementwise:
    """The torch form of an activation: a function of a tensor of any shape, same shape back, differentiable.

    Raises ParameterError for an unknown name, or an Activation that torch has not been told about.
    """
    activation = get_activation(activation)
    if activation.name in _TORCH:
        return _TORCH[activation.name]
    if activation.slope is not None:
        return partial(F.leaky_relu, negative_slope=activation.slope)
    raise ParameterError(
        f"activation={activation.name!r}: no torch form is known; add it with "
        "igbrepro.models.register_torch_activation(activation, function)."
    )


def torch_pool(pool: Pool) -> Elementwise:
    """The torch form of a pool: (..., width) to (..., width / k), over windows of k neighbouring nodes."""
    reduce = torch.amax if isinstance(pool, MaxPool) else torch.mean
    return lambda x: reduce(x.unflatten(-1, (-1, pool.k)), -1)


class ActivationLayer(nn.Module):
    """An Activation as a module, so that hooks and `print(model)` see it."""

    def __init__(self, activation: Activation | str) -> None:
        super().__init__()
        self.activation = get_activation(activation)
        self._function = torch_activation(self.activation)

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)

    def extra_repr(self) -> str:
        return self.activation.name


class PoolLayer(nn.Module):
    """A Pool as a module."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool, self._function = pool, torch_pool(pool)

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)

    def extra_repr(self) -> str:
        return repr(self.pool)


class ResidualBlock(nn.Module):
    """h + scale * block(h)."""

    def __init__(self, scale: float, *layers: nn.Module) -> None:
        super().__init__()
        self.scale, self.block = scale, nn.Sequential(*layers)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.scale * self.block(h)


def build(spec: NetworkSpec, init: InitSpec | None = None, generator: torch.Generator | None = None) -> nn.Sequential:
    """The fully connected network of `spec`: flatten, a Linear layer, then for each hidden layer its activation, its
    pool if it has one, and the next Linear layer; those of a residual network inside a ResidualBlock, but for the head.

    init: draws the parameters by `initialize_` from `generator`; None leaves PyTorch's own default.
    The module maps (n, *input_shape) to logits (n, n_classes); the outputs of its Linear and ResidualBlock modules, in
    order, are h^(1)..h^(depth+1).
    Raises ParameterError for a pool of correlated nodes, which independent weights cannot make.
    """
    linear = nn.Linear if init is None else partial(nn.utils.skip_init, nn.Linear)
    if spec.pool is not None and spec.pool.correlation:
        raise ParameterError(f"pool={spec.pool!r}: nodes of independent weights are independent; use correlation=0.")

    def layer(fan_out: int) -> list[nn.Module]:
        pool = [] if spec.pool is None else [PoolLayer(spec.pool)]
        return [ActivationLayer(spec.activation), *pool, linear(spec.fan_in, fan_out)]

    hidden = [layer(spec.width) for _ in range(spec.depth - 1)]
    if spec.residual is None:
        blocks = [module for modules in hidden for module in modules]
    else:
        blocks = [ResidualBlock(spec.residual, *modules) for modules in hidden]
    model = nn.Sequential(nn.Flatten(), linear(spec.input_size, spec.width), *blocks, *layer(spec.n_classes))
    return model if init is None else initialize_(model, init, generator=generator)


def preactivations(model: nn.Sequential, x: Tensor) -> list[Tensor]:
    """h^(1)..h^(depth+1) of the inputs x (n, ...), the last the logits, for a model made by `build`."""
    found = []
    for module in model:
        x = module(x)
        if isinstance(module, nn.Linear | ResidualBlock):
            found.append(x)
    return found


class StackedMLP(nn.Module):
    """Several networks of one spec, made by `build`, as one module with a leading axis for the network.

    Maps (n_networks, n, *input_shape) to logits (n_networks, n, n_classes), copying the models' parameters:
    weights[l] (n_networks, fan_in, fan_out), biases[l] (n_networks, 1, fan_out).
    Raises ParameterError for networks with pools or residual layers.
    """

    def __init__(self, models: Sequence[nn.Sequential]) -> None:
        super().__init__()
        if any(isinstance(module, PoolLayer | ResidualBlock) for module in models[0]):
            raise ParameterError("models: pools and residual layers cannot be stacked; train such networks one by one.")
        layers = list(zip(*([m for m in model if isinstance(m, nn.Linear)] for model in models), strict=True))
        self.activation = next(module for module in models[0] if isinstance(module, ActivationLayer))
        with torch.no_grad():
            self.weights = nn.ParameterList(torch.stack([one.weight.T for one in layer]) for layer in layers)
            self.biases = nn.ParameterList(torch.stack([one.bias[None] for one in layer]) for layer in layers)

    def forward(self, x: Tensor) -> Tensor:
        first, *others = zip(self.biases, self.weights, strict=True)
        h = torch.baddbmm(first[0], x.flatten(2), first[1])
        for bias, weight in others:
            h = torch.baddbmm(bias, self.activation(h), weight)
        return h
