"""Pools as torch modules: over windows of neighbouring nodes, and over square windows of an image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igbrepro.errors import ParameterError
from igbrepro.modules.activations import Elementwise, named_function
from igbrepro.theory import Pool, check_pool


def torch_pool(pool: Pool) -> Elementwise:
    """The torch form of a pool: (..., width) to (..., width / k), over windows of k neighbouring nodes.

    Raises ParameterError for a pool that has none.
    """
    reduce = _reduction(pool)
    return lambda x: reduce(x.unflatten(-1, (-1, pool.k)), -1)


def _age(pool: Pool, name: str) -> int:
    """How many classes below stand between a pool's own and the one that says what `name` is."""
    return next(k for k, kind in enumerate(type(pool).__mro__) if name in vars(kind))


def _reduction(pool: Pool) -> Callable[[Tensor, int], Tensor]:
    """The function (tensor, dim) of a pool, tried once; one that is older than the pool's theory is not its own."""
    function = None if check_pool(pool) is None else type(pool).torch_function
    if function is None or _age(pool, "torch_function") > _age(pool, "_kernel"):
        raise ParameterError(f"pool={pool!r}: has no torch form; give its class one, torch_function.")
    reduce = named_function(function)
    with torch.device("cpu"):  # also where a model is built on the meta device
        found = reduce(torch.arange(6.0).reshape(2, 3), -1)
    if not isinstance(found, Tensor) or found.shape != (2,):
        raise ParameterError(
            f"pool={pool!r}: its torch form gives {type(found).__name__} for (2, 3) and dim -1; need a tensor (2,)."
        )
    return reduce


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
    Raises ParameterError for a pool that has no torch form.
    """

    def __init__(self, pool: Pool, side: int, stride: int) -> None:
        super().__init__()
        self.pool, self.side, self.stride = pool, side, stride
        reduce, own = _reduction(pool), type(pool).torch_image_function
        if _age(pool, "torch_image_function") > _age(pool, "torch_function"):
            own = None

        def by_windows(x: Tensor, side: int, stride: int) -> Tensor:
            return reduce(x.unfold(2, side, stride).unfold(3, side, stride).flatten(-2), -1)

        self._function = by_windows if own is None else named_function(own)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            x = F.pad(x, (0, self.side - 1, 0, self.side - 1), mode="circular")
        return self._function(x, self.side, self.stride)

    def extra_repr(self) -> str:
        return f"{self.pool!r}, side={self.side}, stride={self.stride}"
