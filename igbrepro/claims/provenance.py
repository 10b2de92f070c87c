"""Where a result comes from: commit, versions, machine, date."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "igbrepro",
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
    "seaborn",
    "torch",
    "torchvision",
    "papermill",
    "snakemake",
    "jupyter-book",
)


# Variables that point git to another repository, as it sets them while a hook runs.
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX")


def _git(*arguments: str, folder: Path) -> str | None:
    """What git says in `folder`, whoever owns it; None where it fails or is not there."""
    command = ["git", "-c", f"safe.directory={folder}", *arguments]
    environ = {key: value for key, value in os.environ.items() if key not in ELSEWHERE}
    try:
        run = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


def repository_state(folder: Path | str) -> dict[str, Any]:
    """Of the repository whose top is `folder`: its commit, whether it has changes, and why there is none (or "").

    A repository that merely surrounds the folder, such as that of a user's own project in which this package is
    installed, is another one: commit and dirty are None then.
    """
    folder = Path(folder).resolve()
    top = _git("rev-parse", "--show-toplevel", folder=folder)
    if top is None:
        why = "git is not installed" if shutil.which("git") is None else "not a git clone"
        return {"commit": None, "dirty": None, "why": why}
    if (
        Path(top).resolve() != folder
        or _git("ls-files", "--error-unmatch", "igbrepro/__init__.py", folder=folder) is None
    ):
        return {"commit": None, "dirty": None, "why": "installed inside another repository"}
    commit, status = _git("rev-parse", "HEAD", folder=folder), _git("status", "--porcelain", folder=folder)
    why = "" if commit else "a repository without commits"
    return {"commit": commit, "dirty": None if status is None else bool(status), "why": why}


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _accelerators() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    run = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    return run.stdout.strip().splitlines() if run.returncode == 0 else []


def provenance(folder: Path | str = ".") -> dict[str, Any]:
    """Commit of the repository whose top is `folder` (None: unknown, with `why`), versions, hardware, time of this run.

    Holds no host or user name and no path, so it can be published.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    return {
        **repository_state(folder),
        "versions": dict(_versions()),
        "hardware": {
            "processor": _processor(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "memory_gb": memory and round(memory / 2**30, 1),
            "gpu": _accelerators(),
        },
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
