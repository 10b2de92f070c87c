"""Run the notebook of one chapter into an executed copy with its record beside it.

The Snakefile decides which notebooks run and when; `stage` makes the book of their results.
"""

from __future__ import annotations

import ast
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from igbrepro.claims import Record, describe_data, notebook_verdicts, provenance
from igbrepro.errors import IgbreproError
from igbrepro.publishing.chapters import NOTEBOOKS, ROOT, notebook_path, record_path, resolve_parameters
from igbrepro.publishing.exports import write_results
from igbrepro.publishing.sweeps import needs_no_data

if TYPE_CHECKING:
    from nbformat import NotebookNode

PROVENANCE_TITLE = "How this page was made"
FOLDER_VARIABLES = ("IGBREPRO_DATA", "IGBREPRO_CACHE", "IGBREPRO_STORE")  # of the environment; name a folder


class NotebookFailed(IgbreproError, RuntimeError):
    """A notebook raised; the message names it, the error and where the notebook with its traceback is kept."""


def run_notebook(
    name: str,
    *,
    preset: str = "laptop",
    changes: Mapping[str, Any] | None = None,
    out: Path | str = "build/run",
    log: Path | str | None = None,
    root: Path | str = NOTEBOOKS,
    progress: bool = False,
) -> Record:
    """Execute the notebook of chapter `name` in its folder and write it below `out`/`name`, its record beside it.

    So are its figures and tables, as figures/*.png and tables/*.csv.

    changes: parameters that differ from the preset; paths among them are meant from the caller's folder, and so are
    those in the environment.  log: where the notebook is written while it runs, and stays if it fails (default:
    beside the executed one, as *.unfinished.ipynb, then *.failed.ipynb).  progress: show papermill's progress bar.
    Returns the record.  Raises ParameterError for wrong names, NotebookFailed where a cell raises.
    """
    import nbformat  # both take seconds to import
    import papermill

    from igbrepro.data import without_download

    injected, parameters = resolve_parameters(name, preset, changes, root)
    source, executed = notebook_path(name, root).resolve(), notebook_path(name, out)
    failed = Path(log) if log else executed.with_suffix(".failed.ipynb")
    unfinished = Path(log) if log else executed.with_suffix(".unfinished.ipynb")
    located = {key: locate(key, value) for key, value in injected.items()}
    for path in (executed, unfinished):
        path.parent.mkdir(parents=True, exist_ok=True)
    failed.unlink(missing_ok=True)
    start = time.perf_counter()
    shipped = needs_no_data(name, preset, changes, root)
    try:
        with _clone_first(), without_download() if shipped else nullcontext():
            papermill.execute_notebook(
                str(source),
                str(unfinished),
                located,
                kernel_name="python3",
                cwd=str(source.parent),
                progress_bar=progress,
                extra_arguments=["--IPKernelApp.log_level=50"],
            )
    except papermill.PapermillExecutionError as error:
        unfinished.replace(failed)
        raise NotebookFailed(
            f"notebook {name} failed: {error.ename}: {error.evalue}. It is kept with its traceback in {failed}"
        ) from None
    seconds = time.perf_counter() - start
    notebook = nbformat.read(unfinished, as_version=4)
    verdicts = tuple(replace(verdict, chapter=name) for verdict in notebook_verdicts(notebook))
    data = {describe_data(entry): dict(entry) for verdict in verdicts for entry in verdict.data}
    record = Record(
        notebook=name,
        preset=preset,
        parameters=parameters,
        verdicts=verdicts,
        provenance=provenance(ROOT),
        seconds=round(seconds, 1),
        changed=injected,
        data=list(data.values()),
    )
    _publishable(notebook, record, changes or {})
    _as_typed(notebook, injected, located)
    nbformat.write(notebook, executed)
    record.write(record_path(executed))
    write_results(notebook, executed.parent)
    unfinished.unlink()
    return record


def locate(name: str, value: Any) -> Any:
    """The value of a parameter as the kernel needs it, which runs in the chapter's folder: a path made absolute.

    Paths are texts imagefolder:PATH under any name, and all texts under a name that ends in _file or _folder.  Other
    values, inside lists too, stay as they are.
    """
    if isinstance(value, list | tuple):
        return type(value)(locate(name, one) for one in value)
    if not isinstance(value, str) or not value:
        return value
    kind, colon, path = value.partition(":")
    if kind == "imagefolder" and path:
        return kind + colon + str(Path(path).expanduser().absolute())
    if name.endswith(("_file", "_folder")):
        return str(Path(value).expanduser().absolute())
    return value


@contextmanager
def _clone_first() -> Iterator[None]:
    """Let kernels started inside import this clone, whichever one the environment was made for, and find its folders.

    A folder in the environment is relative to where the caller stands, not to the chapter's folder.
    """
    wanted = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    for variable in FOLDER_VARIABLES:
        if given := os.environ.get(variable):
            wanted[variable] = str(Path(given).expanduser().absolute())
    before = {variable: os.environ.get(variable) for variable in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for variable, value in before.items():
            if value is None:
                del os.environ[variable]
            else:
                os.environ[variable] = value


def _as_typed(notebook: NotebookNode, injected: Mapping[str, Any], located: Mapping[str, Any]) -> None:
    """Put the paths as typed back into the cell of injected parameters: a page tells nothing of this machine."""
    pairs = [pair for name in injected for pair in _texts(injected[name], located[name])]
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", ()):
            for typed, absolute in sorted(pairs, key=lambda pair: -len(pair[1])):
                cell.source = cell.source.replace(absolute, typed)


def _texts(typed: Any, absolute: Any) -> list[tuple[str, str]]:
    """The pairs (as typed, absolute) in which a value and its located form differ."""
    if isinstance(typed, list | tuple):
        return [pair for ends in zip(typed, absolute, strict=True) for pair in _texts(*ends)]
    return [(typed, absolute)] if typed != absolute else []


def _publishable(notebook: NotebookNode, record: Record, changes: Mapping[str, Any]) -> None:
    """Take out what is of no use to readers (progress bars, papermill's paths and times), add the provenance cell."""
    from nbformat.v4 import new_markdown_cell

    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    notebook.cells.append(new_markdown_cell(provenance_text(record, changes), id="provenance"))


def rerun_command(name: str, preset: str, changes: Mapping[str, Any]) -> str:
    """The command that repeats a run."""
    options = [] if preset == "laptop" else ["--preset", preset]
    for key, value in changes.items():
        options += ["-p", key, value if isinstance(value, str) else repr(value)]
    return shlex.join(["igbrepro", "run", name, *options])


def provenance_text(record: Record, changes: Mapping[str, Any]) -> str:
    """The last cell of an executed notebook, in Markdown: what made this page and the command that repeats it."""
    made = record.provenance
    hardware = made["hardware"]
    commit = f"`{made['commit'][:12]}`" if made["commit"] else f"unknown ({made.get('why') or 'not a git clone'})"
    rows = {
        "preset": f"`{record.preset}`" + (f" with {_code_list(record.changed)}" if record.changed else ""),
        "seed": record.parameters.get("seed", "none"),
        "data": "; ".join(map(describe_data, record.data)) or "none",
        "commit": commit + (" with uncommitted changes" if made["dirty"] else ""),
        "versions": ", ".join(f"{name} {version}" for name, version in made["versions"].items()),
        "Python": made["python"],
        "hardware": ", ".join(
            [hardware["processor"], f"{hardware['cores']} cores", *(hardware["gpu"] or [])]
            + ([f"{hardware['memory_gb']} GB"] if hardware["memory_gb"] else [])
        ),
        "run time": _duration(record.seconds),
        "date": made["date"][:10],
    }
    table = "\n".join(f"| {key} | {str(value).replace('|', '/')} |" for key, value in rows.items())
    command = rerun_command(record.notebook, record.preset, changes)
    return f"## {PROVENANCE_TITLE}\n\n| | this run |\n|:--|:--|\n{table}\n\nRun it again:\n\n```bash\n{command}\n```\n"


def _code_list(changed: Mapping[str, Any]) -> str:
    return ", ".join(f"`{key} = {value!r}`" for key, value in changed.items())


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def parse_value(text: str) -> Any:
    """A parameter as typed on the command line: a Python literal where it is one (512, 1e-5, [1, 2]), else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)
