"""Measured numbers, verdicts and the records that keep them with their provenance (no torch here)."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from html import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from igbrepro.errors import ParameterError

VERDICT_MIME = "application/vnd.igbrepro.verdict+json"
RECORD_SUFFIX = ".record.json"
PACKAGES = ("igbrepro", "numpy", "scipy", "pandas", "matplotlib", "seaborn", "torch", "torchvision", "torchmetrics",
            "papermill", "snakemake", "jupyter-book")  # fmt: skip


class Outcome(StrEnum):
    """What a run says about a claim; the value is the wording shown to readers."""

    REPRODUCED = "reproduced"
    CAVEAT = "reproduced with a caveat"
    NOT_REPRODUCED = "not reproduced"
    NOT_RUN = "not run here"

    @property
    def mark(self) -> str:
        """A sign that tells the outcomes apart without colour."""
        return {"reproduced": "✓", "reproduced with a caveat": "✓*", "not reproduced": "✗"}.get(self.value, "○")

    @property
    def slug(self) -> str:
        """The outcome as part of a CSS class or an anchor."""
        return self.value.replace(" ", "-")


def plain(name: str, text: str) -> str:
    """`text` unchanged, or ParameterError where it is empty or holds TeX, which verdict boxes do not render."""
    if not isinstance(text, str) or not text.strip():
        raise ParameterError(f"{name}={text!r}: need a non-empty text.")
    if "$" in text or "\\" in text:
        raise ParameterError(f"{name}={text!r}: verdict boxes render no TeX; write words or Unicode: γ, σ_w², c₁₀.")
    return text


def _finite(name: str, value: float | None, measurement: str) -> float | None:
    if value is None:
        return None
    if not math.isfinite(value):
        raise ParameterError(
            f"{name}={value!r} of measurement {measurement!r}: need a finite number; "
            "record a divergence as a measurement of its own, such as the count of diverged runs."
        )
    return float(value)


@dataclass(frozen=True)
class Measurement:
    """One measured number: value, its standard error (None: deterministic) and what theory expects (None: nothing).

    name: unique within a claim, plain text.  note: a few words on how it was measured, plain text.
    Raises ParameterError for non-finite numbers, a negative standard error, or TeX in the texts.
    """

    name: str
    value: float
    std_error: float | None = None
    expected: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        plain("name", self.name)
        if self.note:
            plain("note", self.note)
        if self.value is None:
            raise ParameterError(f"value=None of measurement {self.name!r}: need a finite number.")
        for key in ("value", "std_error", "expected"):
            object.__setattr__(self, key, _finite(key, getattr(self, key), self.name))
        if self.std_error is not None and self.std_error < 0:
            raise ParameterError(f"std_error={self.std_error!r} of measurement {self.name!r}: need a number >= 0.")

    @property
    def z(self) -> float | None:
        """Distance from the expected value in standard errors; None without both."""
        if self.expected is None or not self.std_error:
            return None
        return (self.value - self.expected) / self.std_error

    def __str__(self) -> str:
        text = f"{self.name} = {format_number(self.value, self.std_error)}"
        return text if self.expected is None else f"{text} (expected {format_number(self.expected)})"


_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _scaled(number: float, power: int, digits: int) -> str:
    return f"{number / 10.0**power:.{digits}f}".replace("-", "−")


def format_number(value: float, std_error: float | None = None) -> str:
    """`0.7613 ± 0.0012`: to two digits of the standard error; without one, to six significant digits.

    Numbers outside [1e-3, 1e5) are written as m × 10ⁿ.
    """
    if not math.isfinite(value):
        return "∞" if value == math.inf else "−∞" if value == -math.inf else "not a number"
    size = max(abs(value), std_error or 0.0)
    if size == 0:
        return "0"
    exponent = math.floor(math.log10(size))
    power = 0 if -3 <= exponent < 5 else exponent
    tail = f" × 10{str(power).translate(_SUPERSCRIPTS)}" if power else ""
    if std_error is None or std_error == 0:
        text = f"{value / 10.0**power:.6g}".replace("-", "−")
        return text + tail
    digits = min(max(0, power + 1 - math.floor(math.log10(std_error))), 15)
    text = f"{_scaled(value, power, digits)} ± {_scaled(std_error, power, digits)}"
    return f"({text}){tail}" if tail else text


@dataclass(frozen=True)
class Verdict:
    """A claim judged on measured numbers; in a notebook it renders as a box and carries its own JSON copy.

    outcome: with the caveats of this run (data, size).  rule_outcome: what the claim's rule alone says; the committed
    register is compared with this one.  data: provenance of each data set, as `Dataset.provenance`.
    """

    claim_id: str
    title: str
    statement: str
    source: str
    notebook: str
    outcome: Outcome
    rule_outcome: Outcome
    reason: str
    measurements: tuple[Measurement, ...]
    data: tuple[Mapping[str, Any], ...] = ()
    caveats: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """This verdict in plain JSON types; `from_dict` is the inverse."""
        out = asdict(self)
        out.update(outcome=self.outcome.value, rule_outcome=self.rule_outcome.value)
        return json.loads(json.dumps(out, default=_plain_number))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Verdict:
        """The verdict that `to_dict` wrote."""
        return cls(
            **{
                **raw,
                "outcome": Outcome(raw["outcome"]),
                "rule_outcome": Outcome(raw["rule_outcome"]),
                "measurements": tuple(Measurement(**m) for m in raw["measurements"]),
                "data": tuple(raw["data"]),
                "caveats": tuple(raw["caveats"]),
            }
        )

    def __str__(self) -> str:
        lines = [f"{self.outcome.mark} {self.outcome}: {self.title}", f"  {self.statement} ({self.source})"]
        lines += [f"  {m}" for m in self.measurements]
        lines += [f"  why: {self.reason}"] + [f"  caveat: {text}" for text in self.caveats]
        return "\n".join(lines + [f"  data: {describe_data(d)}" for d in self.data])

    def to_html(self, *, heading: bool = True) -> str:
        """The box: claim, numbers, verdict, reason; inline styles only, so it reads alike in Jupyter and the book.

        heading: with the claim's title; False where it stands above the box already.
        """
        return _box(self, heading)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": str(self), "text/html": self.to_html(), VERDICT_MIME: self.to_dict()}


def _plain_number(value: Any) -> Any:
    """NumPy scalars as Python numbers, paths as text."""
    return value.item() if hasattr(value, "item") else str(value)


def describe_data(provenance: Mapping[str, Any]) -> str:
    """One line on a data set: name, where it came from, sizes, and whether it is the fall-back."""
    sizes = [f"{provenance[f'n_{split}']:,} {split}" for split in ("train", "test") if provenance.get(f"n_{split}")]
    parts = [str(provenance.get("name", "unnamed data")), str(provenance.get("source", "")), " + ".join(sizes)]
    text = ", ".join(part for part in parts if part)
    return f"{text} (fall-back, not the full data)" if provenance.get("fallback") else text


# White text on them reads well (contrast above 4.5), and so do they as lines on white and on black.
_HUES = {
    Outcome.REPRODUCED: "#2e7d4f",
    Outcome.CAVEAT: "#96690a",
    Outcome.NOT_REPRODUCED: "#c13a4d",
    Outcome.NOT_RUN: "#6b7683",
}
_LINE = "margin:.45em 0 0 0;"
_FAINT = "opacity:.75;font-size:.9em;"


def _faint(text: str) -> str:
    return f'<span style="{_FAINT}">{text}</span>'


def _number(m: Measurement) -> str:
    """A measurement as a row of three cells, which fold below each other where the page is narrow."""
    note = f"<br>{_faint(escape(m.note))}" if m.note else ""
    expected = "" if m.expected is None else f"{_faint('expected')} {format_number(m.expected)}"
    away = "" if m.z is None else f" {_faint(f'({abs(m.z):.1f} s.e. away)')}"
    value = f"<strong>{format_number(m.value, m.std_error)}</strong>"
    cells = (("1 1 14em", escape(m.name) + note), ("0 0 10.5em", value), ("0 0 15.5em", expected + away))
    row = "display:flex;flex-wrap:wrap;gap:0 1em;padding:.3em 0;border-top:1px solid rgba(128,128,128,.3);"
    style = "font-variant-numeric:tabular-nums;"
    spans = "".join(f'<span style="flex:{flex};{style}">{text}</span>' for flex, text in cells)
    return f'<li style="{row}list-style:none;margin:0;">{spans}</li>'


def _numbers(measurements: Iterable[Measurement]) -> str:
    rows = "".join(map(_number, measurements))
    return f'<ul aria-label="Measurements" style="margin:.6em 0;padding:0;">{rows}</ul>' if rows else ""


def _box(verdict: Verdict, heading: bool) -> str:
    hue = _HUES[verdict.outcome]
    badge = (
        f'<span style="background:{hue};color:#fff;border-radius:1em;padding:.1em .7em;font-size:.85em;'
        f'font-weight:600;white-space:nowrap;">{verdict.outcome.mark} {verdict.outcome}</span>'
    )
    title = f' <strong style="margin-left:.3em;">{escape(verdict.title)}</strong>' if heading else ""
    parts = [
        f'<p style="margin:0;">{badge}{title}</p>',
        f'<p style="{_LINE}">{escape(verdict.statement)} <span style="{_FAINT}">{escape(verdict.source)}</span></p>',
        _numbers(verdict.measurements),
        f'<p style="{_LINE}"><em>Why:</em> {escape(verdict.reason)}</p>',
        *(f'<p style="{_LINE}"><em>Caveat:</em> {escape(text)}</p>' for text in verdict.caveats),
        *(f'<p style="{_LINE}{_FAINT}">Data: {escape(describe_data(d))}</p>' for d in verdict.data),
    ]
    return (
        f'<section class="igb-verdict igb-{verdict.outcome.slug}" aria-label="Verdict: {verdict.outcome}" '
        f'style="border:1px solid {hue};border-left-width:.4em;border-radius:.4em;background:{hue}14;color:inherit;'
        f'padding:.8em 1em;margin:1em 0;line-height:1.45;white-space:normal;overflow-wrap:break-word;">'
        f"{''.join(parts)}</section>"
    )


def notebook_verdicts(notebook: Mapping[str, Any]) -> list[Verdict]:
    """The verdicts among the outputs of an executed notebook (its JSON, or an nbformat node), in order."""
    outputs = (out for cell in notebook["cells"] for out in cell.get("outputs", ()))
    bundles = (out.get("data", {}) for out in outputs)
    return [Verdict.from_dict(bundle[VERDICT_MIME]) for bundle in bundles if VERDICT_MIME in bundle]


@dataclass(frozen=True)
class Record:
    """What one run of one notebook found, and how it was made; kept beside the executed notebook as JSON.

    parameters: all in force.  changed: those that differ from the notebook's own defaults.  data: provenance of each
    data set used.  provenance: see the function of that name.  seconds: wall time.
    """

    notebook: str
    preset: str
    parameters: dict[str, Any]
    verdicts: tuple[Verdict, ...]
    provenance: dict[str, Any]
    seconds: float
    changed: dict[str, Any] = field(default_factory=dict)
    data: list[dict[str, Any]] = field(default_factory=list)

    def write(self, path: Path | str) -> Path:
        """Save as JSON at `path` and return it."""
        raw = {**self.__dict__, "verdicts": [v.to_dict() for v in self.verdicts]}
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(raw, indent=2, ensure_ascii=False, default=_plain_number) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path | str) -> Record:
        """The record at `path`; ParameterError where the file is not one."""
        try:
            raw = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(**{**raw, "verdicts": tuple(Verdict.from_dict(v) for v in raw["verdicts"])})
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ParameterError(f"{path}: not a record of igbrepro ({error}); run its notebook again.") from error


def read_records(folder: Path | str) -> list[Record]:
    """Every record below `folder`, ordered by notebook name."""
    return sorted((Record.read(p) for p in Path(folder).rglob(f"*{RECORD_SUFFIX}")), key=lambda r: r.notebook)


def _git(*arguments: str, folder: Path) -> str | None:
    try:
        run = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


def _versions() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _accelerators() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    run = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    return run.stdout.strip().splitlines() if run.returncode == 0 else []


def provenance(folder: Path | str = ".") -> dict[str, Any]:
    """Commit of the repository around `folder` (None outside one), versions, hardware and time of this run.

    Holds no host or user name and no path, so it can be published.
    """
    folder = Path(folder)
    status = _git("status", "--porcelain", folder=folder)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    return {
        "commit": _git("rev-parse", "HEAD", folder=folder),
        "dirty": bool(status) if status is not None else None,
        "versions": dict(_versions()),
        "hardware": {
            "processor": _processor(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "memory_gb": memory and round(memory / 2**30, 1),
            "gpu": _accelerators(),
        },
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
