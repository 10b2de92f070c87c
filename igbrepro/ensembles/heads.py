"""Many random heads on one untrained body, and the laws that predict their favourite class.

A head is a linear layer of K nodes on the features of a body; its guess for an input is its largest node. Given the
features, nodes are independent and jointly normal over the inputs, with covariance sigma_w2 F F^T / fan_in + sigma_b2,
so that one body serves any number of heads with any number of classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from igbrepro.checks import finite, whole
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import CNNSpec, MLPSpec, Spec, build
from igbrepro.probes import features
from igbrepro.statistics import Estimate, mean_max_of_counts
from igbrepro.theory import ClassFraction, DataKernel, MeanField, conv_kernel, data_kernel, next_covariance


def head_nodes(body: Tensor, init: InitSpec, n_nodes: int, generator: torch.Generator, gain: float = 1.0) -> np.ndarray:
    """Values (n, n_nodes) of random nodes on the features `body` (n, fan_in), drawn as initialize_ draws them.

    Where there are more features than inputs, features are first turned into n coordinates that have the same products:
    normal weights do not notice, and fewer of them are drawn.
    """
    deviation = math.sqrt(gain * init.sigma_w2 / body.shape[1])
    if body.shape[1] > len(body):
        body = torch.linalg.qr(body.double().T, mode="r").R.T.to(body.dtype)
    weights = torch.randn(body.shape[1], n_nodes, generator=generator, dtype=body.dtype)
    biases = torch.randn(n_nodes, generator=generator, dtype=body.dtype)
    return torch.addmm(biases * math.sqrt(init.sigma_b2), body, weights, alpha=deviation).numpy()


def head_covariance(body: Tensor, init: InitSpec, gain: float = 1.0) -> np.ndarray:
    """Covariance (n, n), over heads, of the values of a node on the features `body` (n, fan_in); exact at any width."""
    f = body.double().numpy()
    return gain * init.sigma_w2 * (f @ f.T) / f.shape[1] + init.sigma_b2


def mean_correlation(covariance: ArrayLike) -> float:
    """Mean over pairs a != b of c_ab of a covariance (n, n): lengths, on which no guess depends, cancel."""
    c = _correlation(covariance)
    n = len(c)
    return float((c.sum() - n) / (n * (n - 1)))


def infinite_covariance(spec: MLPSpec | CNNSpec, init: InitSpec, inputs: ArrayLike) -> np.ndarray:
    """Covariance (n, n) of a logit over given inputs (n, ...) at infinite width, nothing being measured.

    spec: an MLP or CNN without pools, or a residual MLP, whose layers add r^2 times the next covariance of a plain
    layer to the stream.  Raises ParameterError for other networks, for which no such theory is here.
    """
    if not isinstance(spec, MLPSpec | CNNSpec) or spec.pool is not None:
        raise ParameterError(f"spec={spec!r}: need an MLPSpec or CNNSpec without a pool.")
    if isinstance(spec, MLPSpec) and spec.post_activation:
        raise ParameterError(
            f"residual_unit={spec.residual_unit!r}: known for one pair at a time; spec.trajectory(init, q0, c0) has it."
        )
    plain = MeanField(spec.activation, sigma_w2=init.sigma_w2, sigma_b2=init.sigma_b2)
    if isinstance(spec, CNNSpec):
        return conv_kernel(plain, inputs, spec.depth, kernel=spec.kernel, strides=spec.strides).covariance[-1]
    if spec.residual is None:
        return data_kernel(plain, inputs, spec.depth).covariance[-1]
    x = np.asarray(inputs, dtype=float)
    x = x.reshape(len(x), -1)
    covariance = init.sigma_w2 * (x @ x.T) / x.shape[1] + init.sigma_b2
    for _ in range(spec.depth - 1):
        covariance = covariance + spec.residual**2 * next_covariance(plain, covariance)
    return next_covariance(plain, covariance)


def max_fractions(nodes: ArrayLike, n_classes: int) -> np.ndarray:
    """Share of the inputs that each head gives to its favourite class, (n_nodes // n_classes,).

    nodes: (n, n_nodes); a head is n_classes neighbouring ones, those left over at the end are not used.
    Raises ParameterError for fewer nodes than classes.
    """
    nodes, k = np.asarray(nodes), whole("n_classes", n_classes, 2)
    n, n_heads = len(nodes), nodes.shape[1] // k
    if n_heads == 0:
        raise ParameterError(f"n_classes={k}: more than the {nodes.shape[1]} nodes; draw more of them.")
    guesses = nodes[:, : n_heads * k].reshape(n, n_heads, k).argmax(-1)
    counts = np.bincount((guesses + k * np.arange(n_heads)).ravel(), minlength=n_heads * k)
    return counts.reshape(n_heads, k).max(1) / n


@dataclass(frozen=True)
class HeadEnsemble:
    """Untrained networks of one kind and their heads.

    fractions: n_classes to the mean over heads of the favourite's share, (n_networks,).
    c: mean correlation over pairs of inputs, (n_networks,).  c_variances: gamma/(1 + gamma) from the variances of the
        logits over inputs and nodes, (n_networks,).  correlation: c_ab, the mean over networks, (n, n).
    """

    fractions: dict[int, np.ndarray]
    c: np.ndarray
    c_variances: np.ndarray
    correlation: np.ndarray


def head_ensemble(
    spec: Spec, init: InitSpec, inputs: ArrayLike, classes: Sequence[int], *, n_networks: int, n_nodes: int, seed: int
) -> HeadEnsemble:
    """Draw n_networks networks of `spec` and n_nodes output nodes on each, read as heads of each of `classes` sizes.

    inputs: (n, ...).  The head that `spec` itself has is not used, but its law is.
    Raises ParameterError as `build`, `features` and `max_fractions` do.
    """
    generator = torch.Generator().manual_seed(whole("seed", seed, 0))
    found, c, c_variances, total = [], [], [], np.zeros(())
    for _ in range(whole("n_networks", n_networks, 2)):
        body, gain = features(build(spec, init, generator), inputs)
        covariance = head_covariance(body, init, gain)
        nodes = head_nodes(body, init, n_nodes, generator, gain)
        found.append([max_fractions(nodes, k).mean() for k in classes])
        c.append(mean_correlation(covariance))
        c_variances.append(DataKernel(covariance[None]).c[0])
        total = total + _correlation(covariance)
    fractions = dict(zip(classes, np.array(found).T, strict=True))
    return HeadEnsemble(fractions, np.array(c), np.array(c_variances), total / n_networks)


class OneNumberLaw:
    """Mean share of the favourite class among n_inputs inputs of which all pairs have one correlation c.

    Called with c (any shape, values below 0 count as 0).  It is ClassFraction(gamma, n_classes).mean_max() plus what
    counting finitely many inputs adds, at POINTS values of c, and interpolated.  Two classes: exact there; more:
    sampled with `draws` networks at each.
    """

    POINTS = 17

    def __init__(self, n_classes: int, n_inputs: int, rng: np.random.Generator, draws: int = 2000) -> None:
        n, draws = whole("n_inputs", n_inputs, 1), whole("draws", draws, 2)
        angles = np.linspace(0, np.pi / 2, self.POINTS)  # arcsin(sqrt c): for two classes the mean is linear in it
        means = []
        for gamma in [*np.tan(angles[:-1]) ** 2, np.inf]:
            law = ClassFraction(gamma, n_classes)
            if n_classes == 2:
                means.append(mean_max_of_counts(law, n, rng)[0])
                continue
            shares = law.sample(draws, rng)
            counted = rng.multinomial(n, shares / shares.sum(1, keepdims=True)).max(1) / n
            means.append(law.mean_max() + (counted - shares.max(1)).mean())
        self._interpolated = PchipInterpolator(angles, means)

    def __call__(self, c: ArrayLike) -> np.ndarray:
        return self._interpolated(np.arcsin(np.sqrt(np.clip(c, 0, 1))))


def matrix_law(
    covariance: ArrayLike, laws: Mapping[int, OneNumberLaw], n_nodes: int, rng: np.random.Generator
) -> dict[int, Estimate]:
    """Mean of the favourite's share, for each number of classes, where the logits have this whole covariance (n, n).

    covariance: of any rank.  laws: the one-number law of each number of classes, for n inputs.
    n_nodes normal nodes are drawn twice from the same random numbers, with every c_ab and with their mean in place of
    each: the difference, which scatters less than either, is added to the one-number law of that mean.
    Raises ParameterError for a mean correlation below 0, which no law of one number has.
    """
    correlation = _correlation(covariance)
    n, c = len(correlation), mean_correlation(correlation)
    if c < 0:
        raise ParameterError(f"covariance: mean correlation {c:.3g}; need one >= 0.")
    normal = rng.standard_normal((n, n_nodes))
    each = _root(correlation) @ normal
    alike = np.sqrt(1 - c) * normal + (np.sqrt(1 + (n - 1) * c) - np.sqrt(1 - c)) * normal.mean(0)
    found = {}
    for k, law in laws.items():
        more = max_fractions(each, k) - max_fractions(alike, k)
        error = more.std(ddof=1) / np.sqrt(len(more)) if len(more) > 1 else np.inf
        found[k] = Estimate(float(law(c) + more.mean()), float(error))
    return found


def _root(correlation: np.ndarray) -> np.ndarray:
    """The symmetric square root, negative eigenvalues (of rounding) taken as 0."""
    values, vectors = np.linalg.eigh(correlation)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _correlation(covariance: ArrayLike) -> np.ndarray:
    covariance = _covariance(covariance)
    norm = np.sqrt(np.diagonal(covariance))
    return covariance / np.outer(norm, norm)


def _covariance(covariance: ArrayLike) -> np.ndarray:
    array = finite("covariance", covariance, -np.inf)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or len(array) < 2 or np.diagonal(array).min() <= 0:
        raise ParameterError(f"covariance of shape {array.shape}: need (n, n), n >= 2, with variances > 0.")
    return array
