"""Two runs compared: what moved and by how many standard errors, which verdicts and conditions changed."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from igbrepro.claims.measurement import Measurement, format_number
from igbrepro.claims.record import RECORD_SUFFIX, Record, read_records
from igbrepro.claims.verdict import Outcome, Verdict
from igbrepro.errors import ParameterError, some


@dataclass(frozen=True)
class Pair:
    """One number of two runs, a then b, each with its standard error (None or 0: exact).

    expected: whether it is the number that theory expects rather than the one measured.
    """

    chapter: str
    claim_id: str
    name: str
    a: float
    b: float
    a_error: float | None = None
    b_error: float | None = None
    expected: bool = False

    @property
    def difference(self) -> float:
        """b - a."""
        return self.b - self.a

    @property
    def error(self) -> float:
        """The standard error of the difference of two independent runs; 0 where neither number has one."""
        return math.hypot(self.a_error or 0.0, self.b_error or 0.0)

    @property
    def sigmas(self) -> float | None:
        """The size of the difference in its standard errors; None of exact numbers."""
        return min(abs(self.difference) / self.error, sys.float_info.max) if self.error else None

    @property
    def relative(self) -> float:
        """The size of the difference over that of the larger number; 0 where they are equal."""
        return abs(self.difference) / max(abs(self.a), abs(self.b)) if self.difference else 0.0

    def moved(self, sigmas: float, tolerance: float) -> bool:
        """Whether the difference is above so many standard errors, or exact numbers differ by more than `tolerance`.

        tolerance: as `compare_runs` takes it.
        """
        if self.sigmas is not None:
            return self.sigmas > sigmas
        return not math.isclose(self.a, self.b, rel_tol=tolerance, abs_tol=tolerance * 1e-6)

    @property
    def size(self) -> str:
        """How far it moved, in words: "2.1 standard errors", or "0.004 relative, exact"."""
        if self.sigmas is not None:
            return f"{self.sigmas:.2g} standard errors"
        return f"{self.relative:.2g} relative, exact"


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs of the same chapters.

    pairs: every number that both have, those with errors first, the farthest moved first.  verdicts: (chapter, claim,
    outcome in a, outcome in b) where these differ.  only_a, only_b: what one of them has and the other has not, a line
    each.  conditions: (what, in a, in b, chapters) of parameters, data, versions, commit and machine that differ.
    sigmas, tolerance: beyond which a number has moved.
    """

    pairs: tuple[Pair, ...]
    verdicts: tuple[tuple[str, str, Outcome, Outcome], ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    conditions: tuple[tuple[str, str, str, tuple[str, ...]], ...]
    sigmas: float
    tolerance: float

    @property
    def moved(self) -> list[Pair]:
        """The pairs that moved, in their order."""
        return self.beyond(self.sigmas)

    def beyond(self, sigmas: float) -> list[Pair]:
        """The pairs that moved by more standard errors than these, or whose exact numbers differ."""
        return [pair for pair in self.pairs if pair.moved(sigmas, self.tolerance)]

    def summary(self) -> str:
        """One line: "404 measurements, 3 moved, largest 2.1 standard errors; 1 verdict changed"."""
        measured, moved = [pair for pair in self.pairs if not pair.expected], self.moved
        by = f" by more than {self.sigmas:g} standard errors" if self.sigmas else ""
        text = f"{_many(len(measured), 'measurement')}, {sum(not p.expected for p in moved) or 'none'} moved{by}"
        with_errors = [pair.sigmas for pair in moved if pair.sigmas is not None]
        exact = [pair.relative for pair in moved if pair.sigmas is None and not pair.expected]
        if with_errors:
            text += f", largest {max(with_errors):.2g} standard errors"
        if exact:
            text += f", {len(exact)} of them exact, largest {max(exact):.2g} relative"
        if theory := sum(pair.expected for pair in moved):
            text += f"; {_many(theory, 'expected value')} moved"
        text += f"; {_many(len(self.verdicts), 'verdict')} changed"
        apart = len(self.only_a) + len(self.only_b)
        return text + (f"; {apart} only in one of the two" if apart else "")

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain JSON types; only what moved of the pairs."""
        keys = ("chapter", "claim_id", "name", "expected", "a", "a_error", "b", "b_error", "difference", "error")
        rows = [
            {**{key: getattr(pair, key) for key in keys}, "sigmas": pair.sigmas, "relative": pair.relative}
            for pair in self.moved
        ]
        return {
            "summary": self.summary(),
            "compared": sum(not pair.expected for pair in self.pairs),
            "moved": rows,
            "verdicts": [dict(zip(("chapter", "claim_id", "a", "b"), row, strict=True)) for row in self.verdicts],
            "only_a": list(self.only_a),
            "only_b": list(self.only_b),
            "conditions": [
                {"what": what, "a": a, "b": b, "chapters": list(chapters)} for what, a, b, chapters in self.conditions
            ],
        }


def _many(number: int, kind: str) -> str:
    return f"{number or 'no'} {kind}{'' if number == 1 else 's'}"


def records_at(argument: str, place: Path | str) -> list[Record]:
    """The record that the file `place` is, or those below the folder: executed chapters, or a book (build/laptop).

    Of a book the executed chapters count, not the copies that its pages are made of.
    Raises ParameterError, with the name of the argument, where there is none or two are of one chapter.
    """
    place = Path(place)
    if place.is_file():
        return [Record.read(place)]
    found = read_records(place / "executed" if (place / "executed").is_dir() else place)
    if not found:
        raise ParameterError(
            f"{argument}={str(place)!r}: holds no readable record (*{RECORD_SUFFIX}); name a record, a folder of "
            "executed chapters, or a book such as build/laptop."
        )
    names = [record.notebook for record in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ParameterError(
            f"{argument}={str(place)!r}: holds several records of {some(twice)}; name the folder of one run."
        )
    return found


def compare_runs(
    a: Iterable[Record], b: Iterable[Record], *, sigmas: float = 0.0, tolerance: float = 1e-6
) -> Comparison:
    """What differs between two runs, each of its records one of another chapter; chapters that one lacks are named.

    sigmas: standard errors beyond which a number has moved.
    tolerance: relative difference up to which exact numbers are the same, as they differ by rounding between machines;
        a millionth of it is allowed absolutely, for numbers that are themselves rounding.
    Raises ParameterError where the two have no chapter in common, and for a negative number.
    """
    for name, value in (("sigma", sigmas), ("tolerance", tolerance)):
        if not value >= 0:
            raise ParameterError(f"{name}={value!r}: need a number >= 0.")
    in_a, in_b = ({record.notebook: record for record in records} for records in (a, b))
    both = [name for name in in_a if name in in_b]
    if not both:
        raise ParameterError(
            f"a is of {some(list(in_a))}, b of {some(list(in_b))}: no chapter is in both; name two runs of one chapter."
        )
    pairs: list[Pair] = []
    changed, only = [], ([], [])
    for name in both:
        old, new = ({verdict.claim_id: verdict for verdict in runs[name].verdicts} for runs in (in_a, in_b))
        for claim_id in [claim_id for claim_id in old if claim_id in new]:
            before, after = old[claim_id], new[claim_id]
            if before.outcome is not after.outcome:
                changed.append((name, claim_id, before.outcome, after.outcome))
            pairs += _pairs(name, before, after)
        for lines, runs, others in ((only[0], old, new), (only[1], new, old)):
            lines += [line for claim_id in runs for line in _without(name, runs[claim_id], others.get(claim_id))]
    for lines, runs, others in ((only[0], in_a, in_b), (only[1], in_b, in_a)):
        lines[:0] = [f"chapter {name}" for name in runs if name not in others]
    order = sorted(pairs, key=lambda pair: (pair.sigmas is None, -(pair.sigmas or 0.0), -pair.relative))
    conditions = _conditions((name, in_a[name], in_b[name]) for name in both)
    return Comparison(tuple(order), tuple(changed), tuple(only[0]), tuple(only[1]), conditions, sigmas, tolerance)


def _pairs(chapter: str, before: Verdict, after: Verdict) -> Iterator[Pair]:
    """The numbers that two verdicts on one claim share."""
    named = {m.name: m for m in after.measurements}
    for old in before.measurements:
        if new := named.get(old.name):
            where = (chapter, before.claim_id, old.name)
            yield Pair(*where, old.value, new.value, old.std_error, new.std_error)
            if old.expected is not None and new.expected is not None:
                yield Pair(*where, old.expected, new.expected, expected=True)


def _without(chapter: str, verdict: Verdict, other: Verdict | None) -> Iterator[str]:
    """What a verdict has that the other run's has not, a line each."""
    if other is None:
        yield f"claim {verdict.claim_id} ({chapter})"
        return
    named: Mapping[str, Measurement] = {m.name: m for m in other.measurements}
    for m in verdict.measurements:
        where = f"{verdict.claim_id}: {m.name} ({chapter})"
        if m.name not in named:
            yield f"measurement {where}"
        elif m.expected is not None and named[m.name].expected is None:
            yield f"expected value {format_number(m.expected)} of {where}"


def _conditions(
    chapters: Iterable[tuple[str, Record, Record]],
) -> tuple[tuple[str, str, str, tuple[str, ...]], ...]:
    """What was different when the chapters ran: (what, in a, in b, the chapters of which it is true)."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for name, a, b in chapters:
        old, new = dict(_circumstances(a)), dict(_circumstances(b))
        for what in {**old, **new}:
            pair = old.get(what, "-"), new.get(what, "-")
            if pair[0] != pair[1]:
                found.setdefault((what, *pair), []).append(name)
    return tuple((*key, tuple(names)) for key, names in found.items())


def _circumstances(record: Record) -> Iterator[tuple[str, str]]:
    """Under which conditions a chapter ran, each with its name; not when, and how long it took."""
    yield "preset", record.preset
    yield from ((f"parameter {key}", repr(value)) for key, value in record.parameters.items())
    for entry in record.data:
        yield from ((f"data {entry.get('name', 'unnamed')}: {key}", str(value)) for key, value in entry.items())
    made = record.provenance
    commit = str(made.get("commit") or "unknown")
    yield "commit", commit[:12] + (" with changes" if made.get("dirty") else "")
    yield from ((f"version of {package}", str(version)) for package, version in made.get("versions", {}).items())
    hardware = made.get("hardware", {})
    yield from ((key, str(made[key])) for key in ("python", "system") if key in made)
    yield from ((key, str(hardware[key])) for key in ("processor", "cores", "gpu") if key in hardware)
