"""Finite networks from their descriptions: `build(spec, init)` is a torch module, ready to train."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from igbrepro import image_models
from igbrepro.architectures import Architecture, CNNSpec, ResNetSpec, ViTSpec
from igbrepro.errors import ParameterError
from igbrepro.initialization import check_init, initialize_, seeded_by
from igbrepro.layers import ActivationLayer, PoolLayer, ResidualBlock
from igbrepro.network import InitSpec, NetworkSpec

Spec = NetworkSpec | Architecture

_BUILDERS = {CNNSpec: image_models.cnn, ResNetSpec: image_models.resnet, ViTSpec: image_models.vit}


def build(spec: Spec, init: InitSpec | str = "default", generator: torch.Generator | None = None) -> nn.Module:
    """The network of `spec`, a module that maps (n, *input_shape) to logits (n, n_classes).

    init: draws the parameters by `initialize_`, with numbers from `generator`; "default" leaves what PyTorch and
        torchvision draw, from a seed that `generator` gives (None: from torch's global state).
    Raises ParameterError for a spec or init of another kind, and as `mlp` does.
    """
    make = mlp if isinstance(spec, NetworkSpec) else _BUILDERS.get(type(spec))
    if make is None:
        names = ", ".join(kind.__name__ for kind in (NetworkSpec, *_BUILDERS))
        raise ParameterError(f"spec={spec!r}: need one of {names}.")
    if check_init(init) != "default":
        with torch.device("meta"):  # so that nothing is drawn twice
            model = make(spec)
        return initialize_(model.to_empty(device="cpu"), init, generator=generator)
    with seeded_by(generator):
        return make(spec)


def mlp(spec: NetworkSpec) -> nn.Sequential:
    """The fully connected network: flatten, a Linear layer, then for each hidden layer its activation, its pool if it
    has one, and the next Linear layer; those of a residual network inside a ResidualBlock, but for the head.

    The outputs of its Linear and ResidualBlock modules, in order, are h^(1)..h^(depth+1).
    Raises ParameterError for a pool of correlated nodes, which independent weights cannot make.
    """
    if spec.pool is not None and spec.pool.correlation:
        raise ParameterError(f"pool={spec.pool!r}: nodes of independent weights are independent; use correlation=0.")

    def layer(fan_out: int) -> list[nn.Module]:
        pool = [] if spec.pool is None else [PoolLayer(spec.pool)]
        return [ActivationLayer(spec.activation), *pool, nn.Linear(spec.fan_in, fan_out)]

    hidden = [layer(spec.width) for _ in range(spec.depth - 1)]
    if spec.residual is None:
        blocks = [module for modules in hidden for module in modules]
    else:
        blocks = [ResidualBlock(spec.residual, *modules) for modules in hidden]
    return nn.Sequential(nn.Flatten(), nn.Linear(spec.input_size, spec.width), *blocks, *layer(spec.n_classes))


def preactivations(model: nn.Sequential, x: Tensor) -> list[Tensor]:
    """h^(1)..h^(depth+1) of the inputs x (n, ...), the last the logits, for a model made by `mlp`."""
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
