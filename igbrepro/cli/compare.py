"""`igbrepro compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from igbrepro.cli.options import json_option, show_json, show_table
from igbrepro.errors import IgbreproError, ParameterError

PLACE = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("a", type=PLACE)
@click.argument("b", type=PLACE)
@click.option("--sigma", default=0.0, show_default=True, help="Show what moved by more standard errors than this.")
@click.option(
    "--tolerance", default=1e-6, show_default=True, help="Relative difference up to which exact numbers are the same."
)
@click.option("--fail-above", type=float, metavar="Z", help="Exit code 1 if anything moved by more, or a verdict.")
@json_option
def compare(a: Path, b: Path, sigma: float, tolerance: float, fail_above: float | None, as_json: bool) -> None:
    """Show what moved from run A to run B, in standard errors of the difference.

    A and B are two records, two folders of executed chapters, or two books.

    \b
    igbrepro compare build/laptop build/run/laptop
    igbrepro compare old/learning.record.json build/laptop --sigma 2 --fail-above 4
    """
    from igbrepro.claims import compare_runs, format_number, records_at

    if fail_above is not None and not fail_above >= 0:
        raise ParameterError(f"fail-above={fail_above!r}: need a number of standard errors >= 0.")
    found = compare_runs(records_at("a", a), records_at("b", b), sigmas=sigma, tolerance=tolerance)
    if as_json:
        show_json(found.to_dict())
    else:
        moved = [
            (
                f"{pair.claim_id}: {pair.name}" + (" (expected)" if pair.expected else ""),
                *(
                    f"{value:.10g}" if pair.sigmas is None else format_number(value, error)
                    for value, error in ((pair.a, pair.a_error), (pair.b, pair.b_error))
                ),
                pair.size,
                pair.chapter,
            )
            for pair in found.moved
        ]
        show("Measurements that moved", ("measurement", "a", "b", "by", "chapter"), moved)
        verdicts = [(claim, old, new, chapter) for chapter, claim, old, new in found.verdicts]
        show("Verdicts that changed", ("claim", "a", "b", "chapter"), verdicts)
        only = [(line, "a") for line in found.only_a] + [(line, "b") for line in found.only_b]
        show("Only in one of the two", ("what", "in"), only)
        conditions = [(what, old, new, ", ".join(names)) for what, old, new, names in found.conditions]
        show("What was different", ("what", "a", "b", "chapters"), conditions)
        click.echo(found.summary())
    if fail_above is not None and (far := len(found.beyond(fail_above))) + len(found.verdicts):
        raise IgbreproError(
            f"fail-above={fail_above:g}: {far} numbers moved by more and {len(found.verdicts)} verdicts changed."
        )


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, unless it has no rows, and an empty line; what stands in brackets is no markup."""
    from rich.markup import escape

    if rows:
        show_table(title, columns, [[escape(cell) for cell in row] for row in rows], whole=0)
        click.echo()
