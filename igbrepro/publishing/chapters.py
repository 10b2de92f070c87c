"""The chapters on disk, one folder each below `notebooks/`: names, parameters, sizes, claims, committed verdicts.

    notebooks/ch07_pooling/
        pooling.ipynb    the story; its name is the folder's without the number
        claims.py        Claims at module level, one by one or in dicts
        expected.yml     the committed verdicts, claim id: outcome
        sizes.yml        minutes and changed parameters of every preset; memory_gb and gpu where it needs more
        *.py             code that no other chapter uses

Parameters are read from the tagged cell with `ast`, which unlike papermill's own inspection sees every assignment and
keeps its value. Nothing here runs a notebook; `claims.py` is imported, and needs no torch.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from igbrepro.claims import RECORD_SUFFIX, Claim, Outcome
from igbrepro.errors import ParameterError
from igbrepro.publishing.resources import MEMORY_GB

PACKAGE = Path(__file__).resolve().parents[1]
ROOT = PACKAGE.parent
NOTEBOOKS = ROOT / "notebooks"
NAME = re.compile(r"ch(\d+)_(\w+)")


@dataclass(frozen=True)
class Entry:
    """What a preset says about one chapter: minutes on one core, the parameters it changes, its memory and GPUs."""

    minutes: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    memory_gb: float = MEMORY_GB
    gpu: int = 0


def _one_of(argument: str, value: str, known: list[str]) -> str:
    """The words "argument='value': no such ...; did you mean ...?" of every unknown name."""
    near = get_close_matches(value, known, n=3, cutoff=0.5) or known
    return f"{argument}={value!r}: there is none of that name; did you mean {', '.join(near) or '(nothing is there)'}?"


def chapter_names(root: Path | str = NOTEBOOKS) -> list[str]:
    """All chapters below `root` in order: the folders chNN_name that hold a notebook called name.ipynb.

    Raises ParameterError where `root` holds none.
    """
    names = chapters_in(root)
    if not names:
        raise ParameterError(
            f"notebooks={str(root)!r}: holds no chapters chNN_name/name.ipynb; run in a clone of igbrepro."
        )
    return names


def chapters_in(folder: Path | str) -> list[str]:
    """The same of any folder laid out like `notebooks/`, such as one of executed notebooks; it may hold none."""
    names = [path.name for path in Path(folder).glob("ch*/") if NAME.fullmatch(path.name)]
    return sorted(
        (name for name in names if notebook_path(name, folder).is_file()), key=lambda name: (chapter_number(name), name)
    )


def _parts(name: str) -> tuple[int, str]:
    """(7, "pooling") for "ch07_pooling"."""
    found = NAME.fullmatch(name)
    if found is None:
        raise ParameterError(f"chapter={name!r}: need a name such as ch07_pooling.")
    return int(found[1]), found[2]


def chapter_number(name: str) -> int:
    """7 for "ch07_pooling"."""
    return _parts(name)[0]


def find_chapter(part: str, root: Path | str = NOTEBOOKS) -> str:
    """The one chapter that `part` means: "ch07_pooling", "pooling", "7", "07", "ch7", or any part of one name alone.

    A name that is whole but for its number comes first: "pooling" is chapter 7, not pooling_in_cnns. So do paths, as a
    shell completes them: notebooks/ch07_pooling/pooling.ipynb.
    Raises ParameterError with the close matches where none or several fit.
    """
    names = chapter_names(root)
    wanted = part.removesuffix(".ipynb").rstrip("/").removeprefix("notebooks/")
    wanted = wanted.split("/")[0] if wanted.split("/")[0] in names else wanted
    number = re.fullmatch(r"(?:ch)?0*(\d+)", wanted)
    if number:
        found = [name for name in names if chapter_number(name) == int(number[1])]
    else:
        found = [name for name in names if wanted in (name, _parts(name)[1])]
        found = found or ([name for name in names if wanted in name] if wanted else [])
    if len(found) == 1:
        return found[0]
    if found:
        raise ParameterError(f"notebook={part!r}: fits {', '.join(found)}; give more of the name.")
    by_stem = {_parts(name)[1]: name for name in names} | {name: name for name in names}
    near = get_close_matches(wanted, by_stem, n=3, cutoff=0.5)
    raise ParameterError(_one_of("notebook", part, list(dict.fromkeys(by_stem[n] for n in near)) or names))


def notebook_path(name: str, root: Path | str = NOTEBOOKS) -> Path:
    """Where the notebook of a chapter lies, below `root` or a folder laid out like it."""
    return Path(root) / name / f"{name.partition('_')[2]}.ipynb"


def record_path(executed: Path | str) -> Path:
    """Where the record of an executed notebook lies: beside it."""
    return Path(executed).with_suffix("").with_suffix(RECORD_SUFFIX)


def notebook_cells(path: Path | str, kind: str) -> list[dict[str, Any]]:
    """The cells of one kind; read as plain JSON, because importing nbformat alone takes seconds."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in cells if cell["cell_type"] == kind]


def code_tree(cell: Mapping[str, Any]) -> ast.Module:
    """A code cell without its IPython magics."""
    lines = cell["source"].splitlines()
    return ast.parse("\n".join(line for line in lines if not line.lstrip().startswith(("%", "!"))))


def notebook_title(path: Path | str) -> str:
    """The first heading of the notebook, or its file name."""
    lines = (line for cell in notebook_cells(path, "markdown") for line in cell["source"].splitlines())
    heads = (line.removeprefix("# ").strip() for line in lines if line.startswith("# "))
    return next(heads, Path(path).stem)


def parameter_defaults(path: Path | str) -> dict[str, Any]:
    """Parameters of a notebook with their defaults, which are the `laptop` preset.

    A default that is no literal (2 / 3) is given as its source text.
    Raises ParameterError unless exactly one cell has the tag `parameters`.
    """
    cells = [cell for cell in notebook_cells(path, "code") if "parameters" in cell["metadata"].get("tags", ())]
    if len(cells) != 1:
        raise ParameterError(f"{path}: {len(cells)} cells have the tag 'parameters'; need exactly one.")
    defaults: dict[str, Any] = {}
    for node in code_tree(cells[0]).body:
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


def executed_module(name: str, stem: str, root: Path | str = NOTEBOOKS) -> ModuleType:
    """The module that stem.py in the folder of a chapter makes, run anew; it is not among those imported."""
    path = Path(root) / name / f"{stem}.py"
    module = ModuleType(f"{name}_{stem}")
    module.__file__ = str(path)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True), vars(module))
    return module


def load_claims(name: str, root: Path | str = NOTEBOOKS) -> dict[str, Claim]:
    """The claims of a chapter by id, in the order of its claims.py; none where it has no such file.

    Raises ParameterError where an id comes twice.
    """
    path = Path(root) / name / "claims.py"
    if not path.is_file():
        return {}
    module = executed_module(name, "claims", root)
    found: dict[str, Claim] = {}
    for value in vars(module).values():
        for claim in value.values() if isinstance(value, dict) else (value,):
            if isinstance(claim, Claim) and found.setdefault(claim.id, claim) is not claim:
                raise ParameterError(f"{path.name} of {name}: claim id {claim.id!r} comes twice; give one another id.")
    return found


def load_register(root: Path | str = NOTEBOOKS) -> dict[str, dict[str, Claim]]:
    """The claims of every chapter, by chapter and id; raises ParameterError where two chapters share an id."""
    register = {name: load_claims(name, root) for name in chapter_names(root)}
    owner: dict[str, str] = {}
    for name, claims in register.items():
        for claim_id in claims:
            if claim_id in owner:
                raise ParameterError(f"claim id {claim_id!r} stands in {owner[claim_id]} and {name}; rename one.")
            owner[claim_id] = name
    return register


def expected_path(name: str, root: Path | str = NOTEBOOKS) -> Path:
    """Where the committed verdicts of a chapter stand."""
    return Path(root) / name / "expected.yml"


def load_expected(name: str, root: Path | str = NOTEBOOKS) -> dict[str, Outcome]:
    """The committed verdicts of a chapter, by claim id.

    Raises ParameterError for a file that is no mapping of the chapter's claim ids to outcomes.
    """
    path = expected_path(name, root)
    raw = _yaml(path) if path.is_file() else {}
    claims = load_claims(name, root)
    out = {}
    for claim_id, outcome in raw.items():
        if claim_id not in claims:
            raise ParameterError(f"{name}/expected.yml: " + _one_of("claim", str(claim_id), list(claims)))
        try:
            out[claim_id] = Outcome(outcome)
        except ValueError:
            raise ParameterError(
                f"{name}/expected.yml: {claim_id}: {outcome!r}: need one of {', '.join(Outcome)}."
            ) from None
    return out


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it was built


def _yaml(path: Path) -> dict[str, Any]:
    where = f"{path.parent.name}/{path.name}"
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER) or {}
    except yaml.YAMLError as error:
        raise ParameterError(f"{where}: not readable as YAML ({error}).") from error
    if not isinstance(raw, dict):
        raise ParameterError(f"{where}: need names with their values, got {raw!r}.")
    return raw


def preset_names(root: Path | str = NOTEBOOKS) -> list[str]:
    """The presets of the chapters below `root` (smoke, laptop, study, paper), in the order of the first chapter."""
    return list(dict.fromkeys(preset for name in chapter_names(root) for preset in _sizes(name, root)))


def _sizes(name: str, root: Path | str) -> dict[str, Any]:
    path = Path(root) / name / "sizes.yml"
    if not path.is_file():
        raise ParameterError(f"{name}: has no sizes.yml, which gives minutes and parameters of every preset.")
    return _yaml(path)


def _entry(fields: Any, where: str) -> Entry:
    """What a preset says about a chapter, checked but for the names of its parameters."""
    needed, known = {"minutes", "parameters"}, list(Entry.__dataclass_fields__)
    if not isinstance(fields, dict) or not needed <= set(fields):
        raise ParameterError(f"{where}: need the keys `minutes` and `parameters`, got {fields!r}.")
    for key in fields:
        if key not in known:
            raise ParameterError(f"{where}: " + _one_of("key", str(key), known))
    entry = Entry(**{**fields, "parameters": fields["parameters"] or {}})
    for key, unit in (("minutes", "of one core"), ("memory_gb", "in GB")):
        value = getattr(entry, key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not (value > 0 and math.isfinite(value)):
            raise ParameterError(f"{where}: {key}={value!r}: need a number above 0, {unit}.")
    if isinstance(entry.gpu, bool) or not isinstance(entry.gpu, int) or entry.gpu < 0:
        raise ParameterError(f"{where}: gpu={entry.gpu!r}: need the number of GPUs, 0 (as without the key) or more.")
    return entry


def load_preset(preset: str, root: Path | str = NOTEBOOKS) -> dict[str, Entry]:
    """The entries of a preset by chapter, each checked against its notebook.

    Raises ParameterError for an unknown preset, a chapter without it, an unknown key or parameter, naming the file and
    the close matches.
    """
    entries = {}
    if preset not in preset_names(root):
        raise ParameterError(_one_of("preset", preset, preset_names(root)))
    for name in chapter_names(root):
        where, raw = f"{name}/sizes.yml", _sizes(name, root)
        if preset not in raw:
            raise ParameterError(f"{where}: has no preset {preset!r}; every chapter needs one of each.")
        entry = _entry(raw[preset], f"{where}: {preset}")
        _check_changes(entry.parameters, parameter_defaults(notebook_path(name, root)), f"{where}: {preset}")
        entries[name] = entry
    return entries


def resolve_parameters(
    name: str, preset: str, changes: Mapping[str, Any] | None = None, root: Path | str = NOTEBOOKS
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters of one run: (what to inject = preset plus `changes`, all of them with the untouched defaults).

    Raises ParameterError for a preset without this chapter and for unknown or ill-typed parameters.
    """
    entries = load_preset(preset, root)
    if name not in entries:
        raise ParameterError(_one_of("notebook", name, list(entries)))
    defaults = parameter_defaults(notebook_path(name, root))
    _check_changes(changes or {}, defaults, name)
    injected = {**entries[name].parameters, **(changes or {})}
    return injected, {**defaults, **injected}


def parameters_key(entry: Entry) -> str:
    """The parameters of a preset entry as one text that is equal when they are."""
    return json.dumps(entry.parameters, sort_keys=True)
