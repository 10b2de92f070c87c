"""The first order in 1/width: closed forms for linear networks, a second derivation for ReLU, simulated networks."""

import numpy as np
import pytest

from igbrepro.ensembles import Measure, gaussian_inputs, simulate
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.theory import LINEAR, RELU, RELU_KAPPA, TANH, MeanField, relu_gap_limit, width_gap

LAYERS = np.arange(1, 8)


@pytest.mark.parametrize(("n", "gap"), [(2, lambda c: c * (1 - c**2)), (np.inf, lambda c: 2 * c**2 * (1 - c))])
def test_linear_networks_lose_the_same_in_every_layer(n, gap):
    """Products of Wishart matrices; for the correlation coefficient the classical bias c (1 - c^2) / (2 N)."""
    found = width_gap(MeanField(LINEAR, sigma_w2=1.7), 6, q0=2.0, c0=0.3, n_inputs=n)
    assert found.gamma == pytest.approx(LAYERS * gap(0.3), rel=1e-6)
    assert found.pair == pytest.approx(LAYERS * 0.3 * (1 - 0.09) / 2, rel=1e-6)


@pytest.mark.parametrize("c0", [0.0, 0.5])
@pytest.mark.parametrize("scatter", [0.0, 1.0])
def test_deep_relu_networks_reach_the_limit_of_scattered_lengths(c0, scatter):
    """What is missing at depth l is a quarter of the sum of 8 (1 - c) over deeper layers, 2 kappa / l in the end."""
    field, depth = MeanField(RELU, sigma_w2=2.0), 60
    deeper = 2 * field.trajectory(8_000, c0=c0).one_minus_c[depth:].sum() + 2 * RELU_KAPPA / 8_000
    found = width_gap(field, depth, c0=c0, scatter=scatter)
    assert found.gamma[-1] + deeper == pytest.approx(relu_gap_limit(c0, scatter), rel=0.01)
    assert abs(found.pair[-1]) < 0.02


def test_the_limit_for_random_inputs():
    """A value found from simulated networks, for Gaussian inputs with as many features as the network has nodes."""
    assert relu_gap_limit(scatter=1.0) == pytest.approx(11.15, abs=0.005)


def test_scale_does_not_matter_to_relu():
    one, other = (width_gap(MeanField(RELU, sigma_w2=w2), 5, q0=q0).gamma for w2, q0 in ((2.0, 1.0), (0.7, 30.0)))
    assert one == pytest.approx(other, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "init", "depth"),
    [("relu", InitSpec(2.0), 10), ("gelu", InitSpec(2.0, 0.1), 6), ("tanh", InitSpec(2.5, 0.1), 6)],
)
def test_simulated_networks_miss_infinite_width_by_as_much(name, init, depth):
    spec, n, q0 = MLPSpec(name, depth=depth, width=100, input_shape=(20,)), 6, init.sigma_w2 + init.sigma_b2
    start = {"q0": q0, "c0": init.sigma_b2 / q0}
    x = gaussian_inputs(n, 20, seed=1, exact=True)
    result = simulate(spec, init, x, n_networks=250, seed=5, measure=Measure(n_heads=1))
    table, path = result.summary("one_minus_c"), spec.mean_field(init).trajectory(depth, **start)
    predicted = width_gap(spec.mean_field(init), depth, **start, n_inputs=n).gamma
    measured, error = 100 * (table["mean"] - path.one_minus_c), 100 * table["std_error"]
    assert error[depth] < 0.6, "too noisy to decide"
    assert np.abs((measured - predicted) / error).max() < 4
    assert name == "tanh" or predicted[-1] > 4 * error[depth]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: width_gap(MeanField(TANH, sigma_w2=[1.0, 2.0]), 3), "scalar"),
        (lambda: width_gap(MeanField(TANH, sigma_w2=1.0), 3, c0=-0.1), "c0=-0.1"),
        (lambda: width_gap(MeanField(TANH, sigma_w2=0.5, sigma_b2=0.1), 30), "after layer"),
    ],
)
def test_wrong_arguments_are_named(call, words):
    with pytest.raises(ParameterError, match=words):
        call()
