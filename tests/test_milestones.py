"""Milestones of a training, against tables small enough to read off by eye."""

import numpy as np
import pandas as pd
import pytest

from igbrepro.errors import ParameterError
from igbrepro.milestones import log_ratio, steps_until

STEPS = [0, 1, 10, 100]


def table(runs: dict[tuple[str, int], list[float]], metric: str = "accuracy") -> pd.DataFrame:
    rows = [
        {"run": run, "seed": seed, "step": step, "split": "test", "metric": metric, "class": None, "value": value}
        for (run, seed), values in runs.items()
        for step, value in zip(STEPS, values, strict=True)
    ]
    return pd.DataFrame(rows)


def test_first_step_at_or_above_a_level():
    frame = table({("edge", 0): [0.5, 0.7, 0.8, 0.9], ("edge", 1): [0.5, 0.8, 0.6, 0.9], ("off", 0): [0.5] * 4})
    steps = steps_until(frame, "accuracy", 0.8)
    assert steps.loc["edge", [0, 1]].tolist() == [10, 1]
    assert steps.loc["off", 0] == np.inf
    assert list(steps.index) == ["edge", "off"]


def test_for_good_waits_until_the_metric_stays():
    frame = table({("edge", 0): [1.0, 0.55, 0.7, 0.5], ("edge", 1): [1.0, 0.9, 0.5, 0.7]}, "max_class_fraction")
    first = steps_until(frame, "max_class_fraction", 0.6, falling=True)
    settled = steps_until(frame, "max_class_fraction", 0.6, falling=True, for_good=True)
    assert first.loc["edge"].tolist() == [1, 10]
    assert settled.loc["edge"].tolist() == [100, np.inf]


def test_log_ratio_pairs_seeds_and_counts_the_horizon_for_a_run_that_never_arrives():
    steps = pd.DataFrame({0: [100.0, 10.0], 1: [np.inf, 1.0]}, index=["off", "edge"])
    mean, error = log_ratio(steps, "off", "edge", horizon=1000)
    assert mean == pytest.approx((1 + 3) / 2)
    assert error == pytest.approx(1.0)  # deviation of 1 and 3 is sqrt 2, over sqrt 2


def test_bad_input_is_named():
    with pytest.raises(ParameterError, match=r"metric='acuracy'.*accuracy"):
        steps_until(table({("edge", 0): [0.5] * 4}), "acuracy", 0.8)
    with pytest.raises(ParameterError, match=r"seeds=\[0\]: a standard error needs two"):
        log_ratio(pd.DataFrame({0: [1.0, 2.0]}, index=["off", "edge"]), "off", "edge", 10)
