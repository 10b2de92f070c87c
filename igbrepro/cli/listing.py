"""`igbrepro list`."""

from __future__ import annotations

from pathlib import Path

import click

from igbrepro.cli.options import chapters_folder, json_option, notebooks_option, preset_option, show_json, show_table


@click.command("list")
@preset_option
@json_option
@notebooks_option
def list_notebooks(preset: str, as_json: bool, notebooks: Path | None) -> None:
    """List the chapters of a preset with their run times and parameters."""
    from igbrepro.publishing import load_preset, notebook_path, notebook_title

    root = chapters_folder(notebooks)
    found = [(name, notebook_title(notebook_path(name, root)), e) for name, e in load_preset(preset, root).items()]
    if as_json:
        keys = ("chapter", "title", "minutes", "parameters")
        show_json([dict(zip(keys, (name, title, e.minutes, e.parameters), strict=True)) for name, title, e in found])
        return
    total = sum(entry.minutes for _, _, entry in found)
    rows = [
        (name, title, f"{entry.minutes:g}", ", ".join(f"{k}={v}" for k, v in entry.parameters.items()) or "-")
        for name, title, entry in found
    ]
    columns = ("chapter", "title", "minutes", "differs from the notebook's own parameters")
    show_table(f"Preset {preset}: {len(rows)} chapters, {total:.3g} minutes of computing", columns, rows)
