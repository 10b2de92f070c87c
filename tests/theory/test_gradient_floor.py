"""Gradients along the signal: against closed forms and plain sampling."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from igbrepro.errors import ParameterError
from igbrepro.theory import AveragePool, MaxPool, Pool, aligned_slope, floor_per_overlap, get_activation

LEAKY = get_activation("leaky_relu(0.3)")


def test_aligned_slopes_in_closed_form():
    assert aligned_slope(get_activation("relu")) == pytest.approx(1)
    assert aligned_slope(get_activation("relu"), MaxPool(3)) == pytest.approx(1)
    assert aligned_slope(LEAKY) == pytest.approx((1 + 0.3**4) / (1 + 0.3**2))
    want = (3 / 8 + 1 / (2 * math.pi)) / 4 / ((math.pi + 1) / (4 * math.pi))
    assert aligned_slope(get_activation("relu"), AveragePool(2)) == pytest.approx(want)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("kind", [MaxPool, AveragePool])
def test_aligned_slopes_by_sampling(kind, rho):
    rng, pool = np.random.default_rng(0), kind(3, rho)
    h = np.sqrt(1 - rho) * rng.standard_normal((400_000, 3)) + np.sqrt(rho) * rng.standard_normal((400_000, 1))
    phi, slope = LEAKY(h), LEAKY.derivative(h)
    if isinstance(pool, MaxPool):
        g, square = phi.max(1), slope[np.arange(len(h)), h.argmax(1)] ** 2
    else:
        g, square = phi.mean(1), (slope**2).sum(1) / 9
    assert aligned_slope(LEAKY, pool) == pytest.approx((g**2 * square).mean() / (g**2).mean(), rel=0.01)


@pytest.mark.parametrize("rho", [0.2, 0.7, 0.999])
def test_aligned_slope_of_an_average_of_two_correlated_relus_by_adaptive_quadrature(rho):
    """Over the angle: h = r (cos t, cos(t - a)) with cos a = rho, and E[r^2] cancels; 1/2 where both nodes agree."""
    a = math.acos(rho)
    both = quad(lambda t: (math.cos(t) + math.cos(t - a)) ** 2, a - math.pi / 2, math.pi / 2)[0]
    one = 2 * quad(lambda t: math.cos(t) ** 2, -math.pi / 2, a - math.pi / 2)[0]
    assert aligned_slope(get_activation("relu"), AveragePool(2, rho)) == pytest.approx(
        (2 * both + one) / 4 / (both + one), rel=1e-9
    )


def test_a_pool_of_another_kind_is_refused():
    class Median(AveragePool):
        aligned_slope = Pool.aligned_slope

    with pytest.raises(ParameterError, match=r"Median.*aligned slope is not known"):
        aligned_slope(LEAKY, Median(3))


def test_plain_relu_at_the_edge_adds_the_same_in_each_layer():
    added = floor_per_overlap(get_activation("relu"), None, 2.0, np.ones(6), np.ones(6), 100)
    np.testing.assert_allclose(added, 2 / 100 * np.arange(5, -1, -1))
    with pytest.raises(ParameterError, match="homogeneous"):
        aligned_slope(get_activation("tanh"))


def test_an_aligned_slope_takes_a_name():
    assert aligned_slope("relu", MaxPool(3)) == aligned_slope(get_activation("relu"), MaxPool(3))
