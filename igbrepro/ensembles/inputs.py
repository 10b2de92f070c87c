"""The inputs of an ensemble: Gaussian ones of given norms and correlations, and the check of one's own."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from igbrepro.checks import whole
from igbrepro.errors import ParameterError
from igbrepro.networks import MLPSpec

Inputs = ArrayLike | Callable[[np.random.Generator], ArrayLike]


def gaussian_inputs(
    n: int,
    dim: int,
    seed: int | np.random.Generator,
    correlation: float = 0.0,
    norm2: ArrayLike = 1.0,
    exact: bool = False,
) -> NDArray[np.float64]:
    """n Gaussian inputs of `dim` features, shape (n, dim), with a given norm and correlation.

    norm2: |x_a|^2 / dim, one number or one for each input.  correlation: x_a . x_b / (|x_a| |x_b|) of every pair.
    exact=False: expected values, of jointly normal features; the pairs of a sample scatter by about 1/sqrt(dim).
    exact=True: this sample's own norms and correlations have these very values, so that every pair of inputs starts
    where the theory does; needs dim >= n.
    Raises ParameterError for sizes below 1 (n below 2), norm2 <= 0, or correlation outside [-1/(n-1), 1].
    """
    whole("n", n, 2)
    whole("dim", dim, 1)
    norm2 = np.asarray(norm2, dtype=float)
    if norm2.shape not in ((), (n,)) or not np.all(np.isfinite(norm2) & (norm2 > 0)):
        raise ParameterError(f"norm2={norm2!r}: need one mean square > 0, or one for each of the {n} inputs.")
    if not -1 / (n - 1) <= correlation <= 1:
        raise ParameterError(f"correlation={correlation!r}: {n} inputs can share {-1 / (n - 1):.4g} to 1 only.")
    if exact and dim < n:
        raise ParameterError(f"dim={dim}: exact correlations of n={n} inputs need dim >= n; or take exact=False.")
    x = np.random.default_rng(seed).standard_normal((n, dim))
    if exact:
        left, _, right = np.linalg.svd(x, full_matrices=False)
        x = math.sqrt(dim) * (left @ right)  # the orthogonal frame nearest to x
    apart, together = math.sqrt(1 - correlation), math.sqrt(max(0.0, 1 + (n - 1) * correlation))
    x = apart * x + (together - apart) * x.mean(0)  # the symmetric root of the equicorrelated n x n matrix
    return np.sqrt(norm2)[..., None] * x


def inputs_of_each(inputs: Inputs, spec: MLPSpec) -> Callable[[np.random.Generator], NDArray[np.float64]]:
    """A function of a network's generator that gives its inputs, finite, (n, input_size), n >= 2.

    inputs: one array for all networks, or a function that makes those of each.
    Raises ParameterError, as does the function, for inputs that are too few, misshapen or not finite.
    """
    if callable(inputs):
        return lambda generator: _checked(inputs(generator), spec)
    shared = _checked(inputs, spec)
    return lambda generator: shared


def _checked(inputs: ArrayLike, spec: MLPSpec) -> NDArray[np.float64]:
    x = np.asarray(inputs, dtype=np.float64)
    if x.ndim < 2 or math.prod(x.shape[1:]) != spec.input_size:
        raise ParameterError(
            f"inputs: shape {x.shape}, need (n, {spec.input_size}) for input_shape={spec.input_shape}."
        )
    if len(x) < 2:
        raise ParameterError(f"inputs: {len(x)} of them; a variance over inputs needs 2 or more.")
    if not np.isfinite(x).all():
        raise ParameterError(f"inputs: {np.count_nonzero(~np.isfinite(x))} values are not finite; clean the data.")
    return x.reshape(len(x), -1)
