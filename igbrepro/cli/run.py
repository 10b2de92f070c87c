"""`igbrepro run`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from igbrepro.cli.options import (
    FILE,
    FOLDER,
    chapters_folder,
    check_file,
    check_folder,
    notebooks_option,
    preset_option,
)

change_option = click.option(
    "-p",
    "--parameter",
    "changes",
    type=(str, str),
    multiple=True,
    metavar="NAME VALUE",
    help="Change one parameter, such as -p width 512 or -p activations relu,tanh; may be given several times.",
)


@click.command()
@click.argument("name")
@change_option
@preset_option
@click.option("--out", type=FOLDER, help="Where results go.  [default: build/run/PRESET]")
@click.option("--dry-run", is_flag=True, help="Only say how many training runs are missing, and how long they take.")
@click.option(
    "--log",
    type=FILE,
    help="Where the notebook is written while it runs, and kept if it fails; all that is said, beside it.",
)
@notebooks_option
def run(
    name: str,
    changes: tuple[tuple[str, str], ...],
    preset: str,
    out: Path | None,
    dry_run: bool,
    log: Path | None,
    notebooks: Path | None,
) -> None:
    """Run chapter NAME and print its verdicts.

    NAME is the chapter's name, its number, or any part of the name that is unique.  With --log the verdicts and all
    warnings go to a text file beside the log, and one line with their counts is printed.
    """
    from igbrepro.publishing import (
        find_chapter,
        load_preset,
        notebook_path,
        resolve_parameters,
        result_line,
        run_notebook,
    )

    root, out = chapters_folder(notebooks), out or Path("build/run", preset)
    chapter = find_chapter(name, root)
    values = changes_of(chapter, changes, root)
    check_folder("out", out)
    if log is not None:
        check_folder("log", log.parent)
        check_file("log", log if log.parent.exists() else None)
    resolve_parameters(chapter, preset, values, root)  # refuses what is wrong before a time is told
    told = time_told(chapter, preset, load_preset(preset, root)[chapter].minutes, values)
    with contextlib.nullcontext() if log is None else output_in(text_beside(log)):
        click.echo(told, err=True)
        for line in missing_told(chapter, preset, values, root):
            click.echo(line, err=True)
        if dry_run:
            return
        alone = sys.stderr.isatty() and log is None  # the workflow names a log, and runs several at once
        record = run_notebook(chapter, preset=preset, changes=values, out=out, log=log, root=root, progress=alone)
        where = f"{notebook_path(chapter, out)}, record, figures and tables beside it"
        click.echo(f"{chapter}: done in {in_words(record.seconds / 60)} -> {where}")
        for verdict in record.verdicts:
            click.echo(verdict)
    if log is not None:
        click.echo(result_line(record))


def text_beside(log: Path) -> Path:
    """Where what is said goes beside a log: log/ch06_learning.txt beside log/ch06_learning.ipynb."""
    return log.with_suffix(".txt") if log.suffix != ".txt" else log.with_name(f"{log.name}.txt")


@contextlib.contextmanager
def output_in(path: Path) -> Iterator[None]:
    """Both output streams, those of the processes started meanwhile too, into a new text file at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(stream) for stream in (1, 2)]
    with path.open("w", encoding="utf-8", buffering=1) as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        try:
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield
        finally:
            for stream, before in zip((1, 2), kept, strict=True):
                os.dup2(before, stream)
                os.close(before)


def changes_of(chapter: str, changes: tuple[tuple[str, str], ...], root: Path) -> dict[str, Any]:
    """The parameters that were typed, each of the kind of its default."""
    from igbrepro.publishing import notebook_path, parameter_defaults

    defaults = parameter_defaults(notebook_path(chapter, root))
    return {key: typed(text, defaults.get(key)) for key, text in changes}


def missing_told(chapter: str, preset: str, values: Mapping[str, Any], root: Path) -> list[str]:
    """A line about each sweep of a chapter: how many of its runs are missing, and how long they take."""
    from igbrepro.publishing import has_experiment, plan_chapter
    from igbrepro.runs import default_store

    if not has_experiment(chapter, root):
        return []
    plans = plan_chapter(chapter, preset, default_store(), values, root).plans
    return [f"{chapter}, {sweep}: {plan}" for sweep, plan in plans.items()]


def typed(text: str, default: Any) -> Any:
    """A parameter as typed: a Python literal where it is one, else the text; a list where the default is one.

    Names in lists need no quotes: relu,tanh and [relu, tanh] are ["relu", "tanh"], as is a single relu ["relu"].
    """
    from igbrepro.publishing import parse_value

    value, bare = parse_value(text), text.strip()
    bracketed = bare.startswith("[") and bare.endswith("]")
    if isinstance(value, str) and (bracketed or isinstance(default, list)) and "[" not in bare[1:]:
        inside = bare[1:-1] if bracketed else bare
        return [parse_value(part.strip()) for part in inside.split(",") if part.strip()]
    if isinstance(default, list) and isinstance(value, int | float | tuple) and not isinstance(value, bool):
        return list(value) if isinstance(value, tuple) else [value]
    return value


def in_words(minutes: float) -> str:
    """Minutes as `runs.in_words` says seconds: "20 seconds", "4 minutes", "1.5 hours"."""
    from igbrepro import runs

    return runs.in_words(60 * minutes)


def time_told(chapter: str, preset: str, minutes: float, changes: Mapping[str, Any]) -> str:
    """What is said before a run starts: how long it takes by the chapter's sizes.yml."""
    text = f"{chapter} starts: about {in_words(minutes)} on one idle core at the preset {preset}"
    return text + (f", which has other {', '.join(changes)}." if changes else ".")
