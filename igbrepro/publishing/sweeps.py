"""The sweeps of a chapter, as its experiment.py declares them, and the jobs that compute their runs (no torch).

experiment.py, beside the notebook, has a function `dataset(p)` that gives the data set for the parameters p, and for
each sweep a function `name(p, data)` that gives a Sweep for them and the facts of the data, and says so if it says
what it returns. What these measure with functions of their own are those whose first arguments are run and dataset.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from igbrepro.errors import DataMissing, ParameterError
from igbrepro.publishing.chapters import NOTEBOOKS, chapter_names, executed_module, load_preset, resolve_parameters

if TYPE_CHECKING:  # the store takes a second to import, which most of this room's work does without
    from igbrepro.data import Dataset
    from igbrepro.runs import Declaration, Parameters, Plan, Run, Store

JOB_SECONDS = 600.0  # of one core: small runs of one shape are put together up to this
JOB_RUNS = 16


@dataclass(frozen=True)
class Job:
    """Runs of one shape that are computed in one go: what they are called together, and the minutes, of one core or,
    where the preset asks for one, of a GPU.
    """

    key: str
    sweep: str
    runs: tuple[Run, ...]
    minutes: float


def has_experiment(name: str, root: Path | str = NOTEBOOKS) -> bool:
    """Whether a chapter declares its runs."""
    return (Path(root) / name / "experiment.py").is_file()


def _functions(name: str, root: Path | str) -> dict[str, Callable]:
    """The public functions of a chapter's experiment.py."""
    module = executed_module(name, "experiment", root)
    public = {key: value for key, value in vars(module).items() if callable(value) and not key.startswith("_")}
    return {key: value for key, value in public.items() if getattr(value, "__module__", "") == module.__name__}


def _declares(function: Callable) -> bool:
    form = signature(function)
    gives = form.return_annotation
    return list(form.parameters) == ["p", "data"] and (
        gives is form.empty or "Sweep" in (gives, getattr(gives, "__name__", ""))
    )


def _measures(function: Callable) -> bool:
    return list(signature(function).parameters)[:2] == ["run", "dataset"]


def load_experiment(
    name: str, root: Path | str = NOTEBOOKS
) -> tuple[Callable[[Parameters], Dataset], dict[str, Declaration]]:
    """The function `dataset` of a chapter's experiment.py, and its sweeps by name.

    Raises ParameterError where it lacks one or the other.
    """
    functions: dict[str, Any] = _functions(name, root)
    dataset = functions.pop("dataset", None)
    declared = {key: one for key, one in functions.items() if _declares(one)}
    if dataset is None or not declared:
        raise ParameterError(
            f"{name}/experiment.py: need a function dataset(p), and one for each sweep, name(p, data)."
        )
    return dataset, declared


def measuring(function: str, root: Path | str = NOTEBOOKS) -> Callable:
    """The function of a chapter that a measured run names, "deep_cnns.start"; raises ParameterError for none."""
    chapter, _, own = function.partition(".")
    for name in chapter_names(root):
        if name.partition("_")[2] == chapter and has_experiment(name, root):
            found = _functions(name, root).get(own)
            if found is not None and _measures(found):
                return found
    raise ParameterError(f"function={function!r}: no chapter here measures with it; check out the run's commit.")


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
    """What a chapter's sweeps need at a preset with these changes; raises ParameterError as `resolve_parameters`.

    Data are downloaded only where shipped runs do not make that needless.
    """
    from igbrepro.data import without_download
    from igbrepro.runs import Parameters, choose

    _, values = resolve_parameters(name, preset, changes, root)
    load, declared = load_experiment(name, root)
    parameters = Parameters(values)

    def asked() -> Asked:
        plans, here = choose(list(declared.values()), parameters, load(parameters), store)
        return Asked(dict(zip(declared, plans, strict=True)), here)

    with without_download(), warnings.catch_warnings(), suppress(DataMissing):
        warnings.simplefilter("ignore")
        found = asked()
        if found.dataset is None or not found.dataset.fallback:
            return found
    return asked()


def needs_no_data(
    name: str, preset: str, changes: Mapping[str, Any] | None = None, root: Path | str = NOTEBOOKS
) -> bool:
    """Whether all that a chapter takes from data is shipped, and these are not on this machine.

    Its experiment.py says ALL_STORED = True where its notebook needs data for nothing but its sweeps.
    """
    if not has_experiment(name, root) or not getattr(executed_module(name, "experiment", root), "ALL_STORED", False):
        return False
    from igbrepro.runs import default_store

    store = default_store()
    return bool(store.evidence) and plan_chapter(name, preset, store, changes, root).dataset is None


def jobs(sweep: str, plan: Plan, store: Store, *, gpu: bool = False) -> list[Job]:
    """The missing runs of a sweep, those of one network and one plan together, in jobs of JOB_SECONDS or less.

    store: tells how long runs take; gpu: on a GPU, as their multiply-adds say.
    Runs that cannot be stored are left to the notebook.
    """
    from igbrepro.runs import GPU_RATE, NotStorable, Pace, work

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
        seconds = max(work(group[0][0]) / GPU_RATE if gpu else pace.seconds(group[0][0]), 1e-3)
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
    gpu = bool(load_preset(preset, root)[name].gpu)
    return [job for sweep, plan in plans.items() for job in jobs(sweep, plan, shipped, gpu=gpu)]
