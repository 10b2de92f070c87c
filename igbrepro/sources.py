"""The notebooks on disk: their names, parameters and presets, and the files each one is made from.

Names are paths below the notebooks folder without suffix, such as "theory/01_signals". Parameters are read from the
tagged cell with `ast`, which unlike papermill's own inspection sees every assignment and keeps its value.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from typing import Any

import yaml

from igbrepro.errors import ParameterError
from igbrepro.results import RECORD_SUFFIX

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent
NOTEBOOKS = ROOT / "notebooks"
PRESETS = "presets"
REGISTERS = tuple(sorted(PACKAGE.glob("claims_*.py")))  # the register of claims and its parts


@dataclass(frozen=True)
class Entry:
    """What a preset says about one notebook: its expected run time and the parameters it changes."""

    minutes: float
    parameters: Mapping[str, Any] = field(default_factory=dict)


def _one_of(argument: str, value: str, known: list[str]) -> str:
    """The words "argument='value': no such ...; did you mean ...?" of every unknown name."""
    near = get_close_matches(value, known, n=3, cutoff=0.5) or known
    return f"{argument}={value!r}: there is none of that name; did you mean {', '.join(near) or '(nothing is there)'}?"


def notebook_names(root: Path | str = NOTEBOOKS) -> list[str]:
    """All notebooks below `root`, in the order of their numbers.

    Raises ParameterError where `root` is no folder of notebooks.
    """
    root = Path(root)
    if not (root / PRESETS).is_dir():
        raise ParameterError(f"notebooks={str(root)!r}: holds no {PRESETS}/; run in a clone of igbrepro.")
    paths = (path.relative_to(root).with_suffix("") for path in root.rglob("*.ipynb"))
    names = (path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))
    return sorted(names, key=lambda name: (name.rpartition("/")[2], name))


def find_notebook(part: str, root: Path | str = NOTEBOOKS) -> str:
    """The one notebook whose name is, or holds, `part`: "theory/01_signals", "01_signals", "signals" or "01".

    A name that is whole but for its number comes first: "pooling" is 07_pooling, not 12_pooling_in_cnns.

    Raises ParameterError with the close matches where none or several fit.
    """
    names = notebook_names(root)
    wanted = part.removesuffix(".ipynb").removeprefix("notebooks/")
    if wanted in names:
        return wanted
    found = [name for name in names if name.rpartition("/")[2].partition("_")[2] == wanted]
    found = found or [name for name in names if wanted in name] if wanted else []
    if len(found) == 1:
        return found[0]
    if found:
        raise ParameterError(f"notebook={part!r}: fits {', '.join(found)}; give more of the name.")
    by_stem = {name.rpartition("/")[2]: name for name in names} | {name: name for name in names}
    near = get_close_matches(wanted, by_stem, n=3, cutoff=0.5)
    raise ParameterError(_one_of("notebook", part, list(dict.fromkeys(by_stem[n] for n in near)) or names))


def notebook_path(name: str, root: Path | str = NOTEBOOKS) -> Path:
    """Where the notebook called `name` lies."""
    return Path(root) / f"{name}.ipynb"


def record_path(executed: Path | str) -> Path:
    """Where the record of an executed notebook lies: beside it."""
    return Path(executed).with_suffix("").with_suffix(RECORD_SUFFIX)


def _cells(path: Path | str, kind: str) -> list[dict[str, Any]]:
    """The cells of one kind; read as plain JSON, because importing nbformat alone takes seconds."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells if cell["cell_type"] == kind]


def _code(cell: Mapping[str, Any]) -> ast.Module:
    """A code cell without its IPython magics."""
    lines = cell["source"].splitlines()
    return ast.parse("\n".join(line for line in lines if not line.lstrip().startswith(("%", "!"))))


def notebook_title(path: Path | str) -> str:
    """The first heading of the notebook, or its file name."""
    lines = (line for cell in _cells(path, "markdown") for line in cell["source"].splitlines())
    heads = (line.removeprefix("# ").strip() for line in lines if line.startswith("# "))
    return next(heads, Path(path).stem)


def parameter_defaults(path: Path | str) -> dict[str, Any]:
    """Parameters of a notebook with their defaults, which are the `laptop` preset.

    A default that is no literal (2 / 3) is given as its source text.
    Raises ParameterError unless exactly one cell has the tag `parameters`.
    """
    cells = [cell for cell in _cells(path, "code") if "parameters" in cell["metadata"].get("tags", ())]
    if len(cells) != 1:
        raise ParameterError(f"{path}: {len(cells)} cells have the tag 'parameters'; need exactly one.")
    defaults: dict[str, Any] = {}
    for node in _code(cells[0]).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            defaults.update({target.id: _literal(node.value) for target in targets if isinstance(target, ast.Name)})
    return defaults


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _needed(default: Any, value: Any) -> str | None:
    """What a parameter with this default must be, in words, where `value` is something else."""
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "True or False"
    if isinstance(default, int):
        return None if isinstance(value, int) and not isinstance(value, bool) else "a whole number"
    if isinstance(default, float):
        return None if isinstance(value, Real) and not isinstance(value, bool) else "a number"
    if isinstance(default, list | tuple):
        return None if isinstance(value, list | tuple) else "a list"
    return None


def _check_changes(changes: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> None:
    """ParameterError unless each change names a parameter and is of the kind of its default."""
    for name, value in changes.items():
        if name not in defaults:
            raise ParameterError(f"{where}: " + _one_of("parameter", str(name), sorted(defaults)))
        if needed := _needed(defaults[name], value):
            raise ParameterError(f"{where}: {name}={value!r}: need {needed}, like its default {defaults[name]!r}.")


def preset_names(root: Path | str = NOTEBOOKS) -> list[str]:
    """The presets on disk: smoke, laptop, paper, and whatever else lies in presets/."""
    return sorted(path.stem for path in (Path(root) / PRESETS).glob("*.yml"))


def load_preset(preset: str, root: Path | str = NOTEBOOKS) -> dict[str, Entry]:
    """The entries of a preset by notebook name, each checked against its notebook.

    Raises ParameterError for an unknown preset, notebook, key or parameter, naming the file and the close matches.
    """
    names = notebook_names(root)
    if preset not in preset_names(root):
        raise ParameterError(_one_of("preset", preset, preset_names(root)))
    path = Path(root) / PRESETS / f"{preset}.yml"
    where = f"{PRESETS}/{preset}.yml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ParameterError(f"{where}: not readable as YAML ({error}).") from error
    entries = {}
    for name, fields in raw.items():
        if name not in names:
            raise ParameterError(f"{where}: " + _one_of("notebook", str(name), names))
        if not isinstance(fields, dict) or set(fields) != {"minutes", "parameters"}:
            raise ParameterError(f"{where}: {name}: need the keys `minutes` and `parameters`, got {fields!r}.")
        entry = Entry(fields["minutes"], fields["parameters"] or {})
        if isinstance(entry.minutes, bool) or not isinstance(entry.minutes, Real) or not entry.minutes > 0:
            raise ParameterError(f"{where}: {name}: minutes={entry.minutes!r}: need a number above 0.")
        _check_changes(entry.parameters, parameter_defaults(notebook_path(name, root)), f"{where}: {name}")
        entries[name] = entry
    return entries


def resolve_parameters(
    name: str, preset: str, changes: Mapping[str, Any] | None = None, root: Path | str = NOTEBOOKS
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters of one run: (what to inject = preset plus `changes`, all of them with the untouched defaults).

    Raises ParameterError for a preset without this notebook and for unknown or ill-typed parameters.
    """
    entries = load_preset(preset, root)
    if name not in entries:
        raise ParameterError(_one_of("notebook", name, list(entries)) + f" Preset {preset!r} does not list it.")
    defaults = parameter_defaults(notebook_path(name, root))
    _check_changes(changes or {}, defaults, name)
    injected = {**entries[name].parameters, **(changes or {})}
    return injected, {**defaults, **injected}


def imported_names(tree: ast.AST, package: str = "") -> Iterator[str]:
    """Dotted names that `tree` imports, relative ones seen from `package`; parents come before their children."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            found = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for dotted in found:
            parts = dotted.split(".")
            yield from (".".join(parts[: i + 1]) for i in range(len(parts)))


def _module_file(dotted: str) -> Path | None:
    """The file of a module of this package; None for other packages and for names inside a module."""
    if dotted.split(".")[0] != PACKAGE.name:
        return None
    base = ROOT.joinpath(*dotted.split("."))
    return next((path for path in (base / "__init__.py", base.with_suffix(".py")) if path.is_file()), None)


def imported_files(path: Path | str) -> list[Path]:
    """Files of this package that a notebook or module imports, directly or not, and the package's data files.

    A change in one of them makes the notebook run again. Imports inside functions count.
    """
    path = Path(path)
    if path.suffix == ".ipynb":
        start = [name for cell in _cells(path, "code") for name in imported_names(_code(cell))]
    else:
        start = list(imported_names(ast.parse(path.read_text(encoding="utf-8"))))
    seen: set[Path] = set()
    waiting = start
    while waiting:
        file = _module_file(dotted := waiting.pop())
        if file is None or file in seen:
            continue
        seen.add(file)
        package = dotted if file.name == "__init__.py" else dotted.rpartition(".")[0]
        waiting.extend(imported_names(ast.parse(file.read_text(encoding="utf-8")), package))
    return sorted(seen) + (_data_files() if seen else [])


def _data_files() -> list[Path]:
    skipped = {".py", ".pyc", ".md"}
    return sorted(p for p in PACKAGE.rglob("*") if p.is_file() and p.suffix not in skipped)


class _OneNotebook(ast.NodeTransformer):
    """Leaves of the register what decides the verdicts of one notebook: neither other claims nor `expected`."""

    def __init__(self, name: str):
        self.name = name

    def visit_Call(self, node: ast.Call) -> ast.AST | None:
        if isinstance(node.func, ast.Name) and node.func.id == "Claim":
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            notebook = given.get("notebook")
            if isinstance(notebook, ast.Constant) and notebook.value != self.name:
                return None
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "expected"]
        return self.generic_visit(node)


def register_digest(name: str, registers: Iterable[Path] = REGISTERS) -> str:
    """A checksum of the claims that notebook `name` settles; one more claim elsewhere does not change it.

    Nor does a new `expected`: accepting a verdict must not mean to run the notebook again.
    """
    trees = [_OneNotebook(name).visit(ast.parse(path.read_text(encoding="utf-8"))) for path in registers]
    return hashlib.sha256("".join(map(ast.dump, trees)).encode()).hexdigest()[:16]


def notebook_inputs(name: str, root: Path | str = NOTEBOOKS) -> list[Path]:
    """Every file whose change makes notebook `name` run again; the register counts by `register_digest` instead."""
    path = notebook_path(name, root)
    return [path, *(file for file in imported_files(path) if file not in REGISTERS)]


def parameters_key(entry: Entry) -> str:
    """The parameters of a preset entry as one text that is equal when they are."""
    return json.dumps(entry.parameters, sort_keys=True)
