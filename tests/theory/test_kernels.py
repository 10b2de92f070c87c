import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from theory.references import SOFTPLUS, erf_kernel, gelu_kernel, mean, pair_mean, relu_kernel

from igbrepro.theory import ERF, GELU, LEAKY_RELU, LINEAR, RELU, TANH

VARIANCES = [1e-8, 1e-3, 0.4, 1.0, 30.0, 1e4]
GAPS = [1e-20, 1e-12, 1e-6, 1e-2, 0.3, 1.0, 1.6, 1.999, 2.0]


def leaky_kernel(slope):
    """leaky(x) = (1 - slope) relu(x) + slope x, and E[relu(x) y] = cov/2."""

    def kernel(q_a, q_b, c):
        cov = c * mp.sqrt(q_a * q_b)
        return (1 - slope) ** 2 * relu_kernel(q_a, q_b, c) + slope * (1 - slope) * cov + slope**2 * cov

    return kernel


EXACT = {
    LINEAR: lambda q_a, q_b, c: c * mp.sqrt(q_a * q_b),
    RELU: relu_kernel,
    LEAKY_RELU(0.2): leaky_kernel(mp.mpf("0.2")),
    LEAKY_RELU(-1.5): leaky_kernel(mp.mpf("-1.5")),
    ERF: erf_kernel,
    GELU: gelu_kernel,
}
CLOSED = pytest.mark.parametrize("activation", EXACT, ids=lambda a: a.name)
ALL = pytest.mark.parametrize("activation", [*EXACT, TANH, SOFTPLUS], ids=lambda a: a.name)


def exact(activation, q_a, q_b, gap):
    """(covariance, deviation) in 80 digits, rounded to floats."""
    with mp.workdps(80):
        q_a, q_b, c = mp.mpf(q_a), mp.mpf(q_b), 1 - mp.mpf(gap)
        value = EXACT[activation](q_a, q_b, c)
        return float(value), float(EXACT[activation](q_a, q_b, mp.mpf(1)) - value)


@CLOSED
def test_deviation_keeps_its_relative_accuracy(activation):
    q, gap = np.array(VARIANCES)[:, None], np.array(GAPS)[None, :]
    want = [[exact(activation, a, a, s)[1] for s in GAPS] for a in VARIANCES]
    np.testing.assert_allclose(activation.kernel.deviation(q, gap), want, rtol=1e-12)


@CLOSED
@pytest.mark.parametrize("ratio", [1.0, 1e-4, 300.0])
def test_covariance_at_unequal_variances(activation, ratio):
    q_a, gap = np.array(VARIANCES)[:, None], np.array([1e-6, 1e-2, 0.3, 1.0, 1.6, 1.999, 2.0])
    q_b = ratio * q_a
    want = np.array([[exact(activation, a, ratio * a, s)[0] for s in gap] for a in VARIANCES])
    got = activation.kernel.covariance(q_a, q_b, (1 - gap) * np.sqrt(q_a * q_b))
    size = np.sqrt(activation.kernel.second_moment(q_a) * activation.kernel.second_moment(q_b))
    np.testing.assert_allclose(got / size, want / size, rtol=0, atol=1e-14)


@CLOSED
@pytest.mark.parametrize("q", [1e-6, 0.3, 4.0, 900.0])
def test_closed_forms_of_one_variable(activation, q):
    kernel, at = activation.kernel, np.array(q)
    assert kernel.mean(at) == pytest.approx(mean(activation, q), rel=1e-10, abs=1e-14)
    assert kernel.second_moment(at) == pytest.approx(mean(lambda x: activation(x) ** 2, q), rel=1e-10)
    assert kernel.square_slope(at) == pytest.approx(mean(lambda x: activation.derivative(x) ** 2, q), rel=1e-10)


@pytest.mark.parametrize("activation", [ERF, GELU], ids=lambda a: a.name)
@pytest.mark.parametrize(("q_a", "q_b", "c"), [(1.0, 1.0, 0.5), (0.2, 3.0, -0.6), (2.0, 2.0, 0.99)])
def test_closed_forms_against_gauss_legendre(activation, q_a, q_b, c):
    got = activation.kernel.covariance(*(np.array(v) for v in (q_a, q_b, c * np.sqrt(q_a * q_b))))
    want = pair_mean(lambda x, y: activation(x) * activation(y), q_a, q_b, c)
    assert got == pytest.approx(want, rel=1e-12)


@ALL
@pytest.mark.parametrize("q", [0.02, 1.0, 12.0])
def test_slope_covariance_is_the_slope_of_the_covariance(activation, q):
    """Price's theorem, d E[phi phi] / d cov = E[phi' phi'], by a difference in the correlation."""
    gap, h = np.array([0.2, 0.5, 1.0, 1.4, 1.8]), 1e-4
    deviation = [activation.kernel.deviation(np.array(q), gap + k * h) for k in (-2, -1, 1, 2)]
    numeric = (deviation[0] - 8 * deviation[1] + 8 * deviation[2] - deviation[3]) / (12 * h * q)
    got = activation.kernel.slope_covariance(np.full(5, q), gap)
    np.testing.assert_allclose(got, numeric, rtol=1e-8, atol=2e-10)
    at_one = activation.kernel.slope_covariance(np.array(q), np.array(0.0))
    np.testing.assert_allclose(at_one, activation.kernel.square_slope(np.array(q)), rtol=1e-10)


@ALL
def test_deviation_and_covariance_agree(activation):
    q, gap = np.array([[0.01], [1.0], [3.0]]), np.array([0.1, 0.9, 1.5, 2.0])
    parts = activation.kernel.covariance(q, q, q * (1 - gap)) + activation.kernel.deviation(q, gap)
    np.testing.assert_allclose(parts, np.broadcast_to(activation.kernel.second_moment(q), parts.shape), rtol=1e-11)


@ALL
def test_gap_root_solves_for_the_correlation(activation):
    if activation is LINEAR:  # every correlation is kept: nothing to solve
        return
    kernel, q, gap = activation.kernel, np.array([0.1, 1.0, 6.0]), np.array([1e-3, 0.3, 0.9])
    bias = kernel.deviation(q, gap) / gap - kernel.second_moment(q)
    np.testing.assert_allclose(kernel.gap_root(q, bias), gap, rtol=1e-7)


variance = st.floats(1e-6, 50)
correlation = st.floats(-1, 1)


@ALL
@settings(max_examples=15, deadline=None, derandomize=True)
@given(q_a=variance, q_b=variance, c=correlation)
def test_covariance_is_symmetric_and_obeys_cauchy_schwarz(activation, q_a, q_b, c):
    a, b, cov = (np.array(v) for v in (q_a, q_b, c * np.sqrt(q_a) * np.sqrt(q_b)))
    kernel = activation.kernel
    value, size = kernel.covariance(a, b, cov), np.sqrt(kernel.second_moment(a) * kernel.second_moment(b))
    np.testing.assert_allclose(kernel.covariance(b, a, cov), value, rtol=0, atol=1e-13 * size)
    assert abs(value) <= size * (1 + 1e-12)


@ALL
@settings(max_examples=15, deadline=None, derandomize=True)
@given(q=variance, c=correlation)
def test_deviation_is_positive_and_grows_as_c_falls_to_zero(activation, q, c):
    """Below c = 0 it need not grow: the even Hermite coefficients then pull the other way."""
    deviation = activation.kernel.deviation(np.array(q), np.linspace(1 - abs(c), 1, 6))
    size = activation.kernel.second_moment(np.array(q))
    assert np.all(deviation >= 0) and np.all(np.diff(deviation) >= -1e-13 * size)
    assert activation.kernel.deviation(np.array(q), np.array(1 - c)) >= 0


@settings(max_examples=20, deadline=None, derandomize=True)
@given(q_a=variance, q_b=variance, c=correlation, scale=st.floats(1e-3, 1e3), slope=st.floats(-2, 2))
def test_piecewise_linear_kernels_are_homogeneous(q_a, q_b, c, scale, slope):
    kernel, cov = LEAKY_RELU(slope).kernel, c * np.sqrt(q_a * q_b)
    one = kernel.covariance(np.array(q_a), np.array(q_b), np.array(cov))
    other = kernel.covariance(np.array(scale * q_a), np.array(q_b / scale), np.array(cov))
    np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-13 * np.sqrt(q_a * q_b))


@pytest.mark.parametrize("activation", [TANH, ERF, LINEAR], ids=lambda a: a.name)
def test_odd_activations_have_odd_kernels(activation):
    q_a, q_b, cov = np.array(0.7), np.array(2.0), np.linspace(0, 1.18, 7)
    one, other = (activation.kernel.covariance(q_a, q_b, sign * cov) for sign in (1, -1))
    np.testing.assert_allclose(other, -one, rtol=1e-12, atol=1e-16)
    assert abs(activation.kernel.mean(q_a)) < 1e-15


def test_covariance_by_simulation():
    rng = np.random.default_rng(7)
    x, z = rng.standard_normal((2, 400_000))
    q_a, q_b, c = 1.5, 0.4, -0.35
    x, y = np.sqrt(q_a) * x, np.sqrt(q_b) * (c * x + np.sqrt(1 - c**2) * z)
    for activation in (RELU, LEAKY_RELU(0.2), TANH, ERF, GELU, SOFTPLUS):
        products = activation(x) * activation(y)
        want = activation.kernel.covariance(np.array(q_a), np.array(q_b), np.array(c * np.sqrt(q_a * q_b)))
        error = products.std() / np.sqrt(len(products))
        assert error < 0.01 * np.sqrt(np.mean(activation(x) ** 2) * np.mean(activation(y) ** 2)), "too noisy to decide"
        assert abs(products.mean() - want) < 4.5 * error, activation.name
