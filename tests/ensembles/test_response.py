"""Probes of finite networks, against slopes of the maps, closed forms and the weights themselves."""

import numpy as np
import pytest
import torch

from igbrepro.ensembles import deviations, gradient_profile
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec, build
from igbrepro.statistics import decay_scale, jackknife

SPEC = MLPSpec("tanh", depth=4, width=400, input_shape=(50,))
SIZES = {"size": 0.01, "n_inputs": 8, "n_networks": 30, "seed": 3}


@pytest.mark.parametrize("sigma_w2", [0.8, 4.0], ids=["ordered", "chaotic"])
@pytest.mark.parametrize("of", ["q", "c"])
def test_deviations_start_where_they_should_and_die_out_as_predicted(of, sigma_w2):
    init = InitSpec(sigma_w2, 0.1)
    field = SPEC.mean_field(init)
    off = deviations(SPEC, init, of=of, **SIZES)
    scales = field.depth_scales()
    start, predicted = {"q": (0.01 * field.fixed_point().q, scales.xi_q), "c": (0.01, scales.xi_c)}[of]
    assert off.shape == (30, 5) and off[:, 0].mean() == pytest.approx(start, rel=0.05)
    scale, error = decay_scale(off, last=3)
    assert error < 0.05 * predicted and abs(scale - predicted) < 4 * error + 0.01 * predicted


def test_gradients_of_a_linear_network_are_its_weights():
    spec, init = MLPSpec("linear", depth=2, width=30, input_shape=(5,)), InitSpec(1.5, 0.2)
    squares = gradient_profile(spec, init, np.ones((3, 5)), n_networks=1, seed=4)
    model = build(spec, init, torch.Generator().manual_seed(4)).double()
    last = model[-1].weight[0]
    before = last @ model[-3].weight
    assert squares[0] == pytest.approx(
        [float((before @ before).detach()), float((last @ last).detach()), 1.0], rel=1e-5
    )


def test_gradients_grow_by_chi():
    init = InitSpec(3.0, 0.1)
    at = SPEC.mean_field(init).fixed_point()
    x = np.random.default_rng(1).normal(size=(4, 50))
    x *= np.sqrt((float(at.q) - 0.1) / 3.0 * 50 / (x**2).sum(1, keepdims=True))
    squares = gradient_profile(SPEC, init, x, n_networks=40, seed=2)
    growth, error = jackknife(lambda mean: (mean[0] / mean[-1]) ** 0.25, squares)
    assert error < 0.02 and abs(growth - at.chi) < 4 * error


@pytest.mark.parametrize(
    ("change", "words"),
    [({"of": "gamma"}, "of='gamma'"), ({"size": 3.0, "of": "q"}, "size"), ({"size": 1.2, "of": "c"}, "size")],
)
def test_wrong_arguments_are_named(change, words):
    with pytest.raises(ParameterError, match=words):
        deviations(SPEC, InitSpec(4.0, 0.1), **{"of": "c", **SIZES, **change})


def test_no_fixed_point_is_an_error():
    with pytest.raises(ParameterError, match="fixed point"):
        deviations(MLPSpec("relu", depth=2, width=10), InitSpec(2.5, 0.1), of="c", **SIZES)
