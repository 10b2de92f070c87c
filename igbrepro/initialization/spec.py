"""Gaussian initialisations by their raw variances (no torch here)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from igbrepro.checks import finite
from igbrepro.errors import NoEdge, ParameterError
from igbrepro.theory import Activation, Pool, critical_sigma_w2, get_activation


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
    def from_ratio(
        cls, sigma_w2_ratio: float, activation: Activation | str, sigma_b2: float = 0.0, pool: Pool | None = None
    ) -> InitSpec:
        """The same in units of the critical value, sigma_w2 = sigma_w2_ratio * critical_sigma_w2.

        Where the gradient and the signal have critical values of their own the gradient's is taken, with the warning
        NoCommonEdge; where no network stays on the edge (GELU with a small sigma_b2), with UnstableEdge.
        Raises ParameterError also where there is no edge of chaos.
        """
        activation = get_activation(activation)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NoEdge)  # said by the error below
            critical = critical_sigma_w2(activation, sigma_b2, pool)
        if np.isnan(critical).any():
            raise ParameterError(
                f"sigma_b2={sigma_b2!r}: {activation.name} has no known edge of chaos there; give sigma_w2 itself."
            )
        return cls(cast(Any, finite("sigma_w2_ratio", sigma_w2_ratio, 0, open_low=True) * critical), sigma_b2)
