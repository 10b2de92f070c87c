"""`igbrepro claims`."""

from __future__ import annotations

from pathlib import Path

import click

from igbrepro.cli.options import EXISTING, chapters_folder, json_option, notebooks_option, show_json, show_table
from igbrepro.errors import ParameterError

BUILT = Path("build/study/executed")
STYLES = {
    "reproduced": "green",
    "reproduced with a caveat": "yellow",
    "not reproduced": "red",
    "not run here": "dim",
    "undecided": "magenta",
}


@click.command()
@click.option("--records", type=EXISTING, help=f"Folder of executed notebooks  [default: {BUILT}]")
@click.option("--check", is_flag=True, help="Fail if a verdict differs from the committed one.")
@json_option
@notebooks_option
def claims(records: Path | None, check: bool, as_json: bool, notebooks: Path | None) -> None:
    """Show what the last run says about each claim."""
    folder, root = records or BUILT, chapters_folder(notebooks)
    if next(folder.rglob("*.record.json"), None) is None:
        raise ParameterError(
            f"records={str(folder)!r}: no chapter was run there; `make book` runs all of them, "
            "or name the folder of another run, such as --records build/run."
        )
    from igbrepro.publishing import all_verdicts, check_records, load_register, read_rejudged

    if check:
        check_records(folder, root)
    verdicts = all_verdicts(read_rejudged(folder, root), load_register(root))
    if as_json:
        show_json([verdict.to_dict() for verdict in verdicts])
        return
    rows = []
    for verdict in verdicts:
        style = STYLES.get(verdict.outcome, "none")
        rows.append((verdict.claim_id, f"[{style}]{verdict.outcome}[/]", verdict.chapter, verdict.statement))
    columns = ("claim", "verdict", "chapter", "statement")
    show_table(f"{len(verdicts)} claims; verdicts of {folder}", columns, rows, whole=3)
