import mpmath as mp
import numpy as np
import pytest
from scipy.special import factorial
from theory.references import HARD_TANH, SILU, SOFTPLUS, pair_mean

from igbrepro.errors import NotConverged
from igbrepro.theory import ERF, GELU, RELU, SERIES, TANH, Smooth, hermite_rule, power_gaps

TIERS = range(len(SERIES))


@pytest.mark.parametrize("tier", TIERS)
def test_the_polynomials_are_orthonormal(tier):
    """The rule applied to he_m itself gives the unit matrix (he_m by numpy's own recursion)."""
    z, rule = hermite_rule(*SERIES[tier])
    he = np.polynomial.hermite_e.hermevander(z, 4) / np.sqrt(factorial(np.arange(5)))
    np.testing.assert_allclose(he.T @ rule, np.eye(5, rule.shape[1]), rtol=0, atol=1e-11)


@pytest.mark.parametrize("tier", TIERS)
def test_coefficients_of_known_functions(tier):
    q, n = 0.6, np.arange(30)
    z, rule = hermite_rule(*SERIES[tier])
    x = np.sqrt(q) * z
    size = np.exp(-q / 2) * q ** (n / 2) / np.sqrt(factorial(n))
    wave = np.where(n % 2, 0, (-1.0) ** (n // 2)) * size
    np.testing.assert_allclose((np.cos(x) @ rule)[:30], wave, rtol=0, atol=1e-14)
    np.testing.assert_allclose((np.exp(x) @ rule)[:30], np.exp(q) * size, rtol=0, atol=1e-13)
    cubic = np.zeros(30)
    cubic[[1, 3]] = 3 * q**1.5, np.sqrt(6) * q**1.5
    np.testing.assert_allclose((x**3 @ rule)[:30], cubic, rtol=0, atol=1e-13)


def test_power_gaps_keep_their_relative_accuracy():
    gaps = np.array([1e-25, 1e-12, 1e-3, 0.4, 0.6, 1.0, 1.7, 2.0])
    with mp.workdps(60):
        want = [[float(1 - (1 - mp.mpf(s)) ** n) for n in range(50)] for s in gaps.tolist()]
    np.testing.assert_allclose(power_gaps(gaps, 50), want, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(power_gaps(gaps[:4], 50), np.array(want)[:4], rtol=1e-13)


QS = np.array([1e-8, 1e-3, 0.4, 1.5, 1.7, 4.9, 5.1, 16, 18, 300, 1e4])[:, None]
SS = np.array([1e-20, 1e-12, 1e-5, 0.02, 0.4, 1.0, 1.6, 1.9999, 2.0])


@pytest.mark.parametrize("activation", [ERF, GELU], ids=lambda a: a.name)
def test_series_and_quadrature_against_closed_forms(activation):
    """The same questions to the general kernel and to the closed forms, on both sides of each tier."""
    general, closed = Smooth(activation.function, activation.derivative), activation.kernel
    np.testing.assert_allclose(general.deviation(QS, SS), closed.deviation(QS, SS), rtol=1e-8)
    np.testing.assert_allclose(general.deviation(QS, SS[2:]), closed.deviation(QS, SS[2:]), rtol=1e-11)
    np.testing.assert_allclose(general.slope_covariance(QS, SS), closed.slope_covariance(QS, SS), rtol=0, atol=1e-12)
    size, gap = np.sqrt(closed.second_moment(QS) * closed.second_moment(3 * QS)), SS[2:]
    cov = np.sqrt(3) * QS * (1 - gap)
    one, other = (kernel.covariance(QS, 3 * QS, cov) / size for kernel in (general, closed))
    np.testing.assert_allclose(one, other, rtol=0, atol=2e-14)


def test_a_kink_at_zero_goes_to_the_quadrature():
    general, closed = Smooth(RELU.function, RELU.derivative), RELU.kernel
    q, gap = np.array([[1e-6], [1.0], [5e3]]), np.array([1e-20, 1e-9, 0.1, 1.3, 1.9999, 2.0])
    np.testing.assert_allclose(general.deviation(q, gap), closed.deviation(q, gap), rtol=1e-8)
    got, want = (kernel.covariance(q, q, q * (1 - gap)) / q for kernel in (general, closed))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-14)
    np.testing.assert_allclose(general.slope_covariance(q, gap), closed.slope_covariance(q, gap), rtol=0, atol=1e-11)


@pytest.mark.parametrize("activation", [TANH, SOFTPLUS, SILU], ids=lambda a: a.name)
@pytest.mark.parametrize(("q", "c"), [(0.3, 0.2), (1.5, 0.6), (1.7, -0.7), (4.0, 0.9), (6.0, 0.3)])
def test_against_gauss_legendre(activation, q, c):
    """A tolerance on E[phi phi] alone would pass a wrong deviation, so both are compared."""
    kernel = activation.kernel
    got = kernel.covariance(np.array(q), np.array(q), np.array(c * q))
    want = pair_mean(lambda x, y: activation(x) * activation(y), q, q, c, panels=80)
    assert got == pytest.approx(want, rel=1e-11)
    want = pair_mean(lambda x, y: (activation(x) - activation(y)) ** 2 / 2, q, q, c, panels=80)
    assert kernel.deviation(np.array(q), np.array(1 - c)) == pytest.approx(want, rel=1e-11)
    want = pair_mean(lambda x, y: activation.derivative(x) * activation.derivative(y), q, q, c, panels=80)
    assert kernel.slope_covariance(np.array(q), np.array(1 - c)) == pytest.approx(want, rel=1e-11)


@pytest.mark.parametrize("q", [0.5, 3.0, 10.0, 200.0])
@pytest.mark.parametrize("gap", [1e-14, 1e-12, 1e-10])
def test_tanh_next_to_full_correlation(q, gap):
    """To first order in 1 - c the deviation is q (1 - c) E[phi'^2]; the next term is 1e-10 and less of it."""
    kernel = TANH.kernel
    first = q * gap * kernel.square_slope(np.array(q))
    np.testing.assert_allclose(kernel.deviation(np.array(q), np.array(gap)), first, rtol=1e-6)


def test_mixed_batches_reach_every_tier_in_their_own_order():
    q = np.array([900.0, 0.2, 7.0, 2.0, 0.3, 15.0, 40.0, 1.0])
    gap = np.linspace(0.1, 1.5, 8)
    alone = [TANH.kernel.deviation(np.array(v), np.array(s)) for v, s in zip(q, gap, strict=True)]
    np.testing.assert_allclose(TANH.kernel.deviation(q, gap), alone, rtol=1e-13)
    alone = [TANH.kernel.gap_root(np.array([v]), np.array([0.1])).item() for v in q]
    np.testing.assert_allclose(TANH.kernel.gap_root(q, np.full(8, 0.1)), alone, rtol=1e-8)


def test_kinks_elsewhere_are_refused():
    kernel = HARD_TANH.kernel
    for ask in (kernel.second_moment, lambda q: kernel.deviation(q, np.array(0.5))):
        with pytest.raises(NotConverged, match="must be smooth elsewhere"):
            ask(np.array(1.0))
