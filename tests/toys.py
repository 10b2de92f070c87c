"""Toy notebooks and presets, and the repository's own workflow run on them."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]


def write_notebook(path: Path, parameters: str, *cells: str) -> None:
    """A notebook with a title, a cell tagged `parameters` and further code cells."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook.cells = [nbformat.v4.new_markdown_cell(f"# Toy {path.stem}"), tagged]
    notebook.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def write_preset(root: Path, preset: str, **parameters: dict) -> None:
    """A preset that lists the notebooks below `root`; parameters: by file name, such as 01_good={"width": 3}."""
    names = sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.ipynb"))
    entries = {name: {"minutes": 0.1, "parameters": parameters.get(name.split("/")[-1], {})} for name in names}
    (root / "presets").mkdir(parents=True, exist_ok=True)
    (root / "presets" / f"{preset}.yml").write_text(yaml.safe_dump(entries))


def snakemake(target: str, *options: str, **config: object) -> subprocess.CompletedProcess:
    """Run the repository's workflow; stdout holds both streams in the order of writing."""
    settings = [f"{key}={value}" for key, value in config.items()]
    command = [
        sys.executable,
        "-m",
        "snakemake",
        target,
        "--cores",
        str(os.cpu_count()),
        *options,
        "--config",
        *settings,
    ]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
