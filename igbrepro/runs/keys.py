"""Keys: what a run depends on as plain values, and their checksum, by which a store finds it (no torch here)."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from igbrepro.errors import ParameterError
from igbrepro.networks import Spec
from igbrepro.theory import Activation, get_activation

_UNSAID = (
    ("n_eval_train", 0),
    ("epsilon", 1e-8),
    ("residual_unit", "pre-activation"),
    ("patch_norm", False),
    ("unit_tokens", False),
)
_DIGITS = 12  # of numbers in keys: critical variances differ in their last digits between machines


class NotStorable(ParameterError):
    """A run whose code no checksum can name: of a function made in a session, say; it is computed every time."""


def said(values: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values of settings or a network that keys hold.

    Fields that came after runs were stored are left out where they have the value that these runs had.
    """
    return {name: value for name, value in values.items() if (name, value) not in _UNSAID}


def checksum(description: Mapping[str, Any]) -> str:
    """Of a description in plain values: 32 hexadecimal digits."""
    text = json.dumps(description, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def kind_of(part: Any) -> str:
    """The name of the class of a description or pool, with its module where it is not one of this package."""
    kind = type(part)
    if not is_dataclass(part) or kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        raise NotStorable(f"{part!r}: only dataclasses of a module can be told apart in a store.")
    ours = kind.__module__.startswith(("igbrepro.networks.", "igbrepro.theory."))
    return kind.__name__ if ours else f"{kind.__module__}.{kind.__name__}"


def plain(value: Any) -> Any:
    """A value as JSON holds it: numbers to twelve digits, dataclasses as mappings, activations by name."""
    if isinstance(value, Activation):
        return _activation_name(value)
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            return repr(float(value))
        rounded = float(f"{value:.{_DIGITS}g}")
        return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list | np.ndarray | range):
        return [plain(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        named = {} if isinstance(value, Spec) else {"kind": kind_of(value)}
        return named | {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    raise NotStorable(f"{value!r}: a store cannot tell such values apart.")


def _activation_name(activation: Activation) -> str:
    """The name under which `get_activation` finds this activation again; raises NotStorable where it does not."""
    try:
        known = get_activation(activation.name) == activation
    except ParameterError:
        known = False
    if not known:
        raise NotStorable(f"activation={activation.name!r}: not one that its name alone brings back.")
    return activation.name
