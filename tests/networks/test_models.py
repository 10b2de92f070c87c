from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import nn

from igbrepro import networks as models
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.modules import StackedMLP
from igbrepro.modules import activations as layers
from igbrepro.networks import MLPSpec
from igbrepro.theory import (
    ELU,
    ERF,
    GELU,
    LEAKY_RELU,
    LINEAR,
    RELU,
    SELU,
    SIGMOID,
    SILU,
    SOFTPLUS,
    TANH,
    Activation,
)

ALL = [LINEAR, RELU, LEAKY_RELU(0.1), LEAKY_RELU(-0.5), TANH, ERF, GELU, SIGMOID, SILU, SOFTPLUS, ELU, SELU]


@pytest.mark.parametrize("activation", ALL, ids=lambda a: a.name)
def test_torch_and_numpy_are_one_function_with_one_derivative(activation):
    x = np.linspace(-6, 6, 240)
    tensor = torch.tensor(x, requires_grad=True)
    value = layers.torch_activation(activation)(tensor)
    (slope,) = torch.autograd.grad(value.sum(), tensor)
    np.testing.assert_allclose(value.detach().numpy(), activation(x), atol=1e-14)
    np.testing.assert_allclose(slope.numpy(), activation.derivative(x), atol=1e-14)


def test_names_work_and_unknown_ones_are_refused():
    assert layers.torch_activation("relu") is torch.relu
    with pytest.raises(ParameterError, match="reluu"):
        layers.torch_activation("reluu")


def test_a_new_activation_brings_its_torch_form_which_must_be_the_same_function():
    softplus = Activation("softplus", lambda x: np.logaddexp(0, x), expit)
    with pytest.raises(ParameterError, match=r"softplus.*no torch form.*torch_function="):
        models.build(MLPSpec(softplus, 1, 4))
    with pytest.raises(ParameterError, match="differs"):
        layers.torch_activation(replace(softplus, torch_function=nn.functional.silu))
    with pytest.raises(ParameterError, match="leads to no function"):
        layers.torch_activation(replace(softplus, torch_function="torch.nn.functional.softpuls"))
    for form in ("torch.nn.functional.softplus", lambda x: nn.functional.softplus(x, threshold=100)):
        found = layers.torch_activation(replace(softplus, torch_function=form))
        assert found(torch.zeros(())) == pytest.approx(np.log(2))


def test_an_activation_is_its_functions_and_not_its_name():
    """The tanh form of GELU under the name of the exact one: 0.8412 and 0.8413 at 1, with 1.2 x inside 0.8808."""

    def form(x, tanh):
        return x * (1 + tanh(1.2 * x)) / 2

    def slope(x):
        return (1 + np.tanh(1.2 * x)) / 2 + 0.6 * x / np.cosh(1.2 * x) ** 2

    mine = Activation("gelu", lambda x: form(x, np.tanh), slope)
    assert mine != GELU and not mine.portable
    with pytest.raises(ParameterError, match="no torch form"):
        layers.torch_activation(mine)
    mine = replace(mine, torch_function=lambda x: form(x, torch.tanh))
    one = torch.ones((), dtype=torch.float64)
    assert layers.torch_activation(mine)(one) == pytest.approx(float(mine(np.ones(()))), rel=1e-12)
    assert layers.torch_activation(mine)(one) != pytest.approx(float(layers.torch_activation("gelu")(one)), abs=0.01)
    with pytest.raises(ParameterError, match="differs"):
        layers.torch_activation(replace(mine, torch_function=GELU.torch_function))


def test_activations_are_compared_on_the_cpu_wherever_a_model_is_built():
    like = replace(GELU, torch_function=lambda x: nn.functional.gelu(x))
    with torch.device("meta"):
        assert layers.torch_activation(like) is like.torch_function


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


def test_a_stack_is_its_networks_side_by_side():
    spec = MLPSpec(GELU, depth=3, width=7, n_classes=4, input_shape=(2, 3))
    networks = [models.build(spec, InitSpec(2.0, 0.1), torch.Generator().manual_seed(seed)) for seed in range(3)]
    x = torch.randn(3, 5, 2, 3)
    want = torch.stack([network(one) for network, one in zip(networks, x, strict=True)])
    torch.testing.assert_close(StackedMLP(networks)(x), want)
    assert sum(p.numel() for p in StackedMLP(networks).parameters()) == 3 * sum(
        p.numel() for p in networks[0].parameters()
    )


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
