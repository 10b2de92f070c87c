import warnings

import numpy as np
import pytest
from scipy.integrate import dblquad, quad
from scipy.stats import multivariate_normal, norm
from theory.references import SILU

from igbrepro.errors import NoCommonEdge, ParameterError
from igbrepro.theory import (
    ERF,
    GELU,
    LEAKY_RELU,
    LINEAR,
    RELU,
    TANH,
    Activation,
    AveragePool,
    FoldedMax,
    MaxPool,
    MeanField,
    Phase,
    classify,
    critical_sigma_w2,
    neutral_sigma_w2,
    phase_grid,
)
from igbrepro.theory.pools import maximum

PI = np.pi
SINE = Activation("sine", np.sin, np.cos)
K = pytest.mark.parametrize("k", [2, 3, 4, 9])
N_DRAWS = 400_000


def pooled(activation, pool, x):
    """g over the last axis, straight from the definition."""
    return activation(x).max(-1) if isinstance(pool, MaxPool) else activation(x).mean(-1)


def windows(pool, c, q, seed):
    """Two inputs' windows of nodes, (N_DRAWS, k) each: correlation c between inputs, pool.correlation between nodes."""
    rng, rho = np.random.default_rng(seed), pool.correlation
    own, shared = rng.standard_normal((2, N_DRAWS, pool.k)), rng.standard_normal((2, N_DRAWS, 1))
    x, other = np.sqrt(q * (1 - rho)) * own + np.sqrt(q * rho) * shared
    return x, c * x + np.sqrt(1 - c**2) * other


def within(values, expected, z=4.5):
    """Whether the mean of values lies within z standard errors of what is expected."""
    return abs(values.mean() - expected) <= z * values.std() / np.sqrt(len(values))


# --- one input --------------------------------------------------------------------------------------------------


def test_published_constants():
    for pool, signal, gradient in (
        (AveragePool(2), 4 * PI / (PI + 1), 4.0),
        (MaxPool(2), 4 * PI / (3 * PI + 2), 4 / 3),
    ):
        assert critical_sigma_w2("relu", pool=pool, criterion="signal") == pytest.approx(signal, rel=1e-13)
        assert critical_sigma_w2("relu", pool=pool, criterion="gradient") == pytest.approx(gradient, rel=1e-13)
        assert MeanField(RELU, sigma_w2=signal, pool=pool).chi(1.0) == pytest.approx(signal / gradient, rel=1e-13)


@K
def test_relu_under_max_against_order_statistics(k):
    mf = MeanField(RELU, sigma_w2=1.0, pool=MaxPool(k))
    square, _ = quad(lambda z: z**2 * k * norm.cdf(z) ** (k - 1) * norm.pdf(z), 0, 12, epsabs=1e-13)
    assert mf.q_map(1.7) == pytest.approx(1.7 * square, rel=1e-10)
    assert mf.chi(1.7) == pytest.approx(1 - 0.5**k, rel=1e-12)


@K
@pytest.mark.parametrize("activation", [RELU, TANH, ERF, LEAKY_RELU(0.1)], ids=lambda a: a.name)
def test_moments_under_max_against_adaptive_quadrature(activation, k):
    mf, q = MeanField(activation, sigma_w2=1.3, pool=MaxPool(k)), 2.3

    def mean(f):
        def density(z):
            return k * norm.cdf(z) ** (k - 1) * norm.pdf(z) * f(np.sqrt(q) * z)

        return sum(quad(density, *ends, epsabs=1e-13, epsrel=1e-11)[0] for ends in ((-12, 0), (0, 12)))

    assert mf.q_map(q) == pytest.approx(1.3 * mean(lambda x: activation(x) ** 2), rel=1e-9)
    assert mf.chi(q) == pytest.approx(1.3 * mean(lambda x: activation.derivative(x) ** 2), rel=1e-9)
    assert mf.kernel.mean(np.array(q)) == pytest.approx(mean(activation), rel=1e-9)


@pytest.mark.parametrize("rho", [0.0, 0.2, 0.6, 0.95])
def test_two_correlated_nodes_have_closed_forms(rho):
    """The maximum of two normal variables is skew-normal; the covariance of two ReLUs is the arc-cosine kernel."""
    tilt = np.sqrt((1 - rho) / (1 + rho))
    top = MeanField(RELU, sigma_w2=1.0, pool=MaxPool(2, rho))
    assert top.q_map(1.0) == pytest.approx(0.5 + (np.arctan(tilt) + tilt / (1 + tilt**2)) / PI, rel=1e-10)
    assert top.chi(1.0) == pytest.approx(0.5 + np.arctan(tilt) / PI, rel=1e-10)
    mean = MeanField(RELU, sigma_w2=1.0, pool=AveragePool(2, rho))
    arc = np.pi - np.arccos(rho)
    assert mean.q_map(1.0) == pytest.approx(0.25 + (np.sqrt(1 - rho**2) + rho * arc) / (4 * PI), rel=1e-12)
    assert mean.chi(1.0) == pytest.approx(0.25 + rho * arc / (4 * PI), rel=1e-12)


@pytest.mark.parametrize("pool", [MaxPool(4, 0.5), AveragePool(4, 0.5)], ids=repr)
@pytest.mark.parametrize("activation", [RELU, TANH], ids=lambda a: a.name)
def test_correlated_windows_against_draws(activation, pool):
    mf, q = MeanField(activation, sigma_w2=1.0, pool=pool), 1.4
    x, near = windows(pool, 1 - 1e-4, q, seed=3)
    assert within(pooled(activation, pool, x) ** 2, float(mf.q_map(q)))
    change = (pooled(activation, pool, x) - pooled(activation, pool, near)) ** 2 / (2 * q * 1e-4)
    assert within(change, float(mf.chi(q)), z=5) or change.mean() == pytest.approx(float(mf.chi(q)), rel=0.01)


def test_full_correlation_is_no_pooling():
    for pool in (MaxPool(3, 1.0), AveragePool(3, 1.0)):
        assert MeanField(TANH, sigma_w2=2.0, pool=pool).kernel is TANH.kernel
    for kind in (MaxPool, AveragePool):
        near = MeanField(TANH, sigma_w2=2.0, pool=kind(3, 1 - 1e-10))
        assert near.q_map(1.2) == pytest.approx(MeanField(TANH, sigma_w2=2.0).q_map(1.2), rel=1e-4)


# --- two inputs -------------------------------------------------------------------------------------------------


def layer_cake(activation, k, q, c, lowest):
    """E[g g'] of a maximum from its joint distribution function F^k alone: E[(g - g0)(g' - g0)] = the integral of
    phi'(x) phi'(y) P(M > x, M' > y), with g0 = phi(lowest) where phi starts to rise.
    """
    root, law = np.sqrt(q), multivariate_normal(cov=[[1, c], [c, 1]])

    def both_above(y, x):
        slopes = activation.derivative(root * x) * activation.derivative(root * y)
        return slopes * q * (1 - norm.cdf(x) ** k - norm.cdf(y) ** k + law.cdf([x, y]) ** k)

    area, _ = dblquad(both_above, lowest, 7, lowest, 7, epsabs=1e-7, epsrel=1e-7)
    start = activation(root * lowest)
    mean, _ = quad(lambda z: activation(root * z) * k * norm.cdf(z) ** (k - 1) * norm.pdf(z), -9, 9, epsabs=1e-12)
    return area + 2 * start * mean - start**2


@pytest.mark.parametrize(("activation", "lowest"), [(RELU, 0.0), (TANH, -7.0)], ids=["relu", "tanh"])
@pytest.mark.parametrize(("k", "c"), [(2, 0.4), (9, 0.8)])
def test_covariance_of_a_maximum_against_its_distribution_function(activation, lowest, k, c):
    q, mf = 1.3, MeanField(activation, sigma_w2=1.0, pool=MaxPool(k))
    assert mf.cov_map(q, q, c * q) == pytest.approx(layer_cake(activation, k, q, c, lowest), rel=2e-6)


@K
@pytest.mark.parametrize(("activation", "lowest"), [(RELU, 0.0), (TANH, -np.inf)], ids=["relu", "tanh"])
def test_two_methods_for_one_maximum(activation, lowest, k):
    """Integrals over the largest nodes, and over the levels of phi, for activations that both methods take."""
    q, s = np.array([1e-4, 0.04, 1.7]), np.array([1.0, 0.3, 1e-7])
    nodes, levels = MaxPool(k).kernel(activation), FoldedMax(activation.function, activation.derivative, k, lowest)
    for name in ("mean", "second_moment", "square_slope"):
        np.testing.assert_allclose(getattr(levels, name)(q), getattr(nodes, name)(q), rtol=1e-9)
    for gap in s:
        np.testing.assert_allclose(levels.deviation(q, gap), nodes.deviation(q, np.full(3, gap)), rtol=1e-8)
    unequal = np.array(0.4), np.array(3.0), np.array(0.5)
    np.testing.assert_allclose(levels.covariance(*unequal), nodes.covariance(*unequal), rtol=1e-8)


@pytest.mark.parametrize("pool", [MaxPool(2, 0.3), MaxPool(4, 0.05), MaxPool(4, 0.8), AveragePool(3, 0.5)], ids=repr)
@pytest.mark.parametrize("activation", [RELU, TANH], ids=lambda a: a.name)
def test_two_inputs_of_correlated_windows_against_draws(activation, pool):
    q, mf = 1.4, MeanField(activation, sigma_w2=1.0, pool=pool)
    for c in (0.0, 0.6, 0.97):
        x, y = windows(pool, c, q, seed=8)
        one, other = pooled(activation, pool, x), pooled(activation, pool, y)
        assert within(one * other, float(mf.cov_map(q, q, c * q)))
        assert within((one - other) ** 2 / 2, float(mf.kernel.deviation(np.array(q), np.array(1 - c))))


@pytest.mark.parametrize("q", [1e-3, 1.4, 60.0])
@pytest.mark.parametrize("k", [2, 5])
@pytest.mark.parametrize("activation", [GELU, SILU, LEAKY_RELU(-0.5)], ids=lambda a: a.name)
def test_maximum_of_an_activation_with_a_dip_against_draws(activation, k, q):
    pool = MaxPool(k)
    mf = MeanField(activation, sigma_w2=1.0, pool=pool)
    for c in (-0.4, 0.8):
        x, y = windows(pool, c, q, seed=k)
        assert within(pooled(activation, pool, x) * pooled(activation, pool, y), float(mf.cov_map(q, q, c * q)))
    winner = np.take_along_axis(x, activation(x).argmax(-1)[:, None], -1)
    assert within(activation.derivative(winner) ** 2, float(mf.chi(q)))
    assert mf.kernel.deviation(np.array(q), np.array(1e-10)) / (1e-10 * q) == pytest.approx(float(mf.chi(q)), rel=1e-4)


@K
@pytest.mark.parametrize("kind", [MaxPool, AveragePool])
@pytest.mark.parametrize("activation", [RELU, TANH, LEAKY_RELU(0.2)], ids=lambda a: a.name)
def test_covariance_against_draws(activation, kind, k):
    pool, q = kind(k), 1.6
    mf = MeanField(activation, sigma_w2=1.0, pool=pool)
    for c in (-0.3, 0.0, 0.6, 0.97):
        x, y = windows(pool, c, q, seed=k)
        assert within(pooled(activation, pool, x) * pooled(activation, pool, y), float(mf.cov_map(q, q, c * q)))
    x, y = windows(pool, 0.5, 1.0, seed=k + 100)
    unequal = pooled(activation, pool, np.sqrt(0.4) * x) * pooled(activation, pool, np.sqrt(3.0) * y)
    assert within(unequal, float(mf.cov_map(0.4, 3.0, 0.5 * np.sqrt(1.2))))


@K
@pytest.mark.parametrize("activation", [RELU, TANH], ids=lambda a: a.name)
def test_slope_of_the_covariance_map_at_one_is_chi(activation, k):
    """Price's theorem ties the two-input integral to the one-input one; deviations keep their digits to 1e-12."""
    q = 0.9
    for pool in (MaxPool(k), MaxPool(k, 0.4), AveragePool(k), AveragePool(k, 0.4)):
        mf = MeanField(activation, sigma_w2=1.0, pool=pool)
        for gap in (1e-6, 1e-9, 1e-12):
            slope = mf.kernel.deviation(np.array(q), np.array(gap)) / (q * gap)
            assert slope == pytest.approx(float(mf.chi(q)), rel=5 * np.sqrt(gap))


def test_linear_network_under_average():
    mf = MeanField(LINEAR, sigma_w2=1.0, pool=AveragePool(5))
    assert mf.q_map(2.0) == pytest.approx(0.4) and mf.c_map(0.3, 1.0) == pytest.approx(0.3)


def test_slope_covariance_is_the_slope_of_the_covariance():
    for activation, pool in (
        (TANH, MaxPool(3)),
        (RELU, MaxPool(2)),
        (TANH, AveragePool(3)),
        (RELU, AveragePool(2, 0.5)),
    ):
        kernel, q, s, h = pool.kernel(activation), np.array([1.2]), np.array([0.4]), 1e-4
        slope = (kernel.deviation(q, s + h) - kernel.deviation(q, s - h)) / (2 * h * q)
        np.testing.assert_allclose(kernel.slope_covariance(q, s), slope, rtol=1e-6)


def test_variance_slope_is_the_slope_of_the_second_moment():
    averages, maxima = (AveragePool(3), AveragePool(2, 0.5)), (MaxPool(3), MaxPool(2, 0.5))
    for activation, pools in ((TANH, averages + maxima), (RELU, averages + maxima), (GELU, (*averages, MaxPool(3)))):
        for pool in pools:
            kernel, q, h = pool.kernel(activation), np.array([1.2]), 1e-4
            slope = (kernel.second_moment(q + h) - kernel.second_moment(q - h)) / (2 * h)
            np.testing.assert_allclose(kernel.variance_slope(q), slope, rtol=1e-7)


# --- fixed points, lines and phases -----------------------------------------------------------------------------


@pytest.mark.parametrize(("pool", "sigma_w2"), [(MaxPool(2), 10.0), (AveragePool(3), 30.0), (MaxPool(4), 40.0)])
def test_fixed_point_is_one_of_the_maps(pool, sigma_w2):
    mf = MeanField(TANH, sigma_w2=sigma_w2, sigma_b2=0.05, pool=pool)
    at = mf.fixed_point()
    assert mf.q_map(at.q) == pytest.approx(at.q, rel=1e-10)
    assert at.chi > 1 and mf.c_map(at.c, at.q) == pytest.approx(float(at.c), rel=1e-9)
    assert mf.trajectory(40, q0=2.0, c0=0.3).c[-1] == pytest.approx(float(at.c), abs=1e-4)


def test_grids_use_a_table_that_agrees_with_single_points():
    w2, b2 = np.linspace(2.5, 6, 9), np.linspace(0.02, 0.2, 7)
    grid = phase_grid(TANH, w2, b2, pool=MaxPool(2))
    one = MeanField(TANH, sigma_w2=w2[4], sigma_b2=b2[5], pool=MaxPool(2)).fixed_point()
    assert grid.one_minus_c[5, 4] == pytest.approx(float(one.one_minus_c), rel=1e-7)


@K
def test_odd_activation_under_average_is_a_rescaled_weight_variance(k):
    bias = [0.05, 0.1]
    for line in (critical_sigma_w2, neutral_sigma_w2):
        np.testing.assert_allclose(line(TANH, bias, pool=AveragePool(k)), k * line(TANH, bias), rtol=1e-10)


def test_odd_activation_under_max_of_two_keeps_its_edge_but_not_its_neutrality():
    """max is minus min in law, so phi^2 has the law of one node; the mean of the maximum is not zero."""
    bias = np.array([0.05, 0.1])
    np.testing.assert_allclose(critical_sigma_w2(TANH, bias, pool=MaxPool(2)), critical_sigma_w2(TANH, bias), rtol=1e-9)
    assert classify(TANH, sigma_w2=4.97, sigma_b2=0.1) == Phase.NEUTRALITY
    assert classify(TANH, sigma_w2=4.97, sigma_b2=0.1, pool=MaxPool(2)) == Phase.PREJUDICE


def test_neutral_phase_under_max_begins_far_out_for_two_nodes_only():
    """As sigma_w2 grows tanh becomes sign: then c = (1/2 + arcsin(c)/pi)^2 for k = 2, with a root below 1/2; the mean
    1 - 2/2^k of more nodes keeps c at 9/16 and above.
    """
    line = neutral_sigma_w2(TANH, 0.1, pool=MaxPool(2))
    at = MeanField(TANH, sigma_w2=line, sigma_b2=0.1, pool=MaxPool(2)).fixed_point()
    assert at.c == pytest.approx(0.5, abs=1e-8)
    far = MeanField(TANH, sigma_w2=1e4, pool=MaxPool(2)).fixed_point()
    assert far.c == pytest.approx((0.5 + np.arcsin(float(far.c)) / PI) ** 2, abs=0.01) and far.c < 0.45
    assert np.isnan(neutral_sigma_w2(TANH, 0.1, pool=MaxPool(3)))


# --- what a user meets ------------------------------------------------------------------------------------------


def test_users_are_told_where_no_value_keeps_both():
    with pytest.warns(NoCommonEdge, match="gradient is kept at sigma_w2 = 4, returned here, the signal at 3.03"):
        assert critical_sigma_w2(RELU, pool=AveragePool(2)) == pytest.approx(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        critical_sigma_w2(RELU)
        critical_sigma_w2(RELU, pool=AveragePool(2), criterion="gradient")
        critical_sigma_w2(LINEAR, pool=AveragePool(2))
        critical_sigma_w2(TANH, 0.1, pool=AveragePool(2))


def test_bad_pools_are_one_clear_error():
    for make, words in (
        (lambda: MaxPool(1), "k=1"),
        (lambda: AveragePool(2.5), "k=2.5"),
        (lambda: MaxPool(2, 1.2), "correlation=1.2"),
        (lambda: MeanField(RELU, sigma_w2=1.0, pool="max"), "pool='max'"),
        (lambda: MeanField(SINE, sigma_w2=1.0, pool=MaxPool(2)), "sine falls somewhere"),
        (lambda: MeanField(GELU, sigma_w2=1.0, pool=MaxPool(2, 0.5)), "gelu falls somewhere"),
        (lambda: MeanField(RELU, sigma_w2=1.0, pool=MaxPool(2)).c_map(-0.9, 1.0), "from -0.5 on"),
        (lambda: MeanField(GELU, sigma_w2=1.0, pool=MaxPool(2)).c_map(-0.9, 1.0), "from -0.5 on"),
    ):
        with pytest.raises(ParameterError, match=words):
            make()


@pytest.mark.parametrize("kind", [MaxPool, AveragePool])
@pytest.mark.parametrize("activation", [TANH, GELU, LEAKY_RELU(0.2)], ids=lambda a: a.name)
@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
def test_depth_scales_exist_for_every_pool_and_activation(kind, activation, rho):
    """xi_q and xi_c against slopes of the maps taken by differences; at correlation 1 there is no pool."""
    pool = kind(2, rho)
    if kind is MaxPool and activation is GELU and rho == 0.5:
        with pytest.raises(ParameterError, match="falls somewhere"):
            MeanField(activation, sigma_w2=1.0, pool=pool)
        return
    mf = MeanField(activation, sigma_w2=0.9, sigma_b2=0.1, pool=pool)
    at, scales = mf.fixed_point(), mf.depth_scales()
    assert np.isfinite(at.q)
    low, high = mf.q_map(at.q * np.array([1 - 1e-4, 1 + 1e-4]))
    assert scales.xi_q == pytest.approx(-1 / np.log((high - low) / (2e-4 * at.q)), rel=1e-5)
    assert scales.xi_gradient == pytest.approx(1 / abs(np.log(mf.chi(at.q))), rel=1e-9)
    assert scales.xi_c == pytest.approx(-1 / np.log(1e4 * (1 - mf.c_map(1 - 1e-4, at.q))), rel=0.05)
    if rho == 1:
        plain = MeanField(activation, sigma_w2=0.9, sigma_b2=0.1).depth_scales()
        assert (scales.xi_q, scales.xi_c) == (plain.xi_q, plain.xi_c)


def test_equal_activations_made_twice_share_their_series():
    maximum._ratio_series.cache_clear()
    for _ in range(2):
        like = Activation("mine", lambda x: np.where(x > 0, x, 0.2 * x), lambda x: np.where(x > 0, 1, 0.2), slope=0.2)
        for phi in (LEAKY_RELU(0.2), like):
            MeanField(phi, sigma_w2=1.0, pool=MaxPool(2)).c_map(0.5, 1.0)
    assert maximum._ratio_series.cache_info().misses == 1
