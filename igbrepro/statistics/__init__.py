"""Estimates with their errors, fits, and the statistics of finitely many inputs (NumPy and SciPy only)."""

from igbrepro.statistics.estimates import Estimate, decay_scale, jackknife, t_limit, weighted_mean, z_limit
from igbrepro.statistics.finite_data import (
    mean_max_of_counts,
    node_averages,
    normal_distance,
    pair_averages,
    plain_c,
    uniform_distance,
    uniform_p_value,
    var_of_fraction,
)
from igbrepro.statistics.fits import PowerDecay, WidthFit, power_decay, power_law, width_fit

__all__ = [
    "Estimate",
    "PowerDecay",
    "WidthFit",
    "decay_scale",
    "jackknife",
    "mean_max_of_counts",
    "node_averages",
    "normal_distance",
    "pair_averages",
    "plain_c",
    "power_decay",
    "power_law",
    "t_limit",
    "uniform_distance",
    "uniform_p_value",
    "var_of_fraction",
    "weighted_mean",
    "width_fit",
    "z_limit",
]
