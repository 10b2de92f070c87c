"""The `igbrepro` command: run a notebook, list them, show and check the claims, fetch data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from igbrepro import __version__
from igbrepro.claims import Outcome
from igbrepro.errors import IgbreproError, ParameterError
from igbrepro.publishing import NOTEBOOKS, find_chapter, load_preset, notebook_path, notebook_title

EXISTING = click.Path(exists=True, file_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
STYLES = {
    Outcome.REPRODUCED: "green",
    Outcome.CAVEAT: "yellow",
    Outcome.NOT_REPRODUCED: "red",
    Outcome.UNDECIDED: "blue",
    Outcome.NOT_RUN: "dim",
}

preset_option = click.option("--preset", default="laptop", show_default=True, help="smoke, laptop or paper.")
notebooks_option = click.option("--notebooks", type=FOLDER, default=NOTEBOOKS, help="Another folder of notebooks.")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="igbrepro")
def app() -> None:
    """Reproduce arXiv 2505.12096 claim by claim: networks that train best start out biased."""


@app.command()
@click.argument("name")
@click.option("-p", "--parameter", "changes", type=(str, str), multiple=True, metavar="NAME VALUE",
              help="Change one parameter, such as -p width 512; may be given several times.")  # fmt: skip
@preset_option
@click.option("--out", type=FOLDER, default=Path("build/run"), show_default=True, help="Where results go.")
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), help="Where a failed notebook is kept.")
@notebooks_option
def run(
    name: str, changes: tuple[tuple[str, str], ...], preset: str, out: Path, log: Path | None, notebooks: Path
) -> None:
    """Run notebook NAME (or any part of the name that is unique) and print its verdicts."""
    from igbrepro.publishing import parse_value, run_notebook

    found = find_chapter(name, notebooks)
    values: dict[str, Any] = {key: parse_value(text) for key, text in changes}
    progress = sys.stderr.isatty() and log is None  # the workflow names a log, and runs several at once
    record = run_notebook(found, preset=preset, changes=values, out=out, log=log, root=notebooks, progress=progress)
    click.echo(f"{found}: {record.seconds:.0f} s -> {out / found}.ipynb")
    for verdict in record.verdicts:
        click.echo(verdict)


@app.command("list")
@preset_option
@notebooks_option
def list_notebooks(preset: str, notebooks: Path) -> None:
    """List the notebooks of a preset with their run times and parameters."""
    entries = load_preset(preset, notebooks)
    total = sum(entry.minutes for entry in entries.values())
    table = _table(f"Preset {preset}: {len(entries)} notebooks, {total:.3g} minutes of computing",
                   "notebook", "title", "minutes", "differs from the notebook's own parameters")  # fmt: skip
    for name, entry in entries.items():
        changed = ", ".join(f"{key}={value}" for key, value in entry.parameters.items())
        table.add_row(name, notebook_title(notebook_path(name, notebooks)), f"{entry.minutes:g}", changed or "-")
    Console().print(table)


@app.command()
@click.option("--records", type=EXISTING, help="Folder of executed notebooks  [default: build/laptop/src/notebooks]")
@click.option("--check", is_flag=True, help="Fail if a verdict differs from the committed register.")
def claims(records: Path | None, check: bool) -> None:
    """Show what the last run says about each claim."""
    from igbrepro.publishing import all_verdicts, check_records, load_register, read_rejudged

    folder = records or Path("build/laptop/src/notebooks")
    if check and not folder.is_dir():
        raise ParameterError(f"records={str(folder)!r}: no such folder; `make book` makes it.")
    if check:
        check_records(folder)
    register = load_register()
    verdicts = all_verdicts(read_rejudged(folder), register)
    table = _table(f"{len(verdicts)} claims; verdicts of {folder}", "claim", "verdict", "chapter", "statement")
    for verdict in verdicts:
        outcome = verdict.outcome
        table.add_row(verdict.claim_id, f"[{STYLES[outcome]}]{outcome}[/]", verdict.chapter, verdict.statement)
    Console().print(table)


@app.command("diagnose")
@click.argument("factory", metavar="MODULE:FACTORY")
@click.option("--data", "name", required=True, help="cifar10, fashion-mnist, imagefolder:PATH ...: its test inputs.")
@click.option("-n", "--n", "n_inputs", default=100, show_default=True, help="Number of inputs, classes in equal parts.")
@click.option("--size", type=int, help="Resize images to this side first.")
@click.option("--flat", is_flag=True, help="Hand each input over as one vector.")
@click.option("--unlabelled", is_flag=True, help="Leave the labels out, as for a model of other classes.")
@click.option("--seed", default=0, show_default=True, help="Of the choice of inputs and of the model's weights.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write everything there.")
@click.option(
    "--figure", "figure_path", type=click.Path(dir_okay=False, path_type=Path), help="Draw it there (png, svg)."
)
def diagnose_model(
    factory: str, name: str, n_inputs: int, size: int | None, flat: bool, unlabelled: bool, seed: int,
    json_path: Path | None, figure_path: Path | None,
) -> None:  # fmt: skip
    """Diagnose the model that FACTORY() of MODULE gives: a Python file or a module that can be imported.

    \b
    igbrepro diagnose mymodel.py:Net --data cifar10
    igbrepro diagnose torchvision.models:resnet18 --data imagefolder:photos --size 64
    """
    import torch
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from igbrepro.data import load
    from igbrepro.diagnosis import diagnose

    if figure_path is not None and figure_path.suffix.removeprefix(".") not in FigureCanvasAgg.filetypes:
        raise ParameterError(f"figure={str(figure_path)!r}: need a name that ends in .png, .svg or .pdf.")
    subset = load(name, fallback=True).subset(n_test=n_inputs, seed=seed)
    inputs, labels = torch.from_numpy(subset.inputs("test", flat=flat)), subset.labels("test")
    if size is not None:
        if inputs.ndim != 4:
            raise ParameterError(f"size={size}: inputs of shape {tuple(inputs.shape[1:])} are no images to resize.")
        inputs = torch.nn.functional.interpolate(inputs, (size, size), mode="bilinear", antialias=True)
    torch.manual_seed(seed)
    model = _made(factory)
    try:
        found = diagnose(model, inputs, None if unlabelled else labels, seed=seed)
    except RuntimeError as error:
        shape = tuple(inputs.shape[1:])
        raise ParameterError(
            f"data={name!r}: the model fails on inputs {shape} ({error}); try --size or --flat."
        ) from error
    click.echo(found)
    if json_path is not None:
        json_path.write_text(found.to_json() + "\n")
    if figure_path is not None:
        found.figure().savefig(figure_path)


def _made(factory: str) -> Any:
    """The model that "module:factory" or "file.py:factory" makes; raises ParameterError where there is none."""
    import importlib.util

    from torch import nn

    where, _, name = factory.rpartition(":")
    if not where or not name:
        raise ParameterError(f"factory={factory!r}: name what makes the model too, as in mymodel.py:Net.")
    try:
        if where.endswith(".py"):
            spec = importlib.util.spec_from_file_location(Path(where).stem, where)
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
        else:
            sys.path.insert(0, "")
            module = importlib.import_module(where)
        model = getattr(module, name)()
    except (ImportError, AttributeError, ValueError, FileNotFoundError, TypeError) as error:
        raise ParameterError(
            f"factory={factory!r}: need MODULE:FACTORY or FILE.py:FACTORY, a function or class that can be called "
            f"without arguments ({error})."
        ) from error
    if not isinstance(model, nn.Module):
        raise ParameterError(f"factory={factory!r}: gives {type(model).__name__}, not a torch module.")
    return model


@app.group()
def data() -> None:
    """See which datasets are here, and fetch one."""


@data.command()
def status() -> None:
    """Show every copy of a dataset on this machine and whether its checksums are right."""
    from igbrepro.data import status as copies

    frame = copies()
    table = _table("Datasets, in the order in which they are looked for", *frame.columns)
    for row in frame.itertuples(index=False):
        table.add_row(*map(str, row))
    Console().print(table)


@data.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Download dataset NAME anew into the folder IGBREPRO_DATA, or into the cache."""
    from igbrepro.data import fetch as download

    click.echo(f"{name} is in {download(name)}")


@app.command(hidden=True)
@click.option("--out", type=FOLDER, required=True)
@click.argument("names", nargs=-1)
def pages(out: Path, names: tuple[str, ...]) -> None:
    """A step of the Snakefile: the generated pages from the records of the notebooks NAMES."""
    from igbrepro.publishing import forget_others, write_pages

    forget_others(out / "src" / "notebooks", names)
    write_pages(out / "src" / "notebooks", out / "src" / "book" / "generated")


@app.command(hidden=True)
@click.option("--out", type=FOLDER, required=True)
def html(out: Path) -> None:
    """A step of the Snakefile: the site from the executed notebooks and generated pages below OUT."""
    from igbrepro.publishing import build_html, repository_url, stage_book

    stage_book(Path("book"), out / "src", repository_url())
    build_html(out / "src", out / "html")


def main() -> None:
    """Entry point.  Exit code 2 for wrong input, 1 for whatever else igbrepro reports, with one line that says why."""
    try:
        app()
    except IgbreproError as error:
        click.echo(f"igbrepro: {error}", err=True)
        raise SystemExit(2 if isinstance(error, ParameterError) else 1) from None
