"""One description of a network, from which both the theory and the finite network are made (no torch here)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from igbrepro.errors import ParameterError
from igbrepro.theory import Activation, MeanField, Trajectory, critical_sigma_w2, get_activation
from igbrepro.theory.checks import finite, whole
from igbrepro.theory.pooling import Pool, check_pool


@dataclass(frozen=True)
class InitSpec:
    """Gaussian initialisation W_ij ~ N(0, sigma_w2 / fan_in), b_i ~ N(0, sigma_b2).

    sigma_w2, sigma_b2: raw variances (never deviations, never a ratio to the critical value).
    Raises ParameterError unless sigma_w2 > 0 and sigma_b2 >= 0, both finite.
    """

    sigma_w2: float
    sigma_b2: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (
            ("sigma_w2", finite("sigma_w2", self.sigma_w2, 0, open_low=True)),
            ("sigma_b2", finite("sigma_b2", self.sigma_b2, 0)),
        ):
            if value.size != 1:
                raise ParameterError(f"{name} of shape {value.shape}: need one number; make one InitSpec for each.")
            object.__setattr__(self, name, value.item())

    @classmethod
    def from_ratio(cls, sigma_w2_ratio: float, activation: Activation | str, sigma_b2: float = 0.0) -> InitSpec:
        """The same in units of the critical value, sigma_w2 = sigma_w2_ratio * critical_sigma_w2.

        Raises ParameterError also where there is no edge of chaos.
        """
        activation = get_activation(activation)
        critical = critical_sigma_w2(activation, sigma_b2=sigma_b2)
        if np.isnan(critical).any():
            raise ParameterError(
                f"sigma_b2={sigma_b2!r}: {activation.name} has no known edge of chaos there; give sigma_w2 itself."
            )
        return cls(finite("sigma_w2_ratio", sigma_w2_ratio, 0, open_low=True) * critical, sigma_b2)


@dataclass(frozen=True)
class NetworkSpec:
    """A fully connected network with `depth` hidden layers of `width` nodes and a linear head.

    Pre-activations h^(1) = W x + b, h^(l+1) = W g(h^(l)) + b for l = 1..depth; h^(depth+1) are the n_classes logits.
    Every array over layers, in theory and simulation alike, has depth + 1 entries: index l is the pre-activation
    after l activations, so index 0 is h^(1) and index `depth` is the law of the logits.

    activation: an Activation or its name.  input_shape: of one input, flattened by the MLP.
    pool: None, or a pool over windows of k neighbouring nodes after the activation: a layer of `width` nodes hands on
        width / k values. (A layer of k replicas pooled over the replicas is the same with width k times as large.)
    residual: None, or the scale r of residual layers h^(l+1) = h^(l) + r (W g(h^(l)) + b), l = 1..depth-1.
    Raises ParameterError for an unknown activation, sizes that are not whole numbers from 1 (n_classes from 2), a width
    that is not a multiple of k, or r <= 0.
    """

    activation: Activation | str
    depth: int
    width: int
    n_classes: int = 2
    input_shape: tuple[int, ...] = (784,)
    pool: Pool | None = None
    residual: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", get_activation(self.activation))
        for name, least in (("depth", 1), ("width", 1), ("n_classes", 2)):
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        if not isinstance(self.input_shape, Sequence) or not self.input_shape:
            raise ParameterError(f"input_shape={self.input_shape!r}: need a tuple of sizes, such as (784,).")
        object.__setattr__(self, "input_shape", tuple(whole("input_shape", size, 1) for size in self.input_shape))
        if check_pool(self.pool) is not None and self.width % self.pool.k:
            raise ParameterError(f"width={self.width!r}: need a multiple of the pool's k={self.pool.k}.")
        if self.residual is not None:
            object.__setattr__(self, "residual", finite("residual", self.residual, 0, open_low=True).item())

    @property
    def input_size(self) -> int:
        """Number of features of one flattened input, the fan-in of the first layer."""
        return math.prod(self.input_shape)

    @property
    def fan_in(self) -> int:
        """Number of values a hidden layer hands on: the fan-in of every layer but the first."""
        return self.width if self.pool is None else self.width // self.pool.k

    def mean_field(self, init: InitSpec) -> MeanField:
        """The infinite-width theory of a hidden layer of this network under `init`."""
        return MeanField(
            self.activation, sigma_w2=init.sigma_w2, sigma_b2=init.sigma_b2, pool=self.pool, residual=self.residual
        )

    def trajectory(self, init: InitSpec, q0: float = 1.0, c0: float = 0.0) -> Trajectory:
        """The infinite-width theory of all layers, (depth + 1, ...): the head of a residual network is a plain layer.

        q0, c0: variance and correlation of h^(1), as MeanField.trajectory takes them.
        """
        if self.residual is None:
            return self.mean_field(init).trajectory(self.depth, q0, c0)
        head = replace(self, residual=None).mean_field(init)
        if self.depth == 1:
            return head.trajectory(1, q0, c0)
        body = self.mean_field(init).trajectory(self.depth - 1, q0, c0)
        last = head.trajectory(1, body.q[-1], body.c[-1])
        parts = zip((body.q, body.one_minus_c, body.chi), (last.q, last.one_minus_c, last.chi), strict=True)
        return Trajectory(*(np.concatenate([along, end[1:]]) for along, end in parts))
