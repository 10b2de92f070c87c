"""Toy chapters, and the repository's own workflow run on them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
import yaml
from filelock import FileLock

from igbrepro.publishing import resolve_parameters
from igbrepro.runs import Parameters

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ("smoke", "laptop", "study", "paper")

CLAIMS = """\"\"\"Claims of a toy.\"\"\"

from igbrepro.claims import Claim, between

MEASURED = "width"
WIDTH = Claim("toy-width", "Widths are small", "A width is small.", "Section 1", between(MEASURED, 0, 100))
"""
JUDGED = """import claims
from igbrepro.claims import Measurement, judge
judge(claims.WIDTH, [Measurement(claims.MEASURED, width)])"""


def write_notebook(path: Path, parameters: str, *cells: str) -> None:
    """A notebook with a title, a cell tagged `parameters` and further code cells."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook.cells = [nbformat.v4.new_markdown_cell(f"# Toy {path.stem}"), tagged]
    notebook.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def write_sizes(folder: Path, asks: dict | None = None, **presets: dict) -> None:
    """The sizes of a chapter at every preset: the parameters named, 0.1 minutes, and what it `asks`."""
    asked = {"minutes": 0.1, **(asks or {})}
    sizes = {name: {**asked, "parameters": presets.get(name, {})} for name in PRESETS}
    (folder / "sizes.yml").write_text(yaml.safe_dump(sizes))


def write_chapter(root: Path, name: str, parameters: str, *cells: str, **presets: dict) -> Path:
    """A chapter without claims: its notebook and sizes; presets: parameters that they change."""
    folder = root / name
    write_notebook(folder / f"{name.partition('_')[2]}.ipynb", parameters, *cells)
    write_sizes(folder, **presets)
    return folder


def snakemake(target: str, *options: str, apart: bool = False, **config: object) -> subprocess.CompletedProcess:
    """Run the repository's workflow; stdout holds both streams in the order of writing, unless they are kept apart."""
    command = [sys.executable, "-m", "snakemake", target, "--cores", str(os.cpu_count()), *options]
    command += ["--config", *(f"{key}={value}" for key, value in config.items())]
    errors = subprocess.PIPE if apart else subprocess.STDOUT
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, check=False)


EXPERIMENT = '''"""The runs of a toy."""

from igbrepro.data import load
from igbrepro.initialization import InitSpec
from igbrepro.networks import MLPSpec
from igbrepro.runs import Sweep
from igbrepro.training import TrainSettings


def dataset(p):
    """What is trained on."""
    return load(p.dataset, fallback=True)


def training(p, data):
    """Every variance of the weights."""
    spec = MLPSpec("tanh", 2, p.width, 2, data.input_shape)
    networks = {f"tanh {value:g}": (spec, InitSpec(value)) for value in p.sigma_w2}
    return Sweep(networks, TrainSettings(p.steps, 20, 1e-3, n_eval=50), p.seeds)
'''


MEASURING = EXPERIMENT.replace("import Sweep", "import Measured, Sweep")
MEASURING += '''

def norms(run, dataset, n_networks):
    """Mean squares of the logits of untrained networks."""
    import lab

    return lab.norms(run, dataset, n_networks)


def networks_of(p, data) -> dict:
    """No sweep."""
    return training(p, data).networks


def untrained(p, data) -> Sweep:
    """The same networks, without training."""
    networks = networks_of(p, data)
    return Sweep(networks, Measured(norms, {"n_networks": p.width}, inputs=100 * p.width), p.seeds)
'''
LAB = '''"""Logits of untrained networks."""

import pandas as pd
import torch

from igbrepro.networks import build


def norms(run, dataset, n_networks):
    """A row a network."""
    inputs = torch.from_numpy(dataset.inputs("test")[:100])
    rows = []
    for number in range(n_networks):
        with torch.no_grad():
            logits = build(run.spec, run.init, torch.Generator().manual_seed(1000 * run.seed + number))(inputs)
        rows.append({"step": number, "metric": "q", "value": float(logits.square().mean())})
    return pd.DataFrame(rows)
'''


def write_trained(root: Path, experiment: str = EXPERIMENT) -> Path:
    """A chapter, ch03_trained, that declares four runs of 12 steps on the shipped pictures."""
    parameters = 'seeds = [0, 1]\nwidth = 8\nsteps = 12\nsigma_w2 = [1.0, 2.0]\ndataset = "fashion-mnist-subset"'
    folder = write_chapter(root, "ch03_trained", parameters, "print(seeds)", smoke={"steps": 3})
    (folder / "experiment.py").write_text(experiment)
    return folder


def smoke_parameters(chapter: str, **changes: object) -> Parameters:
    """Those of a chapter of the book at the preset smoke, on the shipped pictures, with these changed."""
    return Parameters(resolve_parameters(chapter, "smoke", {"dataset": "fashion-mnist-subset"} | changes)[1])


@contextmanager
def making_smoke_book(factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the smoke book, which is one for all processes of pytest-xdist; within, nobody else makes it."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # the folders of processes lie in it
    with FileLock(base / "smoke.lock"):
        yield base / "smoke" / "book"
