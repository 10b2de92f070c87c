"""Torch forms of activations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import nn

from igbrepro import networks as models
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.modules import activations as layers
from igbrepro.networks import MLPSpec, build
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


def test_an_activation_that_no_network_had_before_is_checked_where_numbers_can_be_computed():
    """`build` makes modules on the device "meta"; the comparison with the NumPy form must not run there."""
    mine = Activation("mine", np.sin, np.cos, torch_function=torch.sin)
    model = build(MLPSpec(mine, depth=1, width=3, input_shape=(2,)), InitSpec(1.0))
    assert torch.isfinite(model(torch.ones(1, 2))).all()
