"""Milestones of a training, against tables small enough to read off by eye."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from igbrepro.errors import ParameterError
from igbrepro.training import (
    bootstrap_interval,
    by_favour,
    interval_text,
    log_ratios,
    steps_until,
    training_table,
    values_at,
)

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


def test_values_at_a_step_or_at_the_last():
    frame = table({("off", 3): [0.1, 0.2, 0.3, 0.4], ("edge", 3): [0.5, 0.6, 0.7, 0.8], ("off", 4): [0.0] * 4})
    frame.loc[len(frame)] = ["off", 3, 100, "train", "accuracy", None, 9.0]
    frame.loc[len(frame)] = ["off", 3, 100, "test", "accuracy", 1, 9.0]
    frame = frame[~((frame["seed"] == 4) & (frame["step"] > 1))]  # a run that diverged
    at = values_at(frame, "accuracy", 1)
    assert at.loc["off"].tolist() == [0.2, 0.0] and at.loc["edge", 3] == 0.6 and list(at.index) == ["off", "edge"]
    last = values_at(frame, "accuracy")
    assert last.loc["off", 3] == 0.4 and last.loc["edge", 3] == 0.8
    assert values_at(frame, "accuracy", 0).isna().sum().sum() == 1


def test_a_diverged_run_has_no_value_at_the_end():
    frame = table({("off", 0): [0.1, 0.2, 0.3, 0.4], ("off", 1): [0.5] * 4, ("edge", 1): [0.7] * 4})
    gone = (frame["run"] == "off") & (frame["seed"] == 1) & (frame["step"] == 100)
    last = values_at(frame[~gone], "accuracy")
    assert last.loc["off", 0] == 0.4 and np.isnan(last.loc["off", 1]) and last.loc["edge", 1] == 0.7


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_bootstrap_intervals_are_those_of_all_resamples(level):
    """All 5^5 resamples of five values, equally likely, against the drawn ones."""
    values = np.array([0.0, 1.0, 1.5, 4.0, 9.0])
    every = np.array(list(product(values, repeat=5))).mean(1)
    want = np.quantile(every, [(1 - level) / 2, (1 + level) / 2])
    found = bootstrap_interval(values, level)
    np.testing.assert_allclose(found, want, atol=0.15)
    assert found == bootstrap_interval(values, level) != bootstrap_interval(values * 1.001, level)


def test_bootstrap_intervals_of_little():
    assert bootstrap_interval([2.0, np.nan]) == bootstrap_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)
    assert bootstrap_interval([0.0, 1.0, np.nan]) == (0.0, 1.0)  # means 0, 1/2, 1 have the chances 1/4, 1/2, 1/4
    assert bootstrap_interval([0.0, 1.0], level=0.4) == (0.5, 0.5)
    assert np.isnan(bootstrap_interval([np.nan])).all()


@pytest.mark.filterwarnings("error")
def test_intervals_as_text():
    assert interval_text([0.25, np.nan, 0.25]) == "0.250 [0.250, 0.250]"
    assert interval_text([0.0, 1.0], digits=1) == "0.5 [0.0, 1.0]"
    assert interval_text([np.nan, np.nan]) == "nan [nan, nan]"


def test_the_training_table_of_runs_that_get_there_late_or_never():
    runs = {("edge", 0): [0.5, 0.6, 0.9, 0.9], ("edge", 1): [0.5, 0.6, 0.7, 0.9]}
    runs |= {("late", 0): [0.5, 0.5, 0.5, 0.8], ("late", 1): [0.5, 0.5, 0.5, 0.6]}
    runs |= {("off", seed): [0.5] * 4 for seed in (0, 1)} | {("born", seed): [0.9] * 4 for seed in (0, 1)}
    fractions = {(run, seed): [1.0 - 0.1 * seed, 0.5, 0.5, 0.5] for run, seed in runs}
    found = training_table(pd.concat([table(runs), table(fractions, "max_class_fraction")]), 0.8)
    assert list(found.index) == ["edge", "late", "off", "born"]
    steps, final, start = (found[name].tolist() for name in found)
    assert steps == ["32 [10, 100]", "> 100 [100, 100]", "> 100", "1 [1, 1]"]  # sqrt(10 * 100) is 31.6
    assert final == ["0.900 [0.900, 0.900]", "0.700 [0.600, 0.800]", "0.500 [0.500, 0.500]", "0.900 [0.900, 0.900]"]
    assert start == ["0.950 [0.900, 1.000]"] * 4
    assert found.columns[0] == "steps to accuracy 0.8"


def test_log_ratios_pair_seeds_and_count_the_horizon_for_a_run_that_never_arrives():
    steps = pd.DataFrame({0: [100.0, 10.0], 1: [np.inf, 1.0]}, index=["off", "edge"])
    assert log_ratios(steps, "off", "edge", horizon=1000) == pytest.approx([1, 3])


def test_bad_input_is_named():
    with pytest.raises(ParameterError, match=r"metric='acuracy'.*accuracy"):
        steps_until(table({("edge", 0): [0.5] * 4}), "acuracy", 0.8)
    with pytest.raises(ParameterError, match=r"metric='acuracy'.*not in the table"):
        values_at(table({("edge", 0): [0.5] * 4}), "acuracy")
    with pytest.raises(ParameterError, match="metric='accuracy', step=7, split='test': not in the table"):
        values_at(table({("edge", 0): [0.5] * 4}), "accuracy", 7)


def test_the_favoured_class_is_that_of_the_untrained_network_on_each_split():
    rows = [
        ("edge", seed, step, split, metric, k, value)
        for seed, split, shares in ((0, "test", (0.9, 0.1)), (0, "train", (0.2, 0.8)), (1, "test", (0.5, 0.5)))
        for step, share in ((0, shares), (5, shares[::-1]))
        for metric, values in (("class_fraction", share), ("class_accuracy", (0.25, 0.75)))
        for k, value in enumerate(values)
    ]
    rows.append(("edge", 0, 0, "test", "accuracy", None, 0.5))
    frame = pd.DataFrame(rows, columns=["run", "seed", "step", "split", "metric", "class", "value"])
    found = by_favour(frame.astype({"class": "Int64"}))
    assert len(found) == 24
    favourites = found[found["favoured"]].groupby(["seed", "split"])["class"].agg(["min", "max"])
    assert favourites.to_dict("index") == {
        (0, "test"): {"min": 0, "max": 0},
        (0, "train"): {"min": 1, "max": 1},
        (1, "test"): {"min": 0, "max": 0},
    }
