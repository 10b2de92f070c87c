"""Pooled ReLU in closed form: the gains of signal and gradient, and what finite width leaves of a gradient.

A bias-free network of positively homogeneous layers obeys Euler's identity h_l . delta_l = f for the gradient delta_l
of its output f. So a gradient has a part along the signal that cannot vanish, a floor of order 1/width, which
`mean_gradient_profile` contains.
"""

from __future__ import annotations

import math

import numpy as np

from igbrepro.checks import finite, whole
from igbrepro.errors import ParameterError
from igbrepro.theory.activations import RELU
from igbrepro.theory.laws.gradient_floor import aligned_slope
from igbrepro.theory.pools.average import AveragePool
from igbrepro.theory.pools.maximum import MaxPool
from igbrepro.theory.pools.pool import Pool


def relu_window_gains(pool: Pool) -> tuple[float, float]:
    """(E[g^2] / q, sum_ij R_ij E[d_i g d_j g]) of ReLU pooled over windows of two nodes of any correlation.

    sigma_w2 times the first is the growth of the variance in a layer, times the second that of a gradient.
    Raises ParameterError for other windows and kinds of pools.
    """
    if not isinstance(pool, AveragePool | MaxPool):
        raise ParameterError(f"pool={pool!r}: closed forms are known for MaxPool and AveragePool.")
    if pool.k != 2:
        raise ParameterError(f"pool={pool!r}: closed forms are known for k=2; use MeanField(RELU, pool=...).kernel.")
    rho = pool.correlation
    angle, kinks = math.acos(rho), math.sqrt(1 - rho**2)
    if isinstance(pool, AveragePool):
        slope = (math.pi + rho * (math.pi - angle)) / (4 * math.pi)
        return slope + kinks / (4 * math.pi), slope
    slope = 1 / 2 + angle / (2 * math.pi)
    return slope + kinks / (2 * math.pi), slope


def mean_gradient_profile(
    pool: Pool | None, *, sigma_w2: float, depth: int, fan_in: int, above_floor: bool = False
) -> np.ndarray:
    """The mean squared gradient E|delta_l|^2 of one logit of a bias-free ReLU network of finite width, (depth + 1,).

    fan_in: the number of values a layer hands on (width / k).  above_floor: for a read-out orthogonal to the last
    activations, as `igbrepro.ensembles.gradient_profile` has it.  The last entry, df/df, is 1 either way.
    Exact at every width for a maximum and for no pool; for an average up to terms of relative order 1 / fan_in^2.
    Raises ParameterError for correlated windows and for numbers out of range.
    """
    sigma_w2 = finite("sigma_w2", sigma_w2, 0, open_low=True).item()
    depth, fan_in = whole("depth", depth, 1), whole("fan_in", fan_in, 2)
    if pool is not None and pool.correlation:
        raise ParameterError(f"pool={pool!r}: known for independent nodes only.")
    kernel, one = RELU.kernel if pool is None else pool.kernel(RELU), np.ones(())
    square, slope = float(kernel.second_moment(one)), float(kernel.square_slope(one))
    along = aligned_slope(RELU, pool)
    chi, growth = sigma_w2 * (slope - along / fan_in), sigma_w2 * square
    profile = np.ones(depth + 1)
    for layer in reversed(range(depth)):
        profile[layer] = chi * profile[layer + 1]
        if not above_floor:
            profile[layer] += along * sigma_w2 / fan_in * growth ** (depth - 1 - layer)
    return profile
