"""A claim judged on measured numbers, and the box that shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from igbrepro.claims.measurement import Measurement, _plain_number, describe_data, format_number
from igbrepro.claims.refuting import Rival

VERDICT_MIME = "application/vnd.igbrepro.verdict+json"


class Outcome(StrEnum):
    """What a run says about a claim; the value is the wording shown to readers.

    UNDECIDED: it ran, and its errors are too large to say.  NOT_RUN: there is no record of it, or the record
    lacks a measurement that its rule needs by now.
    """

    REPRODUCED = "reproduced"
    CAVEAT = "reproduced with a caveat"
    NOT_REPRODUCED = "not reproduced"
    UNDECIDED = "undecided"
    NOT_RUN = "not run here"

    @property
    def mark(self) -> str:
        """A sign that tells the outcomes apart without colour."""
        return _MARKS[self]

    @property
    def slug(self) -> str:
        """The outcome as part of a CSS class or an anchor."""
        return self.value.replace(" ", "-")


_MARKS = {
    Outcome.REPRODUCED: "✓",
    Outcome.CAVEAT: "✓*",
    Outcome.NOT_REPRODUCED: "✗",
    Outcome.UNDECIDED: "?",
    Outcome.NOT_RUN: "○",
}


@dataclass(frozen=True)
class Verdict:
    """A claim judged on measured numbers; in a notebook it renders as a box and carries its own JSON copy.

    outcome: with the caveats of this run (data, size).  rule_outcome: what the rule alone says, which is compared
    with the committed one.  data: provenance of each data set, as `Dataset.provenance`.  chapter: the name of its
    folder, once a record holds the verdict.  refutes: what the numbers would have refuted, in words.  rivals: other
    theories, with what the rule says of them.  revised: how the rule was changed after its numbers had been seen.
    """

    claim_id: str
    title: str
    statement: str
    source: str
    outcome: Outcome
    rule_outcome: Outcome
    reason: str
    measurements: tuple[Measurement, ...]
    data: tuple[Mapping[str, Any], ...] = ()
    caveats: tuple[str, ...] = ()
    chapter: str = ""
    refutes: str = ""
    rivals: tuple[Rival, ...] = ()
    revised: str = ""

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
                "rivals": tuple(
                    Rival(r["words"], tuple(Measurement(**m) for m in r["measurements"]), r["refuted"])
                    for r in raw.get("rivals", ())
                ),
            }
        )

    @property
    def refuted(self) -> str:
        """What these numbers refute or would have refuted, in one sentence; "" where the claim itself fails."""
        beaten = [rival.words for rival in self.rivals if rival.refuted]
        told = [f"Refuted: {'; '.join(beaten)}."] if beaten and self.refutes else []
        return " ".join(told + ([f"Would have been refuted: {self.refutes}."] if self.refutes else []))

    def __str__(self) -> str:
        lines = [f"{self.outcome.mark} {self.outcome}: {self.title}", f"  {self.statement} ({self.source})"]
        lines += [f"  {m}" for m in self.measurements]
        lines += [f"  why: {self.reason}"] + [f"  caveat: {text}" for text in self.caveats]
        lines += [f"  {self.refuted}"] if self.refuted else []
        lines += [f"  rule: {self.revised}"] if self.revised else []
        return "\n".join(lines + [f"  data: {describe_data(d)}" for d in self.data])

    def to_html(self, *, heading: bool = True) -> str:
        """The box: claim, numbers, verdict, reason; inline styles only, so it reads alike in Jupyter and the book.

        heading: with the claim's title; False where it stands above the box already.
        """
        return _box(self, heading)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return {"text/plain": str(self), "text/html": self.to_html(), VERDICT_MIME: self.to_dict()}


# White text on them reads well (contrast above 4.5), and so do they as lines on white and on black.
_HUES = {
    Outcome.REPRODUCED: "#2e7d4f",
    Outcome.CAVEAT: "#96690a",
    Outcome.NOT_REPRODUCED: "#c13a4d",
    Outcome.UNDECIDED: "#4a6fa5",
    Outcome.NOT_RUN: "#6b7683",
}


@cache
def _template() -> Template:
    """The template of the box, which escapes what it is given."""
    house = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    house.filters |= {"number": format_number, "described": describe_data}
    return house.get_template("verdict.html.j2")


def _box(verdict: Verdict, heading: bool) -> str:
    text = _template().render(verdict=verdict, heading=heading, hue=_HUES[verdict.outcome])
    return "".join(line.strip() for line in text.splitlines())


def notebook_verdicts(notebook: Mapping[str, Any]) -> list[Verdict]:
    """The verdicts among the outputs of an executed notebook (its JSON, or an nbformat node), in order."""
    outputs = (out for cell in notebook["cells"] for out in cell.get("outputs", ()))
    bundles = (out.get("data", {}) for out in outputs)
    return [Verdict.from_dict(bundle[VERDICT_MIME]) for bundle in bundles if VERDICT_MIME in bundle]
