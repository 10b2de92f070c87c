"""What bias-free homogeneous networks add to their gradients at finite width.

They obey h . df/dh = f in every layer, with the same number f. So the gradient keeps a part along the signal, of the
order of f^2/|h|^2, however small chi is; what this part sends into other directions on its way down adds to it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from igbrepro.errors import ParameterError
from igbrepro.theory.activations import Activation
from igbrepro.theory.pools.maximum import MaxPool
from igbrepro.theory.pools.pool import Pool
from igbrepro.theory.quadrature import expectation


def aligned_slope(activation: Activation, pool: Pool | None = None) -> float:
    """E[g^2 |grad g|^2] / E[g^2] of a homogeneous activation with or without a pool of independent nodes; 1 for ReLU.

    Raises ParameterError for other activations.
    """
    if not activation.homogeneous:
        raise ParameterError(f"activation={activation.name!r}: need a homogeneous one, such as relu.")
    phi, slope2, k = activation, lambda x: activation.derivative(x) ** 2, 1 if pool is None else pool.k
    if isinstance(pool, MaxPool):

        def of_max(f):  # f of the largest of k standard normal numbers
            return float(expectation(lambda x: k * ndtr(x) ** (k - 1) * f(x), 1.0))

        return of_max(lambda x: phi(x) ** 2 * slope2(x)) / of_max(lambda x: phi(x) ** 2)
    mean, square, slope, one, both = (
        float(expectation(f, 1.0))
        for f in (phi, lambda x: phi(x) ** 2, slope2, lambda x: phi(x) * slope2(x), lambda x: (phi(x) ** 2) * slope2(x))
    )
    pairs, triples = k * (k - 1), k * (k - 1) * (k - 2)
    total = k * both + pairs * (square * slope + 2 * one * mean) + triples * mean**2 * slope
    return total / k**2 / (k * square + pairs * mean**2)


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
