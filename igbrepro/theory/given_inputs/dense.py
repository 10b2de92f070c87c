"""The theory for given inputs, such as images: every pair has its own correlation and every input its own norm.

At infinite width the pre-activations of one node are jointly normal over the inputs a, with covariances q_ab that go
from layer to layer by the covariance map of mean-field theory. Averages over the data are then averages over q_ab.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from igbrepro.checks import finite, whole
from igbrepro.errors import NotConverged, ParameterError
from igbrepro.theory.kernels.series import Smooth, hermite_rule
from igbrepro.theory.mean_field import MeanField

SERIES = ((192, 0.14), (640, 0.07), (2048, 0.036))  # terms and step of the Hermite coefficients, tried in turn
SERIES_ERROR = 1e-10


@dataclass(frozen=True)
class DataKernel:
    """Infinite-width covariances over n given inputs, layer by layer, and what they say about data averages.

    covariance: (layers, n, n), q_ab; layer 0 is h^(1), as everywhere.  All properties have shape (layers,).
    """

    covariance: np.ndarray

    @property
    def q(self) -> np.ndarray:
        """Mean over inputs of q_aa."""
        return np.trace(self.covariance, axis1=1, axis2=2) / self._n

    @property
    def sigma_mu2(self) -> np.ndarray:
        """Mean of q_ab over pairs a != b: what the unbiased estimate of sigma_mu^2 is on average over the weights."""
        return (self.covariance.sum((1, 2)) / self._n - self.q) / (self._n - 1)

    @property
    def sigma_y2(self) -> np.ndarray:
        """q - sigma_mu2, the weight average of the unbiased variance over these inputs."""
        return self.q - self.sigma_mu2

    @property
    def gamma(self) -> np.ndarray:
        """sigma_mu2 / sigma_y2; 0 where the mean covariance is below 0, as it may be of standardised inputs."""
        return np.maximum(self.sigma_mu2, 0) / self.sigma_y2

    @property
    def c(self) -> np.ndarray:
        """gamma/(1 + gamma) = sigma_mu2 / q."""
        return self.sigma_mu2 / self.q

    @property
    def correlation(self) -> np.ndarray:
        """c_ab of every pair, (layers, n, n)."""
        norm = np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))
        return np.clip(self.covariance / (norm[:, :, None] * norm[:, None, :]), -1, 1)

    @property
    def pair_c(self) -> np.ndarray:
        """c_ab of the pairs a < b, (layers, n (n - 1) / 2)."""
        return self.correlation[(slice(None), *np.triu_indices(self._n, 1))]

    @property
    def var_fraction(self) -> np.ndarray:
        """Var G_0 over networks for these inputs (two classes): the mean over pairs a != b of arcsin(c_ab)/(2 pi).

        Exact at infinite width for any data, because a pair lands in class 0 together with probability
        1/4 + arcsin(c_ab)/(2 pi) (Sheppard).
        """
        return np.arcsin(self.pair_c).mean(1) / (2 * np.pi)

    @property
    def effective_dimension(self) -> np.ndarray:
        """tr(K)^2 / tr(K^2) of the covariance about the mean over inputs, 1 to n - 1.

        In how many directions the deviations of a node spread: the variance over inputs differs from node to node by
        a relative variance of 2 / effective_dimension.
        """
        about_mean = self.covariance - self.covariance.mean(1, keepdims=True)
        about_mean = about_mean - about_mean.mean(2, keepdims=True)
        trace = np.trace(about_mean, axis1=1, axis2=2)
        return trace**2 / np.einsum("lab,lab->l", about_mean, about_mean)

    @property
    def _n(self) -> int:
        return self.covariance.shape[-1]


def data_kernel(mean_field: MeanField, inputs: ArrayLike, depth: int) -> DataKernel:
    """Covariances of every pair of `inputs` (n, ...) through `depth` layers after h^(1) = W x + b.

    Starts from q_ab = sigma_w2 x_a . x_b / d + sigma_b2 and applies the covariance map; O(depth n^2) work.
    Raises ParameterError for fewer than 2 inputs, values that are not finite, or a MeanField of more than one point.
    """
    x, depth = finite("inputs", inputs, -np.inf), whole("depth", depth, 1)
    if x.ndim < 2 or len(x) < 2:
        raise ParameterError(f"inputs: shape {x.shape}; need (n, ...) with n >= 2 inputs.")
    check_plain(mean_field)
    x = x.reshape(len(x), -1)
    covariance = np.empty((depth + 1, len(x), len(x)))
    covariance[0] = mean_field.sigma_w2 * (x @ x.T) / x.shape[1] + mean_field.sigma_b2
    for layer in range(depth):
        covariance[layer + 1] = next_covariance(mean_field, covariance[layer])
    return DataKernel(covariance)


def check_plain(mean_field: MeanField) -> None:
    """Raise ParameterError unless `mean_field` is one point (sigma_w2, sigma_b2) without pool or residual layers."""
    if mean_field.pool is not None or mean_field.residual is not None:
        raise ParameterError(f"mean_field={mean_field!r}: data kernels are known for plain layers only.")
    if mean_field.shape:
        raise ParameterError(f"mean_field={mean_field!r}: need one (sigma_w2, sigma_b2), not an array of them.")


def next_covariance(mean_field: MeanField, covariance: np.ndarray) -> np.ndarray:
    """The covariances (n, n) of all pairs one layer on.

    For a smooth activation the Hermite coefficients of each input serve all its pairs.
    """
    q, kernel = np.diagonal(covariance).copy(), mean_field.activation.kernel
    norm = np.sqrt(q[:, None] * q)
    if not isinstance(kernel, Smooth):
        return mean_field.cov_map(q[:, None], q, np.clip(covariance, -norm, norm))
    c = np.clip(np.divide(covariance, norm, out=np.zeros_like(norm), where=norm > 0), -1, 1)
    for n_terms, step in SERIES:
        z, rule = hermite_rule(n_terms, step)
        coefficients = mean_field.activation(np.sqrt(q)[:, None] * z) @ rule
        whole_ = kernel.second_moment(q)
        if np.all(np.abs(whole_ - (coefficients**2).sum(1)) <= SERIES_ERROR * whole_):
            return mean_field.sigma_w2 * _mehler(coefficients, c) + mean_field.sigma_b2
    raise NotConverged(f"covariance map: {n_terms} Hermite terms are too few at q={q.max():.3g} (tol {SERIES_ERROR}).")


def _mehler(coefficients: np.ndarray, c: np.ndarray) -> np.ndarray:
    """sum_k a_k(q_a) a_k(q_b) c_ab^k, for coefficients (n, terms) and c (n, n), by Horner's rule."""
    total = np.zeros_like(c)
    for a in coefficients.T[::-1]:
        total *= c
        total += np.multiply.outer(a, a)
    return total
