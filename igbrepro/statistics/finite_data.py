"""The laws of the guessing bias as finite numbers of inputs and networks show them, and how far data lie from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr
from scipy.stats import kstest

from igbrepro.checks import whole
from igbrepro.errors import ParameterError
from igbrepro.statistics.estimates import Estimate
from igbrepro.theory import ClassFraction


def uniform_distance(u: ArrayLike) -> Estimate:
    """The distance of a sample u (any shape) in [0, 1] from the uniform law.

    value: the largest gap between the two distribution functions (Kolmogorov).  error: such that the law the sample
    came from lies within value ± 2 error with probability 95 %, whatever it is (Dvoretzky, Kiefer and Wolfowitz;
    for independent draws), so that `between(name, -inf, bound)` speaks about laws and not about samples.
    Raises ParameterError for fewer than 2 values, or values outside [0, 1].
    """
    u = np.sort(np.asarray(u, dtype=float).ravel())
    if len(u) < 2 or not (u[0] >= 0 and u[-1] <= 1):
        raise ParameterError(f"u: need 2 or more probabilities in [0, 1], got {len(u)} values; apply the law's cdf.")
    steps = np.arange(len(u) + 1) / len(u)
    distance = max(np.max(steps[1:] - u), np.max(u - steps[:-1]))
    return Estimate(float(distance), float(np.sqrt(np.log(2 / 0.05) / (2 * len(u))) / 2))


def normal_distance(sample: ArrayLike, variance: ArrayLike = 1.0) -> Estimate:
    """The distance, as `uniform_distance` gives it, of a sample from N(0, variance); the two broadcast."""
    return uniform_distance(ndtr(np.asarray(sample, dtype=float) / np.sqrt(variance)))


def uniform_p_value(u: ArrayLike) -> float:
    """p-value of the Kolmogorov-Smirnov test that u (any shape) is uniform on [0, 1]."""
    return float(kstest(np.asarray(u, dtype=float).ravel(), "uniform").pvalue)


def var_of_fraction(counts: ArrayLike, n_inputs: int, axis: int = -1) -> np.ndarray:
    """Unbiased estimate, along `axis` (networks or heads), of Var G_0 from counts of n_inputs given to class 0.

    Counting n inputs adds (1/4 - Var G_0)/n to the variance of the fraction, which is taken out.
    The mean of G_0 is 1/2 by symmetry and not estimated.
    """
    n = whole("n_inputs", n_inputs, 2)
    seen = ((np.asarray(counts) / n - 0.5) ** 2).mean(axis)
    return (n * seen - 0.25) / (n - 1)


def mean_max_of_counts(law: ClassFraction, n_inputs: int, rng: np.random.Generator, draws: int = 100_000) -> Estimate:
    """The mean of max_k (count of class k)/n_inputs: above law.mean_max(), since counting scatters too.

    Two classes: exact, from the binomial mixture, with error 0.  More: `draws` multinomial counts.
    """
    n = whole("n_inputs", n_inputs, 1)
    if law.n_classes == 2:
        k = np.arange(n + 1)
        return Estimate(float(law.pmf(n) @ np.maximum(k, n - k) / n), 0.0)
    fractions = law.sample(draws, rng)
    largest = rng.multinomial(n, fractions / fractions.sum(1, keepdims=True)).max(1) / n
    return Estimate(float(largest.mean()), float(largest.std() / np.sqrt(draws)))


def node_averages(table: ArrayLike) -> tuple[float, float]:
    """(sigma_mu2, sigma_y2) of a table h_ia (nodes, inputs), node by node: the order of averages of the guessing bias.

    Unbiased for inputs that are independent draws: sigma_y2 is the mean over nodes of the variance over inputs with
    1/(n - 1), sigma_mu2 the mean over nodes of the squared mean over inputs, less sigma_y2/n.
    Raises ParameterError for fewer than 2 inputs.
    """
    h = _table(table)
    sigma_y2 = h.var(axis=1, ddof=1).mean()
    return float((h.mean(axis=1) ** 2).mean() - sigma_y2 / h.shape[1]), float(sigma_y2)


def pair_averages(table: ArrayLike) -> tuple[float, float]:
    """(mean q_aa, mean q_ab over a != b) of a table h_ia (nodes, inputs), pair by pair: the order of mean-field theory.

    q_ab is the mean over nodes of h_ia h_ib.  Raises ParameterError for fewer than 2 inputs.
    """
    h = _table(table)
    q, n = h.T @ h / len(h), h.shape[1]
    return float(np.trace(q) / n), float(q[~np.eye(n, dtype=bool)].mean())


def plain_c(table: ArrayLike) -> float:
    """gamma/(1 + gamma) by the plain estimates (variance over inputs with 1/n, squared mean as it is) of h_ia.

    Above the unbiased one by exactly (1 - c)/n.
    """
    h = _table(table)
    mean2 = (h.mean(axis=1) ** 2).mean()
    return float(mean2 / (mean2 + h.var(axis=1).mean()))


def _table(table: ArrayLike) -> np.ndarray:
    h = np.asarray(table, dtype=float)
    if h.ndim != 2 or h.shape[1] < 2:
        raise ParameterError(f"table: shape {h.shape}; need (nodes, inputs) with 2 inputs or more.")
    return h
