"""Fully connected networks, plain, pooled or residual: description and torch module."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from igbrepro.checks import finite, whole
from igbrepro.errors import ParameterError
from igbrepro.theory import (
    Activation,
    MeanField,
    Pool,
    Trajectory,
    check_pool,
    get_activation,
    post_activation_trajectory,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from igbrepro.initialization import InitSpec


RESIDUAL_UNITS = ("pre-activation", "post-activation")


@dataclass(frozen=True)
class MLPSpec:
    """A fully connected network with `depth` hidden layers of `width` nodes and a linear head.

    Pre-activations h^(1) = W x + b, h^(l+1) = W g(h^(l)) + b for l = 1..depth; h^(depth+1) are the n_classes logits.
    Every array over layers, in theory and simulation alike, has depth + 1 entries: index l is the pre-activation
    after l activations, so index 0 is h^(1) and index `depth` is the law of the logits.

    activation: an Activation or its name.  input_shape: of one input, flattened by the MLP.
    pool: None, or a pool over windows of k neighbouring nodes after the activation: a layer of `width` nodes hands on
        width / k values. (A layer of k replicas pooled over the replicas is the same with width k times as large.)
    residual: None, or the scale r of residual layers, l = 1..depth-1.
    residual_unit: where a residual layer has its activation (the names are those of He et al. 2016).
        "pre-activation": h^(l+1) = h^(l) + r (W g(h^(l)) + b), and g once more before the head.
        "post-activation": h^(l+1) = phi(h^(l) + r (W h^(l) + b)), from h^(1) without phi, and a head that reads
        h^(depth) as it is; without pools. With r = 1/sqrt(depth) it is the residual MLP of the paper's code.
    Raises ParameterError for an unknown activation, sizes that are not whole numbers from 1 (n_classes from 2), a width
    that is not a multiple of k, r <= 0, or a residual unit that is unknown or does not fit.
    """

    activation: Activation | str
    depth: int
    width: int
    n_classes: int = 2
    input_shape: tuple[int, ...] = (784,)
    pool: Pool | None = None
    residual: float | None = None
    residual_unit: str = "pre-activation"

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", get_activation(self.activation))
        for name, least in (("depth", 1), ("width", 1), ("n_classes", 2)):
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        if not isinstance(self.input_shape, Sequence) or not self.input_shape:
            raise ParameterError(f"input_shape={self.input_shape!r}: need a tuple of sizes, such as (784,).")
        object.__setattr__(self, "input_shape", tuple(whole("input_shape", size, 1) for size in self.input_shape))
        pool = check_pool(self.pool)
        if pool is not None and self.width % pool.k:
            raise ParameterError(f"width={self.width!r}: need a multiple of the pool's k={pool.k}.")
        if self.residual is not None:
            object.__setattr__(self, "residual", finite("residual", self.residual, 0, open_low=True).item())
        if self.residual_unit not in RESIDUAL_UNITS:
            raise ParameterError(f"residual_unit={self.residual_unit!r}: choose from {', '.join(RESIDUAL_UNITS)}.")
        if self.post_activation and (self.residual is None or pool is not None):
            raise ParameterError(
                f"residual_unit={self.residual_unit!r} with residual={self.residual!r}, pool={pool!r}: such a layer "
                "needs the scale of its sum, such as residual=depth**-0.5, and has no pool."
            )

    @property
    def post_activation(self) -> bool:
        """Whether residual layers have their activation after the sum."""
        return self.residual_unit == "post-activation"

    @property
    def input_size(self) -> int:
        """Number of features of one flattened input, the fan-in of the first layer."""
        return math.prod(self.input_shape)

    @property
    def fan_in(self) -> int:
        """Number of values a hidden layer hands on: the fan-in of every layer but the first."""
        return self.width if self.pool is None else self.width // self.pool.k

    def mean_field(self, init: InitSpec) -> MeanField:
        """The infinite-width theory of a hidden layer of this network under `init`.

        Raises ParameterError for post-activation units, whose nodes are not normal; `trajectory` is known for them.
        """
        if self.post_activation:
            raise ParameterError(
                f"residual_unit={self.residual_unit!r}: no map of q and c describes one such layer, whose nodes are "
                "not normal; trajectory(init, q0, c0) follows their law through all layers."
            )
        return MeanField(
            self.activation, sigma_w2=init.sigma_w2, sigma_b2=init.sigma_b2, pool=self.pool, residual=self.residual
        )

    def trajectory(self, init: InitSpec, q0: float = 1.0, c0: float = 0.0) -> Trajectory:
        """The infinite-width theory of all layers, (depth + 1, ...): the head of a residual network is a plain layer,
        and a linear one of post-activation units.

        q0, c0: variance and correlation of h^(1), as MeanField.trajectory takes them.
        """
        if self.residual is None:
            return self.mean_field(init).trajectory(self.depth, q0, c0)
        if self.post_activation:
            plain = MeanField(self.activation, sigma_w2=init.sigma_w2, sigma_b2=init.sigma_b2)
            return post_activation_trajectory(plain, self.depth, residual=self.residual, q0=q0, c0=c0)
        head = replace(self, residual=None).mean_field(init)
        if self.depth == 1:
            return head.trajectory(1, q0, c0)
        body = self.mean_field(init).trajectory(self.depth - 1, q0, c0)
        last = head.trajectory(1, body.q[-1], body.c[-1])
        parts = zip((body.q, body.one_minus_c, body.chi), (last.q, last.one_minus_c, last.chi), strict=True)
        return Trajectory(*(np.concatenate([along, end[1:]]) for along, end in parts))

    def module(self) -> nn.Sequential:
        """Flatten, a Linear layer, then for each hidden layer its activation, its pool if it has one, and the next
        Linear layer; those of a residual network inside a ResidualBlock, but for the head.  Post-activation units are
        a ResidualBlock of a Linear layer with the activation after the sum.

        The outputs of its Linear and ResidualBlock modules, in order, are h^(1)..h^(depth+1).
        Raises ParameterError for a pool of correlated nodes, which independent weights cannot make.
        """
        from torch import nn

        from igbrepro.modules import ActivationLayer, PoolLayer, ResidualBlock

        if self.pool is not None and self.pool.correlation:
            raise ParameterError(
                f"pool={self.pool!r}: nodes of independent weights are independent; use correlation=0."
            )

        def layer(fan_out: int) -> list[nn.Module]:
            pool = [] if self.pool is None else [PoolLayer(self.pool)]
            return [ActivationLayer(self.activation), *pool, nn.Linear(self.fan_in, fan_out)]

        if self.residual is not None and self.post_activation:
            first, head = nn.Linear(self.input_size, self.width), nn.Linear(self.width, self.n_classes)
            units = [
                ResidualBlock(self.residual, nn.Linear(self.width, self.width), after=ActivationLayer(self.activation))
                for _ in range(self.depth - 1)
            ]
            return nn.Sequential(nn.Flatten(), first, *units, head)
        hidden = [layer(self.width) for _ in range(self.depth - 1)]
        if self.residual is None:
            blocks = [module for modules in hidden for module in modules]
        else:
            blocks = [ResidualBlock(self.residual, *modules) for modules in hidden]
        return nn.Sequential(nn.Flatten(), nn.Linear(self.input_size, self.width), *blocks, *layer(self.n_classes))


def preactivations(model: nn.Module, x: Tensor) -> list[Tensor]:
    """h^(1)..h^(depth+1) of the inputs x (n, ...), the last the logits, for a model that `build` made of an MLPSpec."""
    from torch import nn

    from igbrepro.modules import ResidualBlock

    found = []
    for module in model.children():
        x = module(x)
        if isinstance(module, nn.Linear | ResidualBlock):
            found.append(x)
    return found
