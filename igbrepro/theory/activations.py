"""Activation functions. A new one takes a name, phi and phi':

>>> SOFTPLUS = Activation("softplus", lambda x: np.logaddexp(0, x), scipy.special.expit)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.special import erf, ndtr

from igbrepro.checks import finite
from igbrepro.errors import ParameterError
from igbrepro.theory.kernels.base import Kernel
from igbrepro.theory.kernels.closed_forms import Erf, Gelu, PiecewiseLinear
from igbrepro.theory.kernels.series import Smooth


@dataclass(frozen=True)
class Activation:
    """An elementwise activation phi, callable on NumPy arrays.

    function, derivative: phi and phi', elementwise; analytic, but for a kink at zero at most.
    slope: the slope at x < 0 of a piecewise-linear activation, None for all others.
    kernel: its Gaussian expectations; by default from quadrature and Hermite series, closed forms for those below.
    """

    name: str
    function: Callable[[np.ndarray], np.ndarray] = field(repr=False, compare=False)
    derivative: Callable[[np.ndarray], np.ndarray] = field(repr=False, compare=False)
    slope: float | None = None
    kernel: Kernel | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kernel is None:
            object.__setattr__(self, "kernel", Smooth(self.function, self.derivative))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.function(x)

    def __reduce__(self) -> tuple:
        """Pickle those that `get_activation` knows by their names, as their functions have none of their own."""
        return (get_activation, (self.name,)) if self.built_in else super().__reduce__()

    @property
    def built_in(self) -> bool:
        """Whether `get_activation` finds it by its name."""
        try:
            return get_activation(self.name) == self
        except ParameterError:
            return False

    @property
    def homogeneous(self) -> bool:
        """Whether phi(a x) = a phi(x) for a > 0, so that scale and correlation decouple."""
        return self.slope is not None


def _piecewise_linear(name: str, slope: float) -> Activation:
    return Activation(
        name, lambda x: np.where(x > 0, x, slope * x), lambda x: np.where(x > 0, 1.0, slope),
        slope=slope, kernel=PiecewiseLinear(slope),
    )  # fmt: skip


def LEAKY_RELU(slope: float = 0.01) -> Activation:
    """max(x, slope x): ReLU at slope 0, linear at slope 1.  Raises ParameterError for a slope that is not finite."""
    slope = float(finite("slope", slope, -np.inf))
    return _piecewise_linear(f"leaky_relu({slope!r})", slope)


def _gelu_derivative(x: np.ndarray) -> np.ndarray:
    return ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


def _tanh_derivative(x: np.ndarray) -> np.ndarray:
    return 1 - np.tanh(x) ** 2


LINEAR = _piecewise_linear("linear", 1.0)
RELU = _piecewise_linear("relu", 0.0)
TANH = Activation("tanh", np.tanh, _tanh_derivative)
ERF = Activation("erf", erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-(x**2)), kernel=Erf())
GELU = Activation("gelu", lambda x: x * ndtr(x), _gelu_derivative, kernel=Gelu())

_BY_NAME = {activation.name: activation for activation in (LINEAR, RELU, TANH, ERF, GELU)}


def get_activation(activation: Activation | str) -> Activation:
    """An Activation as it is, or the one of that name: linear, relu, leaky_relu(a), tanh, erf, gelu.

    Raises ParameterError for any other name.
    """
    if isinstance(activation, Activation):
        return activation
    name = str(activation).strip().lower().replace(" ", "")
    if name in _BY_NAME:
        return _BY_NAME[name]
    leaky = re.fullmatch(r"leaky_relu(?:\(([-+.\de]+)\))?", name)
    if leaky:
        return LEAKY_RELU(leaky[1]) if leaky[1] else LEAKY_RELU()
    raise ParameterError(f"activation={activation!r}: unknown; choose from {', '.join(_BY_NAME)}, leaky_relu(a).")
