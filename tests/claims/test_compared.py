"""Two runs compared, with numbers whose differences were worked out by hand."""

import json
import math

import pytest

from igbrepro.claims import Measurement, Outcome, Pair, Record, Verdict, compare_runs, records_at
from igbrepro.claims.record import UnreadableRecord
from igbrepro.errors import ParameterError


def verdict(claim_id, *measurements, outcome=Outcome.REPRODUCED):
    return Verdict(claim_id, "Toy", "It holds.", "Section 1", outcome, outcome, "it does", measurements)


def record(*verdicts, notebook="ch06_learning", seed=1, commit="a" * 40, torch="2.9.0", sha="1f", **more):
    versions = {"numpy": "2.4.6", "torch": torch}
    made = {"commit": commit, "dirty": False, "versions": versions, "hardware": {"cores": 2}, "date": "2026-01-01"}
    data = [{"name": "toys", "sha256": sha}]
    return Record(notebook, "laptop", {"seed": seed, **more}, verdicts, made, 1.0, data=data)


def pair(a, b, a_error=None, b_error=None):
    return Pair("ch06", "toy", "x", a, b, a_error, b_error)


@pytest.mark.parametrize(
    ("a", "a_error", "b", "b_error", "sigmas"),
    [
        (1.0, 0.3, 1.5, 0.4, 1.0),  # 0.5 over the root of 0.09 + 0.16
        (1.5, 0.4, 1.0, 0.3, 1.0),
        (2.0, 0.1, 2.3, None, 3.0),
        (2.0, 0.0, -1.0, 0.5, 6.0),
        (7.0, 0.3, 7.0, 0.4, 0.0),
    ],
)
def test_a_move_is_told_in_the_error_of_the_difference(a, a_error, b, b_error, sigmas):
    found = pair(a, b, a_error, b_error)
    assert found.sigmas == pytest.approx(sigmas) and found.difference == b - a
    assert found.moved(sigmas - 0.01, 1e-6) and not found.moved(sigmas + 0.01, 0)
    assert found.moved(0, 0) == (a != b)


@pytest.mark.parametrize(("a", "b", "relative"), [(4.0, 5.0, 0.2), (-5.0, 5.0, 2.0), (0.0, 3.0, 1.0), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize("error", [None, 0.0])
def test_numbers_without_errors_are_compared_exactly(a, b, relative, error):
    found = pair(a, b, error, error)
    assert found.sigmas is None and found.relative == pytest.approx(relative)
    assert found.moved(100, 1e-6) == (a != b)
    assert not found.moved(0, relative + 0.01)


def test_rounding_of_exact_numbers_is_no_move_unless_asked_for():
    for a, b in [(1.25e-14, 5.3e-15), (0.1 + 0.2, 0.3), (0.0, 5e-13)]:
        assert not pair(a, b).moved(0, 1e-6) and pair(a, b).moved(0, 0)
    assert pair(0.0, 2e-12).moved(0, 1e-6)


def test_a_difference_beyond_all_numbers_is_still_one():
    assert math.isfinite(pair(1.0, 2.0, 5e-324).sigmas) and pair(-1e308, 1e308, 1.0).sigmas > 1e300


A = [
    verdict("width", Measurement("x", 1.0, 0.3, 2.0), Measurement("gone", 1.0), Measurement("count", 4.0)),
    verdict("depth", Measurement("y", 10.0, 3.0), Measurement("z", 1.0, 0.1, expected=3.0)),
    verdict("old", Measurement("x", 1.0)),
]
B = [
    verdict("width", Measurement("x", 1.5, 0.4, 2.5), Measurement("count", 5.0), outcome=Outcome.UNDECIDED),
    verdict("depth", Measurement("y", 20.0, 4.0), Measurement("z", 1.0, 0.1), Measurement("new", 2.0)),
]


def test_everything_that_differs_is_told_the_farthest_moved_first():
    old = [record(*A), record(notebook="ch01_signals"), record(notebook="ch02_guessing", seed=3)]
    new = [
        record(*B, seed=2, commit="b" * 40, torch="2.14.1", sha="2e", width=8),
        record(notebook="ch01_signals", seed=2),
    ]
    found = compare_runs(old, new)
    told = [(p.claim_id, p.name, p.expected, p.size) for p in found.moved]
    assert told == [
        ("depth", "y", False, "2 standard errors"),
        ("width", "x", False, "1 standard errors"),
        ("width", "x", True, "0.2 relative, exact"),
        ("width", "count", False, "0.2 relative, exact"),
    ]
    assert found.verdicts == (("ch06_learning", "width", Outcome.REPRODUCED, Outcome.UNDECIDED),)
    assert found.only_a == (
        "chapter ch02_guessing",
        "measurement width: gone (ch06_learning)",
        "expected value 3 of depth: z (ch06_learning)",
        "claim old (ch06_learning)",
    )
    assert found.only_b == ("measurement depth: new (ch06_learning)",)
    both = ("ch06_learning", "ch01_signals")
    assert set(found.conditions) == {
        ("parameter seed", "1", "2", both),
        ("parameter width", "-", "8", both[:1]),
        ("data toys: sha256", "1f", "2e", both[:1]),
        ("commit", "aaaaaaaaaaaa", "bbbbbbbbbbbb", both[:1]),
        ("version of torch", "2.9.0", "2.14.1", both[:1]),
    }
    counts = "4 measurements, 3 moved, largest 2 standard errors, 1 of them exact, largest 0.2 relative"
    assert found.summary() == f"{counts}; 1 expected value moved; 1 verdict changed; 5 only in one of the two"


def test_a_threshold_leaves_out_what_moved_less():
    found = compare_runs([record(*A)], [record(*B)], sigmas=1.5, tolerance=0.5)
    assert [p.name for p in found.moved] == ["y"] and len(found.beyond(0.5)) == 2
    assert found.summary().startswith("4 measurements, 1 moved by more than 1.5 standard errors, largest 2 standard")


def test_two_equal_runs_are_told_so():
    found = compare_runs([record(*A)], [record(*A)])
    assert found.summary() == "6 measurements, none moved; no verdicts changed"
    assert (found.moved, found.verdicts, found.conditions) == ([], (), ())


@pytest.mark.parametrize("wrong", [{"sigmas": -1.0}, {"sigmas": math.nan}, {"tolerance": -1e-9}])
def test_a_threshold_that_is_none_is_refused(wrong):
    with pytest.raises(ParameterError, match=r"(sigma|tolerance)=.*need a number >= 0"):
        compare_runs([record()], [record()], **wrong)


def test_runs_of_different_chapters_are_refused():
    with pytest.raises(ParameterError, match="a is of ch06_learning, b of ch01_signals: no chapter is in both"):
        compare_runs([record()], [record(notebook="ch01_signals")])


def test_a_book_is_its_executed_chapters_and_a_file_its_record(tmp_path):
    for folder, seed in (("executed", 1), ("src/notebooks", 2)):
        record(seed=seed).write(tmp_path / folder / "ch06_learning" / "learning.record.json")
    assert [found.parameters["seed"] for found in records_at("a", tmp_path)] == [1]
    assert [found.parameters["seed"] for found in records_at("a", tmp_path / "src")] == [2]
    (found,) = records_at("a", tmp_path / "executed/ch06_learning/learning.record.json")
    assert found == record()


def test_what_holds_no_run_or_two_is_refused(tmp_path):
    with pytest.raises(ParameterError, match=r"b='.*': holds no readable record .*; name a record, a folder"):
        records_at("b", tmp_path)
    for folder in ("one", "two"):
        record().write(tmp_path / folder / "learning.record.json")
    with pytest.raises(ParameterError, match=r"a='.*': holds several records of ch06_learning; name the folder of one"):
        records_at("a", tmp_path)


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_record_with_what_is_no_number_is_refused_or_left_out(tmp_path, value):
    good = record(*A).write(tmp_path / "ch06_learning" / "learning.record.json")
    raw = json.loads(good.read_text())
    raw["verdicts"][0]["measurements"][0]["value"] = value
    raw["notebook"] = "ch01_signals"
    bad = tmp_path / "ch01_signals" / "signals.record.json"
    bad.parent.mkdir()
    bad.write_text(json.dumps(raw))
    with pytest.raises(ParameterError, match=r"signals.record.json: not a record of igbrepro .*need a finite number"):
        records_at("a", bad)
    with pytest.warns(UnreadableRecord, match=r"left out: .*signals.record.json"):
        assert [found.notebook for found in records_at("a", tmp_path)] == ["ch06_learning"]
