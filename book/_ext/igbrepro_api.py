"""Sphinx extension: the pages of the package's rooms, made by autodoc from each door's `__all__`.

Our docstrings are plain text: paragraphs, lines "name: what it is.", lines that begin with Returns, Raises or Source,
and examples after >>>. Here they become reST that shows the same words: every sign that reST would read is escaped,
words of code are set as code, names of another door are linked, and each entry ends with the chapters that use it.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from igbrepro.publishing import NOTEBOOKS, chapter_names, notebook_path

ROOMS = (
    *("theory", "statistics", "data", "claims", "probes", "initialization"),
    *("modules", "networks", "ensembles", "training", "runs", "figures", "diagnosis"),
)
QUANTITIES = ("sigma_mu2", "sigma_y2")  # symbols in most texts, and functions of theory
SECTIONS = re.compile(r"(Returns?|Raises|Source|Checked|Usage|Example)\b:?")
CODE = re.compile(
    r"`(?P<ticked>[^`\n]+)`"
    r"|(?P<quoted>\"[\w.+:-]+\")"
    r"|(?P<call>\b[A-Za-z_][\w.]*\((?:[^()\n]|\([^()\n]*\))*\))"
    r"|(?P<dotted>\b[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+\b)"
    r"|(?P<word>\b[A-Za-z_]\w*\b)"
)


@cache
def public_names() -> dict[str, str]:
    """The room of every name that a door lists, by name; the first room that has it."""
    found: dict[str, str] = {}
    for room in ROOMS:
        for name in import_module(f"igbrepro.{room}").__all__:
            found.setdefault(name, room)
    return found


def _code(chapter: str, root: Path) -> Iterator[ast.Module]:
    """The code of a chapter: the cells of its notebook without magics, and the modules beside it."""
    for cell in json.loads(notebook_path(chapter, root).read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            lines = "".join(cell["source"]).splitlines()
            yield ast.parse("\n".join(line for line in lines if not line.lstrip().startswith(("%", "!"))))
    for path in sorted((root / chapter).glob("*.py")):
        yield ast.parse(path.read_text(encoding="utf-8"))


def chapters_that_use(root: Path | str = NOTEBOOKS) -> dict[tuple[str, str], list[str]]:
    """The chapters below `root` that import a name from a door, in order, by (room, name)."""
    used: dict[tuple[str, str], list[str]] = {}
    for chapter in chapter_names(root):
        imports = (node for tree in _code(chapter, Path(root)) for node in ast.walk(tree))
        for node in imports:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("igbrepro."):
                for alias in node.names:
                    chapters = used.setdefault((node.module.split(".")[1], alias.name), [])
                    chapters += [chapter] if chapter not in chapters else []
    return used


def _escape(text: str) -> str:
    """Plain text as reST that shows the same characters."""
    return re.sub(r"([\\*`|_<>\[\]])", r"\\\1", text).replace("::", r"\:\:")


def inline(text: str, known: Iterable[str] = ()) -> str:
    """One paragraph of a docstring as reST: code as code, and links from the names that a door lists.

    known: words that are code here although they look like none, such as the parameters' names.
    """
    out, at, known, public = [], 0, set(known), public_names()
    for found in CODE.finditer(text):
        code = found.group(found.lastgroup).strip()
        name = code.partition("(")[0]
        starts = not text[: found.start()].strip() or text[: found.start()].rstrip()[-1] in ".:"
        plain = found.lastgroup == "word" and not ("_" in code or code in known or code.endswith("Error"))
        if plain and (code not in public or code.islower() or (starts and not re.search("[a-z][A-Z]", code))):
            continue
        if found.lastgroup == "dotted" and len(name.replace(".", "")) < 4:  # e.g. and i.e.
            continue
        link = (
            f":py:obj:`{code} <igbrepro.{public[name]}.{name}>`"
            if name in public and name not in QUANTITIES
            else f"``{code}``"
        )
        out += [_escape(text[at : found.start()]), rf"\ {link}\ "]
        at = found.end()
    words = "".join([*out, _escape(text[at:])])
    return words if re.match(r"[A-Za-z]{2,} ", words) else rf"\ {words}"


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    """Runs of lines between empty ones."""
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line.rstrip())
        elif block:
            yield block
            block = []


def _entries(block: list[str], names: set[str]) -> Iterator[tuple[str, str]]:
    """The parts of a block as (head, text): head "name" of a line "name: text", "Raises" and the like, or empty.

    A part begins with a line, or after the two spaces that our docstrings set between two of them on one line.
    """
    head, words = "", []
    for piece in (piece for line in block for piece in re.split(r"(?<=[.;:)\w])\s{2,}(?=\S)", line.strip())):
        before, colon, after = piece.partition(": ")
        section = SECTIONS.match(piece)
        first = re.match(r"\w+", before)
        if colon and first and first[0] in names and len(before) < 60:
            start, rest = before, after
        elif section:
            start, rest = section[1], piece[section.end() :].strip()
        else:
            words.append(piece)
            continue
        if words:
            yield head, " ".join(words)
        head, words = start, [rest]
    if words:
        yield head, " ".join(words)


def plain_to_rst(lines: list[str], names: Iterable[str] = ()) -> list[str]:
    """A plain docstring as lines of reST.

    names: of the parameters or fields, whose lines "name: text" become a list.
    """
    names, out = set(names), []
    known = {name for name in names if len(name) > 1 or name.isupper()}
    for block in _blocks(lines):
        if block[0].lstrip().startswith(">>>"):
            out += [".. code-block:: python", "", *(f"   {line.strip()}" for line in block), ""]
            continue
        if all(line.startswith("    ") for line in block):
            out += [".. code-block:: text", "", *(f"   {line}" for line in block), ""]
            continue
        for head, text in _entries(block, names):
            if head and SECTIONS.fullmatch(head):
                out += [rf"*{head}*\  {inline(text, known)}", ""]
            elif head:
                out += [f"* ``{head}``: {inline(text, known)}", ""]
            else:
                out += [inline(text), ""]
    return out


def _names(obj: Any) -> set[str]:
    """Parameters of a callable, and the fields of a class."""
    try:
        found = set(inspect.signature(obj).parameters)
    except (TypeError, ValueError):
        found = set()
    return found | {name for base in getattr(obj, "__mro__", ()) for name in getattr(base, "__annotations__", ())}


def _chapter_links(chapters: Iterable[str], documents: Iterable[str]) -> str:
    """ "chapter 3, 7", each number a link where the book has the page."""
    links = []
    for name in chapters:
        number, document = str(int(name[2:4])), f"notebooks/{name}/{name.partition('_')[2]}"
        links.append(f":doc:`{number} </{document}>`" if document in documents else number)
    return ("chapter " if len(links) == 1 else "chapters ") + ", ".join(links)


def _summary(room: str) -> list[str]:
    """A table of what the door of a room gives: each name with the first sentence about it; then its constants."""
    module = import_module(f"igbrepro.{room}")
    out = [".. list-table::", "   :widths: 30 70", "   :class: igb-api", ""]
    for name in sorted(module.__all__, key=lambda name: (name.lower(), name)):
        doc = _own_doc(getattr(module, name)) or _comment(name) or "A constant."
        first = re.split(r"(?<=\w{2}\.|.[)\]]\.)\s|\n\n", doc, maxsplit=1)[0]
        out += [f"   * - :py:obj:`~igbrepro.{room}.{name}`", f"     - {inline(' '.join(first.split()))}"]
    return [*out, ""]


def _constants(room: str, used: Mapping[tuple[str, str], list[str]], documents: Iterable[str]) -> list[str]:
    """The values that a door lists, which autodoc passes over."""
    module, out = import_module(f"igbrepro.{room}"), []
    for name in sorted(module.__all__):
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            continue
        shown = " ".join(repr(value).split())
        out += [f".. py:data:: {name}"]
        out += [f"   :value: {shown}"] if len(shown) < 80 and " at 0x" not in shown else []
        out += ["", f"   {inline(_comment(name))}" if _comment(name) else "", ""]
        if chapters := used.get((room, name)):
            out += [f"   Used in {_chapter_links(chapters, documents)}.", ""]
    return out


@cache
def _comment(name: str) -> str:
    """What the comment at the end of the line says that makes the constant `name`; empty where there is none."""
    package = Path(import_module("igbrepro").__file__).parent
    line = re.compile(rf"^{name}(?:: [^=]+)? = [^\n#]*  # (.+)$", re.MULTILINE)
    found = (line.search(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py")))
    return next((f"{match[1][0].upper()}{match[1][1:].rstrip('.')}." for match in found if match), "")


def _own_doc(obj: Any) -> str:
    """The docstring of a function, class or module; empty for a value, whose docstring is its type's."""
    own = inspect.isclass(obj) or inspect.isroutine(obj) or inspect.ismodule(obj)
    doc = inspect.getdoc(obj) if own else ""
    made = inspect.isclass(obj) and (doc or "").startswith(f"{obj.__name__}(")  # dataclasses write their signature
    return "" if made else doc or ""


def process_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Replace a plain docstring by reST, with a table of names for a room, and chapters for each of its names."""
    room, _, public = name.removeprefix("igbrepro.").partition(".")
    no_own = (what == "class" and not _own_doc(obj)) or isinstance(obj, Enum)
    lines[:] = [] if no_own else plain_to_rst(lines, _names(obj))
    if what == "module":
        lines += [*_summary(room), *_constants(room, _used(app), app.env.found_docs)]
    elif chapters := _used(app).get((room, public)):
        lines += [f"Used in {_chapter_links(chapters, app.env.found_docs)}.", ""]


def process_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """The signature with its types as the source writes them, those of a door linked."""
    if what not in ("function", "method", "class") or signature is None:
        return None
    if inspect.isclass(obj) and issubclass(obj, Enum):
        return "", None
    try:
        found = inspect.signature(obj)
    except (TypeError, ValueError):
        return None
    known = [p.replace(annotation=_Source(p.annotation)) for p in found.parameters.values() if p.name != "self"]
    text = re.sub(r"<[^<>]*>", "...", str(inspect.Signature(known)))
    result = found.return_annotation
    return text, str(_Source(result)) if result is not inspect.Signature.empty and what != "class" else None


class _Source:
    """A type as it stands in the source, for a signature."""

    def __new__(cls, annotation: Any) -> Any:
        return annotation if annotation is inspect.Parameter.empty else super().__new__(cls)

    def __init__(self, annotation: Any) -> None:
        text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
        public = public_names()
        self.text = re.sub(
            r"(?<![\w.\"'])[A-Za-z_]\w*(?![\w.\"'])",
            lambda word: f"~igbrepro.{public[word[0]]}.{word[0]}" if word[0] in public else word[0],
            text,
        )

    def __repr__(self) -> str:
        return self.text


def _used(app: Sphinx) -> Mapping[tuple[str, str], list[str]]:
    if not hasattr(app, "igb_used"):
        app.igb_used = chapters_that_use()
    return app.igb_used


def skip_member(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out members of classes that say nothing about themselves; fields stand in the signature and the text."""
    if what != "class" or isinstance(obj, Enum):
        return None
    told = inspect.isroutine(obj) or isinstance(obj, property)
    return None if told and inspect.getdoc(obj) else True


def configure(app: Sphinx, config: Any) -> None:
    """Settings of autodoc that belong to this extension."""
    config.autodoc_default_options = {"members": True, "undoc-members": True}
    config.autodoc_typehints_format = "short"
    config.autodoc_type_aliases = {"ArrayLike": "ArrayLike", "NDArray": "NDArray"}
    config.python_maximum_signature_line_length = 90
    config.add_module_names = False
    # types in signatures belong to other packages' manuals; our own links are checked
    config.nitpick_ignore_regex = [*config.nitpick_ignore_regex, ("py:class", r".*"), ("py:data", r".*")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx; safe for parallel reading and writing."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("config-inited", configure)
    app.connect("autodoc-process-docstring", process_docstring)
    app.connect("autodoc-process-signature", process_signature)
    app.connect("autodoc-skip-member", skip_member)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
