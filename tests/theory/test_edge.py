"""Power laws at the edge of chaos: closed forms, values found by other means, and the iterated maps."""

import numpy as np
import pytest

from igbrepro.errors import ParameterError
from igbrepro.statistics import power_decay
from igbrepro.theory import ERF, GELU, RELU, RELU_KAPPA, TANH, MeanField, critical_sigma_w2, edge_beta


def test_beta_of_tanh():
    assert edge_beta(TANH, [0.01, 0.05, 0.1, 0.2]) == pytest.approx([16.639, 6.171, 4.010, 2.587], abs=6e-4)


def test_beta_of_erf_in_closed_form():
    """E[phi'^2] = (4/pi) (1 + 4q)^(-1/2) and E[phi''^2] = (16 q/pi) (1 + 4q)^(-3/2), so beta = (1 + 4q) / (2 q^2)."""
    q = MeanField(ERF, sigma_w2=critical_sigma_w2(ERF, 0.1), sigma_b2=0.1).fixed_point().q
    assert edge_beta(ERF, 0.1) == pytest.approx((1 + 4 * q) / (2 * q**2), rel=1e-6)


@pytest.mark.parametrize("act", [TANH, ERF], ids=lambda act: act.name)
def test_the_map_decays_with_beta(act):
    path = MeanField(act, sigma_w2=critical_sigma_w2(act, 0.1), sigma_b2=0.1).trajectory(600)
    assert power_decay(path.one_minus_c, 1, first=200).amplitude == pytest.approx(edge_beta(act, 0.1), rel=5e-4)


@pytest.mark.parametrize("sigma_w2", [1.8, 2.0, 2.2])
def test_relu_without_bias_decays_with_kappa_at_every_sigma_w2(sigma_w2):
    fit = power_decay(MeanField(RELU, sigma_w2=sigma_w2).trajectory(2000, c0=0.3).one_minus_c, 2, first=700)
    assert fit.amplitude == pytest.approx(RELU_KAPPA, rel=1e-4) and fit.log_term == pytest.approx(1.5, rel=0.01)


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_the_fit_finds_a_known_law(power):
    """u' = u + 0.3 + 0.6/u exactly: amplitude 0.3^-power, logarithm 0.6/0.3^2."""
    u = [2.0]
    for _ in range(200):
        u.append(u[-1] + 0.3 + 0.6 / u[-1])
    fit = power_decay(np.array(u) ** -power, power, first=50)
    assert fit == (pytest.approx(0.3**-power), pytest.approx(0.6 / 0.09))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: edge_beta(RELU, 0.1), "relu"),
        (lambda: edge_beta(TANH, 0.0), "sigma_b2=0.0"),
        (lambda: edge_beta(GELU, 0.01), "gelu"),
        (lambda: power_decay(np.ones(5), 1, first=3), "5 layers"),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises(ParameterError, match=words):
        call()
