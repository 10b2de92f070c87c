"""What an ensemble of random networks measured: named arrays over (network, layer), and tidy tables of them (NumPy)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from igbrepro.ensembles.files import load_ensemble, save_ensemble
from igbrepro.errors import ParameterError
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.theory import Activation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Snapshot:
    """One layer kept whole, for the law of its nodes and the correlation of every pair of inputs.

    node_mean, node_variance: (n_networks, width), each node's mean over the inputs and unbiased variance about it; the
        mean over nodes of node_variance is sigma_y2.
    covariance: (n_networks, n_inputs, n_inputs), q_ab = mean over nodes of h_a h_b.
    preactivations: (n_networks, kept_nodes, n_inputs), the first nodes themselves.
    """

    node_mean: Array
    node_variance: Array
    covariance: Array
    preactivations: Array

    @property
    def correlation(self) -> Array:
        """c_ab = q_ab / sqrt(q_aa q_bb), (n_networks, n_inputs, n_inputs)."""
        norm = np.sqrt(np.diagonal(self.covariance, axis1=-2, axis2=-1))
        return self.covariance / (norm[..., :, None] * norm[..., None, :])


@dataclass(frozen=True, repr=False)
class EnsembleResult:
    """Statistics of finite random networks, arrays (n_networks, depth + 1) unless said otherwise.

    Layer l is the pre-activation after l activations (0: first layer, depth: the logits).
    q: mean of h^2 over inputs and nodes.
    sigma_y2, sigma_mu2: mean over nodes of the variance over inputs, and variance over nodes (about zero, the mean of
        the law) of the mean over inputs; unbiased for inputs that are independent draws: sigma_y2 = V n/(n-1) and
        sigma_mu2 = <mean^2> - sigma_y2/n. An unbiased estimate of a small sigma_mu2 can be negative.
    pair_one_minus_c, pair_c_std: mean and standard deviation over pairs of inputs of 1 - c_ab and c_ab, where
        c_ab = q_ab / sqrt(q_aa q_bb) averages over nodes.
    pair_c_quantiles: (n_networks, depth + 1, len(quantile_levels)), over pairs.
    class_fractions: (n_networks, n_heads, n_classes), the share of inputs that each of n_heads independent heads on the
        same body puts in each class (the largest logit).
    layer_class_fractions: (n_networks, depth + 1, n_heads, n_classes), heads made of each layer's own nodes; or None.
    snapshots: the layers asked for by `keep_layers`.
    A signal too large for the dtype has q = inf, and nan elsewhere, from that layer on.
    """

    spec: MLPSpec
    init: InitSpec
    method: str
    seed: int
    n_inputs: int
    q: Array
    sigma_y2: Array
    sigma_mu2: Array
    pair_one_minus_c: Array
    pair_c_std: Array
    pair_c_quantiles: Array
    quantile_levels: tuple[float, ...]
    class_fractions: Array
    layer_class_fractions: Array | None = None
    snapshots: dict[int, Snapshot] = field(default_factory=dict)

    @property
    def n_networks(self) -> int:
        return self.q.shape[0]

    @property
    def gamma(self) -> Array:
        """sigma_mu2 / sigma_y2; inf where the inputs have become one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.sigma_mu2 / self.sigma_y2

    @property
    def one_minus_c(self) -> Array:
        """1 - c = 1/(1 + gamma) = sigma_y2 / (sigma_mu2 + sigma_y2), with all its digits near c = 1."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.sigma_y2 / (self.sigma_mu2 + self.sigma_y2)

    @property
    def c(self) -> Array:
        """gamma/(1 + gamma), which is (mean q_ab over pairs) / (mean q_aa) of the same network identically."""
        return 1 - self.one_minus_c

    @property
    def pair_c_mean(self) -> Array:
        """Mean over pairs of inputs of c_ab."""
        return 1 - self.pair_one_minus_c

    @property
    def max_fraction(self) -> Array:
        """Mean over heads of the largest class fraction; nan below the head unless read out of every layer."""
        if self.layer_class_fractions is not None:
            return self.layer_class_fractions.max(-1).mean(-1)
        mean_max = np.full(self.q.shape, np.nan)
        mean_max[:, -1] = self.class_fractions.max(-1).mean(-1)
        return mean_max

    def summary(self, name: str, quantiles: Sequence[float] = (0.05, 0.25, 0.75, 0.95)) -> pd.DataFrame:
        """A tidy table, one row a layer, of a statistic over networks.

        name: one of SUMMARISED, such as "gamma".  quantiles: levels in [0, 1]; 0.05 becomes the column "q05".
        Columns: layer, n_networks (those with a value), mean, std_error (nan for one network), median and the
        quantiles. Infinite values stay infinite: the mean is inf and its error nan, while the median counts networks.
        Raises ParameterError for another name or level.
        """
        if name not in SUMMARISED:
            close = get_close_matches(str(name), SUMMARISED, n=1)
            raise ParameterError(
                f"name={name!r}: no such statistic{f'; did you mean {close[0]!r}?' if close else ''} "
                f"Known: {', '.join(SUMMARISED)}."
            )
        if not all(0 <= level <= 1 for level in quantiles):
            raise ParameterError(f"quantiles={tuple(quantiles)!r}: need levels between 0 and 1.")
        rows = [_describe(values[~np.isnan(values)], quantiles) for values in getattr(self, name).T]
        return pd.DataFrame([{"layer": layer, **row} for layer, row in enumerate(rows)])

    def save(self, path: str | Path) -> Path:
        """Write everything to `path`, a file of NumPy's archive format (.npz) without pickles; returns the path.

        Raises ParameterError for a name that does not end in .npz, and a path that cannot be written.
        """
        return save_ensemble(self, path)

    @classmethod
    def load(cls, path: str | Path, activation: Activation | None = None) -> EnsembleResult:
        """What `save` wrote, equal to the last bit.

        activation: that of the networks, where it is one of your own: files hold its name and some of its values.
        Raises ParameterError for a file that is missing, damaged or of another kind, and for another activation.
        """
        return load_ensemble(path, activation, cls, Snapshot)

    def __repr__(self) -> str:
        return (
            f"EnsembleResult({self.n_networks} networks, {self.n_inputs} inputs, {self.spec}, {self.init}, "
            f"method={self.method!r}, seed={self.seed})"
        )


SUMMARISED = (
    *("q", "sigma_y2", "sigma_mu2", "gamma", "c", "one_minus_c"),
    *("pair_c_mean", "pair_one_minus_c", "pair_c_std", "max_fraction"),
)


def _describe(values: Array, quantiles: Sequence[float]) -> dict[str, float]:
    """Mean, standard error, median and quantiles of one layer's values over networks."""
    count = len(values)
    with np.errstate(invalid="ignore", over="ignore"):
        row = {
            "n_networks": count,
            "mean": values.mean() if count else np.nan,
            "std_error": values.std(ddof=1) / np.sqrt(count) if count > 1 else np.nan,
        }
    levels = {"median": 0.5} | {f"q{100 * level:02.4g}": level for level in quantiles}
    return row | {column: _quantile(values, level) for column, level in levels.items()}


def _quantile(values: Array, level: float) -> float:
    """The usual interpolated quantile; between a finite and an infinite value it is the infinite one."""
    if not len(values):
        return np.nan
    low, high = (np.quantile(values, level, method=method) for method in ("lower", "higher"))
    return float(np.quantile(values, level) if np.isfinite(low) and np.isfinite(high) else high)
