"""The steps of the Snakefile that make the book of executed notebooks; hidden from `igbrepro --help`."""

from __future__ import annotations

from pathlib import Path

import click

from igbrepro.cli.options import FOLDER, chapters_folder, notebooks_option


@click.command(hidden=True)
@click.option("--out", type=FOLDER, required=True)
@click.argument("names", nargs=-1)
@notebooks_option
def pages(out: Path, names: tuple[str, ...], notebooks: Path | None) -> None:
    """The chapters NAMES with their verdicts as of now, and the generated pages, from the records below OUT."""
    from igbrepro.publishing import forget_others, stage_chapters, write_pages

    executed, staged, root = out / "executed", out / "src" / "notebooks", chapters_folder(notebooks)
    for folder in (executed, staged):
        forget_others(folder, names)
    stage_chapters(executed, staged, root)
    write_pages(staged, out / "src" / "book" / "generated", root)


@click.command(hidden=True)
@click.option("--out", type=FOLDER, required=True)
def html(out: Path) -> None:
    """The site from the executed notebooks and generated pages below OUT."""
    from igbrepro.publishing import build_html, repository_url, stage_book

    stage_book(Path("book"), out / "src", repository_url())
    build_html(out / "src", out / "html")
