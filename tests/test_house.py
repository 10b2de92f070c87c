"""The house: rooms with doors, imports one way, types, sizes."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "igbrepro"
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())
LONGEST_MODULE = 420
MOST_PARAMETERS = 8


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_imports_run_one_way():
    run = tool("lint-imports", "--no-cache")
    assert run.returncode == 0, run.stdout


def test_types_are_right():
    run = tool("basedpyright")
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_lists_its_public_names(room):
    code = f"import igbrepro.{room} as r; missing = [n for n in r.__all__ if not hasattr(r, n)]; assert not missing, missing"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_other_rooms_come_in_through_the_door(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    inside = [
        f"{path.name}:{node.lineno}: from {node.module} import ..."
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.count(".") > 1
        and node.module.split(".")[0] == "igbrepro"
        and node.module.split(".")[1] != room
    ]
    assert not inside, f"import from the room itself, whose __init__ lists its public names: {inside}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_modules_and_signatures_stay_small(path):
    text = path.read_text()
    assert text.count("\n") <= LONGEST_MODULE, f"{path.name}: split it"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            number = len([name for name in given if name not in ("self", "cls")])
            command = any("app." in ast.unparse(d) or "click." in ast.unparse(d) for d in node.decorator_list)
            assert number <= MOST_PARAMETERS or command, (
                f"{path.name}: {node.name} has {number} parameters; take settings"
            )


def test_no_line_escapes_the_formatter():
    files = [*MODULES, *sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "notebooks").rglob("*.py"))]
    word = "fmt: " + "skip"
    assert not [path.name for path in files if word in path.read_text()]
