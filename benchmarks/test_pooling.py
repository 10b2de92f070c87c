"""Pair maps of max-pooling against the two ways at hand: Monte Carlo over the 2k nodes, and scipy's double integral.

All times are processor seconds of one thread. Monte Carlo is run with a million windows and its time scaled to equal
error (its error falls like the root of the number of draws); the double integral is asked for a millionth.

OMP_NUM_THREADS=1 python -m pytest benchmarks/test_pooling.py --benchmark-enable -s
"""

import time

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.stats import multivariate_normal, norm

from igbrepro.theory import ERF, TANH, MaxPool, MeanField, phase_grid

pytestmark = pytest.mark.benchmark(timer=time.process_time)

C, Q, ERROR = 0.4, 1.3, 1e-8


def monte_carlo(activation, k, n=1_000_000):
    """E[g g'] and its standard error from n windows of k nodes, two inputs each."""
    rng = np.random.default_rng(0)
    x, own = rng.standard_normal((2, n, k))
    y = C * x + np.sqrt(1 - C**2) * own
    product = np.prod([activation(np.sqrt(Q) * nodes).max(1) for nodes in (x, y)], axis=0)
    return product.mean(), product.std() / np.sqrt(n)


def double_integral(activation, k):
    """E[g g'] from the joint distribution function of the two maxima, by parts."""
    law = multivariate_normal(cov=[[1, C], [C, 1]])
    low, root = -7.0, np.sqrt(Q)

    def both_above(y, x):
        slopes = activation.derivative(root * x) * activation.derivative(root * y)
        return slopes * Q * (1 - norm.cdf(x) ** k - norm.cdf(y) ** k + law.cdf([x, y]) ** k)

    start, z = activation(root * low), np.linspace(-9, 9, 4001)
    mean = np.trapezoid(activation(root * z) * k * norm.cdf(z) ** (k - 1) * norm.pdf(z), z)
    return dblquad(both_above, low, 7, low, 7, epsabs=1e-7, epsrel=1e-7)[0] + 2 * start * mean - start**2


@pytest.mark.parametrize("k", [2, 4, 9])
@pytest.mark.parametrize("activation", [ERF, TANH], ids=lambda a: a.name)
def test_covariance_of_two_maxima(benchmark, activation, k):
    field = MeanField(activation, sigma_w2=1.0, pool=MaxPool(k))
    ours = benchmark(lambda: float(field.cov_map(Q, Q, C * Q)))
    start = time.process_time()
    drawn, error = monte_carlo(activation, k)
    draw_seconds = (time.process_time() - start) * (error / ERROR) ** 2
    start = time.process_time()
    integral = double_integral(activation, k)
    quad_seconds = time.process_time() - start
    assert abs(drawn - ours) < 4.5 * error and abs(integral - ours) < 1e-5
    benchmark.extra_info |= {
        "ours, seconds": benchmark.stats["median"],
        "Monte Carlo at equal error, years": draw_seconds / 3.15e7,
        "scipy at 1e-6, seconds": quad_seconds,
        "times faster than scipy": quad_seconds / benchmark.stats["median"],
    }


def test_tanh_trajectory_of_depth_100_under_max(benchmark):
    field = MeanField(TANH, sigma_w2=2.0, sigma_b2=0.1, pool=MaxPool(2))
    benchmark.pedantic(lambda: field.trajectory(100), rounds=2)
    benchmark.extra_info["seconds"] = benchmark.stats["median"]
    assert benchmark.stats["median"] < 10


def test_phase_grid_of_200_by_200_under_max(benchmark):
    w2, b2 = np.linspace(0.5, 5, 200), np.linspace(0.005, 0.5, 200)
    benchmark.pedantic(lambda: phase_grid(TANH, w2, b2, pool=MaxPool(2)), rounds=1)
    benchmark.extra_info["seconds"] = benchmark.stats["median"]
    assert benchmark.stats["median"] < 30
