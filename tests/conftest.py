"""Fixtures that several test files share: toy notebooks, and the book built from the smoke preset."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
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


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    """A folder of two toy notebooks with the presets smoke and laptop."""
    root = tmp_path / "notebooks"
    write_notebook(root / "toy" / "01_good.ipynb", "seed = 1\nwidth = 64\nlr = 1e-3\nwidths = [1, 2]", "print(width)")
    write_notebook(root / "toy" / "02_other.ipynb", "seed = 2", "print(seed)")
    write_preset(root, "laptop")
    write_preset(root, "smoke", **{"01_good": {"width": 8}})
    return root


@pytest.fixture(scope="session")
def smoke_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site built from the smoke preset by the real workflow, or the site at IGBREPRO_BOOK_HTML."""
    if given := os.environ.get("IGBREPRO_BOOK_HTML"):
        return Path(given).resolve()
    out = tmp_path_factory.mktemp("smoke") / "book"
    run = snakemake("html", preset="smoke", out=out)
    assert run.returncode == 0, f"the smoke book does not build:\n{run.stdout[-6000:]}"
    return out / "html"
