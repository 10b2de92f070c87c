"""Gaussian inputs in classes: `load("gaussian:features=100,distance=2")`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from igbrepro.checks import whole
from igbrepro.data.dataset import Dataset
from igbrepro.data.registry import register
from igbrepro.errors import ParameterError


def gaussian(
    *,
    n_train: int = 10_000,
    n_test: int = 2_000,
    features: int = 784,
    classes: int = 10,
    distance: float = 0.0,
    seed: int = 0,
) -> Dataset:
    """Independent N(0, 1) features; each class is moved by `distance` along a random direction of its own."""
    for argument, value in {"n_train": n_train, "n_test": n_test, "features": features, "classes": classes}.items():
        whole(argument, value, 1)
    if not math.isfinite(distance):
        raise ParameterError(f"distance={distance!r}: need a finite number.")
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((classes, features))
    centres *= distance / np.linalg.norm(centres, axis=1, keepdims=True)
    arrays = []
    for n in (n_train, n_test):
        labels = rng.permutation(np.arange(n) % classes)
        arrays += [(centres[labels] + rng.standard_normal((n, features))).astype(np.float32), labels]
    source = f"random numbers ({features} features, distance {distance:g}, seed {seed})"
    return Dataset("gaussian", *arrays, classes=tuple(str(k) for k in range(classes)), source=source)


def _load(setting: str) -> Dataset:
    """With the keywords of gaussian() written in the name: "features=100,seed=1"."""
    types = {"n_train": int, "n_test": int, "features": int, "classes": int, "distance": float, "seed": int}
    settings: dict[str, Any] = {}
    for item in filter(None, setting.split(",")):
        key, _, value = (part.strip() for part in item.partition("="))
        try:
            settings[key] = types[key](value)
        except (KeyError, ValueError):
            known = ", ".join(types)
            raise ParameterError(f"name='gaussian:{setting}': {item!r} is not one of {known} with a number.") from None
    return gaussian(**settings)


register("gaussian", _load, setting="SETTINGS")
