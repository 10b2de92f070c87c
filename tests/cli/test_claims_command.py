"""`igbrepro claims`: verdicts of a run, the check against the committed ones, and no run at all."""

import json

import pytest
from cli.conftest import write_chapter

from igbrepro.claims import Measurement, Record, judge
from igbrepro.cli.claims import BUILT
from igbrepro.publishing import load_claims

CLAIMS = """
from igbrepro.claims import Claim, exact

WIDTH = "width"
TOY = Claim(id="toy", title="A toy", statement="A toy holds.", source="Section 1", rule=exact(WIDTH, 1e-9))
OTHER = Claim(id="other", title="Another", statement="So does this.", source="Section 2", rule=exact(WIDTH, 1e-9))
"""


@pytest.fixture
def run_of(tmp_path):
    """Writes a chapter with a claim and the record of a run of it; gives the options that name both folders.

    measured: the number that the claim is judged on; None where the notebook did not judge it.
    """
    root, records = tmp_path / "notebooks", tmp_path / "records"
    claims = CLAIMS.split("OTHER")[0]
    write_chapter(root, "ch01_good", "seed = 1", claims=claims, expected={"toy": "reproduced"})

    def write(measured):
        verdicts = ()
        if measured is not None:
            verdicts = (judge(load_claims("ch01_good", root)["toy"], [Measurement("width", measured, expected=8.0)]),)
        record = Record("ch01_good", "laptop", {}, verdicts, {}, 1.0)
        record.write(records / "ch01_good" / "good.record.json")
        return ["--records", records, "--notebooks", root]

    return write


def test_claims_shows_verdicts_and_passes_an_unchanged_register(igbrepro, run_of):
    code, out, err = igbrepro("claims", "--check", *run_of(8.0))
    assert code == 0, err
    assert "reproduced" in out and "A toy holds." in out


def test_claims_as_json(igbrepro, run_of):
    code, out, _ = igbrepro("claims", "--json", *run_of(8.0))
    (verdict,) = json.loads(out)
    assert code == 0 and (verdict["claim_id"], verdict["outcome"]) == ("toy", "reproduced")


def test_a_changed_verdict_fails_the_check_with_both_verdicts_and_the_remedy(igbrepro, run_of):
    code, _, err = igbrepro("claims", "--check", *run_of(9.0))
    assert code == 1
    assert "claim 'toy' (ch01_good): was reproduced, is now not reproduced" in err and "ch01_good/expected.yml" in err


def test_a_claim_that_its_notebook_no_longer_judges_fails_the_check(igbrepro, run_of):
    code, _, err = igbrepro("claims", "--check", *run_of(None))
    assert code == 1 and "claim 'toy' (ch01_good): no verdict" in err


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_where_no_book_was_built_it_says_so_with_the_remedy(igbrepro, monkeypatch, tmp_path, options):
    monkeypatch.chdir(tmp_path)
    code, out, err = igbrepro("claims", *options)
    assert code == 2 and str(BUILT) in err and "make book" in err and not out
