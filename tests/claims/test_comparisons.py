"""Dozens of measurements told by two."""

import math

import numpy as np
import pytest
from scipy import stats

from igbrepro.claims import Measurement, closest_rival, compare, extremes, over_seeds
from igbrepro.errors import ParameterError


def test_the_farthest_and_the_least_precise():
    rows = compare("c, layer", [1.1, 2.0, 5.0], [0.02, 0.5, 0.1], [1.0, 2.5, 5.2], at=[4, 6, 8])
    far, vague = extremes(rows, "ordered")
    assert far.name == "farthest from theory: ordered"
    assert (far.value, far.std_error) == (pytest.approx(1.1), pytest.approx(0.02))
    assert far.z == pytest.approx(5) and "c, layer 4" in far.note
    assert vague.name == "least precise: ordered"
    assert (vague.value, vague.std_error) == (pytest.approx(0.8), pytest.approx(0.2))


def test_a_shortfall_counts_like_an_excess():
    far, _ = extremes(compare("q, layer", [0.5, 1.1], [0.1, 0.1], [1.0, 1.0]))
    assert far.z == pytest.approx(-5) and "q, layer 0" in far.note


@pytest.mark.parametrize("n", [2, 3, 10, 200])
def test_two_errors_over_seeds_are_the_interval_of_students_t(n):
    values = np.random.default_rng(n).normal(0.3, 2.0, n)
    m = over_seeds("gap", values, expected=0.1, note="edge")
    two_sigma = math.erf(math.sqrt(2))  # 95.45 %
    low, high = stats.t.interval(two_sigma, n - 1, values.mean(), stats.sem(values))
    assert (m.value - 2 * m.std_error, m.value + 2 * m.std_error) == pytest.approx((low, high), rel=1e-12)
    assert (m.name, m.expected, m.note) == ("gap", 0.1, f"edge, {n} seeds")
    assert over_seeds("gap", list(values)).note == f"{n} seeds"


def test_errors_over_three_seeds_are_those_of_the_text():
    m = over_seeds("gap", [1.0, 2.0, 3.0])
    assert m.std_error == pytest.approx(2.26 / math.sqrt(3), rel=2e-3) and m.value == 2.0 and m.expected is None


@pytest.mark.parametrize("values", [[], [1.0]])
def test_one_seed_has_no_error(values):
    with pytest.raises(ParameterError, match=r"values=\[.*\] of 'gap': an error over seeds needs two"):
        over_seeds("gap", values)


def test_the_closest_rival_is_the_lead_that_is_least_sure():
    """2 +- 0.1 is sure, 3 +- 1.2 may be 0.6: the larger lead is the closer call."""
    leads = [
        Measurement("over default", 2.0, 0.1, note="3 seeds"),
        Measurement("over he", 3.0, 1.2, note="5 seeds"),
        Measurement("over xavier", 5.0),
    ]
    rival, *rest = closest_rival("closest rival", leads)
    assert (rival.name, rival.value, rival.std_error, rival.note) == ("closest rival", 3.0, 1.2, "over he; 5 seeds")
    assert rest == leads
    assert closest_rival("closest rival", leads[::2])[0].note == "over default; 3 seeds"


@pytest.mark.parametrize(
    "rows",
    [[], [Measurement("x", 1.0, None, 1.0)], [Measurement("x", 1.0, 0.1, 0.0)]],
    ids=["none", "no error", "zero"],
)
def test_what_cannot_be_compared_is_an_error(rows):
    with pytest.raises(ParameterError):
        extremes(rows)


def test_values_on_a_grid_carry_the_error_of_rounding():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0, 100, (2, 20_000))
    rounded = (np.ceil(a / 3) - np.ceil(b / 3)) * 3 - (a - b)
    assert over_seeds("d", [0.5, 0.5], rounding=3).std_error == pytest.approx(rounded.std(), rel=0.02)
