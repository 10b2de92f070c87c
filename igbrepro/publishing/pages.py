"""The book's generated pages: claims, claims at a glance, index of figures, run times and versions.

Everything on them comes from the records and the executed notebooks beside them; nothing is typed in by hand.
"""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from igbrepro.claims import Claim, Measurement, Outcome, Record, Verdict, describe_data
from igbrepro.publishing.chapters import NOTEBOOKS, chapter_number, chapters_in, load_register, notebook_path
from igbrepro.publishing.rejudged import read_rejudged

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


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], widths: Iterable[int]) -> str:
    """A MyST list-table, whose cells may hold any Markdown."""
    lines = ["```{list-table}", ":header-rows: 1", f":widths: {' '.join(map(str, widths))}", ""]
    for row in [tuple(head), *map(tuple, rows)]:
        for k, cell in enumerate(row):
            lines.append(f"{'* ' if k == 0 else '  '}- {cell.replace(chr(10), ' ')}".rstrip())
    return "\n".join([*lines, "```"])


def _escape(text: str) -> str:
    """Plain text as Markdown that shows the same characters."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#|$~^" else sign for sign in text)


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


def claims_page(records: list[Record], chapters: Mapping[str, Chapter], register: Register) -> str:
    """The page of claims: a table of all, then every verdict box with where it comes from."""
    verdicts = all_verdicts(records, register)
    by_claim = {v.claim_id: r for r in records for v in r.verdicts}

    def chapter(verdict: Verdict, text: str = "") -> str:
        found = chapters.get(verdict.chapter)
        return found.link_as(text or found.title) if found else f"`{verdict.chapter}`"

    rows = [
        (
            badge(v.outcome),
            f"{{ref}}`{v.title} <claim-{v.claim_id}>`<br><small>{_escape(v.source)}</small>",
            _numbers(v.measurements),
            f"{chapter(v, _short(v.chapter))}<br><small>data: {_data(v.data)}</small>",
        )
        for v in verdicts
    ]
    parts = [
        "(claims)=\n# Claims and verdicts",
        f"{len(verdicts)} claims: {_count(verdicts)} ({_run_line(records)}). "
        "Every verdict is computed by its chapter from the numbers shown, by the rule that the register holds for "
        "it (one written or sharpened after a first look at numbers says *exploratory*). *Undecided* is "
        "a claim whose numbers are too noisy at this size; its box says what would decide. "
        "{doc}`/book/reproduce` says how. This page is made from the records of the run alone.",
    ]
    if rows:
        head = ("Verdict", "Claim, and where in the paper", "Key numbers", "Chapter")
        parts += ["## All claims", _table(head, rows, (18, 32, 34, 16)), "## One by one"]
    for v in verdicts:
        lines = [
            f"(claim-{v.claim_id})=",
            f"### {_escape(v.title)}",
            "",
            "```{raw} html",
            v.to_html(heading=False),
            "```",
            "",
        ]
        record = by_claim.get(v.claim_id)
        made = f"; preset *{record.preset}*{_size(record.parameters)}" if record else ""
        parts.append("\n".join([*lines, f"Chapter: {chapter(v)}{made}."]))
    return "\n\n".join(parts) + "\n"


SIZES = ("depth", "width", "widths", "channels", "steps", "n_inputs", "n_images", "n_networks", "seeds", "seed")


def _size(parameters: Mapping[str, Any]) -> str:
    """The parameters that say how large a run was, as "; depth 50; steps 300": those of them that a chapter has."""
    shown = [(name, parameters[name]) for name in SIZES if parameters.get(name) is not None]
    texts = [", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value) for _, value in shown]
    return "".join(f"; {name} {text}" for (name, _), text in zip(shown, texts, strict=True))


def glance_page(records: list[Record], register: Register) -> str:
    """The short table for the first page of the book."""
    verdicts = all_verdicts(records, register)
    rows = [(badge(v.outcome), f"{{ref}}`{v.title} <claim-{v.claim_id}>`. {_escape(v.statement)}") for v in verdicts]
    text = f"Of {len(verdicts)} claims: {_count(verdicts)} ({_run_line(records)})."
    return "\n\n".join([text, _table(("Verdict", "Claim"), rows, (25, 75))] if rows else [text]) + "\n"


def _thumbnail(figure: Figure, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{figure.name}.png"
    with Image.open(io.BytesIO(figure.png)) as image:
        image = image.convert("RGB")
        image.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
        image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    return f"{folder.name}/{path.name}"


def figures_page(chapters: Mapping[str, Chapter], thumbnails: Path) -> str:
    """The index of figures: a card each, with a small picture written to `thumbnails`, the caption and the link."""
    parts = [
        "(figures)=\n# Index of figures",
        "Every figure is drawn by the notebook of its chapter; a card leads to it.",
    ]
    for chapter in chapters.values():
        if not chapter.figures:
            continue
        cards = []
        for figure in chapter.figures:
            lines = ["```{grid-item-card}", f":link: {figure.name}", ":link-type: ref", f":link-alt: {figure.name}"]
            if figure.png:
                lines += [
                    f":img-top: {_thumbnail(figure, thumbnails)}",
                    f":img-alt: {figure.alt.replace(chr(10), ' ')}",
                ]
            cards.append("\n".join([*lines, "", f"{{numref}}`{figure.name}`. {figure.caption}", "```"]))
        grid = ["````{grid} 1 2 2 2", ":gutter: 3", "", "\n\n".join(cards), "````"]
        parts += [f"## {_escape(chapter.title)}", "\n".join(grid)]
    return "\n\n".join(parts) + "\n"


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _commit(made: Mapping[str, Any]) -> str:
    commit = made.get("commit")
    return f"`{commit[:10]}`{' + changes' if made.get('dirty') else ''}" if commit else "unknown"


def _machine(made: Mapping[str, Any]) -> str:
    hardware = made.get("hardware", {})
    facts = [hardware.get("processor"), hardware.get("cores") and f"{hardware['cores']} cores",
             hardware.get("memory_gb") and f"{hardware['memory_gb']:g} GB", *hardware.get("gpu", ())]  # fmt: skip
    return _escape(", ".join(str(fact) for fact in facts if fact)) or "unknown"


def _values(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"`{key} = {value}`" for key, value in parameters.items()) or "as in the notebook"


def runs_page(records: list[Record], chapters: Mapping[str, Chapter]) -> str:
    """The page of runs: time, preset, parameters, data, commit, hardware and versions of every chapter."""
    total = sum(r.seconds for r in records)
    parts = [
        "(runs)=\n# Run times and versions",
        f"{len(records)} notebooks, {_clock(total)} of computing in all ({_run_line(records)}). "
        "{doc}`/book/reproduce` says how to run them again.",
    ]
    if records:
        rows = [
            (
                chapters[r.notebook].link_as(_short(r.notebook)) if r.notebook in chapters else f"`{r.notebook}`",
                _clock(r.seconds),
                _values(r.changed),
                str(r.parameters.get("seed", "none")),
                _data(r.data or _verdict_data(r)),
                _commit(r.provenance),
                r.provenance.get("date", "")[:16].replace("T", " "),
            )
            for r in records
        ]
        head = ("Chapter", "Time", "Changed parameters", "Seed", "Data", "Commit", "Finished (UTC)")
        parts += ["## Runs", _table(head, rows, (13, 9, 26, 7, 15, 15, 15))]
    sources = sorted({describe_data(d) for r in records for d in (r.data or _verdict_data(r))})
    if sources:
        parts += ["## Data", "\n".join(f"- {_escape(text)}" for text in sources)]
    kinds: dict[str, list[str]] = {}
    for r in records:
        made = r.provenance
        versions = {"Python": made.get("python", "?"), **made.get("versions", {})}
        rows = [*versions.items(), ("system", made.get("system", "?")), ("hardware", _machine(made))]
        kinds.setdefault(_table(("What", "Version"), ((k, str(v)) for k, v in rows), (30, 70)), []).append(r.notebook)
    for k, (table, names) in enumerate(kinds.items()):
        title = "## Versions and hardware" if len(kinds) == 1 else f"## Versions and hardware ({k + 1})"
        used = (
            "The same for every notebook." if len(kinds) == 1 else "Used by " + ", ".join(f"`{n}`" for n in names) + "."
        )
        parts += [title, used, table]
    return "\n\n".join(parts) + "\n"


def _verdict_data(record: Record) -> list[Mapping[str, Any]]:
    return [d for v in record.verdicts for d in v.data]


def write_pages(records_folder: Path | str, out_folder: Path | str, root: Path | str = NOTEBOOKS) -> list[Path]:
    """Write claims.md, claims_glance.md, figures.md and runs.md to `out_folder` and return their paths.

    records_folder: the tree of executed notebooks with their records beside them, a folder directly below the source
    root of the book; its name is the first part of the chapters' document names.
    """
    records_folder, out_folder = Path(records_folder), Path(out_folder)
    records, register = read_rejudged(records_folder, root), load_register(root)
    chapters = read_chapters(records_folder)
    out_folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "claims.md": claims_page(records, chapters, register),
        "claims_glance.md": glance_page(records, register),
        "figures.md": figures_page(chapters, out_folder / "thumbnails"),
        "runs.md": runs_page(records, chapters),
    }
    for name, text in texts.items():
        (out_folder / name).write_text(text, encoding="utf-8")
    return [out_folder / name for name in texts]
