"""Pools as torch modules: over windows of neighbouring nodes, and over square windows of an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igbrepro.modules.activations import Elementwise
from igbrepro.theory import MaxPool, Pool


def torch_pool(pool: Pool) -> Elementwise:
    """The torch form of a pool: (..., width) to (..., width / k), over windows of k neighbouring nodes."""
    reduce = torch.amax if isinstance(pool, MaxPool) else torch.mean
    return lambda x: reduce(x.unflatten(-1, (-1, pool.k)), -1)


class PoolLayer(nn.Module):
    """A Pool as a module."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool, self._function = pool, torch_pool(pool)

    def forward(self, x: Tensor) -> Tensor:
        return self._function(x)

    def extra_repr(self) -> str:
        return repr(self.pool)


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
