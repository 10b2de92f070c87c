"""The repository as a whole: versions in step, imports one way, notebooks in order."""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from igbrepro.publishing import chapters as sources

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "igbrepro"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOTEBOOKS = sources.notebook_names()

# Imports go up only: a module may import from its own row and from the rows above it.
LAYERS = [
    {"errors"},
    {"estimators", "plain_quadrature"},
    {"theory"},
    {"network", "architectures"},
    {"tracing", "layers", "gains", "initialization"},
    {"image_models", "models"},
    {"metrics"},
    {"sampler", "ensemble", "simulation"},
    {"diagnostics", "windows", "gradients", "response", "heads", "tokens", "normalised"},
    {"head_bias", "monitor"},
    {"data_files", "data"},
    {"training_run", "training"},
    {"milestones", "pretraining"},
    {"results"},
    {"comparisons", "phase_probe"},
    {"rules"},
    {f"claims_{part}" for part in ("pooled", "cnn", "cnn_pooling", "residual", "vit", "start", "practice")},
    {"claims_register", "claims"},
    {"plotting", "phase_figures"},
    {"advice", "diagnosis", "zoo"},
    {"pages"},
    {"sources", "workflow", "staging"},
    {"cli", "__main__"},
]
RANK = {name: row for row, names in enumerate(LAYERS) for name in names}
PLATFORMS = {
    "linux-x86": {"sys_platform": "linux", "platform_machine": "x86_64"},
    "linux-arm": {"sys_platform": "linux", "platform_machine": "aarch64"},
    "mac-x86": {"sys_platform": "darwin", "platform_machine": "x86_64"},
    "mac-arm": {"sys_platform": "darwin", "platform_machine": "arm64"},
}


def requirements() -> list[Requirement]:
    """Every package that pyproject names, in whatever group."""
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    found = [Requirement(text) for group in groups for text in group]
    return [requirement for requirement in found if requirement.name != "igbrepro"]


def pins(platform: dict[str, str]) -> dict[str, list[str]]:
    """Versions that constraints.txt gives a platform, by canonical name."""
    lines = (line.strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    out: dict[str, list[str]] = {}
    for line in lines:
        if line and not line.startswith("#"):
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate(platform):
                (specifier,) = pin.specifier
                assert specifier.operator == "==", f"{line}: need an exact version"
                out.setdefault(pin.name.lower().replace("_", "-"), []).append(specifier.version)
    return out


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_every_dependency_has_one_exact_version_within_its_range(platform):
    exact = pins(platform)
    for requirement in requirements():
        versions = exact.get(requirement.name.lower().replace("_", "-"), [])
        assert len(versions) == 1, f"{requirement.name}: {versions} in constraints.txt, need one version"
        assert versions[0] in requirement.specifier, f"{requirement.name}: {versions[0]} not in {requirement.specifier}"


@pytest.mark.parametrize(
    ("platform", "torch", "torchvision"),
    [("linux-x86", "2.14.1", "0.29.1"), ("linux-arm", "2.9.1", "0.24.1"), ("mac-x86", "2.14.1", "0.29.1"),
     ("mac-arm", "2.14.1", "0.29.1")],
)  # fmt: skip
def test_torch_of_each_platform(platform, torch, torchvision):
    exact = pins(PLATFORMS[platform])
    assert (exact["torch"], exact["torchvision"]) == ([torch], [torchvision])
    assert not [name for name in exact if name.startswith(("nvidia-", "cuda-", "triton"))]


def test_conda_environment_is_the_same_one():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (python,) = [entry for entry in environment["dependencies"] if str(entry).startswith("python")]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert environment["name"] == PROJECT["name"] == "igbrepro"
    assert SpecifierSet(python.removeprefix("python")) == SpecifierSet(PROJECT["requires-python"])
    assert pip == ["-c constraints.txt", "-e .[dev]"]
    extras = PROJECT["optional-dependencies"]
    assert "igbrepro[book,test]" in extras["dev"] and set(extras) == {"book", "test", "dev"}


def test_citation_names_the_paper_of_the_bibliography():
    paper = yaml.safe_load((ROOT / "CITATION.cff").read_text())["preferred-citation"]
    entry = (ROOT / "book" / "references.bib").read_text().split("@inproceedings{bassi2025,")[1].split("\n}")[0]
    assert paper["title"] in entry and str(paper["year"]) in entry
    assert all(f"{author['family-names']}, {author['given-names']}" in entry for author in paper["authors"])


def layer(path: Path) -> str:
    """The layer of a file: its name, or that of its subpackage."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_run_one_way(path):
    assert layer(path) in RANK, f"{path.name}: give it a place in LAYERS"
    above = {name.split(".")[1] for name in sources.imported_names(ast.parse(path.read_text())) if name.count(".") == 1
             and name.startswith("igbrepro.")}  # fmt: skip
    upward = {name for name in above & set(RANK) if RANK[name] > RANK[layer(path)]}
    assert not upward, f"{path.name} imports from {upward}, which stand below it in LAYERS"


def test_theory_claims_and_workflow_import_without_torch():
    modules = ["theory", "network", "results", "claims", "pages", "sources", "workflow", "staging", "cli", "data_files"]
    code = "; ".join(["import sys", *(f"import igbrepro.{name}" for name in modules), "print('torch' in sys.modules)"])
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_kept_as_a_source(name):
    path = sources.notebook_path(name)
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "stores outputs: nbstripout them"
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    assert isinstance(sources.parameter_defaults(path).get("seed"), int), "the parameters cell needs a seed"


@pytest.mark.parametrize("preset", ["smoke", "laptop", "paper"])
def test_presets_list_every_notebook(preset):
    assert sorted(sources.load_preset(preset)) == sorted(NOTEBOOKS)


def test_laptop_preset_is_the_notebooks_own_parameters():
    assert not [name for name, entry in sources.load_preset("laptop").items() if entry.parameters]


def test_every_notebook_is_a_chapter():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    chapters = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    assert sorted(c for c in chapters if c.startswith("notebooks/")) == sorted(
        f"notebooks/{name}" for name in NOTEBOOKS
    )


def make(folder: Path, *arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_environment_is_made_when_missing_or_out_of_date_and_reused_across_clones(tmp_path):
    for clone in ("one", "two"):
        (tmp_path / clone).mkdir()
        for name in ("Makefile", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, tmp_path / clone / name)
    venv = f"VENV={tmp_path / 'venv'}"
    (tmp_path / "venv").mkdir()
    plan = make(tmp_path / "one", "-n", "environment", venv)
    assert "pip install" in plan
    Path(plan.splitlines()[-1].removeprefix("touch ")).touch()
    for clone in ("one", "two"):
        assert "pip install" not in make(tmp_path / clone, "-n", "environment", venv)
    with (tmp_path / "two" / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    assert "pip install" in make(tmp_path / "two", "-n", "environment", venv)
    assert "pip install" not in make(tmp_path / "one", "-n", "environment", venv)
