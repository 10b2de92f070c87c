import numpy as np
import pytest

from igbrepro.checks import finite, whole
from igbrepro.errors import ParameterError


def test_finite_gives_a_float64_array_of_the_same_shape():
    assert finite("x", 1, 0).dtype == np.float64 and finite("x", 1, 0).shape == ()
    np.testing.assert_array_equal(finite("x", [[1], [2]], 0), [[1.0], [2.0]])


def test_finite_keeps_the_closed_ends_and_leaves_out_the_open_one():
    assert finite("c", [-1, 1], -1, 1).tolist() == [-1, 1]
    assert finite("q", 0, 0) == 0
    assert finite("x", np.finfo(float).max, -np.inf) == np.finfo(float).max
    with pytest.raises(ParameterError):
        finite("q", 0, 0, open_low=True)


@pytest.mark.parametrize(
    ("value", "bounds", "words"),
    [
        (-0.5, (0,), r"x=-0\.5: need finite numbers >= 0\."),
        (np.nan, (0,), r"x=nan: need finite numbers >= 0\."),
        (np.inf, (0,), r"x=inf: need finite numbers >= 0\."),
        (-np.inf, (-np.inf,), r"x=-inf: need finite numbers\."),
        ([0.5, 1.5], (-1, 1), r"x=1\.5: need finite numbers in \[-1, 1\]\."),
        (1 + 1e-15, (-1, 1), r"x=1\.000000000000001: need finite numbers in \[-1, 1\]\."),
        ("many", (0,), r"x='many': need a number or an array of numbers\."),
        (1j, (0,), r"x=1j: need a number or an array of numbers\."),
        ([[1], [2, 3]], (0,), r"x=\[\[1\], \[2, 3\]\]: need a number or an array of numbers\."),
        (None, (0,), r"x=nan: need finite numbers >= 0\."),
    ],
    ids=str,
)
def test_finite_names_argument_value_and_remedy(value, bounds, words):
    with pytest.raises(ParameterError, match=words):
        finite("x", value, *bounds)


def test_finite_names_an_open_end():
    with pytest.raises(ParameterError, match=r"x=0\.0: need finite numbers > 0\."):
        finite("x", 0, 0, open_low=True)
    with pytest.raises(ParameterError, match=r"x=0\.0: need finite numbers in \(0, 5\]\."):
        finite("x", 0, 0, 5, open_low=True)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)], ids=lambda v: type(v).__name__)
def test_whole_gives_a_plain_int(value):
    assert type(whole("depth", value, 1)) is int and whole("depth", value, 1) == 3


@pytest.mark.parametrize("value", [0, -1, 2.0, 1.5, True, "3", None, np.nan], ids=str)
def test_whole_names_argument_value_and_remedy(value):
    with pytest.raises(ParameterError, match=r"depth=.*: need a whole number, 1 or more\."):
        whole("depth", value, 1)
