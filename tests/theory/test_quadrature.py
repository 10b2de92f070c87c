import mpmath as mp
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from theory.references import HARD_TANH, SOFTPLUS, mean, pair_mean, relu_kernel

from igbrepro.errors import NotConverged, ParameterError
from igbrepro.theory import (
    LINEAR,
    RELU,
    TANH,
    bivariate_normal_cdf,
    bivariate_normal_cdf_gap,
    expectation,
    pair_expectation,
)

VARIANCES = np.array([1e-8, 1e-4, 0.03, 1.0, 40.0, 1e4])

CLOSED_FORMS = {
    "1": (np.ones_like, lambda q: 1),
    "x^2": (lambda x: x**2, lambda q: q),
    "x^6": (lambda x: x**6, lambda q: 15 * q**3),
    "|x|": (np.abs, lambda q: mp.sqrt(2 * q / mp.pi)),
    "x > 0": (lambda x: (x > 0) + 0.0, lambda q: mp.mpf(1) / 2),
    "exp(-x^2)": (lambda x: np.exp(-(x**2)), lambda q: 1 / mp.sqrt(1 + 2 * q)),
    "exp(-|x|)": (lambda x: np.exp(-np.abs(x)), lambda q: mp.exp(q / 2) * mp.erfc(mp.sqrt(q / 2))),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_expectation_against_closed_forms(name):
    f, exact = CLOSED_FORMS[name]
    with mp.workdps(30):
        want = [float(exact(mp.mpf(q))) for q in VARIANCES.tolist()]
    np.testing.assert_allclose(expectation(f, VARIANCES), want, rtol=1e-12)


@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("activation", [TANH, SOFTPLUS], ids=lambda a: a.name)
def test_expectation_against_adaptive_quadrature(activation, q):
    for f in (lambda x: activation(x) ** 2, lambda x: activation.derivative(x) ** 2):
        np.testing.assert_allclose(expectation(f, q), mean(f, q), rtol=1e-11)


def test_expectation_keeps_shapes():
    assert expectation(np.square, 2.0).shape == ()
    assert expectation(np.square, np.ones((2, 1, 3))).shape == (2, 1, 3)
    assert expectation(np.square, []).shape == (0,)
    many = np.linspace(0, 3, 5000)  # more than are integrated at once
    np.testing.assert_allclose(expectation(np.square, many), many, rtol=1e-12)


def test_no_variance_leaves_the_value_at_zero():
    assert expectation(np.cos, 0.0) == pytest.approx(1, abs=1e-14)
    assert expectation(np.tanh, 0.0) == 0


@pytest.mark.parametrize("q", np.geomspace(0.05, 50, 12))
def test_kinks_away_from_zero_are_noticed(q):
    with pytest.raises(NotConverged, match=r"two step sizes differ by .* must be smooth elsewhere"):
        for f in (HARD_TANH, HARD_TANH.derivative):
            expectation(lambda x, f=f: f(x) ** 2, q)


def test_what_the_error_check_lets_through_is_accurate():
    """A kink may fall so between the nodes that both rules agree by chance; then the value is right, or nearly so."""
    q = np.geomspace(0.05, 50, 400)
    passed = []
    for one in q:
        try:
            value = expectation(lambda x: HARD_TANH(x) ** 2, one)
        except NotConverged:
            continue
        passed.append(abs(value / mean(lambda x: HARD_TANH(x) ** 2, one) - 1))
    assert len(passed) < 4 and max(passed, default=0) < 1e-3


def test_a_turn_too_sharp_for_the_nodes_is_noticed():
    with pytest.raises(NotConverged, match="saturates near zero has its limit at variances of about 1e5"):
        expectation(lambda x: 1 - np.tanh(x) ** 2, 1e8)


@pytest.mark.parametrize("q", [-1e-9, np.nan, np.inf])
def test_bad_variances_are_named(q):
    for call in (lambda: expectation(np.tanh, q), lambda: pair_expectation(np.add, 1.0, q, 0.5)):
        with pytest.raises(ParameterError, match=r"q(_b)?=.*: need finite numbers >= 0"):
            call()


@pytest.mark.parametrize("gap", [-1e-9, 2.1])
def test_bad_correlations_are_named(gap):
    with pytest.raises(ParameterError, match=r"one_minus_c=.*: need finite numbers in \[0, 2\]"):
        pair_expectation(np.add, 1.0, 1.0, gap)


@pytest.mark.parametrize("c", [-1.0, -0.999999, -0.4, 0.0, 0.7, 1 - 1e-9, 1.0])
def test_pair_expectation_of_polynomials(c):
    q_a, q_b = 0.3, 7.0
    xy = pair_expectation(np.multiply, q_a, q_b, 1 - c)
    x2y2 = pair_expectation(lambda x, y: x**2 * y**2, q_a, q_b, 1 - c)
    assert xy == pytest.approx(c * np.sqrt(q_a * q_b), rel=1e-11, abs=1e-13)
    assert x2y2 == pytest.approx(q_a * q_b * (1 + 2 * c**2), rel=1e-11)


@pytest.mark.parametrize("gap", [1e-20, 1e-12, 1e-6, 0.01, 0.5, 1.0, 1.7, 1.999, 2 - 1e-9])
def test_pair_expectation_of_a_kinked_pair(gap):
    with mp.workdps(40):
        want = float(relu_kernel(mp.mpf(2), mp.mpf("0.25"), 1 - mp.mpf(gap)))
    got = pair_expectation(lambda x, y: RELU(x) * RELU(y), 2.0, 0.25, gap)
    assert got == pytest.approx(want, rel=1e-8, abs=1e-14)


@pytest.mark.parametrize("gap", [1e-20, 1e-16, 1e-10, 1e-4, 0.3])
def test_small_differences_keep_their_relative_accuracy(gap):
    half_square = pair_expectation(lambda x, y: (LINEAR(x) - LINEAR(y)) ** 2 / 2, 3.0, 3.0, gap)
    assert half_square == pytest.approx(3 * gap, rel=1e-7)


def test_integrands_that_cancel_are_judged_by_the_size_given():
    """E[relu(x) relu(-x)] = 0: next to c = -1 no relative accuracy can be had, and none is asked."""
    gap = 2 - 4e-16
    with pytest.raises(NotConverged):
        pair_expectation(lambda x, y: RELU(x) * RELU(y), 1.0, 1.0, gap)
    assert abs(pair_expectation(lambda x, y: RELU(x) * RELU(y), 1.0, 1.0, gap, scale=0.5)) < 1e-15


@pytest.mark.parametrize(("q_a", "q_b", "c"), [(1.0, 1.0, 0.3), (0.5, 4.0, -0.8), (2.0, 2.0, 0.97)])
def test_pair_expectation_against_gauss_legendre(q_a, q_b, c):
    def f(x, y):
        return np.tanh(x) * SOFTPLUS(y)

    np.testing.assert_allclose(pair_expectation(f, q_a, q_b, 1 - c), pair_mean(f, q_a, q_b, c), rtol=1e-11)


def test_pair_expectation_broadcasts():
    got = pair_expectation(np.multiply, np.ones((3, 1)), [1.0, 4.0], np.full((1, 2), 0.5))
    np.testing.assert_allclose(got, np.tile([0.5, 1.0], (3, 1)), rtol=1e-12)
    assert pair_expectation(np.multiply, 1.0, 1.0, 0.5).shape == ()


def test_bivariate_normal_against_genz():
    rng = np.random.default_rng(1)
    h, k, rho = *rng.normal(0, 2, (2, 40)), rng.uniform(-1, 1, 40)
    want = [
        multivariate_normal.cdf([a, b], cov=[[1, r], [r, 1]], abseps=1e-13, releps=1e-13)
        for a, b, r in zip(h, k, rho, strict=True)
    ]
    np.testing.assert_allclose(bivariate_normal_cdf(h, k, rho), want, rtol=0, atol=1e-14)


def test_bivariate_normal_at_special_points():
    rho = np.linspace(-1, 1, 9)
    np.testing.assert_allclose(bivariate_normal_cdf(0, 0, rho), 0.25 + np.arcsin(rho) / (2 * np.pi), atol=1e-15)
    np.testing.assert_allclose(bivariate_normal_cdf(-1e-200, 1e-200, rho[1:-1]), bivariate_normal_cdf(0, 0, rho[1:-1]))
    half = bivariate_normal_cdf([np.inf, -np.inf, 1, 1, 1, 1], [0, 0, 2, -2, 2, -0.5], [0.3, 0.3, 1, 1, -1, -1])
    tail = 0.15865525393145707
    np.testing.assert_allclose(
        half, [0.5, 0, 1 - tail, 0.022750131948179195, 0.8185946141203637, 0.1498822847945298], atol=1e-15
    )
    with pytest.raises(ParameterError, match=r"rho=1\.5: need finite numbers in \[-1, 1\]"):
        bivariate_normal_cdf(0, 0, 1.5)


def test_bivariate_normal_next_to_full_correlation():
    """P(x < h, y < h) falls short of Phi(h) by phi(h) sqrt(gap / 2 pi) 2 / sqrt 2 ... = phi(h) sqrt(gap / pi)."""
    gap = np.array([1e-14, 1e-18, 1e-22])
    h = 0.7
    short = bivariate_normal_cdf_gap(h, h, 0.0) - bivariate_normal_cdf_gap(h, h, gap)
    np.testing.assert_allclose(short, np.exp(-(h**2) / 2) / np.sqrt(2 * np.pi) * np.sqrt(gap / np.pi), rtol=3e-5)
