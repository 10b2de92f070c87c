"""What would decide the undecided: numbers from published tables, and from simulated runs of the rules."""

import math

import numpy as np
import pytest

from igbrepro.claims import Measurement, Outcome, agrees, all_of, between, greater, over_seeds
from igbrepro.claims.power import repeats_needed


@pytest.mark.parametrize(("effect", "published"), [(0.2, 265), (0.5, 44), (0.8, 19), (1.0, 13)])
def test_repeats_are_those_of_the_paired_t_test(effect, published):
    """One-sample t test, two-sided 5 %, power 90 % (G*Power 3.1); two standard errors are 4.6 %."""
    assert repeats_needed(effect, 1.0) == pytest.approx(published, rel=0.05, abs=1)
    assert repeats_needed(-3 * effect, 3.0) == repeats_needed(effect, 1.0)


def test_more_standard_errors_need_more_repeats_and_no_effect_needs_too_many():
    assert repeats_needed(0.5, 1.0, z=3) > 1.5 * repeats_needed(0.5, 1.0, z=2)
    assert repeats_needed(0.0, 1.0) is None and repeats_needed(0.01, 1.0) is None
    assert repeats_needed(0.1, 0.0) == 2


def runs_decided(rule, n, mean, draws=150):
    rng = np.random.default_rng(n)
    found = [rule({"a": over_seeds("a", rng.normal(mean, 1.0, n))})[0] for _ in range(draws)]
    return np.mean([outcome is Outcome.REPRODUCED for outcome in found])


@pytest.mark.parametrize(("rule", "mean"), [(greater("a", 0.0, z=2), 0.7), (between("a", -math.inf, 1.0), 0.3)])
def test_with_that_many_seeds_the_rule_decides_nine_times_in_ten(rule, mean):
    n = repeats_needed(0.7, 1.0)
    assert runs_decided(rule, n, mean) == pytest.approx(0.9, abs=0.08)  # 3 sigma of 150 draws is 0.073
    assert runs_decided(rule, n // 2, mean) < 0.75


def seeds(spread, mean, n=3):
    """A measurement over n seeds with this mean and standard deviation of one seed."""
    return Measurement("a", mean, spread / math.sqrt(n), n=n)


@pytest.mark.parametrize(
    ("rule", "m", "words"),
    [
        (greater("a", 0.0, z=2), seeds(1.0, 0.5), "about 46 seeds or networks would decide (here: 3)"),
        (greater("a", 0.0, z=2), seeds(1.0, -0.5), "about 46 seeds or networks would decide against the claim (here"),
        (between("a", -1.0, 1.0), seeds(1.0, 0.5), "about 46 seeds"),
        (between("a", 0.0, math.inf), seeds(1.0, -0.5), "would decide against the claim"),
        # ((2 + 1.2816) 0.4 / 0.5)^2
        (greater("a", 0.0, z=2), Measurement("a", 0.5, 0.4), "about 6.9 times as many seeds or networks as now"),
        (greater("a", 0.0, z=2), Measurement("a", 0.0, 0.4), "equivalence margin would decide"),
        (greater("a", 0.0, z=2), seeds(1.0, 0.001), "too small for any feasible number"),
        (between("a", 0.0, 1.0), seeds(1.0, 0.999), "too near the bound for any feasible number"),
        # (0.1 / 0.05)^2
        (agrees("a"), Measurement("a", 1.0, 0.1, 1.0), "about 4 times as many"),
        # more than (0.1 / 0.05)^2 x 10, as four errors are 4.4 of Student's t for 49 seeds
        (agrees("a"), Measurement("a", 1.0, 0.1, 1.0, n=10), "about 49 seeds or networks would decide (here: 10)"),
        (greater("a", 0.0, z=2), over_seeds("a", [0.3] * 3), "tells no spread: 6 seeds or networks would"),
        (agrees("a"), over_seeds("a", [1.0] * 3, expected=1.0), "tells no spread: 15 seeds or networks would"),
    ],
)
def test_an_undecided_reason_ends_in_what_would_decide(rule, m, words):
    for whole in (rule, all_of(rule)):
        outcome, reason = whole({"a": m})
        assert outcome is Outcome.UNDECIDED and words in reason


def test_two_noisy_numbers_together():
    outcome, reason = greater("a", "b", z=2)({"a": Measurement("a", 0.5, 0.3), "b": Measurement("b", 0.0, 0.4)})
    assert outcome is Outcome.UNDECIDED and "about 11 times as many" in reason  # ((2 + 1.2816) 0.5 / 0.5)^2 = 10.8


def test_rounding_does_not_go_away_with_more_seeds():
    coarse = over_seeds("a", [0.0, 0.1, 0.2], rounding=0.3)  # alone +- 0.12
    outcome, reason = greater("a", 0.0, z=2)({"a": coarse})
    assert outcome is Outcome.UNDECIDED and "spacing of the evaluations alone leaves ± 0.122" in reason
    finer = over_seeds("a", [0.0, 0.1, 0.2], rounding=0.1)
    plain = over_seeds("a", [0.0, 0.1, 0.2])
    counts = [int(greater("a", 0.0, z=2)({"a": m})[1].split("about ")[1].split()[0]) for m in (finer, plain)]
    assert counts[0] > counts[1]


@pytest.mark.parametrize("rounding", [0.0, 0.1])
def test_where_no_run_arrives_nothing_is_decided(rounding):
    """Two runs that both count with the horizon in every seed differ by nothing, with no scatter at all."""
    outcome, reason = greater("a", 0.0, z=2)({"a": over_seeds("a", [0.0, 0.0, 0.0], rounding=rounding)})
    assert outcome is Outcome.UNDECIDED and "none of them arrives" in reason
    late = over_seeds("a", [-0.5] * 3, rounding=0.1)  # only the rival arrived: its lead is at least that
    assert greater("a", 0.0, z=2)({"a": late})[0] is Outcome.NOT_REPRODUCED
