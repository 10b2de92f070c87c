"""CIFAR ResNets of torchvision's basic blocks: description and torch module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from igbrepro.checks import finite, whole
from igbrepro.errors import ParameterError
from igbrepro.networks.spec import check_spec, sequence
from igbrepro.theory import Activation

if TYPE_CHECKING:
    from torch import nn
    from torchvision.models.resnet import BasicBlock


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
        stages = tuple(whole("stages", blocks, 1) for blocks in sequence("stages", self.stages))
        object.__setattr__(self, "stages", stages)
        if not stages:
            raise ParameterError("stages=(): need at least one stage.")
        check_spec(self, width=1)
        if self.scale == "depth":
            object.__setattr__(self, "scale", sum(stages) ** -0.5)
        elif self.scale is not None:
            object.__setattr__(self, "scale", finite("scale", self.scale, 0, open_low=True).item())

    @property
    def depth(self) -> int:
        """Layers with weights from input to output: stem, two a block, head; 20 for ResNet-20."""
        return 2 * sum(self.stages) + 2

    def module(self) -> nn.Sequential:
        """A stem, the blocks, the mean over positions, and the Linear head."""
        from torch import nn

        from igbrepro.modules import ActivationLayer

        width = self.width
        stem = [_conv(self, self.input_shape[0], width, 3, 1), _norm(self, width), ActivationLayer(self.activation)]
        blocks, fan_in = [], width
        for stage, n_blocks in enumerate(self.stages):
            for block in range(n_blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(_basic_block(self, fan_in, width * 2**stage, stride))
                fan_in = width * 2**stage
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(fan_in, self.n_classes)]
        return nn.Sequential(nn.Sequential(*stem), *blocks, *head)


def _norm(spec: ResNetSpec, channels: int) -> nn.Module:
    from torch import nn

    return nn.BatchNorm2d(channels) if spec.norm else nn.Identity()


def _conv(spec: ResNetSpec, fan_in: int, fan_out: int, side: int, stride: int) -> nn.Conv2d:
    from torch import nn

    return nn.Conv2d(fan_in, fan_out, side, stride, padding=side // 2, bias=not spec.norm)


def _basic_block(spec: ResNetSpec, fan_in: int, fan_out: int, stride: int) -> BasicBlock:
    """torchvision's block with the norm, activation, biases (where there is no norm) and branch scale of `spec`."""
    from torch import nn
    from torchvision.models.resnet import BasicBlock

    from igbrepro.modules import ActivationLayer, Scale

    shortcut = None
    if stride != 1 or fan_in != fan_out:
        shortcut = nn.Sequential(_conv(spec, fan_in, fan_out, 1, stride), _norm(spec, fan_out))
    block: Any = BasicBlock(fan_in, fan_out, stride, shortcut, norm_layer=lambda channels: _norm(spec, channels))
    if not spec.norm:
        block.conv1, block.conv2 = _conv(spec, fan_in, fan_out, 3, stride), _conv(spec, fan_out, fan_out, 3, 1)
    block.relu = ActivationLayer(spec.activation)
    if spec.scale is not None:
        block.bn2 = nn.Sequential(block.bn2, Scale(float(spec.scale)))
    return block
