"""Dozens of measurements told by two."""

import pytest

from igbrepro.comparisons import compare, extremes
from igbrepro.errors import ParameterError
from igbrepro.results import Measurement


def test_the_farthest_and_the_least_precise():
    rows = compare("c, layer", [1.1, 2.0, 5.0], [0.02, 0.5, 0.1], [1.0, 2.5, 5.2], at=[4, 6, 8])
    far, vague = extremes(rows, "ordered")
    assert (far.name, far.value, far.std_error) == (
        "farthest from theory: ordered", pytest.approx(1.1), pytest.approx(0.02),
    )  # fmt: skip
    assert far.z == pytest.approx(5) and "c, layer 4" in far.note
    assert (vague.name, vague.value, vague.std_error) == (
        "least precise: ordered", pytest.approx(0.8), pytest.approx(0.2),
    )  # fmt: skip


def test_a_shortfall_counts_like_an_excess():
    far, _ = extremes(compare("q, layer", [0.5, 1.1], [0.1, 0.1], [1.0, 1.0]))
    assert far.z == pytest.approx(-5) and "q, layer 0" in far.note


@pytest.mark.parametrize(
    "rows",
    [[], [Measurement("x", 1.0, None, 1.0)], [Measurement("x", 1.0, 0.1, 0.0)]],
    ids=["none", "no error", "zero"],
)
def test_what_cannot_be_compared_is_an_error(rows):
    with pytest.raises(ParameterError):
        extremes(rows)
