"""Residual blocks and other small modules."""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models.vision_transformer import EncoderBlock


class ResidualBlock(nn.Module):
    """h + scale * block(h), through the module `after` where there is one."""

    def __init__(self, scale: float, *layers: nn.Module, after: nn.Module | None = None) -> None:
        super().__init__()
        self.scale, self.block = scale, nn.Sequential(*layers)
        self.after = after

    def forward(self, h: Tensor) -> Tensor:
        h = h + self.scale * self.block(h)
        return h if self.after is None else self.after(h)


class Scale(nn.Module):
    """x times a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x

    def extra_repr(self) -> str:
        return f"{self.factor:g}"


class NoSkipBlock(EncoderBlock):
    """torchvision's encoder block without its two skip connections."""

    def forward(self, input: Tensor) -> Tensor:
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        return self.mlp(self.ln_2(x))
