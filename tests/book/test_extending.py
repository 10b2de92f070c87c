"""Every diff of the page Extending igbrepro applies to a copy of the repository, where its own tests pass."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book/extending.md"
DIFFS = sorted((ROOT / "book/extending").glob("*.diff"))


def files(diff: Path) -> list[str]:
    """The files that a diff changes or adds."""
    return re.findall(r"^\+\+\+ b/(.+)$", diff.read_text(), re.MULTILINE)


def files_of_tests(diff: Path) -> list[str]:
    """The tests that a diff brings, and those here of the modules that it changes."""
    changed = [Path(name) for name in files(diff) if name.startswith("igbrepro/")]
    here = [Path("tests", *path.parts[1:-1], f"test_{path.name}").as_posix() for path in changed]
    new = [name for name in files(diff) if name.startswith("tests/")]
    return new + [name for name in here if (ROOT / name).is_file()]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the repository as it stands, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("no git clone: the diffs were not tried")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / "copy" / name)
    return tmp_path / "copy"


def run(copy: Path, *command: str) -> str:
    """What a command says in the copy, whose package it imports; it must succeed."""
    environ = {**os.environ, "PYTHONPATH": str(copy), "GIT_CEILING_DIRECTORIES": str(copy.parent)}
    done = subprocess.run(command, cwd=copy, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def test_the_page_shows_every_diff_and_nothing_else():
    shown = re.findall(r"```\{literalinclude\} extending/(\S+)\n:language: diff\n```", PAGE.read_text())
    assert sorted(shown) == [diff.name for diff in DIFFS]
    assert {diff.stem for diff in DIFFS} == {"activation", "architecture", "chapter", "dataset", "pool"}


@pytest.mark.parametrize("diff", DIFFS, ids=lambda diff: diff.stem)
def test_a_kind_of_addition_is_one_place_and_its_test(diff):
    """Beside doors and the table of contents, a diff touches one file of the package, or one folder of notebooks."""
    places = {
        name.rpartition("/")[0] if name.startswith("notebooks/") else name
        for name in files(diff)
        if not name.startswith("tests/") and not name.endswith(("__init__.py", "_toc.yml"))
    }
    assert len(places) == 1
    assert [name for name in files(diff) if name.startswith("tests/")]


@pytest.mark.parametrize("diff", DIFFS, ids=lambda diff: diff.stem)
def test_a_diff_applies_to_a_copy_and_its_tests_pass_there(diff, copy):
    run(copy, "git", "apply", str(diff))
    said = run(copy, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files_of_tests(diff))
    assert re.search(r"\d+ passed", said) and "skipped" not in said, said
    changed = [name for name in files(diff) if name.endswith((".py", ".ipynb"))]
    if shutil.which("ruff", path=str(Path(sys.executable).parent)):
        ruff = str(Path(sys.executable).parent / "ruff")
        run(copy, ruff, "check", "--no-cache", *changed)
        run(copy, ruff, "format", "--no-cache", "--check", *changed)


def test_the_chapter_is_listed_and_runs(copy, tmp_path):
    run(copy, "git", "apply", str(ROOT / "book/extending/chapter.diff"))
    command = [sys.executable, "-m", "igbrepro"]
    assert "first_layer" in run(copy, *command, "list")
    run(copy, *command, "run", "25", "--preset", "smoke", "--out", str(tmp_path / "out"))
    record = next((tmp_path / "out").rglob("first_layer.record.json"))
    assert '"first-layer-erf"' in record.read_text()
