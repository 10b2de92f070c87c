"""Plain convolutional networks: description and torch module."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from igbrepro.checks import whole
from igbrepro.errors import ParameterError
from igbrepro.networks.spec import check_spec, sequence
from igbrepro.theory import Activation, MeanField, Pool, check_pool

if TYPE_CHECKING:
    from torch import nn

    from igbrepro.initialization import InitSpec


@dataclass(frozen=True)
class CNNSpec:
    """A plain convolutional network: `depth` convolutions with circular padding, and a linear head on all positions.

    h^(1) = W * x + b, h^(l+1) = W * g(h^(l)) + b for l = 1..depth-1; the head reads the last activation as one vector.
    activation: an Activation or its name.  channels: of every convolution.  kernel: its side, an odd number.
    strides: of the first convolutions, each of which makes the image smaller; the rest have stride 1.
    pool: None, or a pool over square windows of k = side^2 positions of one channel after the activations named by
        `pooled` (l = 1..depth; None: all of them).  pool_stride: 1 keeps the size (circular), `side` divides it.
    Raises ParameterError for an unknown activation, sizes out of range, a k that is no square, an image that the pools
    do not divide, or that strides and pools make too small for a kernel or a pool.
    """

    activation: Activation | str
    depth: int
    channels: int
    n_classes: int = 10
    input_shape: tuple[int, int, int] = (3, 32, 32)
    kernel: int = 3
    strides: tuple[int, ...] = (2, 2)
    pool: Pool | None = None
    pool_stride: int = 1
    pooled: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_spec(self, depth=1, channels=1, kernel=1, pool_stride=1)
        if self.kernel % 2 == 0:
            raise ParameterError(f"kernel={self.kernel}: need an odd side, so that a window has a centre.")
        strides = tuple(whole("strides", stride, 1) for stride in sequence("strides", self.strides))
        object.__setattr__(self, "strides", strides)
        if len(strides) > self.depth:
            raise ParameterError(f"strides={strides}: more of them than depth={self.depth} convolutions.")
        pool = check_pool(self.pool)
        if pool is not None and math.isqrt(pool.k) ** 2 != pool.k:
            raise ParameterError(f"pool={pool!r}: windows are square, so k must be 4, 9, 16, ...")
        if pool is not None and pool.correlation:
            raise ParameterError(f"pool={pool!r}: nodes are as correlated as they are; use correlation=0.")
        if self.pool_stride not in (1, self.pool_side):
            raise ParameterError(f"pool_stride={self.pool_stride}: need 1, or the window's side {self.pool_side}.")
        if self.pooled is not None:
            pooled = tuple(whole("pooled", layer, 1) for layer in sequence("pooled", self.pooled))
            if pooled and max(pooled) > self.depth:
                raise ParameterError(f"pooled={pooled}: need layers from 1 to depth={self.depth}.")
            object.__setattr__(self, "pooled", pooled)
        _ = self.sizes  # raises where something does not fit

    @property
    def pool_side(self) -> int:
        """Side of a pooling window, 1 without a pool."""
        return 1 if self.pool is None else math.isqrt(self.pool.k)

    def has_pool(self, layer: int) -> bool:
        """Whether the activation of h^(layer), layer = 1..depth, is pooled."""
        return self.pool is not None and (self.pooled is None or layer in self.pooled)

    def stride(self, layer: int) -> int:
        """Stride of the convolution that makes h^(layer), layer = 1..depth."""
        return self.strides[layer - 1] if layer <= len(self.strides) else 1

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of h^(1)..h^(depth), and last of what the head reads."""
        height, width = self.input_shape[1:]
        size, found = (height, width), []
        for layer in range(1, self.depth + 1):
            if min(size) < self.kernel // 2:
                raise ParameterError(
                    f"kernel={self.kernel}: layer {layer} reads an image of {size} positions, too small to be "
                    "continued by one period; take a smaller kernel, or fewer strides and pools."
                )
            size = (-(-size[0] // self.stride(layer)), -(-size[1] // self.stride(layer)))
            found.append(size)
            if not self.has_pool(layer):
                continue
            if min(size) < self.pool_side:
                raise ParameterError(
                    f"pool={self.pool!r}: its window is larger than the {size} positions of layer {layer}."
                )
            if self.pool_stride > 1:
                if any(side % self.pool_stride for side in size):
                    raise ParameterError(
                        f"pooled={self.pooled}: an image of {size} positions at layer {layer} cannot be divided by "
                        f"pool_stride={self.pool_stride}; pool fewer layers, or take pool_stride=1."
                    )
                size = (size[0] // self.pool_stride, size[1] // self.pool_stride)
        return [*found, size]

    def mean_field(self, init: InitSpec) -> MeanField:
        """The infinite-channel theory of a layer, the same as that of a fully connected one (Xiao et al. 2018)."""
        return MeanField(self.activation, sigma_w2=init.sigma_w2, sigma_b2=init.sigma_b2, pool=self.pool)

    def module(self) -> nn.Sequential:
        """Convolutions, activations and pools in order, a Flatten, and the Linear head."""
        from torch import nn

        from igbrepro.modules import ActivationLayer, WindowPool

        layers: list[nn.Module] = []
        channels = self.input_shape[0]
        for layer in range(1, self.depth + 1):
            kernel, stride = self.kernel, self.stride(layer)
            layers.append(nn.Conv2d(channels, self.channels, kernel, stride, kernel // 2, padding_mode="circular"))
            layers.append(ActivationLayer(self.activation))
            if self.pool is not None and self.has_pool(layer):
                layers.append(WindowPool(self.pool, self.pool_side, self.pool_stride))
            channels = self.channels
        height, width = self.sizes[-1]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, self.n_classes))
