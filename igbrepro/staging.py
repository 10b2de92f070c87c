"""Make the book of executed notebooks: keep their folder clean, check the register, stage the sources, build the html.

Everything lies below one folder `out` (build/<preset>): `out`/src mirrors the repository, so that the repository links
of its pages are right; `out`/log holds what each step said; `out`/html is the site.
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

from igbrepro.claims import CLAIMS, check_register
from igbrepro.errors import ClaimFailed
from igbrepro.results import RECORD_SUFFIX, Verdict, read_records
from igbrepro.sources import ROOT, Entry, notebook_path, record_path


def forget_others(folder: Path | str, names: Iterable[str]) -> None:
    """Delete executed notebooks and records below `folder` whose notebook is not among `names` (renamed or removed)."""
    keep = {record_path(notebook_path(name, folder)) for name in names}
    for record in Path(folder).rglob(f"*{RECORD_SUFFIX}"):
        if record not in keep:
            record.unlink()
            record.with_name(record.name.removesuffix(RECORD_SUFFIX) + ".ipynb").unlink(missing_ok=True)


def check_records(records: Path | str, *, complete: bool = True) -> list[Verdict]:
    """Compare the verdicts of the records below `records` with the committed register and return them.

    complete: a registered claim of a recorded notebook that got no verdict is a failure too.
    Raises ClaimFailed naming every claim that differs.
    """
    found = read_records(records)
    verdicts = [verdict for record in found for verdict in record.verdicts]
    ran, judged = {record.notebook for record in found}, {verdict.claim_id for verdict in verdicts}
    unsettled = [claim for claim in CLAIMS.values() if claim.notebook in ran and claim.id not in judged]
    if complete and unsettled:
        names = ", ".join(f"{claim.id!r} ({claim.notebook})" for claim in unsettled)
        raise ClaimFailed(f"no verdict on {names}: the notebook ran, but does not end in judge(...) of the claim.")
    check_register(verdicts)
    return verdicts


def forget_fallbacks(folder: Path | str) -> None:
    """Delete the records below `folder` made from fall-back data, where the data they asked for are here by now.

    Without their records the workflow runs these notebooks again.
    """
    records = [record for record in read_records(folder) if any(entry.get("fallback") for entry in record.data)]
    if not records:
        return
    from igbrepro import data_files  # brings pandas, which the workflow's start does without

    copies = data_files.status()
    here = set(copies.dataset[copies.place != "-"])
    for record in records:
        asked = {name for name in data_files.FETCH if name in record.parameters.values()} or {"fashion-mnist"}
        if asked <= here:
            record_path(notebook_path(record.notebook, folder)).unlink()


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


def time_needed(preset: str, entries: Mapping[str, Entry], cores: int | None) -> str:
    """How long a whole run of a preset takes on `cores` cores (None: not known, as on a cluster), in words."""
    minutes = [entry.minutes for entry in entries.values()]
    at_once = max(1, min(cores or 1, len(minutes)))
    wall = max(sum(minutes) / at_once, max(minutes, default=0.0)) + 1  # the last minute is the making of the pages
    return (
        f"Preset {preset}: {len(minutes)} notebooks, {sum(minutes):.3g} minutes of computing; with {at_once} at a time "
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
