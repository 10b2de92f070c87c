import pytest
import torch
from scipy import stats
from torch import nn

from igbrepro.errors import ParameterError
from igbrepro.initialization import initialize_
from igbrepro.network import InitSpec


def two_layers(**kwargs):
    return nn.Sequential(nn.Linear(300, 40, **kwargs), nn.Tanh(), nn.Linear(40, 700, **kwargs))


def assert_normal(values, variance):
    """Sum of squares within the 1e-6 tails of the chi-square law, and a Gaussian shape."""
    values = values.detach().double().flatten()
    chance = stats.chi2.cdf(float((values**2).sum() / variance), len(values))
    assert 1e-6 < chance < 1 - 1e-6
    assert stats.kstest(values.numpy() / variance**0.5, "norm").pvalue > 1e-4


def test_weights_and_biases_have_the_variances_of_the_definition():
    model = initialize_(two_layers(), InitSpec(1.7, 0.3), generator=torch.Generator().manual_seed(0))
    assert_normal(model[0].weight, 1.7 / 300)
    assert_normal(model[2].weight, 1.7 / 40)
    assert_normal(torch.cat([model[0].bias, model[2].bias]), 0.3)


def test_no_bias_variance_gives_exact_zeros():
    model = initialize_(two_layers(), InitSpec(2.0), generator=torch.Generator().manual_seed(0))
    assert not model[0].bias.any() and not model[2].bias.any()


def test_one_seed_one_network_and_no_layer_twice():
    draw = [
        initialize_(two_layers(), InitSpec(2.0, 0.1), generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    ]
    assert torch.equal(draw[0][2].weight, draw[1][2].weight)
    assert not torch.equal(draw[0][2].weight, draw[2][2].weight)
    twins = initialize_(nn.ModuleList([nn.Linear(5, 5), nn.Linear(5, 5)]), InitSpec(2.0))
    assert not torch.equal(twins[0].weight, twins[1].weight)


def test_layers_without_bias_and_in_double_precision():
    model = initialize_(two_layers(bias=False, dtype=torch.float64), InitSpec(2.0, 0.1))
    assert_normal(model[2].weight, 2.0 / 40)
    assert model[0].weight.dtype == torch.float64


def test_a_layer_that_would_stay_undrawn_is_an_error():
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.PReLU()))
    with pytest.raises(ParameterError, match=r"'1\.0' \(PReLU\)"):
        initialize_(model, InitSpec(2.0))
