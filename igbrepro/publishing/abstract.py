"""What the paper says of itself, sentence by sentence, each with the verdict that its claims come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from igbrepro.claims import Measurement, Outcome, Verdict
from igbrepro.errors import ParameterError, some

HELD = (Outcome.REPRODUCED, Outcome.CAVEAT)


@dataclass(frozen=True)
class Sentence:
    """A sentence in our words, where it stands, and the verdicts of the claims that decide it.

    number: the measurement that carries it; None where its claim was not run.
    """

    text: str
    where: str
    verdicts: tuple[Verdict, ...]
    number: Measurement | None

    @property
    def outcome(self) -> Outcome:
        """What all claims together say: the one outcome that they share, else in this order of precedence.

        Some not run here: not run.  All held: with a caveat.  None held, some refuted: not reproduced.  Some held and
        some refuted: with a caveat, and `told` says how many.  No refutation, but some undecided: undecided.
        """
        found = Counter(one.outcome for one in self.verdicts)
        held = sum(found[one] for one in HELD)
        if found[Outcome.NOT_RUN]:
            return Outcome.NOT_RUN
        if len(found) == 1:
            return next(iter(found))
        if found[Outcome.NOT_REPRODUCED] and not held:
            return Outcome.NOT_REPRODUCED
        if held == len(self.verdicts) or found[Outcome.NOT_REPRODUCED]:
            return Outcome.CAVEAT
        return Outcome.UNDECIDED

    @property
    def told(self) -> str:
        """How many of its claims hold, and what the others say."""
        found = Counter(one.outcome for one in self.verdicts)
        held, n = sum(found[one] for one in HELD), len(self.verdicts)
        rest = [f"{found[one]} {one}" for one in Outcome if found[one] and one not in HELD]
        return f"{held} of {n} claims hold" + (f"; {', '.join(rest)}" if rest else "")


def read_abstract(path: Path, verdicts: Iterable[Verdict]) -> list[Sentence]:
    """The sentences of abstract.yml with the verdicts of a run; none where there is no such file.

    Raises ParameterError for a claim that is not among `verdicts`, and a number that its claim does not have.
    """
    if not path.is_file():
        return []
    known = {one.claim_id: one for one in verdicts}
    found = []
    for raw in yaml.safe_load(path.read_text(encoding="utf-8")):
        claim, which = raw["number"]
        if missing := [one for one in (*raw["claims"], claim) if one not in known]:
            raise ParameterError(f"{path.name}: {raw['sentence']!r} names {some(missing)}, which no chapter claims.")
        number = None
        if known[claim].outcome is not Outcome.NOT_RUN:
            measured = enumerate(known[claim].measurements)
            number = next((one for place, one in measured if which in (place, one.name)), None)
            if number is None:
                raise ParameterError(f"{path.name}: claim {claim!r} has no measurement {which!r}.")
        chosen = tuple(known[one] for one in raw["claims"])
        found.append(Sentence(raw["sentence"], raw["where"], chosen, number))
    return found
