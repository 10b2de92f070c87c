"""Initial Guessing Bias: how an untrained network spreads its predictions over the classes.

At infinite width, class k's output over the data is mu_k + sigma_y y with mu_k ~ N(0, sigma_mu^2) fixed by the weights;
gamma = sigma_mu^2 / sigma_y^2 says how far the classes are apart (Francazi et al. 2024). It is the correlation of
mean-field theory in other words: c = gamma / (1 + gamma) (the paper's main theorem).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln, log_ndtr, ndtr, ndtri

from igbrepro.checks import finite, whole
from igbrepro.errors import ParameterError
from igbrepro.theory.quadrature import bivariate_normal_cdf_gap, normal_density


def gamma_from_c(c: ArrayLike) -> np.ndarray:
    """gamma = c / (1 - c) for c in [0, 1]; inf at c = 1."""
    c = finite("c", c, 0, 1)
    with np.errstate(divide="ignore"):
        return np.divide(c, 1 - c)


def c_from_gamma(gamma: ArrayLike) -> np.ndarray:
    """c = gamma / (1 + gamma) for gamma in [0, inf]."""
    gamma = _gamma(gamma)
    return np.where(np.isinf(gamma), 1.0, gamma / (1 + np.where(np.isinf(gamma), 0, gamma)))[()]


def sigma_mu2(q: ArrayLike, c: ArrayLike) -> np.ndarray:
    """Variance over nodes of their mean over inputs, q c."""
    return finite("q", q, 0) * finite("c", c, 0, 1)


def sigma_y2(q: ArrayLike, c: ArrayLike) -> np.ndarray:
    """Mean over nodes of their variance over inputs, q (1 - c)."""
    return finite("q", q, 0) * (1 - finite("c", c, 0, 1))


def _gamma(gamma: ArrayLike) -> np.ndarray:
    try:
        array = np.asarray(gamma, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(f"gamma={gamma!r}: need a number or an array of numbers.") from None
    bad = ~(array >= 0)
    if np.any(bad):
        worst = float(array[bad].flat[0])
        raise ParameterError(f"gamma={worst!r}: need a ratio of variances, >= 0 (inf is deep prejudice).")
    return array


class ClassFraction:
    """The law of G_0, the fraction of inputs an untrained network gives to class 0, over random networks.

    gamma: sigma_mu^2 / sigma_y^2 of the logits, in [0, inf]; a scalar.  n_classes: K >= 2.
    For two classes G_0 = Phi(sqrt(gamma) z), z ~ N(0, 1): uniform at gamma = 1, all or nothing at gamma = inf.
    For K classes G_k is the probability that mu_k + sigma_y y_k is the largest, with K independent means.
    Raises ParameterError for other values.  Source: Francazi et al. 2024; the paper's section on IGB.
    """

    def __init__(self, gamma: float, n_classes: int = 2) -> None:
        if np.size(gamma) != 1:
            raise ParameterError(
                f"gamma of shape {np.shape(gamma)}: need one number; [ClassFraction(g) for g in gamma]."
            )
        self.gamma = _gamma(gamma).item()
        self.n_classes = whole("n_classes", n_classes, 2)

    def __repr__(self) -> str:
        return f"ClassFraction(gamma={self.gamma!r}, n_classes={self.n_classes})"

    @property
    def c(self) -> float:
        """The correlation gamma / (1 + gamma)."""
        return float(c_from_gamma(self.gamma))

    @property
    def _one_minus_c(self) -> float:
        return 1 / (1 + self.gamma)

    def pdf(self, g: ArrayLike) -> np.ndarray:
        """Density of G_0 at g in [0, 1]; two classes, 0 < gamma < inf."""
        g = self._two_classes(g)
        if not 0 < self.gamma < np.inf:
            raise ParameterError(f"gamma={self.gamma!r}: G_0 is discrete there and has no density; use cdf.")
        if self.gamma == 1:
            return np.ones(g.shape)[()]
        with np.errstate(over="ignore"):
            return np.exp(ndtri(g) ** 2 * (1 - 1 / self.gamma) / 2) / np.sqrt(self.gamma)

    def cdf(self, g: ArrayLike) -> np.ndarray:
        """P(G_0 <= g) for g in [0, 1]; two classes."""
        g = self._two_classes(g)
        if self.gamma == 0:
            return np.where(g < 0.5, 0.0, 1.0)[()]
        if np.isinf(self.gamma):
            return np.where(g < 1, 0.5, 1.0)[()]
        return ndtr(ndtri(g) / np.sqrt(self.gamma))

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """n draws: of G_0, shape (n,), for two classes; of all (G_0 .. G_(K-1)), shape (n, K), for more."""
        whole("n", n, 1)
        if self.n_classes == 2:
            root = np.sqrt(self.gamma)
            return ndtr(np.multiply(root, rng.standard_normal(n)))
        return self.fractions(rng.standard_normal((n, self.n_classes)))

    def fractions(self, means: ArrayLike) -> np.ndarray:
        """Class fractions (n, K) of networks whose logit means, in units of sigma_mu, are `means` (n, K)."""
        means = finite("means", means, -np.inf)
        if means.ndim != 2 or means.shape[1] != self.n_classes:
            raise ParameterError(f"means of shape {means.shape}: need (n, {self.n_classes}), a row for each network.")
        if np.isinf(self.gamma):
            return (means == means.max(axis=1, keepdims=True)).astype(float)
        lead = np.sqrt(self.gamma) * (means - means.max(axis=1, keepdims=True))
        result = np.zeros(means.shape)
        for level in np.arange(-9, 9.01, 0.2):  # of the winning output: a trapezoidal rule, exact for such integrands
            below = ndtr(level - lead)
            density = normal_density(level - lead)
            all_below = np.prod(below, axis=1, keepdims=True)
            result += 0.2 * density * np.divide(all_below, below, out=np.zeros_like(below), where=all_below > 0)
        return result

    def mean_max(self) -> float:
        """E[max_k G_k]; for two classes 1/2 + arcsin(sqrt c)/pi.

        For K classes: K times the probability that class 0 both has the largest mean and wins one input, a Gaussian
        pair of correlation sqrt(c).
        """
        if self.n_classes == 2:
            return float(0.5 + np.arctan(np.sqrt(self.gamma)) / np.pi)
        return self.n_classes * _winning_pair(self._one_minus_c / (1 + np.sqrt(self.c)), self.n_classes)

    def var(self) -> float:
        """Var G_0; for two classes arcsin(c) / (2 pi).

        For K classes: the probability that two inputs, of correlation c, are both given to class 0, less 1/K^2.
        """
        if self.n_classes == 2:
            gamma = min(self.gamma, 1e300)
            return float(np.arctan(gamma / np.sqrt(1 + 2 * gamma)) / (2 * np.pi))  # arcsin(c), exact near c = 1
        return _winning_pair(self._one_minus_c, self.n_classes) - 1 / self.n_classes**2

    def pmf(self, n_inputs: int) -> np.ndarray:
        """P(k of n_inputs inputs go to class 0), k = 0..n_inputs: the binomial mixture over G_0; two classes."""
        n = whole("n_inputs", n_inputs, 1)
        self._two_classes(0.0)
        root = min(np.sqrt(self.gamma), 1e100)
        # G_0 = Phi(u), u = sqrt(gamma) z; where |z| > 9 or |u| > 9 a fraction strictly between 0 and 1 is never seen
        z, step = np.linspace(-9, 9, 4001, retstep=True)
        z, step = z / max(1, root), step / max(1, root)
        weight = step * normal_density(z)
        log_share, log_rest = log_ndtr(root * z), log_ndtr(-root * z)
        counts = np.arange(n + 1)[:, None]

        def part(k: np.ndarray) -> np.ndarray:
            return np.exp(k * log_share + (n - k) * log_rest - betaln(n - k + 1, k + 1) - np.log(n + 1)) @ weight

        pmf = np.concatenate([part(k) for k in np.array_split(counts, 1 + n // 512)])
        if self.gamma > 1:  # then the two ends also hold what lies beyond the grid
            pmf[[0, -1]] = (1 - pmf[1:-1].sum()) / 2
        return pmf

    def randomised_pit(self, counts: ArrayLike, n_inputs: int, rng: np.random.Generator) -> np.ndarray:
        """Uniform on [0, 1] if the counts (m,) of inputs given to class 0 follow this law; two classes.

        The randomised probability integral transform F(k - 1) + u p(k) of the binomial mixture: unlike the fraction
        itself it has no atoms at 0 and n, so a Kolmogorov-Smirnov test of it is exact at every n_inputs.
        """
        pmf = self.pmf(n_inputs)
        counts = np.asarray(counts)
        if counts.dtype.kind not in "iu" or np.any((counts < 0) | (counts > n_inputs)):
            raise ParameterError(
                f"counts={counts!r}: need whole numbers from 0 to n_inputs={n_inputs}; pass counts, not fractions."
            )
        below = np.concatenate([[0.0], np.cumsum(pmf)])[counts]
        return below + rng.uniform(size=counts.shape) * pmf[counts]

    def _two_classes(self, g: ArrayLike) -> np.ndarray:
        if self.n_classes != 2:
            raise ParameterError(
                f"n_classes={self.n_classes}: this law is known for 2 classes; use sample or mean_max."
            )
        return finite("g", g, 0, 1)


def _winning_pair(gap: float, n_classes: int) -> float:
    """E[F(x, y)^(K-1)]: x and y both are the largest of K pairs of correlation 1 - gap; F is their joint cdf.

    Along the principal axes of the pair the integrand is smooth at every gap: the trapezoidal rule is as good as exact.
    """
    z, step = np.linspace(-9, 9, 161, retstep=True)
    weight = step * normal_density(z)
    common, opposite = np.sqrt(1 - gap / 2) * z[:, None], np.sqrt(gap / 2) * z[None, :]
    joint = bivariate_normal_cdf_gap(common + opposite, common - opposite, gap)
    return float(weight @ joint ** (n_classes - 1) @ weight)
