"""Judge measured numbers against the register of claims.

Notebooks end with `judge("claim-id", [Measurement(...), ...])`; the workflow calls `check_register` on what they said.
Claims themselves live in `claims_register.py`, the rules they are made of in `rules.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from igbrepro.claims_register import REGISTER
from igbrepro.errors import ClaimFailed, ParameterError
from igbrepro.results import Measurement, Outcome, Verdict, plain
from igbrepro.rules import Claim, Rule, agrees, all_of, between, exact, greater

__all__ = [
    "CLAIMS", "Claim", "Measurement", "Outcome", "Rule", "Verdict", "agrees", "all_of", "between", "check_register",
    "exact", "get_claim", "greater", "judge", "register",
]  # fmt: skip


def register(claims: Iterable[Claim]) -> dict[str, Claim]:
    """The claims by id; ParameterError where an id comes twice."""
    out: dict[str, Claim] = {}
    for claim in claims:
        if claim.id in out:
            raise ParameterError(f"claim id {claim.id!r} is registered twice; give one of them another id.")
        out[claim.id] = claim
    return out


CLAIMS: dict[str, Claim] = register(REGISTER)


def get_claim(claim_id: str) -> Claim:
    """The registered claim; ParameterError with the closest ids where there is none."""
    if claim_id not in CLAIMS:
        near = get_close_matches(str(claim_id), CLAIMS, n=3, cutoff=0.4) or list(CLAIMS)
        raise ParameterError(f"claim_id={claim_id!r}: no such claim; did you mean {', '.join(near) or 'none (empty)'}?")
    return CLAIMS[claim_id]


def judge(
    claim_id: str,
    measurements: Iterable[Measurement],
    *,
    data: Iterable[Mapping[str, Any]] = (),
    caveats: Iterable[str] = (),
) -> Verdict:
    """The verdict on a registered claim from its measurements.

    data: `Dataset.provenance` of every data set used; a fall-back among them is a caveat by itself.
    caveats: what limits this run, in plain words; turns "reproduced" into "reproduced with a caveat".
    Raises ParameterError for an unknown claim, a measurement missing or named twice, or TeX in a caveat.
    """
    claim = get_claim(claim_id)
    measurements, data = tuple(measurements), tuple(data)
    by_name: dict[str, Measurement] = {}
    for m in measurements:
        if m.name in by_name:
            raise ParameterError(f"claim {claim_id!r}: two measurements are named {m.name!r}; rename one.")
        by_name[m.name] = m
    try:
        rule_outcome, reason = claim.rule(by_name)
    except ParameterError as error:
        raise ParameterError(f"claim {claim_id!r}: {error}") from error
    notes = [plain("caveat", text) for text in caveats]
    notes += [f"made from the fall-back data {d.get('name', '')}" for d in data if d.get("fallback")]
    outcome = Outcome.CAVEAT if rule_outcome is Outcome.REPRODUCED and notes else rule_outcome
    return Verdict(
        claim_id=claim.id,
        title=claim.title,
        statement=claim.statement,
        source=claim.source,
        notebook=claim.notebook,
        outcome=outcome,
        rule_outcome=rule_outcome,
        reason=reason,
        measurements=measurements,
        data=data,
        caveats=tuple(notes),
    )


def check_register(verdicts: Iterable[Verdict], *, undecided_ok: bool = False) -> None:
    """Compare the rules' own outcomes with the committed register.

    Verdicts on fall-back data may differ, since the register is about the data that were asked for.
    undecided_ok: accept "not run here" whatever the register says (smoke runs are too small to decide).
    Raises ClaimFailed naming every claim that changed, both verdicts and the remedy.
    """
    changes = []
    for verdict in verdicts:
        old, new = get_claim(verdict.claim_id).expected, verdict.rule_outcome
        stand_in = any(entry.get("fallback") for entry in verdict.data)
        if new is old or stand_in or (undecided_ok and new is Outcome.NOT_RUN):
            continue
        changes.append(f"claim {verdict.claim_id!r} ({verdict.notebook}): was {old}, is now {new}. {verdict.reason}.")
    if changes:
        remedy = (
            "If the new verdict is right, set expected=Outcome.<NAME> for the claim in igbrepro/claims_register.py, "
            "in a commit that says why; if not, the last change to the notebook or the code it imports broke it."
        )
        raise ClaimFailed("\n".join([*changes, remedy]))
