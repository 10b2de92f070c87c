"""The repository as a whole: dependencies declared and pinned, chapters complete, the hooks and the Makefile."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from igbrepro.cli.command import app
from igbrepro.publishing import NOTEBOOKS, chapter_names, load_claims, load_expected, load_preset, notebook_path
from igbrepro.publishing.chapters import parameter_defaults, preset_names

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CHAPTERS = chapter_names()
README = (ROOT / "README.md").read_text()

PLATFORMS = {
    "linux-x86": {"sys_platform": "linux", "platform_machine": "x86_64"},
    "linux-arm": {"sys_platform": "linux", "platform_machine": "aarch64"},
    "mac-arm": {"sys_platform": "darwin", "platform_machine": "arm64"},
}
TORCH = {"linux-x86": ("2.14.1", "0.29.1"), "linux-arm": ("2.9.1", "0.24.1"), "mac-arm": ("2.14.1", "0.29.1")}
WHEELS = {"linux-x86": "manylinux_2_28_x86_64", "linux-arm": "manylinux_2_28_aarch64", "mac-arm": "macosx_14_0_arm64"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(*groups: list[str]) -> list[Requirement]:
    """The packages of these groups of pyproject, without the package itself."""
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
                out.setdefault(canonical(pin.name), []).append(specifier.version)
    return out


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_every_dependency_has_one_exact_version_within_its_range(platform):
    exact = pins(platform)
    for requirement in requirements(PROJECT["dependencies"], *EXTRAS.values()):
        versions = exact.get(canonical(requirement.name), [])
        assert len(versions) == 1, f"{requirement.name}: {versions} in constraints.txt, need one version"
        assert versions[0] in requirement.specifier, f"{requirement.name}: {versions[0]} not in {requirement.specifier}"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_torch_of_each_platform(platform):
    exact = pins(PLATFORMS[platform])
    assert (exact["torch"][0], exact["torchvision"][0]) == TORCH[platform]
    assert not [name for name in exact if name.startswith(("nvidia-", "cuda-", "triton"))]


def test_no_version_is_promised_where_torch_has_no_wheels():
    for elsewhere in (("darwin", "x86_64"), ("win32", "AMD64")):
        exact = pins(dict(zip(("sys_platform", "platform_machine"), elsewhere, strict=True)))
        assert "torch" not in exact and "torchvision" not in exact
    assert "Apple silicon" in README and "WSL" in README


def code_of(path: Path) -> str:
    """The code of a module, or of the cells of a notebook without their magics."""
    if path.suffix == ".py":
        return path.read_text()
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


def imports(*folders: str) -> dict[str, str]:
    """Top-level names that the code below these folders imports, each with a file that does."""
    found = {}
    for folder in folders:
        for path in sorted([*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.ipynb")]):
            for node in ast.walk(ast.parse(code_of(path))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                    names = [node.module]
                found |= {name.split(".")[0]: str(path.relative_to(ROOT)) for name in names}
    return found


@cache
def distributions() -> dict[str, list[str]]:
    """The installed distributions that hold each top-level name; slow to gather."""
    return dict(packages_distributions())


PLUGIN = "snakemake_logger_plugin_igbrepro"
OWN = {"igbrepro", PLUGIN, "notebooks", "claims", "lab", *(path.stem for path in (ROOT / "tests").iterdir())}
OWN |= {path.stem for path in NOTEBOOKS.glob("ch*/*.py")}


@pytest.mark.parametrize(
    ("folders", "groups"), [(("igbrepro", "notebooks"), ()), (("tests", "benchmarks", PLUGIN), ("book", "test"))]
)
def test_what_is_imported_is_declared(folders, groups):
    declared = {canonical(r.name) for r in requirements(PROJECT["dependencies"], *(EXTRAS[name] for name in groups))}
    undeclared = {
        name: path
        for name, path in imports(*folders).items()
        if name not in sys.stdlib_module_names | OWN
        and not declared & {canonical(distribution) for distribution in distributions().get(name, [name])}
    }
    assert not undeclared, f"add these packages to pyproject.toml, or import them nowhere: {undeclared}"


def test_what_is_declared_for_the_package_is_imported():
    imported = {canonical(d) for name in imports("igbrepro", "notebooks") for d in distributions().get(name, ())}
    unused = {canonical(r.name) for r in requirements(PROJECT["dependencies"])} - imported
    assert unused <= {"ipykernel"}, "ipykernel runs the notebooks; the others are imported nowhere"


def python_range(text: str) -> SpecifierSet:
    low, high = re.search(r"\((\d+, \d+)\) <= sys\.version_info < \((\d+, \d+)\)", text).groups()
    return SpecifierSet(f">={low.replace(', ', '.')},<{high.replace(', ', '.')}")


def test_conda_environment_is_the_one_that_make_makes():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (python,) = [entry for entry in environment["dependencies"] if str(entry).startswith("python")]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert environment["name"] == PROJECT["name"] == "igbrepro"
    assert SpecifierSet(python.removeprefix("python")) == python_range((ROOT / "Makefile").read_text())
    assert pip == ["-c constraints.txt", "-e .[dev]"]
    assert "igbrepro[book,test]" in EXTRAS["dev"] and set(EXTRAS) == {"book", "test", "dev"}


index = pytest.mark.skipif(not os.environ.get("IGBREPRO_INDEX"), reason="asks the package index; set IGBREPRO_INDEX=1")


def resolve(tmp_path: Path, *arguments: str) -> None:
    """What pip would install, from wheels alone; fails with pip's words where there is no such set."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--only-binary=:all:", "--target"]
    run = subprocess.run([*command, str(tmp_path / "x"), *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]


@index
@pytest.mark.index
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_package_installs_from_wheels(tmp_path, python):
    resolve(tmp_path, "--python-version", python, "-c", str(ROOT / "constraints.txt"), *PROJECT["dependencies"])


@index
@pytest.mark.index
@pytest.mark.parametrize("platform", PLATFORMS)
def test_torch_has_wheels_for_each_platform(tmp_path, platform):
    pinned = [f"{name}=={version}" for name, version in zip(("torch", "torchvision"), TORCH[platform], strict=True)]
    resolve(tmp_path, "--no-deps", "--python-version", "3.12", "--platform", WHEELS[platform], *pinned)


def test_readme_citation_intro_and_bibliography_name_one_paper():
    paper = yaml.safe_load((ROOT / "CITATION.cff").read_text())["preferred-citation"]
    entry = (ROOT / "book" / "references.bib").read_text().split("@inproceedings{bassi2025,")[1].split("\n}")[0]
    assert paper["title"] in entry and str(paper["year"]) in entry
    names = " and ".join(f"{author['family-names']}, {author['given-names']}" for author in paper["authors"])
    assert f"{{{names}}}" in entry
    assert all(f"*{paper['title']}*" in (ROOT / page).read_text() for page in ("README.md", "book/intro.md"))


def test_theory_claims_and_publishing_import_without_torch():
    rooms = ["theory", "statistics", "claims", "publishing", "cli"]
    code = "; ".join(["import sys", *(f"import igbrepro.{name}" for name in rooms), "print('torch' in sys.modules)"])
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_every_folder_below_notebooks_is_a_chapter():
    folders = {path.name for path in NOTEBOOKS.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))}
    assert folders == set(CHAPTERS)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_is_complete_and_its_notebook_a_source(name):
    here = {path.name for path in (NOTEBOOKS / name).iterdir()}
    assert {notebook_path(name).name, "claims.py", "expected.yml", "sizes.yml"} <= here
    committed = {claim_id for claim_id, claim in load_claims(name).items() if not claim.rule.local}
    assert committed and set(load_expected(name)) == committed
    text = notebook_path(name).read_text()
    notebook = json.loads(text)
    assert text == json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "one form for all, as the hooks leave it"
    cells = notebook["cells"]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells), "nbstripout it"
    assert cells[0]["cell_type"] == "markdown" and "".join(cells[0]["source"]).startswith("# ")
    assert isinstance(parameter_defaults(notebook_path(name)).get("seed"), int), "the parameters cell needs a seed"


def test_every_preset_lists_every_chapter_and_the_laptop_s_is_the_notebooks_own():
    assert preset_names() == ["smoke", "laptop", "study", "paper"]
    assert all(list(load_preset(preset)) == CHAPTERS for preset in preset_names())
    assert not [name for name, entry in load_preset("laptop").items() if entry.parameters]


def test_the_table_of_contents_holds_every_chapter_in_order():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    ours = [notebook_path(name).relative_to(ROOT).with_suffix("").as_posix() for name in CHAPTERS]
    assert [file for file in files if file.startswith("notebooks/")] == ours


def test_the_hooks_leave_the_repository_as_it_is(tmp_path):
    sources = []
    for folder in ("igbrepro", "notebooks", "tests", "benchmarks", "tools", "book"):
        sources += [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.ipynb")]
    names = [str(path.relative_to(ROOT)) for path in sorted(sources)]
    for name in [*names, "pyproject.toml"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (hooks,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in hooks["hooks"]:
        program, *options = shlex.split(hook["entry"])
        wanted = [name for name in names if name.endswith(".ipynb") or "python" in hook.get("types_or", ())]
        command = [str(Path(sys.executable).with_name(program)), *options, *wanted]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"{hook['id']}: {run.stdout[-2000:]}{run.stderr[-500:]}"
    assert not [name for name in names if (tmp_path / name).read_bytes() != (ROOT / name).read_bytes()]


def make(folder: Path, *arguments: str) -> str:
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_make_help_lists_every_target_with_its_words():
    told = dict(line.split(None, 1) for line in make(ROOT, "help").splitlines())
    assert set(told) == {"book", "test", "notebook", "serve", "clean", "help"} and told["help"] == "this list"
    text = (ROOT / "Makefile").read_text()
    assert not re.search(r"\bsed\b|\bgrep -P|readlink -f|expand -t", text), "BSD tools differ there; use awk"


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


PYTHON_BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_readme_imports_what_there_is():
    lines = [line for block in PYTHON_BLOCKS for line in block.splitlines() if line.startswith("from ")]
    named = {tuple(dotted.rsplit(".", 1)) for dotted in re.findall(r"`(igbrepro(?:\.\w+){2})", README)}
    lines += [f"from {room} import {name}" for room, name in sorted(named)]
    run = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert lines and run.returncode == 0, run.stderr


def test_the_numbers_that_the_readme_shows_are_those_of_its_code():
    (block,) = [block for block in PYTHON_BLOCKS if "classify(" in block]
    names: dict[str, object] = {}
    exec(block, names)
    shown = re.findall(r"^(\w+\(.*\)) +# (?:\.\.\. and )?([\d.]+)", block, flags=re.MULTILINE)
    assert len(shown) == 3
    for call, number in shown:
        assert f"{eval(call, names):.6f}" == number, call


def test_the_commands_of_the_readme_are_there():
    words = set(re.findall(r"(?:^|`)igbrepro ([a-z]+)", README, flags=re.MULTILINE))
    assert {"run", "list", "claims", "diagnose", "data"} <= words <= set(app.commands)
