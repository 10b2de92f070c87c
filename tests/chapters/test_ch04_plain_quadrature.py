"""The second way to the lines of the phase diagram, against closed forms and the reference values."""

import math

import pytest

from notebooks.ch04_phase_diagrams import plain_quadrature as plain


def slope(x):
    return 1 - math.tanh(x) ** 2


def test_moments_of_a_normal_variable():
    assert plain.gaussian_mean(lambda x: x**4, 0.7) == pytest.approx(3 * 0.7**2, rel=1e-11)


@pytest.mark.parametrize(("q", "c"), [(0.3, 0.0), (2.0, 0.5), (1.0, 0.97)])
def test_pair_mean_of_erf_is_the_arcsine_law(q, c):
    want = 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))
    assert plain.pair_mean(math.erf, q, c) == pytest.approx(want, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize(("sigma_b2", "edge"), [(0.01, 1.424205), (0.05, 1.760955), (0.10, 1.986073), (0.20, 2.285152)])
def test_edge_of_tanh(sigma_b2, edge):
    assert plain.edge_sigma_w2(math.tanh, slope, sigma_b2) == pytest.approx(edge, abs=6e-7)


@pytest.mark.parametrize(("sigma_b2", "line"), [(0.05, 2.378266), (0.10, 2.924766), (0.20, 3.761095)])
def test_neutrality_line_of_tanh(sigma_b2, line):
    assert plain.neutral_sigma_w2(math.tanh, sigma_b2) == pytest.approx(line, abs=6e-7)


def test_fixed_points_at_the_published_training_points():
    q, chi, c = plain.fixed_point(math.tanh, slope, 4.97, 0.1)
    assert q == pytest.approx(4.97 * plain.gaussian_mean(lambda x: math.tanh(x) ** 2, q) + 0.1, rel=1e-10)
    assert c == pytest.approx(0.1961, abs=6e-5) and chi > 1
    assert plain.fixed_point(math.tanh, slope, 2.48, 0.1)[2] == pytest.approx(0.6741, abs=6e-5)
    assert plain.fixed_point(math.tanh, slope, 1.59, 0.1)[1:] == (pytest.approx(0.903, abs=5e-4), 1.0)


@pytest.mark.parametrize("gamma", [0.0, 0.2439, 1.0, 2.068, 50.0])
def test_mean_max_fraction_has_a_closed_form(gamma):
    assert plain.mean_max_fraction(gamma) == pytest.approx(0.5 + math.atan(math.sqrt(gamma)) / math.pi, rel=1e-10)
