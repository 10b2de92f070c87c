"""The house: rooms with doors, imports one way, types, sizes."""

import ast
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "igbrepro"
MODULES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in MODULES}
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
    run = tool("basedpyright", "--pythonpath", sys.executable)
    assert run.returncode == 0, run.stdout


def test_every_room_lists_its_public_names_and_none_is_a_module_s():
    code = """
import importlib, json, sys
out = {}
for room in sys.argv[1:]:
    door = importlib.import_module(f"igbrepro.{room}")
    missing = [name for name in door.__all__ if not hasattr(door, name)]
    hidden = [name for name in door.__all__ if type(getattr(door, name, None)).__name__ == "module"]
    if missing or hidden:
        out[room] = missing + hidden
print(json.dumps(out))
"""
    run = subprocess.run([sys.executable, "-c", code, *ROOMS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {}, "names in __all__ that the door lacks, or behind which a module hides"


def past_the_door(path: Path) -> list[str]:
    """Imports of a module from inside other rooms."""
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: from {node.module} import ..."
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.count(".") > 1
        and node.module.split(".")[0] == "igbrepro"
        and node.module.split(".")[1] != room
    ]


def test_other_rooms_come_in_through_the_door():
    inside = [line for path in MODULES for line in past_the_door(path)]
    assert not inside, f"import from the room itself, whose __init__ lists its public names: {inside}"


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many parameters a function has besides self; none are counted of a command, whose options they are."""
    if any(word in ast.unparse(d) for d in node.decorator_list for word in ("app.", "click.")):
        return 0
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return len([argument for argument in arguments if argument.arg not in ("self", "cls")])


def test_modules_and_signatures_stay_small():
    long = {path.name: path.read_text().count("\n") for path in MODULES}
    assert not {name: lines for name, lines in long.items() if lines > LONGEST_MODULE}, "split them"
    functions = [
        (f"{path.name}: {node.name}", parameters(node))
        for path in MODULES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert not [(name, number) for name, number in functions if number > MOST_PARAMETERS], "take settings"


def test_no_line_escapes_the_formatter():
    folders = [ROOT / name for name in ("tests", "benchmarks", "tools", "notebooks")]
    files = [
        *MODULES,
        *(path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in (".py", ".ipynb")),
    ]
    word = "fmt: " + "skip"
    assert not [path.name for path in files if word in path.read_text()]
