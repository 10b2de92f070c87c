"""Verdicts given anew: in records, on chapter pages, against the committed ones."""

import json
from dataclasses import replace

import pytest
from toys import JUDGED

from igbrepro.claims import Measurement, Outcome, Record, judge, notebook_verdicts
from igbrepro.errors import ClaimFailed
from igbrepro.publishing import chapters, check_records, read_rejudged, stage_chapters

REGISTER = chapters.load_register()


@pytest.fixture
def executed(toys, tmp_path):
    """The first toy as if executed with a width of 64."""
    out = tmp_path / "executed"
    verdict = judge(chapters.load_claims("ch01_good", toys)["toy-width"], [Measurement("width", 64)])
    verdict = replace(verdict, chapter="ch01_good")
    Record("ch01_good", "smoke", {}, (verdict,), {}, 1.0).write(out / "ch01_good" / "good.record.json")
    outputs = [{"output_type": "execute_result", "data": verdict._repr_mimebundle_(), "metadata": {}}]
    cells = [{"cell_type": "code", "source": JUDGED, "outputs": outputs}, {"cell_type": "markdown", "source": "# Good"}]
    (out / "ch01_good" / "good.ipynb").write_text(json.dumps({"cells": cells}))
    return out


def change(toys, old, new):
    path = toys / "ch01_good" / "claims.py"
    path.write_text(path.read_text().replace(old, new))


def test_the_page_of_a_chapter_says_what_the_record_says(toys, executed, tmp_path):
    change(toys, "0, 100", "0, 50")
    change(toys, "A width is small.", "A width is tiny.")
    before = (executed / "ch01_good" / "good.ipynb").read_text()
    (record,) = stage_chapters(executed, tmp_path / "staged", toys)
    assert (executed / "ch01_good" / "good.ipynb").read_text() == before
    staged = json.loads((tmp_path / "staged" / "ch01_good" / "good.ipynb").read_text())
    (verdict,) = record.verdicts
    assert [verdict] == notebook_verdicts(staged) and verdict.outcome is Outcome.NOT_REPRODUCED
    data = staged["cells"][0]["outputs"][0]["data"]
    for text in (data["text/plain"], data["text/html"]):
        assert "A width is tiny." in text and "not reproduced" in text
    assert Record.read(tmp_path / "staged" / "ch01_good" / "good.record.json").verdicts == record.verdicts


def test_a_measurement_that_the_record_lacks_stops_nothing_and_is_named(toys, executed):
    change(toys, '"width"', '"depth"')
    (record,) = read_rejudged(executed, toys)
    (verdict,) = record.verdicts
    assert verdict.outcome is verdict.rule_outcome is Outcome.NOT_RUN
    assert "run the notebook again" in verdict.reason and "'depth'" in verdict.reason
    with pytest.raises(ClaimFailed, match=r"was reproduced, is now not run here.*run the notebook again"):
        check_records(executed, toys)


def test_a_claim_that_is_gone_is_left_out_and_a_new_one_is_missed(toys, executed):
    change(toys, '"toy-width"', '"toy-size"')
    assert read_rejudged(executed, toys)[0].verdicts == ()
    (toys / "ch01_good" / "expected.yml").write_text("")
    with pytest.raises(ClaimFailed, match=r"claim 'toy-size' \(ch01_good\): no verdict"):
        check_records(executed, toys)


def test_as_committed_is_fine(toys, executed):
    assert [verdict.claim_id for verdict in check_records(executed, toys)] == ["toy-width"]


@pytest.mark.parametrize("name", REGISTER)
def test_the_remedy_names_the_file_where_each_claim_is_committed(tmp_path, name):
    """Every claim of this repository in turn: its verdict missing, the remedy names the file that holds it."""
    Record(name, "laptop", {}, (), {}, 1.0).write(tmp_path / name / "x.record.json")
    with pytest.raises(ClaimFailed) as caught:
        check_records(tmp_path)
    *changes, remedy = str(caught.value).splitlines()
    committed_ids = [claim_id for claim_id, claim in REGISTER[name].items() if not claim.rule.local]
    assert [line.split("'")[1] for line in changes] == committed_ids
    named = remedy.partition("write them into ")[2].partition(" in a commit")[0]
    committed = (chapters.ROOT / named).read_text()
    assert not [claim_id for claim_id in committed_ids if f"\n{claim_id}: " not in committed]


def test_the_remedy_names_several_files(toys, executed, tmp_path):
    change(toys, "0, 100", "0, 5")
    (toys / "ch02_other" / "claims.py").write_text(
        "from igbrepro.claims import Claim, between\nDEPTH = Claim('toy-depth', 'A', 'B.', 'C', between('x', 0, 1))\n"
    )
    Record("ch02_other", "smoke", {}, (), {}, 1.0).write(executed / "ch02_other" / "other.record.json")
    with pytest.raises(
        ClaimFailed, match=r"into notebooks/ch01_good/expected\.yml, notebooks/ch02_other/expected\.yml"
    ):
        check_records(executed, toys)


def test_a_verdict_about_this_machine_is_committed_nowhere_and_stops_nothing(toys, executed):
    change(toys, "0, 100", "0, 5")
    change(toys, "from igbrepro.claims import Claim, between", LOCAL)
    change(toys, "between(MEASURED, 0, 5)", "local(between(MEASURED, 0, 5))")
    (toys / "ch01_good" / "expected.yml").write_text("")
    (verdict,) = check_records(executed, toys)
    assert verdict.outcome is Outcome.NOT_REPRODUCED


LOCAL = """from dataclasses import replace
from igbrepro.claims import Claim, between


def local(rule):
    return replace(rule, local=True)
"""
