"""The book's generated pages: the abstract with its verdicts, claims, index of figures, run times and versions.

Everything on them comes from the records and the executed notebooks beside them; nothing is typed in by hand. Their
words and layout stand in templates/*.md.j2.
"""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from igbrepro.claims import Claim, Measurement, Outcome, Record, Verdict, describe_data
from igbrepro.publishing.abstract import read_abstract
from igbrepro.publishing.chapters import (
    NOTEBOOKS,
    chapter_number,
    chapters_in,
    load_register,
    notebook_path,
    preset_names,
)
from igbrepro.publishing.rejudged import read_rejudged

if TYPE_CHECKING:
    from igbrepro.publishing.costs import Cost

THUMBNAIL_PIXELS = 480
Register = Mapping[str, Mapping[str, Claim]]


@dataclass(frozen=True)
class Figure:
    """A captioned figure of an executed notebook: its label, caption (MyST), alternative text, PNG or None."""

    name: str
    caption: str
    alt: str
    png: bytes | None


@dataclass(frozen=True)
class Chapter:
    """An executed notebook: its name, title, document in the book and figures."""

    name: str
    title: str
    document: str
    figures: tuple[Figure, ...]

    @property
    def link(self) -> str:
        """A MyST link to the page, good from any other page."""
        return self.link_as(self.title)

    def link_as(self, text: str) -> str:
        """The same under another text."""
        return f"{{doc}}`{text} </{self.document}>`"


def _figures(notebook: Mapping[str, Any]) -> Iterator[Figure]:
    for cell in notebook["cells"]:
        settings = cell.get("metadata", {}).get("mystnb", {})
        figure = settings.get("figure", {})
        if not figure.get("name"):
            continue
        images = [out["data"]["image/png"] for out in cell.get("outputs", ()) if "image/png" in out.get("data", {})]
        png = base64.b64decode("".join(images[0])) if images else None
        yield Figure(figure["name"], figure.get("caption", ""), settings.get("image", {}).get("alt", ""), png)


def _title(notebook: Mapping[str, Any], default: str) -> str:
    texts = ("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")
    lines = (line for text in texts for line in text.splitlines())
    return next((line[2:].strip() for line in lines if line.startswith("# ")), default)


def read_chapters(folder: Path) -> dict[str, Chapter]:
    """Every executed notebook below `folder`, by name ("ch01_signals"), in the order of their numbers."""
    out = {}
    for name in chapters_in(folder):
        path = notebook_path(name, folder)
        notebook = json.loads(path.read_text(encoding="utf-8"))
        document = path.relative_to(folder.parent).with_suffix("").as_posix()
        out[name] = Chapter(name, _title(notebook, name), document, tuple(_figures(notebook)))
    return out


def _short(name: str) -> str:
    """ "Chapter 3" for "ch03_two_theories"."""
    return f"Chapter {chapter_number(name)}"


def _escape(text: str) -> str:
    """Plain text as Markdown that shows the same characters, in one line."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|$~^" else sign for sign in text.replace("\n", " "))


def badge(outcome: Outcome) -> str:
    """The outcome as a coloured word (classes in the book's style sheet)."""
    return f"<span class='igb-badge igb-{outcome.slug}'>{outcome.mark}&nbsp;{outcome}</span>"


def all_verdicts(records: Iterable[Record], register: Register) -> list[Verdict]:
    """One verdict a claim, in the order of the register (chapter, claim id); those without count as "not run here"."""
    found = {verdict.claim_id: verdict for record in records for verdict in record.verdicts}
    reason = "no record of its notebook: it was not part of this run or did not finish"
    outcome, out = Outcome.NOT_RUN, []
    for chapter, claims in register.items():
        for c in claims.values():
            absent = Verdict(c.id, c.title, c.statement, c.source, outcome, outcome, reason, (), chapter=chapter)
            out.append(found.get(c.id, absent))
    return out


ORIGINS = ("the paper's claims", "what follows from them", "ours")


def _by_origin(verdicts: Iterable[Verdict]) -> list[tuple[str, list[Verdict]]]:
    """The verdicts in groups, in the order of ORIGINS, by how their sources begin; no empty groups."""
    paper, derived, ours = ORIGINS
    begins = {"arXiv:2505.12096": paper, "ours": ours}
    found: dict[str, list[Verdict]] = {origin: [] for origin in ORIGINS}
    for verdict in verdicts:
        whose = [origin for word, origin in begins.items() if verdict.source.startswith(word)]
        found[whose[0] if whose else derived].append(verdict)
    return [(origin, chosen) for origin, chosen in found.items() if chosen]


def _numbers(measurements: tuple[Measurement, ...], most: int = 2) -> str:
    shown = [_escape(str(m)) for m in measurements[:most]]
    rest = len(measurements) - most
    return "<br>".join(shown + ([f"and {rest} more"] if rest > 0 else [])) or "none"


def _data(data: Iterable[Mapping[str, Any]]) -> str:
    names = [f"{d.get('name', 'unnamed')}{' (fall-back)' if d.get('fallback') else ''}" for d in data]
    return _escape(", ".join(dict.fromkeys(names))) or "none needed"


def _count(verdicts: Iterable[Verdict]) -> str:
    tally = Counter(v.outcome for v in verdicts)
    return ", ".join(f"{tally[o]} {o}" for o in Outcome if tally[o]) or "none yet"


def _run_line(records: list[Record]) -> str:
    presets = ", ".join(sorted({r.preset for r in records})) or "none"
    last = max((r.provenance.get("date", "") for r in records), default="")
    return f"preset *{presets}*" + (f", last run {last[:10]}" if last else "")


def _render(page: str, linked: Mapping[str, Chapter], **values: Any) -> str:
    """A page from its template; `link` and the filters are what the templates write values with."""

    def link(name: str, text: str = "") -> str:
        return linked[name].link_as(text or linked[name].title) if name in linked else f"`{name}`"

    folder = Path(__file__).with_name("templates")
    house = Environment(
        loader=FileSystemLoader(folder),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    house.filters |= FILTERS | values.pop("filters", {})
    lines = house.get_template(f"{page}.j2").render(link=link, **values).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def claims_page(records: list[Record], chapters: Mapping[str, Chapter], register: Register) -> str:
    """The page of claims: a table of all, then every verdict box with where it comes from."""
    made = {verdict.claim_id: record for record in records for verdict in record.verdicts}
    verdicts = all_verdicts(records, register)
    return _render("claims.md", chapters, verdicts=verdicts, records=made, run=_run_line(records))


SIZES = ("depth", "width", "widths", "channels", "steps", "n_inputs", "n_images", "n_networks", "seeds", "seed")


def _size(parameters: Mapping[str, Any]) -> str:
    """The parameters that say how large a run was, as "; depth 50; steps 300": those of them that a chapter has."""
    shown = [(name, parameters[name]) for name in SIZES if parameters.get(name) is not None]
    texts = [", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value) for _, value in shown]
    return "".join(f"; {name} {text}" for (name, _), text in zip(shown, texts, strict=True))


def abstract_page(records: list[Record], register: Register, root: Path | str = NOTEBOOKS) -> str:
    """The table for the first page of the book: the paper's sentences, from book/abstract.yml beside `root`."""
    verdicts = all_verdicts(records, register)
    sentences = read_abstract(Path(root).parent / "book" / "abstract.yml", verdicts)
    return _render("abstract.md", {}, sentences=sentences, verdicts=verdicts, run=_run_line(records))


def _thumbnail(figure: Figure, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{figure.name}.png"
    with Image.open(io.BytesIO(figure.png or b"")) as opened:
        image = opened.convert("RGB")
        image.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
        image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    return f"{folder.name}/{path.name}"


def figures_page(chapters: Mapping[str, Chapter], thumbnails: Path) -> str:
    """The index of figures: a card each, with a small picture written to `thumbnails`, the caption and the link."""
    filters = {"thumbnail": lambda figure: _thumbnail(figure, thumbnails)}
    return _render("figures.md", {}, chapters=list(chapters.values()), filters=filters)


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _commit(made: Mapping[str, Any]) -> str:
    commit = made.get("commit")
    return f"`{commit[:10]}`{' + changes' if made.get('dirty') else ''}" if commit else "unknown"


def _machine(made: Mapping[str, Any]) -> str:
    hardware = made.get("hardware", {})
    cores = hardware.get("cores") and f"{hardware['cores']} cores"
    memory = hardware.get("memory_gb") and f"{hardware['memory_gb']:g} GB"
    facts = [hardware.get("processor"), cores, memory, *hardware.get("gpu", ())]
    return _escape(", ".join(str(fact) for fact in facts if fact)) or "unknown"


def _values(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"`{key} = {value}`" for key, value in parameters.items()) or "as in the notebook"


def runs_page(records: list[Record], chapters: Mapping[str, Chapter]) -> str:
    """The page of runs: time, preset, parameters, data, commit, hardware and versions of every chapter."""
    environments: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for record in records:
        environments.setdefault(_environment(record.provenance), []).append(record.notebook)
    return _render(
        "runs.md",
        chapters,
        records=records,
        total=sum(record.seconds for record in records),
        run=_run_line(records),
        sources=sorted({describe_data(entry) for record in records for entry in _used(record)}),
        environments=list(environments.items()),
    )


def costs_page(chapters: Mapping[str, Chapter], root: Path | str = NOTEBOOKS) -> str:
    """The page of costs: core time of every chapter at every preset, and of the training runs among it."""
    from igbrepro.publishing.costs import costs  # the store and pandas, which no other page needs
    from igbrepro.runs import RESULTS, Store, default_store

    presets = preset_names(root)
    own = default_store().folder
    table = costs(presets, Store(own, (RESULTS,) if RESULTS.is_dir() else ()), root)  # as if evidence were on
    trained = [(name, preset, one) for name, row in table.items() for preset, one in row.items() if one.runs]
    totals = {preset: sum(row[preset].minutes for row in table.values()) for preset in presets}
    return _render("costs.md", chapters, presets=presets, table=table, trained=trained, totals=totals)


def _core_time(minutes: float) -> str:
    """ "12 s", "3.4 min" or "5.6 h" of one core."""
    if minutes < 90:
        return _clock(60 * minutes)
    return f"{minutes / 60:.1f} h" if minutes < 600 else f"{minutes / 60:,.0f} h"


def _gpu_time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 0.1 else "below 0.1 h"


def _cost(one: Cost) -> str:
    return _core_time(one.notebook) + (f" + {_core_time(one.training)} training" if one.runs else "")


def _environment(made: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Versions and machine of a run, as (what, which)."""
    versions = {"Python": made.get("python", "?"), **made.get("versions", {})}
    rows = {**versions, "system": made.get("system", "?"), "hardware": _machine(made)}
    return tuple((what, str(which)) for what, which in rows.items())


def _used(record: Record) -> list[Mapping[str, Any]]:
    """The data sets of a record, or those of its verdicts where it names none."""
    return list(record.data or [entry for verdict in record.verdicts for entry in verdict.data])


FILTERS = {
    "badge": badge,
    "by_origin": _by_origin,
    "clock": _clock,
    "commit": _commit,
    "core_time": _core_time,
    "cost": _cost,
    "data": _data,
    "date": lambda text: text[:16].replace("T", " "),
    "gpu_time": _gpu_time,
    "md": _escape,
    "numbers": _numbers,
    "short": _short,
    "size": _size,
    "tally": _count,
    "used": _used,
    "values": _values,
}


def write_pages(records_folder: Path | str, out_folder: Path | str, root: Path | str = NOTEBOOKS) -> list[Path]:
    """Write abstract.md, claims.md, costs.md, figures.md and runs.md to `out_folder` and return their paths.

    records_folder: the tree of executed notebooks with their records beside them, a folder directly below the source
    root of the book; its name is the first part of the chapters' document names.
    """
    records_folder, out_folder = Path(records_folder), Path(out_folder)
    records, register = read_rejudged(records_folder, root), load_register(root)
    chapters = read_chapters(records_folder)
    out_folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "claims.md": claims_page(records, chapters, register),
        "abstract.md": abstract_page(records, register, root),
        "costs.md": costs_page(chapters, root),
        "figures.md": figures_page(chapters, out_folder / "thumbnails"),
        "runs.md": runs_page(records, chapters),
    }
    for name, text in texts.items():
        (out_folder / name).write_text(text, encoding="utf-8")
    return [out_folder / name for name in texts]
