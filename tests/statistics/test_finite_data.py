"""Distances from laws, finite-count corrections, and the inverse question of design."""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from igbrepro.errors import ParameterError
from igbrepro.statistics import (
    mean_max_of_counts,
    node_averages,
    normal_distance,
    pair_averages,
    plain_c,
    uniform_distance,
    uniform_p_value,
    var_of_fraction,
)
from igbrepro.theory import ClassFraction, MeanField, from_independent_inputs, sigma_w2_for_gamma


def test_distance_is_that_of_kolmogorov():
    u = np.random.default_rng(0).uniform(size=(50, 40)) ** 1.2
    reference = kstest(u.ravel(), "uniform")
    assert uniform_distance(u).value == pytest.approx(reference.statistic, rel=1e-12)
    assert uniform_p_value(u) == reference.pvalue
    assert normal_distance(norm.ppf(u) * 3, 9.0).value == pytest.approx(reference.statistic, rel=1e-9)


def test_error_covers_the_true_distance_in_95_of_100_samples_and_is_not_idle():
    rng = np.random.default_rng(1)
    truth = max(x - x**5 for x in np.linspace(0, 1, 100_001))  # P(v^0.2 <= x) = x^5
    found = np.array([uniform_distance(rng.uniform(size=400) ** 0.2) for _ in range(300)])
    covered = np.abs(found[:, 0] - truth) <= 2 * found[:, 1]
    assert covered.mean() >= 0.95
    assert found[0, 1] == pytest.approx(1.358 / np.sqrt(400) / 2, rel=1e-3)


def test_distance_refuses_what_are_no_probabilities():
    for u in ([0.5], [0.2, 1.1], [0.2, np.nan], [-0.1, 0.3]):
        with pytest.raises(ParameterError, match="u:"):
            uniform_distance(u)


@pytest.mark.parametrize("gamma", [0.05, 1.0, 10.0])
def test_variance_of_the_fraction_is_freed_of_counting(gamma):
    law, rng = ClassFraction(gamma), np.random.default_rng(2)
    counts = rng.binomial(12, law.sample(200_000, rng)).reshape(200, 1000)
    found = var_of_fraction(counts, 12)
    z = (found.mean() - law.var()) / (found.std(ddof=1) / np.sqrt(200))
    assert abs(z) < 4 and found.std(ddof=1) / np.sqrt(200) < 0.02 * law.var() + 2e-4


@pytest.mark.parametrize("n_classes", [2, 3])
def test_counting_raises_the_mean_largest_fraction(n_classes):
    law, rng = ClassFraction(0.5, n_classes), np.random.default_rng(3)
    mean, error = mean_max_of_counts(law, 20, rng)
    means = np.sqrt(0.5) * rng.standard_normal((20_000, 1, n_classes))
    winner = (means + rng.standard_normal((20_000, 20, n_classes))).argmax(-1)
    counts = np.stack([(winner == k).sum(1) for k in range(n_classes)], axis=1)
    drawn = counts.max(1) / 20
    assert abs(drawn.mean() - mean) < 4 * np.hypot(error, drawn.std() / np.sqrt(20_000))
    assert mean > law.mean_max() + 0.01
    assert mean_max_of_counts(law, 2000, rng, draws=40_000)[0] == pytest.approx(law.mean_max(), abs=7e-3)


@pytest.mark.parametrize("gamma", [0.05, 1.0, 10.0])
def test_designed_networks_have_the_wanted_gamma(gamma):
    w2 = sigma_w2_for_gamma(gamma, "tanh", sigma_b2=0.1, depth=15, norm2=1.3)
    mf = MeanField("tanh", sigma_w2=w2, sigma_b2=0.1)
    cov, q = np.float64(0.1), np.float64(1.3 * w2 + 0.1)
    for _ in range(15):
        cov, q = mf.cov_map(q, q, cov), mf.q_map(q)
    assert cov / (q - cov) == pytest.approx(gamma, rel=1e-6)
    assert from_independent_inputs(mf, 15, 1.3).gamma[-1] == pytest.approx(gamma, rel=1e-6)


def test_what_no_network_has_is_refused():
    with pytest.raises(ParameterError, match=r"gamma=3\.0: not reached by relu"):
        sigma_w2_for_gamma(3.0, "relu", sigma_b2=0.0, depth=5)
    with pytest.raises(ParameterError, match="gamma"):
        sigma_w2_for_gamma(-1.0, "tanh", sigma_b2=0.1, depth=5)


def test_binomial_mixture_at_extreme_gamma():
    for gamma in (18.4, 20.0, 1e3, 1e9):
        pmf = ClassFraction(gamma).pmf(200)
        assert pmf.sum() == pytest.approx(1) and pmf[0] == pytest.approx(pmf[-1], rel=1e-9)


def test_averages_of_a_table_of_known_components():
    rng = np.random.default_rng(4)
    h = np.sqrt(2.0) * rng.standard_normal((40_000, 1)) + np.sqrt(0.5) * rng.standard_normal((40_000, 6))
    sigma_mu2, sigma_y2 = node_averages(h)
    assert sigma_mu2 == pytest.approx(2.0, abs=4 * np.sqrt(2) * 2.1 / 200)
    assert sigma_y2 == pytest.approx(0.5, abs=4 * 0.5 * np.sqrt(2 / 5) / 200)
    by_hand = sum((h[:, a] * h[:, b]).mean() for a in range(6) for b in range(a)) / 15
    q_aa, q_ab = pair_averages(h)
    assert q_ab == pytest.approx(by_hand, rel=1e-12) and q_aa == pytest.approx((h**2).mean(), rel=1e-12)


@pytest.mark.parametrize("n", [2, 7])
def test_both_orders_agree_on_any_table_and_the_plain_one_is_off_by_one_minus_c_over_n(n):
    table = np.random.default_rng(5).standard_cauchy((9, n)) + 3
    (sigma_mu2, sigma_y2), (q_aa, q_ab) = node_averages(table), pair_averages(table)
    c = sigma_mu2 / (sigma_mu2 + sigma_y2)
    assert c == pytest.approx(q_ab / q_aa, rel=1e-12)
    assert plain_c(table) - c == pytest.approx((1 - c) / n, rel=1e-12)


def test_a_table_needs_two_inputs():
    for function in (node_averages, pair_averages, plain_c):
        for table in (np.ones(4), np.ones((4, 1))):
            with pytest.raises(ParameterError, match="table"):
                function(table)
