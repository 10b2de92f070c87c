"""MLPs: what their description refuses and holds, and networks against the formula and the theory."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn

from igbrepro import networks as models
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.theory import GELU, RELU, TANH, MaxPool, MeanField

POST = "post-activation"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: MLPSpec("tahn", 3, 10), "activation='tahn': unknown; choose from"),
        (lambda: MLPSpec("tanh", 0, 10), "depth=0: need a whole number, 1 or more"),
        (lambda: MLPSpec("tanh", 2.5, 10), r"depth=2\.5"),
        (lambda: MLPSpec("tanh", 3, 0), "width=0"),
        (lambda: MLPSpec("tanh", 3, 10, n_classes=1), "n_classes=1: need a whole number, 2 or more"),
        (lambda: MLPSpec("tanh", 3, 10, input_shape=784), r"input_shape=784: need a tuple.*\(784,\)"),
        (lambda: MLPSpec("tanh", 3, 10, input_shape=()), r"input_shape=\(\): need a tuple"),
        (lambda: MLPSpec("tanh", 3, 10, input_shape=(28, 0)), "input_shape=0: need a whole number, 1 or more"),
        (
            lambda: MLPSpec("tanh", 3, 10, residual=0.5, residual_unit="after"),
            "residual_unit='after': choose from pre-",
        ),
        (lambda: MLPSpec("tanh", 3, 10, residual_unit=POST), "residual=None.*residual=depth"),
        (lambda: MLPSpec("tanh", 3, 10, pool=MaxPool(2), residual=0.5, residual_unit=POST), "has no pool"),
        (lambda: MLPSpec("tanh", 3, 10, residual=0.5, residual_unit=POST).mean_field(InitSpec(1.0)), "trajectory"),
    ],
)
def test_bad_values_are_named(make, words):
    with pytest.raises(ParameterError, match=words):
        make()


def test_network_is_hashable_and_plain():
    spec = MLPSpec("tanh", np.int64(3), 10, input_shape=[1, 28, 28])
    assert spec == MLPSpec(TANH, 3, 10, input_shape=(1, 28, 28))
    assert spec.input_size == 784 and spec.activation is TANH
    assert {spec: "kept"}[dataclasses.replace(spec)] == "kept"
    assert json.dumps([spec.depth, spec.width, spec.n_classes, spec.input_shape]) == "[3, 10, 2, [1, 28, 28]]"


def test_theory_and_network_come_from_one_description():
    init = InitSpec(1.7, 0.2)
    mf = MLPSpec("relu", depth=5, width=64).mean_field(init)
    assert isinstance(mf, MeanField) and mf.activation.name == "relu"
    assert (mf.sigma_w2, mf.sigma_b2) == (1.7, 0.2)
    assert mf.trajectory(5).q.shape == (6,)


def test_the_model_is_the_formula():
    spec = MLPSpec(TANH, depth=2, width=5, n_classes=3, input_shape=(2, 3))
    model = models.build(spec, InitSpec(2.0, 0.1), torch.Generator().manual_seed(0))
    x = torch.randn(7, 2, 3)
    (w1, b1), (w2, b2), (w3, b3) = (
        (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in model if isinstance(layer, nn.Linear)
    )
    h1 = x.reshape(7, 6).numpy() @ w1.T + b1
    want = np.tanh(np.tanh(h1) @ w2.T + b2) @ w3.T + b3
    np.testing.assert_allclose(model(x).detach().numpy(), want, atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_post_activation_units_are_the_formula_of_the_papers_code(activation):
    """x <- phi(x + (W x + b) / sqrt(depth)) after a first linear layer without phi, and a head without it."""
    spec = MLPSpec(activation, 4, 5, 3, (2, 3), residual=4**-0.5, residual_unit=POST)
    model = models.build(spec, InitSpec(2.0, 0.1), torch.Generator().manual_seed(0))
    layers = [one for one in model.modules() if isinstance(one, nn.Linear)]
    (w1, b1), *inner, (w5, b5) = ((one.weight.detach().numpy(), one.bias.detach().numpy()) for one in layers)
    assert len(inner) == 3
    phi = {"relu": lambda u: np.maximum(u, 0), "tanh": np.tanh}[activation]
    x = torch.randn(7, 2, 3)
    h = x.reshape(7, 6).numpy() @ w1.T + b1
    want = [h]
    for w, b in inner:
        h = phi(h + (h @ w.T + b) / np.sqrt(4))
        want.append(h)
    want.append(h @ w5.T + b5)
    np.testing.assert_allclose(model(x).detach().numpy(), want[-1], atol=1e-5)
    for found, expected in zip(models.preactivations(model, x), want, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)


def test_weights_of_post_activation_units_have_the_variances_asked_for():
    spec = MLPSpec("tanh", 6, 300, residual=6**-0.5, residual_unit=POST)
    model = models.build(spec, InitSpec(1.7, 0.3), torch.Generator().manual_seed(1))
    layers = [one for one in model.modules() if isinstance(one, nn.Linear)]
    for layer in layers[:-1]:
        assert float(layer.weight.detach().var()) * layer.in_features == pytest.approx(1.7, rel=0.02)
    biases = torch.cat([layer.bias.detach() for layer in layers])
    assert float(biases.var()) == pytest.approx(0.3, rel=0.12)


def test_pytorchs_own_initialisation_when_none_is_given():
    weight = models.build(MLPSpec(RELU, depth=1, width=300))[1].weight
    assert weight.abs().max() <= 784**-0.5  # uniform within 1/sqrt(fan_in)
    assert float(weight.detach().var()) == pytest.approx(1 / (3 * 784), rel=0.02)


@pytest.mark.parametrize("activation", [RELU, TANH, GELU], ids=lambda a: a.name)
def test_variances_follow_the_theory_layer_by_layer(activation):
    spec, init = MLPSpec(activation, depth=4, width=400, input_shape=(50,)), InitSpec(1.8, 0.2)
    x = torch.randn(1, 50, generator=torch.Generator().manual_seed(3))
    measured = []
    for seed in range(60):
        layers, h = [], x
        for module in models.build(spec, init, torch.Generator().manual_seed(seed)):
            h = module(h)
            if isinstance(module, nn.Linear):
                layers.append(float(h.detach().square().mean()))
        measured.append(layers)
    measured = np.array(measured)[:, :-1]  # two logits are too few
    mean, error = measured.mean(0), measured.std(0, ddof=1) / 60**0.5
    want = spec.mean_field(init).trajectory(4, q0=1.8 * float(x.square().mean()) + 0.2).q[:-1]
    assert (error < 0.05 * want).all(), "too noisy to decide"
    assert np.abs((mean - want) / error).max() < 4.5
