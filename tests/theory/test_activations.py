import copy
import math
import pickle

import numpy as np
import pytest
from scipy.special import expit
from theory import references
from theory.references import HARD_TANH

from igbrepro.errors import NotConverged, ParameterError
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
    MeanField,
    activations,
    get_activation,
)

BUILT_IN = [LINEAR, RELU, LEAKY_RELU(0.1), TANH, ERF, GELU, SIGMOID, SILU, SOFTPLUS, ELU, SELU]
POINTS = [-30.0, -3.1, -1.0, -0.2, -1e-9, 1e-9, 0.3, 1.0, 2.7, 30.0]

BY_HAND = {
    "linear": lambda x: x,
    "relu": lambda x: max(x, 0.0),
    "leaky_relu(0.1)": lambda x: x if x > 0 else 0.1 * x,
    "tanh": math.tanh,
    "erf": math.erf,
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "softplus": lambda x: max(x, 0) + math.log1p(math.exp(-abs(x))),
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * math.expm1(x)),
}


@pytest.mark.parametrize("activation", BUILT_IN, ids=lambda a: a.name)
def test_values(activation):
    want = [BY_HAND[activation.name](x) for x in POINTS]
    np.testing.assert_allclose(activation(np.array(POINTS)), want, rtol=1e-14, atol=1e-100)


@pytest.mark.parametrize("activation", BUILT_IN, ids=lambda a: a.name)
def test_derivative_is_that_of_the_function(activation):
    x, h = np.array([-4.0, -1.3, -0.4, 0.2, 0.9, 5.0]), 1e-3
    steps = [activation(x + k * h) for k in (-2, -1, 1, 2)]
    numeric = (steps[0] - 8 * steps[1] + 8 * steps[2] - steps[3]) / (12 * h)
    np.testing.assert_allclose(activation.derivative(x), numeric, rtol=0, atol=1e-11)


def test_any_shape_goes_through():
    for activation in BUILT_IN:
        assert activation(np.ones((2, 3))).shape == activation.derivative(np.ones((2, 3))).shape == (2, 3)


@pytest.mark.parametrize("activation", [*BUILT_IN, LEAKY_RELU(1 / 3), LEAKY_RELU(-0.5)], ids=lambda a: a.name)
def test_every_name_gives_its_activation_back(activation):
    again = get_activation(activation.name)
    assert again == activation and hash(again) == hash(activation)
    assert again.slope == activation.slope
    assert get_activation(activation) is activation


def test_names_are_read_kindly():
    assert get_activation(" ReLU ") is RELU
    assert get_activation("leaky_relu(1e-2)").slope == 0.01
    assert get_activation("leaky_relu").slope == LEAKY_RELU().slope == 0.01


@pytest.mark.parametrize("name", ["tahn", "", "relu)", "leaky_relu(a)", "leaky_relu()", "leaky_relu(0.1", None, 3])
def test_unknown_names_list_the_known_ones(name):
    names = ", ".join([*(known.name for known in activations.BUILT_IN), "leaky"])
    with pytest.raises(ParameterError, match=f"activation=.*unknown; choose from {names}"):
        get_activation(name)


@pytest.mark.parametrize("slope", [np.nan, np.inf, "steep"])
def test_slopes_are_finite_numbers(slope):
    with pytest.raises(ParameterError, match="slope="):
        LEAKY_RELU(slope)


def test_only_piecewise_linear_ones_are_homogeneous():
    assert [a.name for a in BUILT_IN if a.homogeneous] == ["linear", "relu", "leaky_relu(0.1)"]
    for activation in BUILT_IN:
        scaled = activation(3.0 * np.array(POINTS)), 3.0 * activation(np.array(POINTS))
        assert np.allclose(*scaled, rtol=1e-14, atol=0) == activation.homogeneous


def test_relu_and_linear_are_leaky_relus():
    x = np.array(POINTS)
    np.testing.assert_array_equal(LEAKY_RELU(0.0)(x), RELU(x))
    np.testing.assert_array_equal(LEAKY_RELU(1.0)(x), LINEAR(x))


def test_a_new_activation_needs_a_function_and_its_derivative():
    arctan = Activation("arctan", np.arctan, lambda x: 1 / (1 + x**2))
    mf = MeanField(arctan, sigma_w2=2.0, sigma_b2=0.1)
    at = mf.fixed_point()
    assert 0 < at.c < 1 and at.chi > 1
    np.testing.assert_allclose(mf.q_map(at.q), at.q, rtol=1e-12)
    np.testing.assert_allclose(mf.c_map(at.c, at.q), at.c, rtol=1e-10)


@pytest.mark.parametrize("q", [0.1, 1.0, 10.0])
def test_a_kink_away_from_zero_is_refused_in_words(q):
    with pytest.raises(NotConverged, match="may have a kink at zero, but must be smooth elsewhere"):
        MeanField(HARD_TANH, sigma_w2=1.5).trajectory(3, q0=q)


def test_functions_and_not_names_make_an_activation():
    assert Activation("relu", np.tanh, np.tanh) != RELU
    assert LEAKY_RELU(0.3) == LEAKY_RELU(0.3) != LEAKY_RELU(0.4)
    assert Activation("tangent", np.tanh, TANH.derivative, torch_function=TANH.torch_function) == TANH


@pytest.mark.parametrize("function", [math.tanh, lambda x: max(x, 0.0), lambda x: 1.0, lambda x: x.sum()])
def test_functions_of_single_numbers_are_refused_in_words(function):
    with pytest.raises(ParameterError, match=r"^function=.*'mine'.*np.tanh, not math.tanh"):
        Activation("mine", function, np.tanh)
    with pytest.raises(ParameterError, match=r"^derivative="):
        Activation("mine", np.tanh, function)


@pytest.mark.parametrize("q", [0.05, 1.0, 8.0])
@pytest.mark.parametrize("activation", [SIGMOID, SILU, SOFTPLUS, ELU, SELU], ids=lambda a: a.name)
def test_expectations_of_the_smooth_ones_by_adaptive_quadrature(activation, q):
    kernel, (phi, slope) = activation.kernel, (activation, activation.derivative)
    at = np.array([q])
    one = {
        "mean": (kernel.mean, phi),
        "second moment": (kernel.second_moment, lambda x: phi(x) ** 2),
        "slope": (kernel.square_slope, lambda x: slope(x) ** 2),
        "variance slope": (kernel.variance_slope, lambda x: phi(x) * slope(x) * x / q),
    }
    for name, (ours, f) in one.items():
        assert ours(at)[0] == pytest.approx(references.mean(f, q), rel=1e-9, abs=1e-12), name
    want = references.pair_mean(lambda x, y: phi(x) * phi(y), q, q, 0.6)
    tolerance = 1e-4 if activation is SELU else 1e-7  # the reference's panels do not know of kinks
    assert kernel.covariance(at, at, 0.6 * at)[0] == pytest.approx(want, rel=tolerance)


def test_activations_cannot_be_changed():
    with pytest.raises(AttributeError):
        RELU.slope = 0.1


@pytest.mark.parametrize("activation", [*BUILT_IN, LEAKY_RELU(1 / 3), LEAKY_RELU(-0.5)], ids=lambda a: a.name)
def test_built_in_ones_travel_between_processes(activation):
    again = pickle.loads(pickle.dumps(activation))
    assert activation.portable and again == activation and again.slope == activation.slope
    np.testing.assert_array_equal(again(np.array(POINTS)), activation(np.array(POINTS)))
    np.testing.assert_array_equal(again.kernel.second_moment(0.7), activation.kernel.second_moment(0.7))


def test_new_ones_travel_where_their_functions_do():
    plain = Activation("logistic", expit, np.tanh)
    again = pickle.loads(pickle.dumps(plain))
    assert plain.portable and again == plain and again.function is expit and again.derivative is np.tanh
    assert not references.SOFTPLUS.portable
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(references.SOFTPLUS)
    assert copy.deepcopy(references.SOFTPLUS)(0.0) == pytest.approx(math.log(2))
