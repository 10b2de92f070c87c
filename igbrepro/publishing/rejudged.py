"""Verdicts as the claims now read, on what the notebooks measured: in records, on chapter pages, against the committed.

A claim's words and rule may change without a run: its stored measurements are judged anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from igbrepro.claims import VERDICT_MIME, Claim, Outcome, Record, Verdict, read_records, rejudge
from igbrepro.errors import ClaimFailed, ParameterError
from igbrepro.publishing.chapters import (
    NOTEBOOKS,
    expected_path,
    load_expected,
    load_register,
    notebook_path,
    record_path,
)


def _judged_anew(verdict: Verdict, claim: Claim) -> Verdict:
    """The verdict of the claim as it now reads; "not run here" where its rule needs what was not measured then."""
    try:
        return rejudge(verdict, claim)
    except ParameterError as error:
        reason = f"its rule by now needs another measurement; run the notebook again ({error})"
        words = {"title": claim.title, "statement": claim.statement, "source": claim.source}
        return replace(verdict, **words, outcome=Outcome.NOT_RUN, rule_outcome=Outcome.NOT_RUN, reason=reason)


def _rejudged(record: Record, claims: Mapping[str, Claim]) -> Record:
    verdicts = {v.claim_id: _judged_anew(v, claims[v.claim_id]) for v in record.verdicts if v.claim_id in claims}
    return replace(record, verdicts=tuple(verdicts[claim_id] for claim_id in claims if claim_id in verdicts))


def read_rejudged(records: Path | str, root: Path | str = NOTEBOOKS) -> list[Record]:
    """The records below `records` in the order of the chapters, their verdicts given anew by the claims below `root`.

    Verdicts on claims that are gone are left out; those whose rule by now needs another measurement are "not run here"
    and say so.
    """
    return _read(records, load_register(root))


def _read(records: Path | str, register: Mapping[str, Mapping[str, Claim]]) -> list[Record]:
    order = {name: number for number, name in enumerate(register)}
    found = [_rejudged(record, register.get(record.notebook, {})) for record in read_records(records)]
    return sorted(found, key=lambda record: order.get(record.notebook, -1))


def check_records(records: Path | str, root: Path | str = NOTEBOOKS) -> list[Verdict]:
    """Compare the verdicts of the records below `records` with those committed in the chapters below `root`.

    Verdicts are given anew by the claims as they read now. Those on fall-back data may differ, since the committed ones
    are about the data that were asked for.
    Raises ClaimFailed naming every claim that differs or has no verdict, both verdicts, and the file with the remedy.
    """
    register = load_register(root)
    found = _read(records, register)
    changes: list[str] = []
    files: dict[str, None] = {}
    for record in found:
        name = record.notebook
        new = list(_changes(record, register.get(name, {}), load_expected(name, root)))
        changes += [f"claim {claim_id!r} ({name}): {words}" for claim_id, words in new]
        if new:
            files[_shown(expected_path(name, root), root)] = None
    if changes:
        remedy = (
            f"If the new verdicts are right, write them into {', '.join(files)} in a commit that says why; if not, the "
            "last change to the notebook or the code it imports broke them."
        )
        raise ClaimFailed("\n".join([*changes, remedy]))
    return [verdict for record in found for verdict in record.verdicts]


def _changes(record: Record, claims: Mapping[str, Claim], expected: Mapping[str, Outcome]) -> Iterator[tuple[str, str]]:
    """(claim id, what differs) for every verdict of a record that is not the committed one."""
    verdicts = {verdict.claim_id: verdict for verdict in record.verdicts}
    for claim_id in (claim_id for claim_id, claim in claims.items() if not claim.rule.local):
        verdict, old = verdicts.get(claim_id), expected.get(claim_id)
        if verdict is None:
            yield claim_id, "no verdict; its notebook does not end in judge(...) of it."
        elif old is None:
            yield claim_id, f"is {verdict.rule_outcome}, expected nowhere."
        elif verdict.rule_outcome is not old and not any(entry.get("fallback") for entry in verdict.data):
            yield claim_id, f"was {old}, is now {verdict.rule_outcome}. {verdict.reason}."


def _shown(path: Path, root: Path | str) -> str:
    """The path as one types it from above the folder of chapters: notebooks/ch07_pooling/expected.yml."""
    return path.resolve().relative_to(Path(root).resolve().parent).as_posix()


def stage_chapters(executed: Path | str, out: Path | str, root: Path | str = NOTEBOOKS) -> list[Record]:
    """Copy every notebook below `executed` that has a record to `out`, both with their verdicts given anew.

    So the page of a chapter, its record and the page of claims say the same. What else lies below `out` is left alone.
    Returns the records.
    """
    records = read_rejudged(executed, root)
    for record in records:
        source, target = (notebook_path(record.notebook, folder) for folder in (executed, out))
        notebook = json.loads(source.read_text(encoding="utf-8"))
        _put_verdicts(notebook, {verdict.claim_id: verdict for verdict in record.verdicts})
        record.write(record_path(target))
        target.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return records


def _put_verdicts(notebook: Mapping[str, Any], verdicts: Mapping[str, Verdict]) -> None:
    """Put these verdicts in the place of the old ones among the outputs; an old one without successor stays."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            old = output.get("data", {}).get(VERDICT_MIME)
            if old and (new := verdicts.get(old["claim_id"])):
                output["data"].update(new._repr_mimebundle_())
