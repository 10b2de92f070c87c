"""Gradients along the signal: against closed forms and plain sampling."""

import math

import numpy as np
import pytest

from igbrepro.errors import ParameterError
from igbrepro.theory import AveragePool, MaxPool, aligned_slope, floor_per_overlap, get_activation

LEAKY = get_activation("leaky_relu(0.3)")


def test_aligned_slopes_in_closed_form():
    assert aligned_slope(get_activation("relu")) == pytest.approx(1)
    assert aligned_slope(get_activation("relu"), MaxPool(3)) == pytest.approx(1)
    assert aligned_slope(LEAKY) == pytest.approx((1 + 0.3**4) / (1 + 0.3**2))
    want = (3 / 8 + 1 / (2 * math.pi)) / 4 / ((math.pi + 1) / (4 * math.pi))
    assert aligned_slope(get_activation("relu"), AveragePool(2)) == pytest.approx(want)


@pytest.mark.parametrize("pool", [MaxPool(3), AveragePool(3)])
def test_aligned_slopes_by_sampling(pool):
    h = np.random.default_rng(0).standard_normal((400_000, 3))
    phi, slope = LEAKY(h), LEAKY.derivative(h)
    if isinstance(pool, MaxPool):
        g, square = phi.max(1), slope[np.arange(len(h)), h.argmax(1)] ** 2
    else:
        g, square = phi.mean(1), (slope**2).sum(1) / 9
    assert aligned_slope(LEAKY, pool) == pytest.approx((g**2 * square).mean() / (g**2).mean(), rel=0.01)


def test_plain_relu_at_the_edge_adds_the_same_in_each_layer():
    added = floor_per_overlap(get_activation("relu"), None, 2.0, np.ones(6), np.ones(6), 100)
    np.testing.assert_allclose(added, 2 / 100 * np.arange(5, -1, -1))
    with pytest.raises(ParameterError, match="homogeneous"):
        aligned_slope(get_activation("tanh"))
