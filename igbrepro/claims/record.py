"""Records: what one run of one notebook found, kept as JSON with its provenance."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from igbrepro.claims.measurement import _plain_number
from igbrepro.claims.verdict import Verdict
from igbrepro.errors import ParameterError

RECORD_SUFFIX = ".record.json"


class UnreadableRecord(UserWarning):
    """A file with the name of a record is none, and was left out; the message names it."""


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
        except (KeyError, TypeError, ValueError) as error:
            raise ParameterError(f"{path}: not a record of igbrepro ({error}); run its notebook again.") from error


def read_records(folder: Path | str) -> list[Record]:
    """Every record below `folder`, ordered by notebook name; one that cannot be read is left out with a warning."""
    found = []
    for path in sorted(Path(folder).rglob(f"*{RECORD_SUFFIX}")):
        try:
            found.append(Record.read(path))
        except ParameterError as error:
            warnings.warn(f"left out: {error}", UnreadableRecord, stacklevel=2)
    return sorted(found, key=lambda record: record.notebook)
