"""The two variances of a random network: raw, or as a ratio to the critical value."""

import numpy as np
import pytest

from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec


def test_init_holds_raw_variances_as_floats():
    init = InitSpec(np.float32(2), np.array([0.1]))
    assert init == InitSpec(2.0, 0.1) and type(init.sigma_w2) is type(init.sigma_b2) is float
    assert InitSpec(2.0).sigma_b2 == 0


@pytest.mark.parametrize(
    ("activation", "ratio", "sigma_b2", "sigma_w2"),
    [("relu", 1.25, 0.1, 2.5), ("leaky_relu(0.5)", 0.5, 0.0, 0.8), ("tanh", 1.25, 0.1, 1.25 * 1.986073)],
)
def test_ratio_to_the_critical_value_becomes_a_raw_variance(activation, ratio, sigma_b2, sigma_w2):
    init = InitSpec.from_ratio(ratio, activation, sigma_b2)
    np.testing.assert_allclose([init.sigma_w2, init.sigma_b2], [sigma_w2, sigma_b2], rtol=5e-7)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: InitSpec(0.0), r"sigma_w2=0\.0: need finite numbers > 0"),
        (lambda: InitSpec(-1.0), r"sigma_w2=-1\.0"),
        (lambda: InitSpec(np.nan), "sigma_w2=nan"),
        (lambda: InitSpec(1.0, -0.1), r"sigma_b2=-0\.1: need finite numbers >= 0"),
        (lambda: InitSpec(1.0, np.inf), "sigma_b2=inf"),
        (lambda: InitSpec([1.0, 2.0]), r"sigma_w2 of shape \(2,\): need one number"),
        (lambda: InitSpec("large"), "sigma_w2='large': need a number"),
        (lambda: InitSpec.from_ratio(-1, "relu"), r"sigma_w2_ratio=-1\.0: need finite numbers > 0"),
        (lambda: InitSpec.from_ratio(1, "gelu", 1e3), "sigma_b2=1000.0: gelu has no known edge of chaos"),
        (lambda: InitSpec.from_ratio(1, "rleu"), "activation='rleu': unknown"),
    ],
)
def test_bad_values_are_named(make, words):
    with pytest.raises(ParameterError, match=words):
        make()
