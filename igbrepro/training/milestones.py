"""When a training run gets somewhere, read off the tables that `igbrepro.training` makes (no torch)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import bootstrap

from igbrepro.errors import ParameterError


def steps_until(
    frame: pd.DataFrame, metric: str, level: float, *, falling: bool = False, for_good: bool = False
) -> pd.DataFrame:
    """The first evaluated step at which a test metric reaches `level`, one row a run and one column a seed.

    frame: the table of Histories.  falling: count values <= level instead of >= level.
    for_good: the first step from which on the metric stays there until the end of training.
    Entries are inf for a run that never does.  Raises ParameterError for a metric that is not in the table.
    """
    rows = _test_rows(frame, metric)
    if rows.empty:
        raise ParameterError(
            f"metric={metric!r}: not in the table; it has {', '.join(sorted(frame['metric'].unique()))}."
        )
    table = rows.pivot(index="step", columns=["run", "seed"], values="value")
    there = table.le(level) if falling else table.ge(level)
    if for_good:
        there = there.iloc[::-1].cummin().iloc[::-1]
    reached = pd.Series(there.idxmax(), dtype=float).where(there.any(), np.inf)
    return pd.DataFrame(reached.unstack("seed")).reindex(rows["run"].unique())


def _test_rows(frame: pd.DataFrame, metric: str, split: str = "test") -> pd.DataFrame:
    """The rows of a metric of one split over all classes."""
    return pd.DataFrame(frame[(frame["split"] == split) & (frame["metric"] == metric) & frame["class"].isna()])


def values_at(frame: pd.DataFrame, metric: str, step: int | None = None, split: str = "test") -> pd.DataFrame:
    """A metric over all classes at one evaluated step (None: the last), one row a run and one column a seed.

    A run that diverged before that step is nan there.  Raises ParameterError for a metric or step not in the table.
    """
    rows = _test_rows(frame, metric, split)
    at = rows["step"].max() if step is None else step
    found = pd.DataFrame(rows[rows["step"] == at])
    if found.empty:
        told = f"metric={metric!r}, step={at!r}, split={split!r}"
        raise ParameterError(f"{told}: not in the table; make it a metric and step of it.")
    return found.pivot(index="run", columns="seed", values="value").reindex(rows["run"].unique())


def by_favour(frame: pd.DataFrame) -> pd.DataFrame:
    """The numbers that there are for each class, with the column `favoured`: whether it is the class that the untrained
    network of this run and seed gives most inputs of this split to.

    frame: the table of Histories, with step 0.  Of classes with equal shares the first is the favourite.
    """
    rows = pd.DataFrame(frame[frame["class"].notna()])
    start = rows[(rows["step"] == 0) & (rows["metric"] == "class_fraction")]
    which = ["run", "seed", "split"]
    first = start.loc[start.groupby(which)["value"].idxmax(), [*which, "class"]]
    rows = rows.merge(first.rename(columns={"class": "favourite"}), on=which)
    return rows.assign(favoured=rows["class"] == rows["favourite"]).drop(columns="favourite")


def bootstrap_interval(values: ArrayLike, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of (n,) values, n >= 2; of very few it is too narrow.

    Values of nan are left out.  The ends of an interval of one value, or of equal ones, are that value.
    """
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return np.nan, np.nan
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    found = bootstrap((values,), np.mean, confidence_level=level, method="percentile", rng=np.random.default_rng(seed))
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def interval_text(values: ArrayLike, digits: int = 3) -> str:
    """Mean and bootstrap interval over seeds, "0.421 [0.402, 0.437]"."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    low, high = bootstrap_interval(values)
    mean = values.mean() if values.size else np.nan
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def training_table(frame: pd.DataFrame, level: float) -> pd.DataFrame:
    """What a reader wants to know of each run, as text with bootstrap intervals over seeds.

    Columns: steps to a test accuracy of `level` (geometric mean; ">" where a seed never got there and counts with the
    last step), final accuracy, largest class fraction at the start.
    """
    steps, horizon = steps_until(frame, "accuracy", level), frame["step"].max()
    table = pd.DataFrame(index=steps.index)
    times = {}
    for run, row in steps.iterrows():
        logs = np.log(row.clip(lower=1, upper=horizon))
        low, high = np.exp(bootstrap_interval(logs))
        late = "> " if np.isinf(row).any() else ""
        times[run] = (
            f"> {horizon}" if np.isinf(row).all() else f"{late}{np.exp(logs.mean()):.0f} [{low:.0f}, {high:.0f}]"
        )
    table[f"steps to accuracy {level:g}"] = pd.Series(times)
    for column, metric, step in (
        ("final accuracy", "accuracy", None),
        ("starting max fraction", "max_class_fraction", 0),
    ):
        table[column] = values_at(frame, metric, step).apply(interval_text, axis=1)
    return table


def log_ratios(steps: pd.DataFrame, run: str, reference: str, horizon: float) -> np.ndarray:
    """log10 of how many times longer `run` takes than `reference`, seed by seed, (n_seeds,).

    steps: as steps_until gives it; steps below 1 count as 1.  horizon: counted for a run that never gets there, whose
    ratio is then a lower bound.
    """
    first, second = (np.log10(steps.loc[name].clip(lower=1, upper=horizon).to_numpy()) for name in (run, reference))
    return first - second
