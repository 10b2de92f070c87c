"""Judge measured numbers by the rule of a claim: `judge(claims.POOL_MAPS, [Measurement(...), ...])`.

Claims stand in the `claims.py` of each chapter; the rules they are made of in `rules.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from igbrepro.claims.measurement import Measurement, plain
from igbrepro.claims.refuting import Rival
from igbrepro.claims.rules import Claim
from igbrepro.claims.verdict import Outcome, Verdict
from igbrepro.errors import ParameterError


def judge(
    claim: Claim,
    measurements: Iterable[Measurement],
    *,
    data: Iterable[Mapping[str, Any]] = (),
    caveats: Iterable[str] = (),
    rivals: Iterable[Rival] = (),
) -> Verdict:
    """The verdict on a claim from its measurements.

    data: `Dataset.provenance` of every data set used; a fall-back among them is a caveat by itself.
    caveats: what limits this run, in plain words; turns "reproduced" into "reproduced with a caveat".
    rivals: other theories that these numbers should refute by the same rule; one that they do not refute is a caveat.
    Raises ParameterError for anything but a Claim, a measurement missing or named twice, TeX in a caveat, or a rival
    that changes nothing which the rule reads.
    """
    if not isinstance(claim, Claim):
        raise ParameterError(f"claim={claim!r}: need a Claim, such as claims.POOL_MAPS of the chapter's claims.py.")
    measurements, data = tuple(measurements), tuple(data)
    by_name: dict[str, Measurement] = {}
    for m in measurements:
        if m.name in by_name:
            raise ParameterError(f"claim {claim.id!r}: two measurements are named {m.name!r}; rename one.")
        by_name[m.name] = m
    try:
        rule_outcome, reason = claim.rule(by_name)
    except ParameterError as error:
        raise ParameterError(f"claim {claim.id!r}: {error}") from error
    judged = tuple(_judged(claim, rival, by_name) for rival in rivals)
    standing = [rival.words for rival in judged if not rival.refuted]
    if rule_outcome is Outcome.REPRODUCED and standing:
        rule_outcome = Outcome.CAVEAT
        reason += f"; but the same numbers do not refute {' or '.join(standing)}"
    decided = rule_outcome in (Outcome.REPRODUCED, Outcome.CAVEAT)
    notes = [plain("caveat", text) for text in caveats]
    notes += [f"made from the fall-back data {d.get('name', '')}" for d in data if d.get("fallback")]
    outcome = Outcome.CAVEAT if rule_outcome is Outcome.REPRODUCED and notes else rule_outcome
    return Verdict(
        claim_id=claim.id,
        title=claim.title,
        statement=claim.statement,
        source=claim.source,
        outcome=outcome,
        rule_outcome=rule_outcome,
        reason=reason,
        measurements=measurements,
        data=data,
        caveats=tuple(dict.fromkeys(notes)),
        refutes=claim.rule.refutes(by_name) if decided else "",
        rivals=judged,
        revised=claim.revised,
    )


def _judged(claim: Claim, rival: Rival, measured: Mapping[str, Measurement]) -> Rival:
    """The rival with what the rule of the claim says of it."""
    expected = {m.name: m for m in rival.measurements}
    if not expected.keys() & set(claim.rule.needs):
        raise ParameterError(
            f"claim {claim.id!r}: rival {rival.words!r} changes {', '.join(expected) or 'nothing'}, none of which the "
            f"rule reads; it reads {', '.join(claim.rule.needs)}."
        )
    return replace(rival, refuted=claim.rule({**measured, **expected})[0] is Outcome.NOT_REPRODUCED)


def rejudge(verdict: Verdict, claim: Claim) -> Verdict:
    """The verdict that the claim as it now reads gives on the measurements of an old one, chapter and caveats kept.

    Raises ParameterError as `judge` does, also where the rule by now needs a measurement that the old one lacks.
    """
    new = judge(claim, verdict.measurements, data=verdict.data, caveats=verdict.caveats, rivals=verdict.rivals)
    return replace(new, chapter=verdict.chapter)
