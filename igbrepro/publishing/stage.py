"""Make the book of executed notebooks: keep their folder clean, stage the sources, build the html.

Everything lies below one folder `out` (build/<preset>): `out`/executed holds the notebooks as they ran with their
records; `out`/src mirrors the repository, so that the repository links of its pages are right; `out`/log holds what
each step said; `out`/html is the site.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from igbrepro.claims import RECORD_SUFFIX, Record
from igbrepro.errors import ParameterError
from igbrepro.publishing.chapters import ROOT, Entry


def forget_others(folder: Path | str, names: Iterable[str]) -> None:
    """Delete what lies below `folder` of chapters that are not among `names` (renamed or removed)."""
    keep = set(names)
    for record in Path(folder).glob(f"*/*{RECORD_SUFFIX}"):
        if record.parent.name not in keep:
            shutil.rmtree(record.parent)


def records_to_remake(folder: Path | str) -> list[Path]:
    """The records below `folder` that have to be made again although nothing they are made of has changed.

    They are those that cannot be read, and those made from fall-back data where the data they asked for are here
    by now.  Reads only.
    """
    found, stand_ins = [], []
    for path in sorted(Path(folder).rglob(f"*{RECORD_SUFFIX}")):
        try:
            record = Record.read(path)
        except (ParameterError, OSError):
            found.append(path)
            continue
        if any(entry.get("fallback") for entry in record.data):
            stand_ins.append((path, record))
    if stand_ins:
        from igbrepro import data  # not needed otherwise

        copies = data.status()
        here = set(copies.dataset[copies.place != "-"])
        for path, record in stand_ins:
            asked = {name for name in set(copies.dataset) if name in record.parameters.values()} or {"fashion-mnist"}
            if asked <= here:
                found.append(path)
    return sorted(found)


def set_aside(records: Iterable[Path]) -> list[str]:
    """Rename these records, to be made again, to *.record.json.1, .2, ...; returns a line about each."""
    lines = []
    for path in sorted(records):
        number = 1 + len(list(path.parent.glob(f"{path.name}.*")))
        kept = path.replace(path.with_name(f"{path.name}.{number}"))
        lines.append(f"Warning: the record {path} is damaged or of fall-back data; kept as {kept.name} and made again.")
    return lines


def repository_url(folder: Path | str = ROOT, environ: Mapping[str, str] = os.environ) -> str | None:
    """Address of the repository on GitHub, from GITHUB_REPOSITORY or the remote `origin`; None where there is none."""
    if environ.get("GITHUB_REPOSITORY"):
        return f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{environ['GITHUB_REPOSITORY']}"
    command = ["git", "remote", "get-url", "origin"]
    try:
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return None
    url = run.stdout.strip().removesuffix(".git").rstrip("/")
    if url.startswith("git@github.com:"):
        url = "https://github.com/" + url.removeprefix("git@github.com:")
    return url if run.returncode == 0 and url.startswith("https://github.com/") else None


def stage_book(book: Path | str, src: Path | str, url: str | None) -> None:
    """Copy the book's sources below `src`, which mirrors the repository, and write `src`/_config.yml and _toc.yml.

    Paths in both files are relative to the repository.  `src`/book/generated is left alone.
    url: repository for the launch and edit buttons; None leaves the buttons out.
    """
    book, src = Path(book), Path(src)
    for old in (src / "book").glob("*"):
        if old.name != "generated":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(
        book, src / "book", dirs_exist_ok=True, ignore=shutil.ignore_patterns("generated", "__pycache__", ".*")
    )
    for name in ("_config.yml", "_toc.yml"):
        (src / "book" / name).replace(src / name)
    if url is None:
        return
    path = src / "_config.yml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["repository"] = {"url": url, "branch": "main", "path_to_book": ""}
    buttons = {"use_repository_button": True, "use_issues_button": True}
    config["html"] = {**config.get("html", {}), **buttons}
    config["launch_buttons"] = {
        "notebook_interface": "jupyterlab",
        "binderhub_url": "https://mybinder.org",
        "colab_url": "https://colab.research.google.com",
    }
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")


def build_html(src: Path | str, html: Path | str) -> None:
    """Build the staged book with warnings as errors and put the site at `html`.

    Always from nothing: an incremental build would not repeat the warnings of pages that it does not read again.
    Raises CalledProcessError where the book has a warning; the site at `html` is then the one of before.
    """
    src, html = Path(src), Path(html)
    work = html.parent / "_sphinx"
    shutil.rmtree(work, ignore_errors=True)
    command = Path(sys.executable).parent / "jupyter-book"
    options = ["build", str(src), "--path-output", str(work), "-W", "-n", "--keep-going"]
    subprocess.run([str(command), *options], check=True)
    shutil.rmtree(html, ignore_errors=True)
    (work / "_build" / "html").replace(html)
    shutil.rmtree(work)


def time_needed(preset: str, entries: Mapping[str, Entry], cores: int | None, training: float = 0.0) -> str:
    """How long a whole run of a preset takes on `cores` cores (None: not known, as on a cluster), in words.

    training: minutes of one core for the training runs that are jobs of their own.
    """
    minutes = [entry.minutes for entry in entries.values()]
    at_once = max(1, min(cores or 1, len(minutes)))
    wall = (
        max((sum(minutes) + training) / at_once, max(minutes, default=0.0)) + 1
    )  # the last minute is the making of the pages
    return (
        f"Preset {preset}: {len(minutes)} notebooks, {sum(minutes) + training:.3g} minutes of computing"
        + (f", {training:.3g} of them for training runs" if training else "")
        + f"; with {at_once} at a time "
        f"and the pages ready in about {math.ceil(wall)} minutes. What is up to date is not run again."
    )


def failure_report(out: Path | str, names: Iterable[str]) -> str:
    """What went wrong in the last run of the workflow below `out`, for the end of its output; empty if nothing did."""
    logs = Path(out) / "log"
    lines = []
    for name in names:
        kept = logs / f"{name}.ipynb"
        if kept.exists() and kept.stat().st_size > 0:  # Snakemake leaves an empty log of a notebook that ran well
            lines.append(f"notebook {name} FAILED: {_last_error(kept)}\n  kept with its traceback: {kept}")
    for step in ("register", "pages", "html"):
        text = (logs / f"{step}.txt").read_text(encoding="utf-8") if (logs / f"{step}.txt").exists() else ""
        told = [
            line for line in text.splitlines() if line.startswith("igbrepro:") or "WARNING" in line or "ERROR" in line
        ]
        if told:
            lines.append(f"step {step} FAILED:\n  " + "\n  ".join(told[:20]) + f"\n  all of it: {logs / step}.txt")
    return "\n".join(lines)


def _last_error(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    errors = (out for cell in cells for out in cell.get("outputs", ()) if out["output_type"] == "error")
    return next((f"{error['ename']}: {error['evalue']}" for error in errors), "it did not end")
