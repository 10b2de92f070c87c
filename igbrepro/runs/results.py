"""A sweep's results: runs that are stored are read, the others computed and stored (torch only where one is)."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from platformdirs import user_cache_path
from tqdm import tqdm

from igbrepro.claims import provenance
from igbrepro.data import Dataset
from igbrepro.errors import ParameterError
from igbrepro.runs.cost import Pace, in_words, work
from igbrepro.runs.declared import DataFacts, Measured, Parameters, Run, Sweep
from igbrepro.runs.keys import NotStorable
from igbrepro.runs.store import Store, StoredRun
from igbrepro.runs.unfinished import done, parts_of
from igbrepro.training import Conduct, TrainSettings

if TYPE_CHECKING:
    from igbrepro.training import Histories, Task

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results"
COLUMNS = ("step", "split", "metric", "class", "value")

Declaration = Callable[[Parameters, DataFacts], Sweep]


def default_store() -> Store:
    """The store that the environment names: IGBREPRO_STORE, with the evidence.

    Unset, it is build/store of this clone, or in the user's cache where the package is no clone.
    IGBREPRO_EVIDENCE=off leaves the shipped runs out.
    """
    clone = (ROOT / "pyproject.toml").is_file()
    usual = ROOT / "build" / "store" if clone else user_cache_path("igbrepro") / "store"
    folder = Path(os.environ.get("IGBREPRO_STORE") or usual).expanduser()
    said = os.environ.get("IGBREPRO_EVIDENCE", "on").strip().lower()
    if said not in ("on", "off"):
        raise ParameterError(f"IGBREPRO_EVIDENCE={said!r}: need on or off.")
    return Store(folder, (RESULTS,) if said == "on" and RESULTS.is_dir() else ())


@dataclass(frozen=True)
class Plan:
    """What a sweep needs on one data set.

    data: of the inputs as the sweep scales them, `dataset.scaled(plan.data.scaling)`.
    stored: the keys of the runs that are there, by name and seed.  missing: the runs that have to be computed.
    seconds: of one core, that these will take.  others: how many of them are stored for other data, by checksum.
    """

    sweep: Sweep
    data: DataFacts
    stored: dict[tuple[str, int], str]
    missing: tuple[Run, ...]
    seconds: float = 0.0
    others: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        n = len(self.sweep.runs)
        if not self.missing:
            return f"all {n} runs are in the store."
        told = f"{len(self.missing)} of {n} runs are missing; they take about {in_words(self.seconds)} of one core."
        for sha256, count in self.others.items():
            told += f" {count} of them are stored for other data, of checksum {sha256[:12]}, and do not count."
        return told


def make_plan(sweep: Sweep, data: DataFacts, store: Store) -> Plan:
    """Which runs of a sweep are stored, which are missing, and how long these will take."""
    stored, missing = {}, []
    for run in sweep.runs:
        key = _key(run, data)
        if key is not None and store.has(key):
            stored[run.name, run.seed] = key
        else:
            missing.append(run)
    return _plan(sweep, data, stored, missing, store)


def _plan(
    sweep: Sweep, data: DataFacts, stored: dict[tuple[str, int], str], missing: Sequence[Run], store: Store
) -> Plan:
    if not missing:
        return Plan(sweep, data, stored, ())
    everything = list(store.all(numbers=False))
    wanted = {_task_key(run) for run in missing}
    others = Counter(
        run.data.sha256 for run in everything if run.data.identity != data.identity and run.task_key in wanted
    )
    return Plan(sweep, data, stored, tuple(missing), sum(map(Pace(everything).seconds, missing)), dict(others))


def _key(run: Run, data: DataFacts) -> str | None:
    """The key of a run; None for one that cannot be stored."""
    try:
        return run.key(data)
    except NotStorable:
        return None


def _task_key(run: Run) -> str | None:
    try:
        return run.task_key
    except NotStorable:
        return None


@dataclass(frozen=True)
class Results:
    """The runs of a sweep, all of them, and where each came from.

    histories: their tables.  runs: the stored form by name and seed, without those that cannot be stored.
    sources: "evidence" (shipped), "store" (kept from before) or "here" (computed just now), by name and seed.
    dataset: the inputs, None where they are not on this machine and all runs are shipped ones.
    """

    sweep: Sweep
    data: DataFacts
    dataset: Dataset | None
    histories: Histories
    runs: Mapping[tuple[str, int], StoredRun]
    sources: Mapping[tuple[str, int], str]

    @property
    def frame(self) -> pd.DataFrame:
        """One row a number: run, seed, step, split, metric, class, value."""
        return self.histories.frame

    @property
    def provenance(self) -> dict[str, Any]:
        """Of the data, as `judge` takes it."""
        return self.data.provenance if self.dataset is None else self.dataset.provenance

    @property
    def told(self) -> str:
        """A sentence or two, in Markdown: how many runs, of what origin, how many diverged."""
        n = Counter(self.sources.values())
        diverged = int(self.histories.runs.diverged_at.notna().to_numpy().sum())
        settings = [self.sweep.settings_of(name) for name in self.sweep.networks]
        steps = sorted({one.steps for one in settings if not isinstance(one, Measured)})
        if steps:
            of = f" of {' or '.join(map(str, steps))} steps; {diverged} of them diverged"
        else:
            of = ", made by this chapter's own function"
        parts = []
        if n["evidence"]:
            shipped = [self.runs[key] for key, source in self.sources.items() if source == "evidence"]
            dates = sorted({run.provenance["date"][:10] for run in shipped})
            commits = sorted({f"`{(run.provenance['commit'] or 'unknown')[:12]}`" for run in shipped})
            when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
            parts.append(f"{n['evidence']} shipped with this book (computed {when}, commit {', '.join(commits)})")
        if n["store"]:
            parts.append(f"{n['store']} kept from an earlier call on this machine")
        if n["here"]:
            parts.append(f"{n['here']} computed here and now")
        if len(self.sources) == 1:
            return f"One run{of}: {parts[0].removeprefix('1 ')}."
        return f"{len(self.sources)} runs{of}. Of these, {', '.join(parts)}."


def obtain(
    declare: Declaration,
    values: Mapping[str, Any],
    dataset: Dataset,
    *,
    store: Store | None = None,
    workers: int | None = None,
    conduct: Conduct | None = None,
) -> Results:
    """All runs of the sweep that `declare` gives for these parameters: those in the store are read, the rest computed.

    declare: (Parameters, DataFacts) -> Sweep, a function of a chapter's experiment.py.  values: the parameters, as
        globals() of a notebook has them.
    dataset: what to train on. If it only stands in for data that are not here, and all runs on these are shipped, they
        are taken, and nothing is computed.
    store: by default the one that the environment names.  workers, conduct: as of `train_many`.
    Says on stderr, before it starts, how many runs are missing and how long they take. Each is stored when it is done;
    after an interruption the same call goes on.  Raises StoreFull where a run cannot be stored.
    """
    (results,) = obtain_all([declare], values, dataset, store=store, workers=workers, conduct=conduct)
    return results


def obtain_all(
    declared: Sequence[Declaration],
    values: Mapping[str, Any],
    dataset: Dataset,
    *,
    store: Store | None = None,
    workers: int | None = None,
    conduct: Conduct | None = None,
) -> list[Results]:
    """`obtain` for several sweeps, all of them on the same data: those that are here, or the shipped ones of all.

    Each may have a scaling of its own.
    """
    store, parameters = store or default_store(), Parameters(values)
    plans, here = choose(declared, parameters, dataset, store)
    found = [dict(_stored(plan, store)) for plan in plans]
    if here is None and any(len(runs) < len(plan.sweep.runs) for plan, runs in zip(plans, found, strict=True)):
        # One is damaged, and its data are not here.
        plans, here = _on_these(declared, parameters, dataset, store), dataset
        found = [dict(_stored(plan, store)) for plan in plans]
    return [_completed(plan, runs, here, store, workers, conduct) for plan, runs in zip(plans, found, strict=True)]


def _completed(
    made: Plan,
    results: dict[tuple[str, int], StoredRun],
    here: Dataset | None,
    store: Store,
    workers: int | None,
    conduct: Conduct | None,
) -> Results:
    """The results of a plan of which `results` were read; the rest is computed."""
    here = None if here is None else here.scaled(made.data.scaling)
    # A damaged file has been set aside by now.
    missing = [run for run in made.sweep.runs if (run.name, run.seed) not in results]
    sources = {key: store.source(run) for key, run in results.items()}
    loose = {}
    if missing and here is not None:
        kept = {key: run.key for key, run in results.items()}
        print(_plan(made.sweep, made.data, kept, missing, store), file=sys.stderr, flush=True)
        for run, finished, row in compute(missing, here, made.data, store, workers=workers, conduct=conduct):
            sources[run.name, run.seed] = "here"
            if isinstance(finished, StoredRun):
                results[run.name, run.seed] = finished
            else:
                loose[run.name, run.seed] = finished, row
    return Results(
        made.sweep,
        made.data,
        here,
        _histories(made.sweep, results, loose),
        results,
        {(run.name, run.seed): sources[run.name, run.seed] for run in made.sweep.runs},
    )


def choose(
    declared: Sequence[Declaration], parameters: Parameters, dataset: Dataset, store: Store
) -> tuple[list[Plan], Dataset | None]:
    """The plans on the data that are here; for a stand-in, on the data asked for if all runs on them are stored.

    A chapter that takes a part of the data says which after a comma in their name.
    """
    if dataset.fallback:
        _, comma, part = dataset.name.partition(",")
        asked = parameters.dataset + comma + part
        known = {run.data for run in store.all(numbers=False) if run.data.name == asked}
        scaled = {(facts.sha256, facts.scaling): facts for facts in known}
        alike = [facts for facts in known if facts.scaling == dataset.scaling]
        for facts in sorted(alike, key=lambda facts: (-facts.n_train, facts.sha256)):
            sweeps = [declare(parameters, facts) for declare in declared]
            on = [scaled.get((facts.sha256, one.scaling or facts.scaling)) for one in sweeps]
            plans = [make_plan(one, data, store) for one, data in zip(sweeps, on, strict=True) if data is not None]
            if len(plans) == len(sweeps) and not any(plan.missing for plan in plans):
                return plans, None
    return _on_these(declared, parameters, dataset, store), dataset


def _on_these(declared: Sequence[Declaration], parameters: Parameters, dataset: Dataset, store: Store) -> list[Plan]:
    facts = DataFacts.of(dataset)
    sweeps = [declare(parameters, facts) for declare in declared]
    scaled = {one.scaling: DataFacts.of(dataset.scaled(one.scaling)) for one in sweeps if one.scaling}
    return [make_plan(one, scaled[one.scaling] if one.scaling else facts, store) for one in sweeps]


def _stored(made: Plan, store: Store) -> Iterator[tuple[tuple[str, int], StoredRun]]:
    for run in made.sweep.runs:
        if key := made.stored.get((run.name, run.seed)):
            found = store.read(key, run.task)
            if found is not None:
                yield (run.name, run.seed), found


def compute(
    missing: Iterable[Run],
    dataset: Dataset,
    data: DataFacts,
    store: Store,
    *,
    workers: int | None = None,
    conduct: Conduct | None = None,
) -> Iterator[tuple[Run, StoredRun | pd.DataFrame, tuple]]:
    """Compute these runs, store each when it is done, and yield it; one that cannot be stored as its bare numbers.

    dataset: with any scaling; that of `data` is taken.
    """
    dataset = dataset.scaled(data.scaling)
    runs = {(run.name, run.seed): run for run in missing}
    if any(_key(run, data) is not None for run in runs.values()):
        store.ready()
    conduct = conduct or Conduct()
    made = provenance(ROOT) | {"device": conduct.on.type}
    measured = {key: run for key, run in runs.items() if isinstance(run.settings, Measured)}
    trained = {key: run for key, run in runs.items() if key not in measured}
    for found, checkpoint in chain(
        _measure(measured, dataset, conduct), _train(trained, dataset, data, store, conduct, workers)
    ):
        for key, (frame, row) in found.items():
            run = runs[key]
            frame = pd.DataFrame(frame[list(COLUMNS)])
            if _key(run, data) is None:
                yield run, frame, row
                continue
            where = {"device": "cpu"} if key in measured else {}  # whatever its function may use
            finished = StoredRun.made(run, data, made | where | {"work": work(run)}, frame, row)
            store.write(finished)
            yield run, finished, row
        done(checkpoint)


Found = dict[tuple[str, int], tuple[pd.DataFrame, tuple]]


def _measure(
    runs: Mapping[tuple[str, int], Run], dataset: Dataset, conduct: Conduct
) -> Iterator[tuple[Found, Path | None]]:
    """One after the other what the functions of a chapter give."""
    for key, run in tqdm(
        runs.items(), desc="measuring", disable=None if conduct.progress is None else not conduct.progress
    ):
        assert isinstance(run.settings, Measured)
        began = time.perf_counter()
        frame = run.settings.numbers(run, dataset)
        yield {key: (frame, (*key, 0, time.perf_counter() - began, None))}, None


def _train(
    runs: Mapping[tuple[str, int], Run],
    dataset: Dataset,
    data: DataFacts,
    store: Store,
    conduct: Conduct,
    workers: int | None,
) -> Iterator[tuple[Found, Path | None]]:
    """Stack by stack the numbers of trained networks, and the checkpoint that can go once they are stored."""
    if not runs:
        return
    from igbrepro.training import Task, in_parts, train_parts

    keyed: dict[str, Task] = {}
    loose: list[Task] = []
    for run in runs.values():
        assert isinstance(run.settings, TrainSettings)
        run.settings.fit(run.spec, dataset)
        task = Task(run.name, run.spec, run.init, run.seed, run.settings.resolved(dataset))
        if (key := _key(run, data)) is None:
            loose.append(task)
        else:
            keyed[key] = task
    parts = parts_of(keyed, store, conduct.on) + in_parts(loose, device=conduct.on)
    by_run = {(task.name, task.seed): part for part in parts for task in part.tasks}
    for found in train_parts(parts, dataset, conduct, workers):
        yield found, by_run[next(iter(found))].checkpoint


def _histories(
    sweep: Sweep,
    found: Mapping[tuple[str, int], StoredRun],
    loose: Mapping[tuple[str, int], tuple[pd.DataFrame, tuple]],
) -> Histories:
    """Both kinds of results in the tables of `train_many`, in the order of networks and seeds."""
    from igbrepro.training import Histories

    frames, rows = [], []
    for run in sweep.runs:
        key = run.name, run.seed
        if key in found:
            one = found[key]
            frame, row = one.frame, (*key, one.steps, one.seconds, one.diverged_at)
        else:
            frame, row = loose[key]
        frames.append(frame.assign(run=run.name, seed=run.seed)[["run", "seed", *COLUMNS]])
        rows.append(row)
    columns = pd.Index(["run", "seed", "steps", "seconds", "diverged_at"])
    table = pd.DataFrame(rows, columns=columns).astype({"diverged_at": "Int64"})
    return Histories(pd.concat(frames, ignore_index=True), table)
