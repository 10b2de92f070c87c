"""One description of a network, from which both the theory and the finite network are made (no torch here)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from igbrepro.errors import ParameterError
from igbrepro.theory import Activation, MeanField, critical_sigma_w2, get_activation
from igbrepro.theory.checks import finite, whole


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
    Raises ParameterError for an unknown activation, or sizes that are not whole numbers from 1 (n_classes from 2).
    """

    activation: Activation | str
    depth: int
    width: int
    n_classes: int = 2
    input_shape: tuple[int, ...] = (784,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", get_activation(self.activation))
        for name, least in (("depth", 1), ("width", 1), ("n_classes", 2)):
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        if not isinstance(self.input_shape, Sequence) or not self.input_shape:
            raise ParameterError(f"input_shape={self.input_shape!r}: need a tuple of sizes, such as (784,).")
        object.__setattr__(self, "input_shape", tuple(whole("input_shape", size, 1) for size in self.input_shape))

    @property
    def input_size(self) -> int:
        """Number of features of one flattened input, the fan-in of the first layer."""
        return math.prod(self.input_shape)

    def mean_field(self, init: InitSpec) -> MeanField:
        """The infinite-width theory of this network under `init`."""
        return MeanField(self.activation, sigma_w2=init.sigma_w2, sigma_b2=init.sigma_b2)
