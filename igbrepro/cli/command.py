"""The `igbrepro` command: its subcommands put together, and how it ends."""

from __future__ import annotations

import click

from igbrepro import __version__
from igbrepro.cli.book import html, pages
from igbrepro.cli.claims import claims
from igbrepro.cli.compare import compare
from igbrepro.cli.data import data
from igbrepro.cli.diagnose import diagnose
from igbrepro.cli.listing import list_notebooks
from igbrepro.cli.run import run
from igbrepro.cli.runs import runs
from igbrepro.errors import IgbreproError, ParameterError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="igbrepro")
def app() -> None:
    """Reproduce arXiv 2505.12096 claim by claim: networks that train best start out biased."""


for subcommand in (run, runs, list_notebooks, claims, compare, diagnose, data, pages, html):
    app.add_command(subcommand)


def main() -> None:
    """Entry point.  Exit code 2 for wrong input, 1 for whatever else goes wrong, with one line that says why."""
    try:
        app()
    except IgbreproError as error:
        click.echo(f"igbrepro: {error}", err=True)
        raise SystemExit(2 if isinstance(error, ParameterError) else 1) from None
    except OSError as error:
        click.echo(f"igbrepro: {error.filename or 'the system'}: {error.strerror or error}", err=True)
        raise SystemExit(1) from None
