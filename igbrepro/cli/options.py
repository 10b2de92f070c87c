"""What several subcommands share: options, paths checked before any work, tables and JSON.

Nothing heavy is imported here or at the top of a subcommand's file, so that `igbrepro --help` stays quick.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from igbrepro.errors import ParameterError

EXISTING = click.Path(exists=True, file_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)

preset_option = click.option("--preset", default="laptop", show_default=True, help="smoke, laptop, study or paper.")
notebooks_option = click.option("--notebooks", type=FOLDER, help="Another folder of chapters.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")


def chapters_folder(notebooks: Path | None) -> Path:
    """The folder of chapters that was named, or this repository's."""
    from igbrepro.publishing import NOTEBOOKS

    return notebooks or NOTEBOOKS


def check_file(option: str, path: Path | None) -> None:
    """ParameterError unless a file can be written at `path`; None passes.  Called before the work starts."""
    if path is None:
        return
    if not path.parent.is_dir():
        raise ParameterError(f"{option}={str(path)!r}: there is no folder {str(path.parent)!r}; make it first.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ParameterError(f"{option}={str(path)!r}: may not be written; name another place.")


def check_folder(option: str, path: Path) -> None:
    """ParameterError unless the folder `path` can be made, or be written into.  Called before the work starts."""
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    if not there.is_dir():
        raise ParameterError(f"{option}={str(path)!r}: {str(there)!r} is a file; name another folder.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ParameterError(f"{option}={str(path)!r}: {str(there)!r} may not be written; name another folder.")


def show_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, whole: int = 1) -> None:
    """Print a table, folded to the terminal; into a pipe or file every row is one line.

    whole: so many columns from the left, the names, are never folded.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number < whole)
    for row in rows:
        table.add_row(*row)
    if sys.stdout.isatty():
        Console().print(table)
        return
    console = Console(width=100_000, color_system=None)
    with console.capture() as text:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in text.get().splitlines()))
