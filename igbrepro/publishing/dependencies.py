"""What a notebook is made of: the code that it imports and what its claims ask of it, each as a checksum.

Imports are followed by name: `from igbrepro.theory import MeanField` counts the module that defines MeanField and what
that imports in turn, not the whole room behind the door.  A door (an `__init__` of imports alone) is no dependency
itself; what it imports without a place in its `__all__` it imports for its effect, and that counts for all its guests.
Checksums are those of syntax trees without docstrings: words and layout make nothing run again.  Nor do rules and
verdicts, which are given anew from the stored measurements: of the room `claims` only what makes numbers counts.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from igbrepro.publishing import chapters
from igbrepro.publishing.chapters import NOTEBOOKS, code_tree, load_claims, notebook_cells, notebook_path

TEMPLATES = "templates"
DOOR = "__init__.py"
NUMBERS = ("measurement.py", "comparisons.py")  # the modules of the room `claims` that make numbers


@dataclass(frozen=True)
class Wanted:
    """A name wanted of a module; None: all of it, "": only that it is entered on the way to another."""

    module: str
    name: str | None = None


@dataclass(frozen=True)
class _Source:
    """What a file of code is: whether it is a door, what it imports, by bound name, for its effect; its checksum."""

    is_door: bool
    wants: tuple[Wanted, ...]
    names: Mapping[str, Wanted]
    effects: tuple[Wanted, ...]
    checksum: str


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements in `body`, those inside functions, classes, conditions and loops too."""
    for node in body:
        yield node
        for field in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, field, ()))
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from _statements(part.body)


def _imports(body: Iterable[ast.stmt], package: str) -> Iterator[tuple[str, Wanted]]:
    """(bound name, what is wanted) of every import in `body`, relative ones seen from `package`."""
    for node in _statements(body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.partition(".")[0], Wanted(alias.name)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            for alias in node.names:
                yield alias.asname or alias.name, Wanted(base, None if alias.name == "*" else alias.name)


def _is_typing(node: ast.stmt) -> bool:
    """Whether this is `if TYPE_CHECKING:`, whose imports do not happen."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _only_opens(node: ast.stmt) -> bool:
    """Whether a statement of an `__init__` does nothing but hand names on."""
    if isinstance(node, ast.FunctionDef):
        return node.name in ("__getattr__", "__dir__")
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return not any(isinstance(one, ast.Call) for one in ast.walk(node))
    return isinstance(node, ast.Import | ast.ImportFrom) or _is_text(node) or _is_typing(node)


def _listed(tree: ast.Module) -> set[str]:
    """The names in `__all__`."""
    lists = [n.value for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"]
    return {str(one.value) for value in lists for one in ast.walk(value) if isinstance(one, ast.Constant)}


def meaning(tree: ast.Module) -> str:
    """A checksum of a syntax tree without its docstrings and other lone texts, which are taken out of it."""
    for node in (tree, *_statements(tree.body)):
        if body := getattr(node, "body", None):
            body[:] = [statement for statement in body if not _is_text(statement)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def _read(path: Path, module: str, stamp: tuple[int, int]) -> _Source:
    """The source in a file; `stamp` (time of change, size) tells its versions apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module if path.name == DOOR else module.rpartition(".")[0]
    listed = _listed(tree)
    happening = [node for node in tree.body if not _is_typing(node)]
    at_once = [node for node in happening if isinstance(node, ast.Import | ast.ImportFrom)]
    return _Source(
        is_door=path.name == DOOR and all(map(_only_opens, tree.body)),
        wants=tuple(want for _, want in _imports(happening, package)),
        names=dict(_imports(tree.body, package)),
        effects=tuple(want for name, want in _imports(at_once, package) if name not in listed),
        checksum=meaning(tree),
    )


def _source(path: Path, module: str) -> _Source:
    stat = path.stat()
    return _read(path, module, (stat.st_mtime_ns, stat.st_size))


def _file(module: str, chapter: Path | None) -> Path | None:
    """The file of a module of this package or of a chapter's folder, its claims.py left out; None for others."""
    if module.split(".")[0] == chapters.PACKAGE.name:
        base = chapters.PACKAGE.parent.joinpath(*module.split("."))
        return next((path for path in (base / DOOR, base.with_suffix(".py")) if path.is_file()), None)
    path = chapter / f"{module}.py" if chapter and module != "claims" else None
    return path if path and path.is_file() else None


def _follow(start: Iterable[Wanted], chapter: Path | None) -> set[Path]:
    """The files that give what is wanted, and all that they need."""
    waiting, seen = list(start), set(start)
    modules: dict[str, tuple[Path, _Source] | None] = {}
    files: set[Path] = set()

    def look(module: str) -> tuple[Path, _Source] | None:
        if module not in modules:
            file = _file(module, chapter)
            modules[module] = file and (file, _source(file, module))
        return modules[module]

    while waiting:
        want = waiting.pop()
        if (found := look(want.module)) is None:
            continue
        file, source = found
        parts = want.module.split(".")
        next_ = [Wanted(".".join(parts[:k]), "") for k in range(1, len(parts))]
        given = source.names.get(want.name or "", want)
        if want.name and given == want and look(inner := f"{want.module}.{want.name}"):
            next_.append(Wanted(inner))
        if not source.is_door:
            files.add(file)
            next_ += source.wants
        else:
            next_ += source.effects
            if want.name is None:
                next_ += source.names.values()
            elif given != want:
                next_.append(given)
            elif want.name and look(f"{want.module}.{want.name}") is None:  # the door itself defines it
                files.add(file)
                next_ += source.names.values()
        new = dict.fromkeys(next_).keys() - seen
        seen |= new
        waiting += new
    return files


def imported_files(path: Path | str) -> list[Path]:
    """Files of code, of this package and of its own folder, that a notebook or module needs, itself left out.

    Imports inside functions count; those for type checkers alone do not, and claims.py does not: see `needs_digest`.
    """
    path = Path(path)
    if path.suffix == ".ipynb":
        wants = list(_wants(path, path.stat().st_mtime_ns))
    else:
        wants = [Wanted(_module_name(path))]
    chapter = None if path.is_relative_to(chapters.PACKAGE) else path.parent
    return sorted(_follow(wants, chapter) - {path})


@cache
def _wants(notebook: Path, stamp: int) -> tuple[Wanted, ...]:
    """What a notebook imports; `stamp` (time of change) tells its versions apart."""
    cells = notebook_cells(notebook, "code")
    return tuple(want for cell in cells for _, want in _imports(code_tree(cell).body, ""))


def _module_name(path: Path) -> str:
    """ "igbrepro.theory.phases" for the file of that module; the stem for one outside the package."""
    if not path.is_relative_to(chapters.PACKAGE):
        return path.stem
    parts = path.relative_to(chapters.PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if path.name == DOOR else parts)


def _shipped(files: Iterable[Path]) -> list[Path]:
    """What the rooms of these files hold besides code and words: data and templates."""
    inside = [path.relative_to(chapters.PACKAGE) for path in files if path.is_relative_to(chapters.PACKAGE)]
    rooms = {chapters.PACKAGE / path.parts[0] for path in inside if len(path.parts) > 1}
    found = (path for room in rooms for path in room.rglob("*") if path.is_file())
    return sorted(path for path in found if path.suffix not in (".py", ".pyc", ".md"))


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _label(path: Path) -> str:
    inside = path.is_relative_to(chapters.PACKAGE)
    return path.relative_to(chapters.PACKAGE.parent).as_posix() if inside else path.name


def code_files(name: str, root: Path | str = NOTEBOOKS) -> list[Path]:
    """The files of code that give the numbers of a chapter: those that its notebook imports, but rules and verdicts."""
    files = imported_files(notebook_path(name, root))
    return [path for path in files if path.parent != chapters.PACKAGE / "claims" or path.name in NUMBERS]


def code_digest(name: str, root: Path | str = NOTEBOOKS) -> str:
    """A checksum of the code that gives the numbers of a chapter (`code_files`), words left out."""
    files = code_files(name, root)
    return _checksum("\n".join(f"{_label(path)} {_source(path, _module_name(path)).checksum}" for path in files))


def module_digest(module: str) -> str:
    """The same of a module of this package ("publishing.pages") with the templates and data of the rooms it uses."""
    path = chapters.PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    files = [path, *imported_files(path)]
    lines = [f"{_label(file)} {_source(file, _module_name(file)).checksum}" for file in files]
    lines += [f"{_label(file)} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in _shipped(files)]
    return _checksum("\n".join(lines))


def needs_digest(name: str, root: Path | str = NOTEBOOKS) -> str:
    """A checksum of the claim ids of a chapter and of the measurements that their rules need.

    Only these make a notebook run again: words are changed, and rules applied, on the stored measurements.
    """
    needs = {claim.id: claim.rule.needs for claim in load_claims(name, root).values()}
    return _checksum(json.dumps(needs, sort_keys=True))


def notebook_inputs(name: str, root: Path | str = NOTEBOOKS) -> list[Path]:
    """The files whose change makes the notebook of a chapter run again: itself, and the data that its code ships.

    Code counts by `code_digest`, claims by `needs_digest`; templates make pages only.
    """
    path = notebook_path(name, root)
    return [path, *(file for file in _shipped(imported_files(path)) if TEMPLATES not in file.parts)]
