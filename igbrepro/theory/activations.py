"""Activation functions. A new one takes a name, phi, phi' and, to build networks of it, its torch form:

>>> MISH = Activation("mish", mish, mish_derivative, torch_function="torch.nn.functional.mish")
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import erf, expit

from igbrepro.checks import finite
from igbrepro.errors import ParameterError
from igbrepro.theory.kernels.base import Kernel
from igbrepro.theory.kernels.closed_forms import (
    Bent,
    BentDerivative,
    Erf,
    Gelu,
    PiecewiseLinear,
    erf_derivative,
    gelu,
    gelu_derivative,
)
from igbrepro.theory.kernels.series import Smooth

_PROBE = np.array([-1.5, 0.5, 2.0])


@dataclass(frozen=True)
class Activation:
    """An elementwise activation phi, callable on NumPy arrays; two are equal if their functions are.

    function, derivative: phi and phi', elementwise; analytic, but for a kink at zero at most.
    slope: the slope at x < 0 of a piecewise-linear activation, None for all others.
    torch_function: phi of a torch tensor, or the dotted name of such a function, "torch.nn.functional.mish"; None for
        one that is for theory only (a slope says the torch form too).
    closed_form: its Gaussian expectations, where they are known; by default from quadrature and Hermite series.
    Raises ParameterError for functions that do not take arrays elementwise.
    """

    name: str = field(compare=False)
    function: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    derivative: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    slope: float | None = None
    torch_function: Callable[[Any], Any] | str | None = field(default=None, repr=False)
    closed_form: Kernel | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for part in ("function", "derivative"):
            _check_elementwise(self.name, part, getattr(self, part))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.function(x)

    @cached_property
    def kernel(self) -> Kernel:
        """Its Gaussian expectations."""
        return self.closed_form or Smooth(self.function, self.derivative)

    @property
    def portable(self) -> bool:
        """Whether another process finds its functions: those of an importable module, no lambdas or functions of
        `__main__`.
        """
        try:
            return b"__main__" not in pickle.dumps(self)
        except (pickle.PicklingError, AttributeError, TypeError):
            return False

    @property
    def homogeneous(self) -> bool:
        """Whether phi(a x) = a phi(x) for a > 0, so that scale and correlation decouple."""
        return self.slope is not None


def _check_elementwise(name: str, part: str, function: Callable) -> None:
    try:
        with np.errstate(all="ignore"):
            value = np.asarray(function(_PROBE))
        good = value.shape == _PROBE.shape and value.dtype.kind in "fiub"
    except (TypeError, ValueError):
        good = False
    if not good:
        raise ParameterError(
            f"{part}={function!r} of activation {name!r}: takes no arrays elementwise; write it with NumPy "
            "(np.tanh, not math.tanh), an array out for an array in, of the same shape."
        )


def _piecewise_linear(name: str, slope: float) -> Activation:
    return Activation(name, Bent(slope), BentDerivative(slope), slope=slope, closed_form=PiecewiseLinear(slope))


def LEAKY_RELU(slope: float = 0.01) -> Activation:
    """max(x, slope x): ReLU at slope 0, linear at slope 1.  Raises ParameterError for a slope that is not finite."""
    slope = float(finite("slope", slope, -np.inf))
    return _piecewise_linear(f"leaky_relu({slope!r})", slope)


def _tanh_derivative(x: np.ndarray) -> np.ndarray:
    return 1 - np.tanh(x) ** 2


LINEAR = _piecewise_linear("linear", 1.0)
RELU = _piecewise_linear("relu", 0.0)
TANH = Activation("tanh", np.tanh, _tanh_derivative, torch_function="torch.tanh")
ERF = Activation("erf", erf, erf_derivative, torch_function="torch.erf", closed_form=Erf())
GELU = Activation("gelu", gelu, gelu_derivative, torch_function="torch.nn.functional.gelu", closed_form=Gelu())


def _sigmoid_derivative(x: np.ndarray) -> np.ndarray:
    return expit(x) * expit(-x)


def _silu(x: np.ndarray) -> np.ndarray:
    return x * expit(x)


def _silu_derivative(x: np.ndarray) -> np.ndarray:
    return expit(x) * (1 + x * expit(-x))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


@dataclass(frozen=True)
class _Elu:
    """scale times x for x > 0 and times alpha (exp(x) - 1) below."""

    alpha: float = 1.0
    scale: float = 1.0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.scale * np.where(x > 0, x, self.alpha * np.expm1(np.minimum(x, 0)))


@dataclass(frozen=True)
class _EluDerivative(_Elu):
    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.scale * np.where(x > 0, 1.0, self.alpha * np.exp(np.minimum(x, 0)))


_SELU = (1.6732632423543772, 1.0507009873554805)  # Klambauer et al. 2017, eq. (14)
SIGMOID = Activation("sigmoid", expit, _sigmoid_derivative, torch_function="torch.sigmoid")
SILU = Activation("silu", _silu, _silu_derivative, torch_function="torch.nn.functional.silu")
SOFTPLUS = Activation("softplus", _softplus, expit, torch_function="torch.nn.functional.softplus")
ELU = Activation("elu", _Elu(), _EluDerivative(), torch_function="torch.nn.functional.elu")
SELU = Activation("selu", _Elu(*_SELU), _EluDerivative(*_SELU), torch_function="torch.nn.functional.selu")

BUILT_IN = (LINEAR, RELU, TANH, ERF, GELU, SIGMOID, SILU, SOFTPLUS, ELU, SELU)


def get_activation(activation: Activation | str) -> Activation:
    """An Activation as it is, or the built-in one of that name.

    Names: linear, relu, leaky_relu(a), tanh, erf, gelu, sigmoid, silu, softplus, elu, selu.

    Raises ParameterError for any other name.
    """
    if isinstance(activation, Activation):
        return activation
    name = str(activation).strip().lower().replace(" ", "")
    for known in BUILT_IN:
        if known.name == name:
            return known
    leaky = re.fullmatch(r"leaky_relu(?:\(([-+.\de]+)\))?", name)
    if leaky:
        return LEAKY_RELU(float(leaky[1])) if leaky[1] else LEAKY_RELU()
    names = ", ".join(known.name for known in BUILT_IN)
    raise ParameterError(f"activation={activation!r}: unknown; choose from {names}, leaky_relu(a).")
