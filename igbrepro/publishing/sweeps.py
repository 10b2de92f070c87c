"""The sweeps of a chapter, as its experiment.py declares them, and the jobs that compute their runs (no torch).

experiment.py, beside the notebook, has a function `dataset(p)` that gives the data set for the parameters p, and for
each sweep a function `name(p, data)` that gives a Sweep for them and the facts of the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from igbrepro.errors import ParameterError
from igbrepro.publishing.chapters import NOTEBOOKS, executed_module, resolve_parameters

if TYPE_CHECKING:  # the store takes a second to import, which most of this room's work does without
    from igbrepro.data import Dataset
    from igbrepro.runs import Declaration, Parameters, Plan, Run, Store

JOB_SECONDS = 600.0  # of one core: small runs of one shape are put together up to this
JOB_RUNS = 16


@dataclass(frozen=True)
class Job:
    """Runs of one shape that are computed in one go: what they are called together, and the minutes of one core."""

    key: str
    sweep: str
    runs: tuple[Run, ...]
    minutes: float


def has_experiment(name: str, root: Path | str = NOTEBOOKS) -> bool:
    """Whether a chapter declares its runs."""
    return (Path(root) / name / "experiment.py").is_file()


def load_experiment(
    name: str, root: Path | str = NOTEBOOKS
) -> tuple[Callable[[Parameters], Dataset], dict[str, Declaration]]:
    """The function `dataset` of a chapter's experiment.py, and its sweeps by name.

    Raises ParameterError where it lacks one or the other.
    """
    module = executed_module(name, "experiment", root)
    functions: dict[str, Any] = {
        key: value
        for key, value in vars(module).items()
        if callable(value) and not key.startswith("_") and getattr(value, "__module__", "") == module.__name__
    }
    dataset = functions.pop("dataset", None)
    if dataset is None or not functions:
        raise ParameterError(
            f"{name}/experiment.py: need a function dataset(p), and one for each sweep, name(p, data)."
        )
    return dataset, functions


@dataclass(frozen=True)
class Asked:
    """The sweeps of a chapter for certain parameters, on certain data.

    plans: by the name of the sweep.  dataset: None where the data are not here and all runs are stored.
    """

    plans: Mapping[str, Plan]
    dataset: Dataset | None


def plan_chapter(
    name: str,
    preset: str,
    store: Store,
    changes: Mapping[str, Any] | None = None,
    root: Path | str = NOTEBOOKS,
) -> Asked:
    """What a chapter's sweeps need at a preset with these changes; raises ParameterError as `resolve_parameters`."""
    from igbrepro.runs import Parameters, choose

    _, values = resolve_parameters(name, preset, changes, root)
    load, declared = load_experiment(name, root)
    parameters = Parameters(values)
    dataset = load(parameters)
    chosen = {sweep: choose(declare, parameters, dataset, store) for sweep, declare in declared.items()}
    here = None if all(data is None for _, data in chosen.values()) else dataset
    return Asked({sweep: plan for sweep, (plan, _) in chosen.items()}, here)


def jobs(sweep: str, plan: Plan, store: Store) -> list[Job]:
    """The missing runs of a sweep, those of one network and one plan together, in jobs of JOB_SECONDS or less.

    store: tells how long runs take.  Runs that cannot be stored are left to the notebook.
    """
    from igbrepro.runs import NotStorable, Pace

    if not plan.missing:
        return []
    pace = Pace(store.all(numbers=False))
    groups: dict[Any, list[tuple[Run, str]]] = {}
    for run in plan.missing:
        with suppress(NotStorable):
            key = run.key(plan.data)
            groups.setdefault((run.spec, run.settings), []).append((run, key))
    found = []
    for group in groups.values():
        seconds = max(pace.seconds(group[0][0]), 1e-3)
        most = max(1, min(JOB_RUNS, int(JOB_SECONDS / seconds)))
        for start in range(0, len(group), most):
            runs, keys = zip(*group[start : start + most], strict=True)
            key = hashlib.sha256(" ".join(keys).encode()).hexdigest()[:12]
            found.append(Job(key, sweep, runs, len(runs) * seconds / 60))
    return found


def chapter_jobs(name: str, preset: str, store: Store, root: Path | str = NOTEBOOKS) -> list[Job]:
    """The jobs of all runs of a chapter at a preset that are not shipped; none where it declares no sweep.

    They are the same whatever has been computed here, so that a workflow can name them.
    """
    if not has_experiment(name, root):
        return []
    from igbrepro.runs import Store

    shipped = Store(None, store.evidence)
    plans = plan_chapter(name, preset, shipped, root=root).plans
    return [job for sweep, plan in plans.items() for job in jobs(sweep, plan, shipped)]
