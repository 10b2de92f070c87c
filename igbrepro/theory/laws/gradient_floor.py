"""What bias-free homogeneous networks add to their gradients at finite width.

They obey h . df/dh = f in every layer, with the same number f. So the gradient keeps a part along the signal, of the
order of f^2/|h|^2, however small chi is; what this part sends into other directions on its way down adds to it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from igbrepro.errors import ParameterError
from igbrepro.theory.activations import Activation, get_activation
from igbrepro.theory.pools.pool import Pool, check_pool
from igbrepro.theory.quadrature import expectation


def aligned_slope(activation: Activation | str, pool: Pool | None = None) -> float:
    """E[g^2 |grad g|^2] / E[g^2] of a homogeneous activation with or without a pool of its nodes; 1 for ReLU.

    |grad g|^2 is the plain sum of (d_i g)^2 over the nodes, whatever their correlation.
    Raises ParameterError for other activations, and for a pool of whose aligned slope nothing is known.
    """
    activation = get_activation(activation)
    if not activation.homogeneous:
        raise ParameterError(f"activation={activation.name!r}: need a homogeneous one, such as relu.")
    pool = check_pool(pool)
    if pool is not None:
        return pool.aligned_slope(activation)
    square = float(expectation(lambda x: activation(x) ** 2, 1.0))
    return float(expectation(lambda x: activation(x) ** 2 * activation.derivative(x) ** 2, 1.0)) / square


def floor_per_overlap(
    activation: Activation, pool: Pool | None, sigma_w2: float, q: ArrayLike, chi: ArrayLike, fan_in: int
) -> np.ndarray:
    """The addition to |dL/dh|^2 in each layer, (depth + 1,), for each unit of the conserved (h . dL/dh)^2.

    q, chi: (depth + 1,), along the layers; fan_in: of the layers.  First order in 1/fan_in: the part of the gradient
    along the last activations sends aligned_slope / |g|^2 into each layer, from where chi carries it down.
    """
    q, chi = np.asarray(q, float), np.asarray(chi, float)
    source = aligned_slope(activation, pool) * sigma_w2 / (fan_in * q[1:])  # sigma_w2 / q[l + 1] is 1 / E[g^2]
    added = np.zeros(len(q))
    for layer in range(len(q) - 2, -1, -1):
        added[layer] = source[layer] + chi[layer] * added[layer + 1]
    return added
