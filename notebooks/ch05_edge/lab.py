"""What only this chapter does: the constant of ReLU's power laws, from a few layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from igbrepro.initialization import InitSpec


def relu_kappa(one_minus_c: NDArray[np.float64], init: InitSpec, first: int, last: int) -> float:
    """kappa of 1 - c -> kappa / l^2 (a fourth of it at sigma_w2 = 2 with bias), between two layers of any such network.

    one_minus_c: (layers,), of inputs of mean square 1.  v = w / sqrt(1 - c) with w^2 = (sigma_w2/2)^l / q_l grows by
    A w (1 + (3/2) A sqrt(1 - c)) a layer, A = kappa^(-1/2), up to terms of order w (1 - c).
    """
    s, grown = one_minus_c[: last + 1], np.full(last + 1, init.sigma_w2)  # q_l / gain^l
    if init.sigma_b2:
        grown += init.sigma_b2 * np.cumsum((init.sigma_w2 / 2) ** -np.arange(last + 1.0))
    w, v = grown**-0.5, (grown * s) ** -0.5
    total, next_term = w[first:last].sum(), 1.5 * (w * np.sqrt(s))[first:last].sum()
    root = np.sqrt(total**2 + 4 * next_term * (v[last] - v[first]))
    return float((2 * next_term / (root - total)) ** 2)
