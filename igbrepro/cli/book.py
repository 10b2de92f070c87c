"""The steps of the Snakefile that make the book of executed notebooks; hidden from `igbrepro --help`."""

from __future__ import annotations

from pathlib import Path

import click

from igbrepro.cli.options import FOLDER


@click.command(hidden=True)
@click.option("--out", type=FOLDER, required=True)
@click.argument("names", nargs=-1)
def pages(out: Path, names: tuple[str, ...]) -> None:
    """The generated pages from the records of the chapters NAMES below OUT."""
    from igbrepro.publishing import forget_others, write_pages

    forget_others(out / "src" / "notebooks", names)
    write_pages(out / "src" / "notebooks", out / "src" / "book" / "generated")


@click.command(hidden=True)
@click.option("--out", type=FOLDER, required=True)
def html(out: Path) -> None:
    """The site from the executed notebooks and generated pages below OUT."""
    from igbrepro.publishing import build_html, repository_url, stage_book

    stage_book(Path("book"), out / "src", repository_url())
    build_html(out / "src", out / "html")
