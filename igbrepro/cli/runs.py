"""`igbrepro runs`: what is in the store of training runs, where it came from, and whether it comes out again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from igbrepro.cli.options import chapters_folder, json_option, notebooks_option, preset_option, show_json, show_table
from igbrepro.cli.run import change_option, changes_of
from igbrepro.errors import IgbreproError, ParameterError

if TYPE_CHECKING:
    from igbrepro.runs import Audit, Store, StoredRun


@click.group()
def runs() -> None:
    """The store of training runs: shipped ones (results/) and those computed here."""


def _store() -> Store:
    from igbrepro.runs import default_store

    return default_store()


def _row(run: StoredRun, store: Store) -> dict[str, Any]:
    """What `list` tells of a run."""
    settings = run.task["settings"]
    return {
        "key": run.key,
        "name": run.name,
        "network": run.task["network"]["kind"],
        "seed": run.seed,
        "steps": run.steps,
        "lr": settings.get("lr"),
        "function": settings.get("function"),
        "diverged_at": run.diverged_at,
        "data": run.data.name,
        "n_train": run.data.n_train,
        "seconds": round(run.seconds, 2),
        "date": run.provenance["date"],
        "commit": run.provenance["commit"],
        "source": store.source(run),
        "file": run.where.name if run.where else None,
    }


@runs.command("list")
@json_option
def list_runs(as_json: bool) -> None:
    """List the runs in the store."""
    store = _store()
    rows = [_row(run, store) for run in store.all(numbers=False)]
    if as_json:
        show_json(rows)
        return
    shown = [
        (
            row["key"][:12],
            row["name"],
            str(row["seed"]),
            f"{row['steps']}" + (" (diverged)" if row["diverged_at"] is not None else ""),
            row["function"] or f"{row['lr']:g}",
            row["data"],
            f"{row['seconds']:.1f}",
            row["date"][:10],
            (row["commit"] or "unknown")[:8],
            row["source"],
        )
        for row in rows
    ]
    columns = ("key", "run", "seed", "steps", "lr or function", "data", "seconds", "date", "commit", "source")
    hours = sum(row["seconds"] for row in rows) / 3600
    show_table(f"{len(rows)} runs, {hours:.3g} core-hours", columns, shown)


def _found(keys: Sequence[str], store: Store) -> list[StoredRun]:
    """The runs whose keys begin so; raises ParameterError where there is none, or more than one."""
    found, there = [], list(store.places)
    for start in keys:
        fit = [start] if start in there else [key for key in there if key.startswith(start)]
        if len(fit) != 1:
            what = "no run has such a key" if not fit else f"{len(fit)} runs have such keys; give more of it"
            raise ParameterError(f"key={start!r}: {what}; `igbrepro runs list` shows them all.")
        if (run := store.read(fit[0])) is None:
            raise ParameterError(f"key={start!r}: its file is damaged, as told above; compute it again.")
        found.append(run)
    return found


@runs.command()
@click.argument("key")
@json_option
def show(key: str, as_json: bool) -> None:
    """Show one run: what it is, where it came from, how it ended.  KEY: the beginning of its key."""
    store = _store()
    (run,) = _found([key], store)
    told = {"key": run.key, "name": run.name, "source": store.source(run), **run.task}
    told |= {"data": run.data.to_dict(), "steps": run.steps, "diverged_at": run.diverged_at, "seconds": run.seconds}
    told |= {"last": run.last, "provenance": run.provenance}
    if as_json:
        show_json(told)
        return
    for name, value in told.items():
        if not isinstance(value, Mapping):
            click.echo(f"{name}: {value}")
            continue
        click.echo(f"{name}:")
        for inner, one in value.items():
            click.echo(f"  {inner}: {json.dumps(one, ensure_ascii=False) if isinstance(one, list | dict) else one}")


def _audited(run: StoredRun, store: Store, brief: bool, root: Path) -> Audit:
    """A run made again on this machine's copy of its data; raises ParameterError where they are others.

    root: the folder of chapters, of whose functions measured runs are.
    """
    from igbrepro.data import load
    from igbrepro.publishing import measuring
    from igbrepro.runs import DataFacts, Run, audit_run

    base, comma, _ = run.data.name.partition(",")
    if comma:
        raise ParameterError(
            f"data={run.data.name!r}: a part of {base} that its chapter takes, and whose page audits it: "
            "igbrepro run CHAPTER --preset study."
        )
    dataset = load(run.data.name).scaled(run.data.scaling)
    if DataFacts.of(dataset).identity != run.data.identity:
        raise ParameterError(
            f"data={run.data.name!r}: the copy here has the checksum {dataset.sha256[:12]}, that of the run "
            f"{run.data.sha256[:12]} ({run.data.source}, {run.data.n_train} training inputs); audit it where these are."
        )
    same = {**run.task, "seed": 0}
    keys = [one.key for one in store.all(numbers=False) if {**one.task, "seed": 0} == same and one.data == run.data]
    alike = [one for key in keys if (one := store.read(key)) is not None]
    function = measuring(run.task["settings"]["function"], root) if run.task["kind"] == "measured" else None
    return audit_run(run, Run.of_task(run.name, run.task, function), dataset, alike, brief=brief)


@runs.command()
@click.argument("keys", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Audit every run in the store.")
@click.option(
    "-n",
    "number",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Draw so many at random.",
)
@click.option("--brief", is_flag=True, help="Only the first steps of each.")
@notebooks_option
@json_option
def verify(
    keys: tuple[str, ...], everything: bool, number: int, brief: bool, notebooks: Path | None, as_json: bool
) -> None:
    """Train runs again on this machine and compare them with what is stored.

    KEYS: beginnings of keys; none: some drawn at random.  Ends with 1 if a run does not come out again.
    """
    import random

    store, root = _store(), chapters_folder(notebooks)
    there = [run.key for run in store.all(numbers=False)]  # those that can be read
    if not there:
        raise ParameterError("the store is empty: there is nothing to verify; `make book` fills it.")
    if not keys:
        keys = tuple(there if everything else random.SystemRandom().sample(there, min(number, len(there))))
    found, wrong, left = [], 0, 0
    for run in _found(keys, store):
        line = {"key": run.key, "name": run.name, "seed": run.seed}
        try:
            result = _audited(run, store, brief, root)
        except IgbreproError as error:
            left += 1
            found.append(line | {"outcome": "not audited here", "why": str(error)})
        else:
            wrong += not result.agrees
            worst = result.table.loc[result.table["gap"].idxmax()]
            told = f"{worst['metric']} at step {worst['step']}: {worst['gap']:.3g} of what is allowed"
            found.append(line | {"outcome": "agrees" if result.agrees else "DISAGREES", "why": told})
        if not as_json:
            last = found[-1]
            click.echo(f"{run.key[:12]} {run.name}, seed {run.seed}: {last['outcome']} ({last['why']})")
    if as_json:
        show_json(found)
    else:
        click.echo(f"{len(found) - wrong - left} agree, {wrong} disagree, {left} not audited here.")
    if wrong:
        raise SystemExit(1)


@runs.command()
@click.argument("key")
@notebooks_option
@json_option
def rerun(key: str, notebooks: Path | None, as_json: bool) -> None:
    """Repeat one run and say how far it is off.  KEY: the beginning of its key."""
    store = _store()
    (run,) = _found([key], store)
    result = _audited(run, store, brief=False, root=chapters_folder(notebooks))
    if as_json:
        show_json(result.table.to_dict("records"))
        return
    rows = [
        (
            str(row["step"]),
            row["metric"],
            f"{row['shipped']:.6g}",
            f"{row['here']:.6g}",
            f"{row['here'] - row['shipped']:+.2g}",
            f"{row['gap']:.2g}",
        )
        for row in result.table.to_dict("records")
    ]
    columns = ("step", "metric", "stored", "here", "difference", "of what is allowed")
    show_table(f"{run.name}, seed {run.seed} ({run.key[:12]})", columns, rows)
    click.echo("It comes out again." if result.agrees else "It does NOT come out again.")


@runs.command()
@click.argument("name")
@change_option
@preset_option
@click.option("--job", help="Only the job of this key, as the workflow does.")
@click.option("--dry-run", is_flag=True, help="Only say how many runs are missing, and how long they take.")
@notebooks_option
def compute(
    name: str, changes: tuple[tuple[str, str], ...], preset: str, job: str | None, dry_run: bool, notebooks: Path | None
) -> None:
    """Compute the runs of chapter NAME that are not in the store; the notebook then finds them there."""
    from igbrepro.publishing import chapter_jobs, find_chapter, plan_chapter
    from igbrepro.runs import compute as train

    root, store = chapters_folder(notebooks), _store()
    chapter = find_chapter(name, root)
    asked = plan_chapter(chapter, preset, store, changes_of(chapter, changes, root), root)
    mine = None
    if job is not None:
        found = [one for one in chapter_jobs(chapter, preset, store, root) if one.key == job]
        mine = {(one.sweep, run.name, run.seed) for one in found for run in one.runs}
        if not mine:
            raise ParameterError(
                f"job={job!r}: {chapter} has no such job at preset {preset}; are data and evidence here those of the "
                "machine that named it?"
            )
    for sweep, plan in asked.plans.items():
        missing = [run for run in plan.missing if mine is None or (sweep, run.name, run.seed) in mine]
        click.echo(f"{chapter}, {sweep}: {plan}", err=True)
        if dry_run or not missing or asked.dataset is None:
            continue
        for run, _, row in train(missing, asked.dataset, plan.data, store):
            what = f"{row[2]} steps" if row[2] else "measured"
            click.echo(f"{run.name}, seed {run.seed}: {what} in {row[3]:.1f} s")


@runs.command()
@click.argument("name")
@click.option("--preset", "presets", multiple=True, default=("study",), show_default=True)
@notebooks_option
def ship(name: str, presets: tuple[str, ...], notebooks: Path | None) -> None:
    """Put the stored runs of chapter NAME at these presets into the evidence, results/NAME.parquet."""
    from igbrepro.publishing import find_chapter, plan_chapter
    from igbrepro.runs import RESULTS, write_runs

    root, store = chapters_folder(notebooks), _store()
    chapter = find_chapter(name, root)
    keys: dict[str, None] = {}
    for preset in presets:
        for sweep, plan in plan_chapter(chapter, preset, store, root=root).plans.items():
            click.echo(f"{chapter}, {sweep}, {preset}: {plan}", err=True)
            keys |= dict.fromkeys(plan.stored.values())
    path = RESULTS / f"{chapter}.parquet"
    shipped = [run for key in keys if (run := store.read(key)) is not None]
    if not shipped:
        raise ParameterError(
            f"name={name!r}: no run of it is in the store; igbrepro runs compute {chapter} makes them."
        )
    count = write_runs(path, shipped)
    click.echo(f"{count} runs -> {path.name}, {path.stat().st_size / 1e6:.2f} MB")
