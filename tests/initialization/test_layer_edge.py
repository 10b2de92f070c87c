"""The edge of chaos of one layer: against adaptive quadrature, the theory engine, and published values."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import nn

from igbrepro.errors import ParameterError
from igbrepro.initialization import as_activation, edge_of_chaos, residual_factors, unit_moments
from igbrepro.modules import ResidualBlock
from igbrepro.probes import Feed, Node, trace
from igbrepro.theory import GELU, RELU, TANH, MeanField, critical_sigma_w2

ORIGIN = Node("layer", 0, "", "")


def feed(function, share=1.0, weight=1.0):
    return Feed(ORIGIN, ("phi",), function, share, weight)


FUNCTIONS = {
    "relu": (torch.relu, lambda x: max(x, 0), lambda x: x > 0),
    "hardtanh": (nn.Hardtanh(), lambda x: min(max(x, -1), 1), lambda x: abs(x) < 1),
    "relu6": (nn.ReLU6(), lambda x: min(max(x, 0), 6), lambda x: 0 < x < 6),
    "hardswish": (
        nn.Hardswish(),
        lambda x: x * min(max(x + 3, 0), 6) / 6,
        lambda x: 0 if x < -3 else 1 if x > 3 else (2 * x + 3) / 6,
    ),
    "softsign": (nn.Softsign(), lambda x: x / (1 + abs(x)), lambda x: (1 + abs(x)) ** -2),
    "elu": (nn.ELU(), lambda x: x if x > 0 else np.exp(x) - 1, lambda x: 1 if x > 0 else np.exp(x)),
}


@pytest.mark.parametrize("function, value, slope", FUNCTIONS.values(), ids=FUNCTIONS)
def test_moments_are_those_of_adaptive_quadrature(function, value, slope):
    def mean(f):
        density = lambda x: f(x) ** 2 * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)  # noqa: E731
        return quad(density, -9, 9, points=[-6, -3, -1, 0, 1, 3, 6], limit=200)[0]

    found = unit_moments(function)
    assert found.square == pytest.approx(mean(value), rel=1e-5) and found.slope == pytest.approx(mean(slope), rel=1e-3)


@pytest.mark.parametrize("function, activation", [(torch.tanh, TANH), (nn.GELU(), GELU), (torch.relu, RELU)])
def test_at_variance_one_both_variance_and_gradient_are_kept(function, activation):
    w2, b2 = edge_of_chaos([feed(function)])
    layer = MeanField(activation, sigma_w2=w2, sigma_b2=b2)
    assert float(layer.q_map(1.0)) == pytest.approx(1, abs=1e-6) and float(layer.chi(1.0)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("sigma_b2", [0.0, 0.05, 0.1])
@pytest.mark.parametrize("function, activation", [(torch.tanh, TANH), (torch.relu, RELU)])
def test_a_given_bias_gives_the_critical_value_of_the_theory(function, activation, sigma_b2):
    w2, b2 = edge_of_chaos([feed(function)], sigma_b2)
    assert w2 == pytest.approx(float(critical_sigma_w2(activation, sigma_b2)), rel=1e-6) and b2 == sigma_b2


def test_shares_divide_and_weights_average():
    assert edge_of_chaos([feed(torch.relu, 0.5)]) == pytest.approx((4, 0))
    assert edge_of_chaos([feed(torch.relu, 1, 0.5), feed(None, 1, 0.5)])[0] == pytest.approx(1 / 0.75)
    assert edge_of_chaos([feed(None)]) == (1.0, 0.0)


@pytest.mark.parametrize(
    "reduce, critical",
    [
        (torch.mean, 4 * np.pi / (np.pi + 1)),
        (torch.amax, 4 * np.pi / (3 * np.pi + 2)),
    ],
)
def test_measured_pools_of_two_independent_nodes_give_the_published_values(reduce, critical):
    torch.manual_seed(1)

    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(400, 8000, bias=False), nn.Linear(4000, 2)

        def forward(self, x):
            return self.b(reduce(torch.relu(self.a(x)).unflatten(1, (4000, 2)), -1))

    found, _ = trace(Pooled(), torch.randn(20, 400), measure=True)
    w2, _ = edge_of_chaos(found.layers()["b"].given)
    assert w2 == pytest.approx(critical, rel=0.02)  # 4,000 pools of 20 inputs: a standard error of 0.4 % to 0.7 %


@pytest.mark.parametrize("function", [nn.Softplus(), torch.sigmoid, lambda x: 0 * x])
def test_where_there_is_no_edge_at_variance_one_that_is_said(function):
    with pytest.raises(ParameterError, match="no edge of chaos at variance 1"):
        edge_of_chaos([feed(function)])
    with pytest.raises(ParameterError, match=r"no edge of chaos .*at sigma_b2=0\.1"):
        edge_of_chaos([feed(nn.Softplus())], 0.1)


def test_piecewise_linear_functions_become_exact_ones():
    assert as_activation(nn.LeakyReLU(0.25), "prelu").slope == 0.25
    assert as_activation(nn.SiLU(), "silu").slope is None


def test_branches_share_one_variance_unless_small_already():
    def net(scale, n):
        return nn.Sequential(nn.Linear(6, 6), *(ResidualBlock(scale, nn.ReLU(), nn.Linear(6, 6)) for _ in range(n)))

    x = torch.randn(5, 6)
    factors = residual_factors(trace(net(1.0, 4), x, measure=True)[0])
    assert factors == pytest.approx({f"{k}.block.1": 0.25 for k in range(1, 5)})
    small = residual_factors(trace(net(0.5, 4), x, measure=True)[0])
    assert len(small) == 4 and list(small.values()) == pytest.approx([1.0] * 4)
