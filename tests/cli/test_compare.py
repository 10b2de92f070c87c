"""`igbrepro compare`: tables, JSON, exit codes, and what is no run."""

import json

import pytest

from igbrepro.claims import Measurement, Outcome, Record, Verdict


@pytest.fixture
def runs(tmp_path):
    """Two folders of one record each: "share" moves by 0.5 with an error of 0.5, "count" from 4 to 5, and a verdict."""

    def write(folder, share, error, count, outcome):
        numbers = (Measurement("share [a]", share, error), Measurement("count", count), Measurement("still", 1.0, 0.1))
        verdicts = (Verdict("toy", "Toy", "It holds.", "Section 1", outcome, outcome, "it does", numbers),)
        made = {"commit": "a" * 40, "dirty": folder == "new", "versions": {"numpy": "2.4.6"}}
        record = Record("ch06_learning", "laptop", {"seed": count}, verdicts, made, 1.0)
        return record.write(tmp_path / folder / "ch06_learning" / "learning.record.json").parents[1]

    return write("old", 1.0, 0.3, 4.0, Outcome.REPRODUCED), write("new", 1.5, 0.4, 5.0, Outcome.UNDECIDED)


SUMMARY = "3 measurements, 2 moved, largest 1 standard errors, 1 of them exact, largest 0.2 relative; 1 verdict changed"


def test_what_moved_is_a_table_and_the_last_line_sums_up(igbrepro, runs):
    code, out, err = igbrepro("compare", *runs)
    assert code == 0 and not err
    lines = out.splitlines()
    assert lines[-1] == SUMMARY
    rows = [line.split("  ") for line in lines]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["toy: share [a]", "1.00 ± 0.30", "1.50 ± 0.40", "1 standard errors", "ch06_learning"] in cells
    assert ["toy: count", "4", "5", "0.2 relative, exact", "ch06_learning"] in cells
    assert ["toy", "reproduced", "undecided", "ch06_learning"] in cells
    assert ["parameter seed", "4.0", "5.0", "ch06_learning"] in cells
    assert ["commit", "aaaaaaaaaaaa", "aaaaaaaaaaaa with changes", "ch06_learning"] in cells
    assert "still" not in out


def test_what_moved_as_json(igbrepro, runs):
    code, out, _ = igbrepro("compare", *runs, "--json")
    found = json.loads(out)
    assert code == 0 and found["summary"] == SUMMARY and found["compared"] == 3
    first, second = found["moved"]
    assert (first["name"], first["sigmas"], first["difference"]) == ("share [a]", 1.0, 0.5)
    assert (second["name"], second["sigmas"], second["relative"]) == ("count", None, 0.2)
    assert found["verdicts"] == [{"chapter": "ch06_learning", "claim_id": "toy", "a": "reproduced", "b": "undecided"}]


def test_equal_runs_are_one_line(igbrepro, runs):
    code, out, _ = igbrepro("compare", runs[0], runs[0], "--fail-above", "0")
    assert (code, out) == (0, "3 measurements, none moved; no verdicts changed\n")


@pytest.mark.parametrize(
    ("options", "numbers"), [((), 1), (("--tolerance", "0.3"), 0), (("--sigma", "5", "--json"), 1)]
)
def test_a_changed_verdict_or_a_far_move_fails_where_that_is_asked_for(igbrepro, runs, options, numbers):
    code, out, err = igbrepro("compare", *runs, "--fail-above", "1.5", *options)
    assert code == 1 and out
    assert err == f"igbrepro: fail-above=1.5: {numbers} numbers moved by more and 1 verdicts changed.\n"


def test_what_cannot_be_compared_is_one_clear_line_and_exit_code_2(igbrepro, runs, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no record")
    for arguments, words in [
        ((runs[0], tmp_path / "empty"), "b='"),
        ((tmp_path / "text", runs[0]), "text: not a record of igbrepro"),
        ((*runs, "--fail-above", "-1"), "fail-above=-1.0: need a number of standard errors >= 0."),
        ((*runs, "--sigma", "nan"), "sigma=nan: need a number >= 0."),
    ]:
        code, out, err = igbrepro("compare", *arguments)
        assert code == 2 and words in err and len(err.splitlines()) == 1 and not out
    assert igbrepro("compare", runs[0], tmp_path / "nowhere")[0] == 2
