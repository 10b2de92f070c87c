"""Multi-node activations: one output from k nodes, g(x_1 .. x_k) = max or mean of phi(x_i).

`pool.kernel(activation)` is a Kernel like that of a single node (kernels/base.py), so every mean-field map takes it as
it is. Its Gaussian expectations need one- and two-dimensional integrals at most, whatever k is; nothing is sampled.

The nodes of a window are N(0, q) with pairwise correlation rho (`correlation`): 0 is the paper's case, fully connected
layers; in a convolutional network neighbouring nodes have rho > 0; at rho = 1 there is no pooling at all. With R the
k x k matrix of these correlations, two inputs of correlation c have Cov(x_i, y_j) = q c R_ij, and the slope of the
covariance map at c = 1, which is the gradient multiplier, is sum_ij R_ij E[d_i g d_j g] (Price's theorem).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from igbrepro.checks import finite, whole
from igbrepro.errors import ParameterError
from igbrepro.theory.kernels.base import Kernel

if TYPE_CHECKING:
    from igbrepro.theory.activations import Activation


@dataclass(frozen=True)
class Pool(ABC):
    """A pool over windows of k nodes whose pairwise correlation is `correlation`, in [0, 1].

    A kind of pool is a subclass with `_kernel`, and with what else is known of it:
    torch_function: its torch form, a function (tensor, dim) that takes the dimension `dim` away, or the dotted name of
        one, "torch.amax"; None for a pool of the theory only.
    torch_image_function: a faster form for square windows, (images, side, stride), or its dotted name; None: made of
        torch_function.
    aligned_slope: see laws/gradient_floor.py.
    Raises ParameterError unless k is a whole number from 2 and the correlation lies in its range.
    """

    k: int
    correlation: float = 0.0

    torch_function: ClassVar[Callable[..., Any] | str | None] = None
    torch_image_function: ClassVar[Callable[..., Any] | str | None] = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", whole("k", self.k, 2))
        object.__setattr__(self, "correlation", float(finite("correlation", self.correlation, 0, 1)))

    def kernel(self, activation: Activation) -> Kernel:
        """The Gaussian expectations of this pool after `activation`."""
        return activation.kernel if self.correlation == 1 else self._kernel(activation)

    @abstractmethod
    def _kernel(self, activation: Activation) -> Kernel: ...

    def aligned_slope(self, activation: Activation) -> float:
        """E[g^2 |grad g|^2] / E[g^2] after a homogeneous activation; raises ParameterError where it is not known."""
        raise ParameterError(f"pool={self!r}: its aligned slope is not known; define aligned_slope in its class.")


def check_pool(pool: object) -> Pool | None:
    """`pool` if it is a Pool or None; raises ParameterError for anything else."""
    if pool is not None and not isinstance(pool, Pool):
        raise ParameterError(f"pool={pool!r}: need None or a Pool, such as MaxPool(k) or AveragePool(k).")
    return pool


def pooled_kernel(activation: Activation, pool: Pool | None) -> Kernel:
    """The Gaussian expectations of `activation`, with its pool if there is one; raises ParameterError as check_pool."""
    pool = check_pool(pool)
    return activation.kernel if pool is None else pool.kernel(activation)
