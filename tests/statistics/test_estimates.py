"""Estimates with standard errors, against textbook formulas and NumPy's own fits."""

import numpy as np
import pytest
from scipy.stats import norm, t

from igbrepro.claims import Measurement, Outcome, agrees
from igbrepro.errors import ParameterError
from igbrepro.statistics import Estimate, decay_scale, jackknife, power_law, t_limit, weighted_mean, width_fit, z_limit

RNG = np.random.default_rng(0)


def test_jackknife_of_the_mean_is_the_standard_error():
    samples = RNG.normal(size=(40, 3))
    value, error = jackknife(lambda mean: mean, samples)
    assert np.allclose(value, samples.mean(0)) and np.allclose(error, samples.std(0, ddof=1) / np.sqrt(40))


def test_the_mean_of_samples_is_that_of_the_textbook():
    value, error = Estimate.of_mean([1.0, 2.0, 6.0])
    assert (value, error) == (3.0, pytest.approx(np.sqrt((4 + 1 + 9) / 2 / 3)))


def test_an_estimate_of_one_number_makes_a_measurement():
    made = Measurement.of("slope", jackknife(np.log, np.array([1.0, 2.0, 3.0])), 0.7, "of three")
    assert made == Measurement("slope", np.log(2), made.std_error, 0.7, "of three") and made.std_error > 0
    with pytest.raises(ParameterError, match=r"estimate of shape \(2,\) of measurement 'two'"):
        Measurement.of("two", Estimate(np.ones(2), np.ones(2)))


def test_jackknife_of_a_curved_function_follows_the_delta_method():
    samples = 5 + RNG.normal(size=2000)
    _, error = jackknife(np.log, samples)
    assert error == pytest.approx(samples.std(ddof=1) / np.sqrt(2000) / samples.mean(), rel=2e-3)


def test_decay_scale_of_an_exponential_and_its_sign():
    fall = np.exp(-np.arange(9) / 2.5) * np.array([[1.0], [3.0]])
    assert decay_scale(fall, last=8, first=3) == (pytest.approx(2.5), pytest.approx(0, abs=1e-12))
    assert decay_scale(1 / fall, last=8).value == pytest.approx(-2.5)


def test_fits_are_those_of_numpy():
    widths, error = np.array([64, 128, 256, 512]), np.array([0.1, 0.2, 0.1, 0.4])
    mean = 2 + 30 / widths + error * RNG.normal(size=4)
    slope, limit = np.polyfit(1 / widths, mean, 1, w=np.sqrt(widths))
    fit = width_fit(widths, mean, error)
    assert (fit.limit.value, fit.slope.value) == pytest.approx((limit, slope))
    at_law = width_fit(widths, mean, 3 / np.sqrt(widths))  # errors of the law that gives the weights
    _, covariance = np.polyfit(1 / widths, mean, 1, w=np.sqrt(widths) / 3, cov="unscaled")
    assert (at_law.limit.error, at_law.slope.error) == pytest.approx((covariance[1, 1] ** 0.5, covariance[0, 0] ** 0.5))
    assert power_law(widths, -mean, error).value == pytest.approx(np.polyfit(np.log(widths), np.log(mean), 1)[0])
    (p, _), covariance = np.polyfit(np.log(widths), np.log(mean), 1, w=mean / error, cov="unscaled")
    weighted = power_law(widths, mean, error, weights=(mean / error) ** 2)
    assert weighted == pytest.approx((p, covariance[0, 0] ** 0.5))


def test_a_series_that_changes_its_sign_tells_no_power():
    """Gaps of +0.04, -0.02, +0.01 are noise; as |y| they fall exactly like 1/x."""
    rule = agrees("p", max_z=3, resolution=0.06, slack=0.1)
    for gaps, want in (([0.04, -0.02, 0.01], Outcome.UNDECIDED), ([0.04, 0.02, 0.01], Outcome.REPRODUCED)):
        found = Measurement.of("p", power_law([1, 2, 4], gaps, np.full(3, 1e-4)), -1.0)
        assert rule({"p": found})[0] is want


def skewed(rng, draws=4_000, n=24):
    """Estimates of three means of lognormal samples, all exp(1/2), and their errors, (3, draws)."""
    samples = rng.lognormal(size=(3, n, draws))
    return samples.mean(1), samples.std(1, ddof=1) / np.sqrt(n)


def test_means_of_skewed_samples_are_not_drawn_to_the_low_ones():
    """Weights of inverse variances put one in eleven beyond four standard errors."""
    values, errors = skewed(np.random.default_rng(1))
    truth = np.exp(0.5)
    found = weighted_mean(values, errors)
    own = 1 / errors**2
    low = (own * values).sum(0) / own.sum(0)
    assert np.mean(found.value) == pytest.approx(truth, rel=0.01) and np.mean(low) < 0.92 * truth
    too_far = [np.mean(np.abs(v - truth) / e > 4) for v, e in ((low, own.sum(0) ** -0.5), found)]
    assert too_far[0] > 0.05 and too_far[1] < 0.01
    limit = width_fit([64, 128, 256], values, errors).limit
    assert np.mean(limit.value) == pytest.approx(truth, rel=0.02)


def test_fits_run_over_trailing_axes():
    widths = np.array([50, 100])
    mean = np.array([[1.0, 2.0], [0.5, 1.5]])
    fit = width_fit(widths, mean, np.ones((2, 2)))
    assert np.allclose(fit.limit.value, [0, 1]) and np.allclose(fit.slope.value, [50, 50])
    assert np.allclose(power_law(widths, mean[:, :1], np.ones((2, 1))).value, [-1])


def test_weighted_mean_of_two():
    assert weighted_mean([1.0, 4.0], [1.0, 2.0], [4, 1]) == (pytest.approx(1.6), pytest.approx(0.8**0.5))
    assert weighted_mean([1.0, 4.0], [1.0, 2.0]) == (2.5, pytest.approx(5**0.5 / 2))


def test_z_limit_is_rarely_exceeded():
    assert z_limit(1, 0.05) == pytest.approx(1.959964, abs=1e-6)
    assert 24 * 2 * norm.sf(z_limit(24)) == pytest.approx(1e-3)
    assert 12 * 2 * t.sf(z_limit(12, freedom=5), 5) == pytest.approx(1e-3)


def test_a_false_alarm_of_the_normal_limit_is_none_of_students_t():
    """Six networks at each of twelve points: the normal limit alone raises one alarm in twenty."""
    draws = np.random.default_rng(3).normal(size=(20_000, 12, 6))
    largest = np.abs(draws.mean(-1) / (draws.std(-1, ddof=1) / np.sqrt(6))).max(1)
    assert (largest > 5.0).mean() == pytest.approx(0.048, abs=0.005)
    assert (largest > z_limit(12, 0.01, freedom=5)).mean() == pytest.approx(0.01, abs=0.003)


def test_limits_are_those_of_the_tables_of_students_t():
    assert t_limit(1.959964, 4) == pytest.approx(2.7764, abs=1e-4) and t_limit(3.0, np.inf) == 3.0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: jackknife(np.mean, [1.0]), "samples"),
        (lambda: Estimate.of_mean(3.0), "samples: 1 of them"),
        (lambda: decay_scale(np.ones((3, 4)), last=4), "last=4"),
        (lambda: width_fit([64, 64], [1, 2], [1, 1]), "widths"),
        (lambda: power_law([2], [1], [1]), "two different"),
        (lambda: z_limit(0), "n_comparisons=0"),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises(ParameterError, match=words):
        call()
