"""Correlations within pooling windows: known fields, limits in closed form, and networks against theory."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from igbrepro.data import load
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.modules import WindowPool
from igbrepro.networks import CNNSpec, build
from igbrepro.probes import layer_table
from igbrepro.runs import DataFacts, Parameters, Run
from igbrepro.theory import AveragePool, MaxPool
from igbrepro.training import TrainSettings
from notebooks.ch12_pooling_in_cnns import experiment
from notebooks.ch12_pooling_in_cnns.lab import (
    average_window_theory,
    factor,
    profile,
    window_correlation,
    window_correlations,
    window_means,
    window_table,
)

NOISE = torch.randn(20, 8, 16, 16, generator=torch.Generator().manual_seed(0))
SPEC = CNNSpec("relu", 3, 200, input_shape=(2, 12, 12), strides=(2,), pool=AveragePool(4))
PICTURES = load("fashion-mnist-subset")
SMALL = CNNSpec("relu", 2, 4, input_shape=(1, 28, 28), strides=(2,), pool=MaxPool(4))
IMAGES = np.random.default_rng(1).normal(size=(4, 2, 12, 12)) + 0.5


@pytest.mark.parametrize(
    ("field", "expected"),
    [(NOISE, 0), (NOISE.mean((2, 3), keepdim=True).expand(NOISE.shape), 1), (NOISE + NOISE.roll(1, 3), 1 / 6)],
    ids=["noise", "constant", "neighbours in a row share half"],
)
def test_known_fields(field, expected):
    # two of the six pairs of a window are neighbours in a row
    assert window_correlation(field, 2) == pytest.approx(expected, abs=0.01)
    assert window_correlation(field, 2, stride=2) == pytest.approx(expected, abs=0.015)


def test_every_window_by_itself():
    field = torch.zeros(1, 2, 4, 4)
    field[0, :, 0, 0] = 2.0  # alone in its windows
    field[0, :, 2:, 2:] = 3.0
    q, rho = window_correlations(field, 2, stride=2)
    assert q == pytest.approx(np.array([[[1, 0], [0, 9]]]))
    assert rho == pytest.approx(np.array([[[0, 0], [0, 1]]]), abs=1e-12)


def test_one_node_has_no_pairs():
    with pytest.raises(ParameterError, match="side=1"):
        window_correlation(NOISE, 1)


def test_equal_nodes_are_not_pooled_at_all():
    theory = average_window_theory(SPEC, np.ones((2, 2, 12, 12)))
    assert theory["rho"].to_numpy() == pytest.approx(1)
    assert theory["handed_on"].to_numpy() == pytest.approx(0.5)
    assert theory["passed_back"].iloc[-1] == pytest.approx(1 / 8)  # gradients from the head are independent


def test_independent_nodes_have_the_published_factor():
    spec = CNNSpec("relu", 1, 4, input_shape=(4000, 6, 6), strides=(), kernel=1, pool=AveragePool(4))
    theory = average_window_theory(spec, np.random.default_rng(0).normal(size=(1, 4000, 6, 6)))
    assert theory["rho"].item() == pytest.approx(0, abs=0.01)
    assert theory["handed_on"].item() == pytest.approx((math.pi + 3) / (8 * math.pi), rel=0.01)


def test_networks_follow_the_theory_of_averages():
    tables = [window_table(build(SPEC, InitSpec(2.0), torch.Generator().manual_seed(k)), IMAGES) for k in range(20)]
    found = pd.concat(tables).groupby("layer")
    mean, error = found.mean(), found.sem()
    theory = average_window_theory(SPEC, IMAGES).set_index("layer")
    for column in ("rho", "handed_on", "gradient_rho", "passed_back"):
        assert (error[column] < 0.02).all(), "too noisy to decide"
        gap = (mean[column] - theory[column]).abs()
        assert (gap < 4.5 * error[column] + 0.005).all(), (column, gap / error[column])
    assert mean["q"].iloc[0] == pytest.approx(2 * theory["q"].iloc[0], rel=0.02)


def test_pools_without_overlap_pass_each_gradient_to_one_window():
    spec = CNNSpec("relu", 2, 50, input_shape=(1, 8, 8), strides=(), pool=AveragePool(4), pool_stride=2)
    table = window_table(build(spec, InitSpec(2.0), torch.Generator().manual_seed(0)), NOISE[:, :1, :8, :8])
    assert table["passed_back"].to_numpy() == pytest.approx(1 / 32, rel=0.1)  # a quarter squared, half of them open
    assert list(table["layer"]) == [1, 2]


@pytest.mark.parametrize(
    "changed",
    [{"pool": MaxPool(4)}, {"pooled": (1,)}, {"activation": "tanh"}, {"pool": None}, {"pool_stride": 2, "strides": ()}],
    ids=lambda changed: next(iter(changed)),
)
def test_theory_refuses_what_it_does_not_know(changed):
    settings = {"activation": "relu", "depth": 2, "channels": 2, "input_shape": (1, 8, 8), "strides": (2,)}
    with pytest.raises(ParameterError, match="average-pooled"):
        average_window_theory(CNNSpec(**{**settings, "pool": AveragePool(4), **changed}), IMAGES)


def test_a_model_without_pools_is_refused():
    model = build(
        CNNSpec("relu", 1, 2, input_shape=(1, 8, 8), strides=()), InitSpec(2.0), torch.Generator().manual_seed(0)
    )
    with pytest.raises(ParameterError, match="no WindowPool"):
        window_table(model, np.zeros((2, 1, 8, 8)))


class Wrapped(nn.Module):
    """The same network in a module of one's own, with a stage that no pool belongs to in front."""

    def __init__(self, model):
        super().__init__()
        self.parts = nn.ModuleDict({"all": model})

    def forward(self, x):
        return self.parts["all"](x)


def test_any_module_has_a_window_table():
    model = build(SPEC, InitSpec(2.0), torch.Generator().manual_seed(0))
    pd.testing.assert_frame_equal(window_table(Wrapped(model), IMAGES), window_table(model, IMAGES))


def test_nodes_are_those_in_front_of_the_activation_or_of_the_pool_where_there_is_none():
    convolution, pool = nn.Conv2d(1, 3, 3), WindowPool(MaxPool(4), 2, 2)
    x = NOISE[:4, :1, :8, :8]
    h = convolution(x).detach().double()
    for activation in (nn.Tanh(), nn.Identity()):
        table = window_table(nn.Sequential(convolution, activation, pool, nn.Flatten(), nn.Linear(27, 2)), x)
        handed_on = torch.nn.functional.max_pool2d(activation(h), 2).square().mean() / h.square().mean()
        assert table["q"].item() == pytest.approx(float(h.square().mean()), rel=1e-5)
        assert table["handed_on"].item() == pytest.approx(float(handed_on), rel=1e-5)


def test_a_pool_that_does_not_run_is_no_pool():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    model.add_module("spare", nn.Identity())
    model[2].pool = WindowPool(MaxPool(4), 2, 2)
    with pytest.raises(ParameterError, match="none of its WindowPools"):
        window_table(model, NOISE[:4, :1, :8, :8])


def untrained(spec, number, seed=3):
    return build(spec, InitSpec(2.0), torch.Generator().manual_seed(1000 * seed + number))


@pytest.mark.parametrize("pool", [AveragePool(4), MaxPool(4)], ids=["average", "max"])
def test_means_over_networks_with_theory_where_there_is_one(pool):
    spec = replace(SMALL, pool=pool)
    found = window_means(Run("x", spec, InitSpec(2.0), 3, TrainSettings(1)), PICTURES, n_images=4, n_networks=3)
    found = found.set_index(["split", "metric", "step"])["value"].sort_index()
    inputs = PICTURES.subset(n_test=4, seed=3).inputs("test", flat=False)
    rho = [list(window_table(untrained(spec, number), inputs)["rho"]) for number in range(3)]
    assert list(found["mean", "rho"]) == pytest.approx(np.mean(rho, 0))
    assert list(found["std_error", "rho"]) == pytest.approx(np.std(rho, 0, ddof=1) / math.sqrt(3))
    if pool == AveragePool(4):
        assert list(found["theory", "rho"]) == list(average_window_theory(spec, inputs)["rho"])
    else:
        fields = [untrained(spec, number)[0](torch.as_tensor(inputs)).detach() for number in range(3)]
        by_window = [window_correlations(field, 2) for field in fields]
        own = [np.average(factor(pool, "signal", each.ravel()), weights=q.ravel()) for q, each in by_window]
        assert list(found["each window"]) == pytest.approx([np.mean(own)], rel=1e-4)


def test_the_profile_is_that_of_each_network():
    found = profile(Run("x", SMALL, InitSpec(2.0), 3, TrainSettings(1)), PICTURES, n_images=4, n_networks=2)
    images = PICTURES.subset(n_test=4, seed=3)
    table = layer_table(untrained(SMALL, 1), images.inputs("test", flat=False), images.labels("test"))
    second = found[found["split"] == "network 1"].groupby("metric")["value"].agg(list)
    assert dict(second) == {name: list(table[name]) for name in ("q", "gradient", "weight_gradient")}


def test_only_the_start_called_measured_is_a_parameter_and_one_start_is_not_trained():
    sizes = {"depth": 2, "channels": 4, "n_images": 4, "n_networks": 3, "n_profile_networks": 2, "seed": 3}
    training = {"steps": 6, "batch_size": 16, "lr": 1e-3, "n_eval": 50, "eval_every": 3, "seeds": [0]}
    p = Parameters(sizes | training | {"average_sigma_w2": 2.1, "max_sigma_w2": 1.5})
    facts = DataFacts.of(PICTURES)
    starts = {name: init for name, (_, init) in experiment.profiles(p, facts).networks.items()}
    assert starts["average, measured"] == InitSpec(2.1) and starts["max, measured"] == InitSpec(1.5)
    assert starts["average, independent"].sigma_w2 == pytest.approx(8 * math.pi / (math.pi + 3))
    assert starts["max, independent, gradient"].sigma_w2 == pytest.approx(16 / 15)
    left = set(starts) - set(experiment.training(p, facts).networks)
    assert left == {"average, independent, gradient", "max, independent, gradient"}
    assert {init for _, init in experiment.windows(p, facts).networks.values()} == {InitSpec(2.0)}
