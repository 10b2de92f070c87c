"""When a training run gets somewhere, read off the tables that `igbrepro.training` makes (pandas only)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from igbrepro.errors import ParameterError


def steps_until(
    frame: pd.DataFrame, metric: str, level: float, *, falling: bool = False, for_good: bool = False
) -> pd.DataFrame:
    """The first evaluated step at which a test metric reaches `level`, one row a run and one column a seed.

    frame: the table of Histories.  falling: count values <= level instead of >= level.
    for_good: the first step from which on the metric stays there until the end of training.
    Entries are inf for a run that never does.  Raises ParameterError for a metric that is not in the table.
    """
    rows = frame[(frame["split"] == "test") & (frame["metric"] == metric) & frame["class"].isna()]
    if rows.empty:
        raise ParameterError(
            f"metric={metric!r}: not in the table; it has {', '.join(sorted(frame['metric'].unique()))}."
        )
    table = rows.pivot(index="step", columns=["run", "seed"], values="value")
    there = table <= level if falling else table >= level
    if for_good:
        there = there[::-1].cummin()[::-1]
    reached = there.idxmax().astype(float).where(there.any(), np.inf)
    order = rows["run"].unique()
    return reached.unstack("seed").reindex(order)


def log_ratio(steps: pd.DataFrame, run: str, reference: str, horizon: float) -> tuple[float, float]:
    """log10 of how many times longer `run` takes than `reference`: mean and standard error over seeds, pair by pair.

    steps: as steps_until gives it; steps below 1 count as 1.  horizon: counted for a run that never gets there, whose
    ratio is then a lower bound.  Raises ParameterError for fewer than two seeds.
    """
    if steps.shape[1] < 2:
        raise ParameterError(f"seeds={list(steps.columns)}: a standard error needs two or more.")
    logs = np.log10(steps.clip(lower=1, upper=horizon))
    gaps = logs.loc[run] - logs.loc[reference]
    return float(gaps.mean()), float(gaps.std(ddof=1) / np.sqrt(len(gaps)))
