"""Shares of the favourite of many classes: networks, infinite width, and the laws of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd

from igbrepro.data import Dataset
from igbrepro.ensembles import OneNumberLaw, head_ensemble, infinite_covariance, matrix_law, mean_correlation
from igbrepro.runs import Run
from igbrepro.statistics import Estimate


@cache
def one_number_law(n_classes: int, n_images: int, n_law_draws: int, drawn_by: int) -> OneNumberLaw:
    """The law for so many classes and images, of n_law_draws / n_classes draws that depend on these numbers alone."""
    rng = np.random.default_rng([drawn_by, n_classes])
    return OneNumberLaw(n_classes, n_images, rng, n_law_draws // n_classes)


def _given(
    dataset: Dataset, classes: Sequence[int], n_images: int, n_law_draws: int, drawn_by: int
) -> tuple[np.ndarray, dict[int, OneNumberLaw]]:
    """The images, and the law of each number of classes."""
    images = dataset.subset(n_test=n_images, seed=drawn_by).inputs("test", flat=False)
    return images, {k: one_number_law(k, n_images, n_law_draws, drawn_by) for k in classes}


def start_table(run: Run, dataset: Dataset, n_networks: int, n_nodes: int, n_law_nodes: int, **given) -> pd.DataFrame:
    """What `experiment.start` says, of n_networks networks with n_nodes output nodes each."""
    images, laws = _given(dataset, **given)
    found = head_ensemble(run.spec, run.init, images, list(laws), n_networks=n_networks, n_nodes=n_nodes, seed=run.seed)
    tables = [_table("matrix", matrix_law(found.correlation, laws, n_law_nodes, _own(run)))]
    tables += [_table("share", {k: Estimate.of_mean(share) for k, share in found.fractions.items()})]
    for name, c in (("c", found.c), ("c of variances", found.c_variances)):
        tables.append(pd.DataFrame({"metric": name, "split": "mean", "step": [0], "value": c.mean()}))
    for name, c in (("one number", found.c), ("variances", found.c_variances)):
        estimates = {}
        for k, law in laws.items():
            error = Estimate.of_mean(found.fractions[k] - law(c)).error
            estimates[k] = Estimate(law(c).mean(), error)
        tables.append(_table(name, estimates))
    return pd.concat(tables, ignore_index=True)


def limit_table(run: Run, dataset: Dataset, n_law_nodes: int, **given) -> pd.DataFrame:
    """What `experiment.limit` says."""
    images, laws = _given(dataset, **given)
    covariance = infinite_covariance(run.spec, run.init, images)
    alone = {k: Estimate(float(law(mean_correlation(covariance))), 0.0) for k, law in laws.items()}
    whole = matrix_law(covariance, laws, n_law_nodes, _own(run))
    return pd.concat([_table("limit", whole), _table("limit, one number", alone)], ignore_index=True)


def _own(run: Run) -> np.random.Generator:
    """Random numbers of this run's own, so that noise does not add up over runs."""
    return np.random.default_rng(int(run.task_key, 16))


def _table(name: str, estimates: Mapping[int, Estimate]) -> pd.DataFrame:
    rows = [
        (name, split, k, x) for k, one in estimates.items() for split, x in zip(("mean", "error"), one, strict=True)
    ]
    return pd.DataFrame(rows, columns=["metric", "split", "step", "value"])


def gaps(untrained: pd.DataFrame, theory: pd.DataFrame) -> pd.DataFrame:
    """By run and number of classes: c, what was measured and predicted, and the gaps of every law, with their errors.

    A gap is measured minus predicted.  untrained, theory: frames of these sweeps; where there is no theory, nan.
    """
    index = {"index": ["run", "step"], "columns": "metric", "values": "value"}
    both = pd.concat([untrained, theory])
    mean, error = (both[both["split"] == split].pivot(**index) for split in ("mean", "error"))
    c, mean = mean["c"].dropna().droplevel("step"), mean.drop(0, level="step")
    error["one matrix"] = np.hypot(error["one number"], error["matrix"])  # networks scatter on both sides alike
    found = pd.DataFrame({"c": c.reindex(mean.index, level="run")})
    found["measured"], found["std_error"] = mean["share"], error["share"]
    found["predicted"], found["predicted, one number"] = mean["limit"], mean["limit, one number"]
    found["one number"], found["variances"], found["matrix"] = mean["one number"], mean["variances"], mean["matrix"]
    found["error one number"], found["error variances"] = error["one number"], error["variances"]
    found["error matrix"], found["error predicted"] = error["one matrix"], np.hypot(error["share"], error["limit"])
    for law in ("predicted", "one number", "variances", "matrix"):
        found[f"gap {law}"] = found["measured"] - found[law]
    return found.rename_axis(index=["run", "classes"])
