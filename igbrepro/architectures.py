"""Networks for images, each from one description (no torch here): plain CNN, CIFAR ResNet, small ViT.

Every description has the fields activation, n_classes and input_shape (channels, height, width) and the depth; with an
InitSpec, `models.build` makes the network. The paper's residual MLP is `NetworkSpec(residual=...)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from igbrepro.errors import ParameterError
from igbrepro.network import InitSpec
from igbrepro.theory import Activation, MeanField, get_activation
from igbrepro.theory.checks import finite, whole
from igbrepro.theory.pooling import Pool, check_pool


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
        _check(self, depth=1, channels=1, kernel=1, pool_stride=1)
        if self.kernel % 2 == 0:
            raise ParameterError(f"kernel={self.kernel}: need an odd side, so that a window has a centre.")
        strides = tuple(whole("strides", stride, 1) for stride in _sequence("strides", self.strides))
        object.__setattr__(self, "strides", strides)
        if len(strides) > self.depth:
            raise ParameterError(f"strides={strides}: more of them than depth={self.depth} convolutions.")
        if check_pool(self.pool) is not None and math.isqrt(self.pool.k) ** 2 != self.pool.k:
            raise ParameterError(f"pool={self.pool!r}: windows are square, so k must be 4, 9, 16, ...")
        if self.pool is not None and self.pool.correlation:
            raise ParameterError(f"pool={self.pool!r}: nodes are as correlated as they are; use correlation=0.")
        if self.pool_stride not in (1, self.pool_side):
            raise ParameterError(f"pool_stride={self.pool_stride}: need 1, or the window's side {self.pool_side}.")
        if self.pooled is not None:
            pooled = tuple(whole("pooled", layer, 1) for layer in _sequence("pooled", self.pooled))
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
        size, found = self.input_shape[1:], []
        for layer in range(1, self.depth + 1):
            if min(size) < self.kernel // 2:
                raise ParameterError(
                    f"kernel={self.kernel}: layer {layer} reads an image of {size} positions, too small to be "
                    "continued by one period; take a smaller kernel, or fewer strides and pools."
                )
            size = tuple(-(-side // self.stride(layer)) for side in size)
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
                size = tuple(side // self.pool_stride for side in size)
        return [*found, size]

    def mean_field(self, init: InitSpec) -> MeanField:
        """The infinite-channel theory of a layer, the same as that of a fully connected one (Xiao et al. 2018)."""
        return MeanField(self.activation, sigma_w2=init.sigma_w2, sigma_b2=init.sigma_b2, pool=self.pool)


@dataclass(frozen=True)
class ResNetSpec:
    """A residual network of torchvision's basic blocks with the 3 x 3 stem that suits small images.

    stages: blocks in each stage; every stage but the first halves the image and doubles the channels, from `width`.
        (3, 3, 3) with width 16 is CIFAR's ResNet-20; (2, 2, 2, 2) with width 64 is torchvision's resnet18 but for its
        stem.
    norm: batch normalisation after every convolution, or none at all.
    scale: factor r of every branch, h' = phi(h + r F(h)); None is 1.  "depth" makes it 1/sqrt(number of blocks).
    """

    activation: Activation | str = "relu"
    stages: tuple[int, ...] = (3, 3, 3)
    width: int = 16
    n_classes: int = 10
    input_shape: tuple[int, int, int] = (3, 32, 32)
    norm: bool = True
    scale: float | str | None = None

    def __post_init__(self) -> None:
        stages = tuple(whole("stages", blocks, 1) for blocks in _sequence("stages", self.stages))
        object.__setattr__(self, "stages", stages)
        if not stages:
            raise ParameterError("stages=(): need at least one stage.")
        _check(self, width=1)
        if self.scale == "depth":
            object.__setattr__(self, "scale", sum(stages) ** -0.5)
        elif self.scale is not None:
            object.__setattr__(self, "scale", finite("scale", self.scale, 0, open_low=True).item())

    @property
    def depth(self) -> int:
        """Layers with weights from input to output: stem, two a block, head; 20 for ResNet-20."""
        return 2 * sum(self.stages) + 2


@dataclass(frozen=True)
class ViTSpec:
    """torchvision's vision transformer at a small size.

    depth: encoder blocks.  width: features of a token.  heads: of attention.  patch: side of a patch.
    mlp_ratio: width of the hidden layer of an MLP over `width`.  activation: in that hidden layer.
    norm: layer normalisation in front of attention, of the MLP and of the head; or none at all.
    residual: skip connections around attention and MLP; or none at all.
    Raises ParameterError for sizes out of range, a width that the heads do not divide, or an image that is no square
    of whole patches.
    """

    activation: Activation | str = "relu"
    depth: int = 6
    width: int = 64
    heads: int = 4
    patch: int = 4
    mlp_ratio: int = 2
    n_classes: int = 10
    input_shape: tuple[int, int, int] = (3, 32, 32)
    norm: bool = True
    residual: bool = True

    def __post_init__(self) -> None:
        _check(self, depth=1, width=1, heads=1, patch=1, mlp_ratio=1)
        if self.width % self.heads:
            raise ParameterError(f"width={self.width}: need a multiple of heads={self.heads}.")
        _, height, width = self.input_shape
        if height != width or height % self.patch:
            raise ParameterError(f"input_shape={self.input_shape}: need a square that patch={self.patch} divides.")


Architecture = CNNSpec | ResNetSpec | ViTSpec


def _check(spec: Architecture, **least: int) -> None:
    """Set activation, shape and the whole numbers of a description to checked ones."""
    object.__setattr__(spec, "activation", get_activation(spec.activation))
    for name, smallest in {"n_classes": 2, **least}.items():
        object.__setattr__(spec, name, whole(name, getattr(spec, name), smallest))
    shape = tuple(whole("input_shape", size, 1) for size in _sequence("input_shape", spec.input_shape))
    if len(shape) != 3:
        raise ParameterError(f"input_shape={shape}: need (channels, height, width).")
    object.__setattr__(spec, "input_shape", shape)


def _sequence(name: str, value: Sequence) -> Sequence:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ParameterError(f"{name}={value!r}: need a tuple of whole numbers.")
    return value
