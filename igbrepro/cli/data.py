"""`igbrepro data`: `status` and `fetch`."""

from __future__ import annotations

import click

from igbrepro.cli.options import json_option, show_json, show_table


@click.group()
def data() -> None:
    """See which datasets are here, and fetch one."""


@data.command()
@json_option
def status(as_json: bool) -> None:
    """Show every copy of a dataset on this machine and whether its checksums are right."""
    from igbrepro.data import status as copies

    frame = copies()
    if as_json:
        show_json(frame.to_dict(orient="records"))
        return
    rows = [[str(value) for value in row] for row in frame.itertuples(index=False)]
    show_table("Datasets, in the order in which they are looked for", list(frame.columns), rows)


@data.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Download dataset NAME anew into the folder IGBREPRO_DATA, or into the cache."""
    from igbrepro.data import fetch as download

    click.echo(f"{name} is in {download(name)}")
