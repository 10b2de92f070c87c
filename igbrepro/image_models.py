"""The networks of `architectures.py` as torch modules, of torchvision's own blocks where it has them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock
from torchvision.models.vision_transformer import EncoderBlock, VisionTransformer

from igbrepro.architectures import CNNSpec, ResNetSpec, ViTSpec
from igbrepro.layers import ActivationLayer
from igbrepro.theory import critical_sigma_w2
from igbrepro.theory.pooling import MaxPool, Pool


class WindowPool(nn.Module):
    """A Pool over square windows of the positions of each channel, (n, channels, height, width).

    stride 1: every position starts a window, the image being continued periodically; stride = side: no overlap.
    """

    def __init__(self, pool: Pool, side: int, stride: int) -> None:
        super().__init__()
        self.pool, self.side, self.stride = pool, side, stride
        self._function = F.max_pool2d if isinstance(pool, MaxPool) else F.avg_pool2d

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            x = F.pad(x, (0, self.side - 1, 0, self.side - 1), mode="circular")
        return self._function(x, self.side, self.stride)

    def extra_repr(self) -> str:
        return f"{self.pool!r}, side={self.side}, stride={self.stride}"


def cnn(spec: CNNSpec) -> nn.Sequential:
    """Convolutions, activations and pools in order, a Flatten, and the Linear head; see CNNSpec."""
    layers: list[nn.Module] = []
    channels = spec.input_shape[0]
    for layer in range(1, spec.depth + 1):
        kernel, stride = spec.kernel, spec.stride(layer)
        layers.append(nn.Conv2d(channels, spec.channels, kernel, stride, kernel // 2, padding_mode="circular"))
        layers.append(ActivationLayer(spec.activation))
        if spec.has_pool(layer):
            layers.append(WindowPool(spec.pool, spec.pool_side, spec.pool_stride))
        channels = spec.channels
    height, width = spec.sizes[-1]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, spec.n_classes))


class Scale(nn.Module):
    """x times a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x

    def extra_repr(self) -> str:
        return f"{self.factor:g}"


def _norm(spec: ResNetSpec, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if spec.norm else nn.Identity()


def _conv(spec: ResNetSpec, fan_in: int, fan_out: int, side: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(fan_in, fan_out, side, stride, padding=side // 2, bias=not spec.norm)


def _basic_block(spec: ResNetSpec, fan_in: int, fan_out: int, stride: int) -> BasicBlock:
    """torchvision's block with the norm, activation, biases (where there is no norm) and branch scale of `spec`."""
    shortcut = None
    if stride != 1 or fan_in != fan_out:
        shortcut = nn.Sequential(_conv(spec, fan_in, fan_out, 1, stride), _norm(spec, fan_out))
    block = BasicBlock(fan_in, fan_out, stride, shortcut, norm_layer=lambda channels: _norm(spec, channels))
    if not spec.norm:
        block.conv1, block.conv2 = _conv(spec, fan_in, fan_out, 3, stride), _conv(spec, fan_out, fan_out, 3, 1)
    block.relu = ActivationLayer(spec.activation)
    if spec.scale is not None:
        block.bn2 = nn.Sequential(block.bn2, Scale(spec.scale))
    return block


def resnet(spec: ResNetSpec) -> nn.Sequential:
    """A stem, the blocks, the mean over positions, and the Linear head; see ResNetSpec."""
    width = spec.width
    stem = [_conv(spec, spec.input_shape[0], width, 3, 1), _norm(spec, width), ActivationLayer(spec.activation)]
    blocks, fan_in = [], width
    for stage, n_blocks in enumerate(spec.stages):
        for block in range(n_blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            blocks.append(_basic_block(spec, fan_in, width * 2**stage, stride))
            fan_in = width * 2**stage
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(fan_in, spec.n_classes)]
    return nn.Sequential(nn.Sequential(*stem), *blocks, *head)


class NoSkipBlock(EncoderBlock):
    """torchvision's encoder block without its two skip connections."""

    def forward(self, input: Tensor) -> Tensor:
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        return self.mlp(self.ln_2(x))


def vit(spec: ViTSpec) -> VisionTransformer:
    """torchvision's VisionTransformer with the parts of `spec`.

    Layers fed by no activation get gain = (critical sigma_w2 of the linear activation, 1) / (that of the activation at
    sigma_b2 = 0), so that one sigma_w2_ratio means one ratio in every layer.
    """
    channels, side, _ = spec.input_shape
    model = VisionTransformer(
        side,
        spec.patch,
        spec.depth,
        spec.heads,
        spec.width,
        spec.mlp_ratio * spec.width,
        num_classes=spec.n_classes,
        norm_layer=nn.LayerNorm if spec.norm else lambda width: nn.Identity(),
    )
    if channels != 3:
        model.conv_proj = nn.Conv2d(channels, spec.width, spec.patch, spec.patch)
    gain = 1 / float(critical_sigma_w2(spec.activation, sigma_b2=0.0))
    for block in model.encoder.layers:
        if not spec.residual:
            block.__class__ = NoSkipBlock
        block.mlp[1] = ActivationLayer(spec.activation)
        for module in (block.self_attention, block.self_attention.out_proj, block.mlp[0]):
            module.gain = gain
    model.heads.head.gain = gain
    return model
