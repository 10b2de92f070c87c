"""How a learning rate is chosen: training images that are kept apart, trainings at every rate, the rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from igbrepro.data import Dataset, balanced_indices
from igbrepro.errors import ParameterError
from igbrepro.runs import Run

KEPT = ("accuracy", "loss", "max_class_fraction")


def held_out(dataset: Dataset, n: int) -> Dataset:
    """The training images alone: n of them, the classes in equal numbers, as test images, the others to train on.

    The same for every seed, and scaled as in the whole.  The test images of `dataset` are not in it.
    Raises ParameterError where none would be left to train on.
    """
    labels = dataset.train_labels
    if n >= len(labels):
        raise ParameterError(f"n_held_out={n}: {dataset.name} has only {len(labels)} training inputs.")
    apart = np.zeros(len(labels), dtype=bool)
    apart[balanced_indices(labels, n, np.random.default_rng(0), "n_held_out")] = True
    return replace(
        dataset,
        train_images=dataset.train_images[~apart],
        train_labels=labels[~apart],
        test_images=dataset.train_images[apart],
        test_labels=labels[apart],
    )


def learn(
    run: Run,
    dataset: Dataset,
    rate: float,
    n_held_out: int,
    steps: int,
    batch_size: int,
    points: Sequence[int],
    n_eval: int,
    precision: str,
) -> pd.DataFrame:
    """The numbers KEPT, over all classes, of one training at one rate on what `held_out` leaves; split "0.001"."""
    from igbrepro.training import TrainSettings, train

    settings = TrainSettings(
        steps,
        batch_size,
        rate,
        labels="classes",
        n_eval=n_eval,
        eval_points=points,
        batch_statistics=True,
        precision=precision,
    )
    part = held_out(dataset, n_held_out)
    frame = train(run.spec, run.init, part, settings, seed=run.seed, progress=False).frame
    kept = (frame["split"] == "test") & frame["metric"].isin(KEPT) & frame["class"].isna()
    return frame[kept].assign(split=f"{rate:g}")


def plane(frame: pd.DataFrame, chance: float) -> pd.DataFrame:
    """The held-out accuracy over the second half of the steps, a row a run and seed, a column a rate (as numbers).

    frame: of the sweep `tuning`.  Evaluations from half of the last step on are averaged; of a training that diverged
    before the end they are missing, and it counts with `chance`.
    """
    rows = frame[frame["metric"] == "accuracy"]
    last = rows.groupby("run")["step"].transform("max")
    late = rows[rows["step"] >= last / 2]
    table = late.pivot_table(index=["run", "seed"], columns="split", values="value")
    ended = rows[rows["step"] == last].pivot_table(index=["run", "seed"], columns="split", values="value")
    ended = ended.reindex(index=table.index, columns=table.columns)
    table = table.where(ended.notna(), chance)
    tried = rows.groupby("run")["split"].unique()
    for run, rates in tried.items():  # other networks may have had other rates
        table.loc[[run], [rate for rate in table.columns if rate not in rates]] = np.nan
    table.columns = table.columns.astype(float)
    return table.sort_index(axis=1)


def best_rates(table: pd.DataFrame) -> pd.Series:
    """The rule: of each run the rate with the highest mean over seeds of what `plane` gives; of equals the smallest."""
    return table.groupby(level="run", sort=False).mean().idxmax(axis=1)
