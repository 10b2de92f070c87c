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


def _git(*arguments: str, folder: Path) -> str | None:
    try:
        run = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


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
    """Commit of the repository around `folder` (None outside one), versions, hardware and time of this run.

    Holds no host or user name and no path, so it can be published.
    """
    folder = Path(folder)
    status = _git("status", "--porcelain", folder=folder)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    return {
        "commit": _git("rev-parse", "HEAD", folder=folder),
        "dirty": bool(status) if status is not None else None,
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
