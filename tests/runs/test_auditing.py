"""Audits: runs that come out again, numbers that were changed, protocols that somebody forgot to raise."""

import math
import re
from dataclasses import replace

import pytest
from runs.conftest import DATASET, get
from runs.test_results import STAND_IN, diverging

from igbrepro.claims import Outcome, judge
from igbrepro.runs import Store, audit, audit_claim, write_runs
from igbrepro.training import run as training_run

CLAIM = audit_claim("learning")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ({}, "trained again.*first 10 steps"),
        ({"measured": True}, "trained again.*spread over seeds"),
        ({"measured": True, "trains": False}, "made again.*every number to 0.001 of its size"),
    ],
)
def test_the_claim_says_what_is_compared(kind, words):
    assert re.search(words, audit_claim("learning", **kind).statement)


def verdict(found):
    return judge(CLAIM, found.measurements)


def test_shipped_runs_come_out_again(shipped):
    found = audit(get(shipped), 4, seed=1)
    assert found.agrees and len(found.runs) == 4 and (found.table["gap"] < 0.1).all()
    assert set(found.table["step"]) >= {0, 1, 30} and set(found.table["early"]) == {True, False}
    assert verdict(found).outcome is Outcome.REPRODUCED and "4 of 4, drawn with seed 1" in verdict(found).reason


def test_the_draw_is_told_and_another_every_time(shipped):
    results = get(shipped)
    assert audit(results, 1, seed=5).runs == audit(results, 1, seed=5).runs
    assert audit(results, 1).seed != audit(results, 1).seed


def test_a_run_that_takes_too_long_is_trained_for_its_first_steps(shipped):
    found = audit(get(shipped), 2, minutes=1e-9, seed=0)
    assert found.table["step"].max() <= 10 and found.agrees and "for the first 10 steps only" in found.why


@pytest.mark.parametrize(
    ("metric", "step", "factor", "early"),
    [("loss", 0, 1.001, True), ("loss", 1, 1.01, True), ("accuracy", 3, 0.5, True), ("loss", 30, 1e4, False)],
)
def test_a_number_changed_by_hand_is_found(stored, tmp_path, metric, step, factor, early):
    runs = list(stored.all())
    frame = runs[0].frame.copy()
    here = (frame["metric"] == metric) & (frame["step"] == step) & (frame["split"] == "test") & frame["class"].isna()
    assert here.sum() == 1
    frame.loc[here, "value"] *= factor
    write_runs(tmp_path / "results" / "x.parquet", [replace(runs[0], frame=frame), *runs[1:]])
    found = audit(get(Store(None, (tmp_path / "results",))), 4, seed=0)
    assert not found.agrees and verdict(found).outcome is Outcome.NOT_REPRODUCED
    wrong = found.table[found.table["gap"] > 1]
    assert set(wrong["metric"]) == {metric} and set(wrong["step"]) == {step} and set(wrong["early"]) == {early}
    assert f"{runs[0].name}, seed {runs[0].seed}, step {step}, {metric}" in verdict(found).reason


@pytest.mark.parametrize("brief", [False, True])
def test_a_learning_rate_changed_by_five_percent_without_a_new_protocol_is_found(shipped, monkeypatch, brief):
    results, real = get(shipped), training_run.Run.__init__

    def init(run, members, dataset, plan, *rest):
        real(run, members, dataset, replace(plan, lr=1.05 * plan.lr), *rest)

    monkeypatch.setattr(training_run.Run, "__init__", init)
    found = audit(results, 4, seed=0, minutes=1e-9 if brief else 2.0)
    assert not found.agrees and found.table[found.table["step"] == 0]["gap"].max() < 0.1


def test_at_a_tiny_learning_rate_what_changed_is_compared_and_not_what_stayed(tmp_path, monkeypatch):
    """Ten steps at 5e-6 change the loss by less than the 0.2 % that two losses may differ by."""
    store, real = Store(tmp_path / "store"), training_run.Run.__init__
    get(store, lr=5e-6)
    write_runs(tmp_path / "results" / "x.parquet", store.all())
    results = get(Store(None, (tmp_path / "results",)), lr=5e-6)
    losses = results.frame.query("metric == 'loss' and split == 'test' and step <= 10")
    by_step = losses.pivot(index=["run", "seed"], columns="step", values="value")
    assert (by_step.div(by_step[0], axis=0) - 1).abs().to_numpy().max() < 2e-3
    assert audit(results, 4, seed=0).agrees

    def init(run, members, dataset, plan, *rest):
        real(run, members, dataset, replace(plan, lr=2 * plan.lr), *rest)

    monkeypatch.setattr(training_run.Run, "__init__", init)
    assert not audit(results, 4, seed=0, minutes=1e-9).agrees


def test_runs_that_diverge_are_audited_like_others(tmp_path):
    write_runs(tmp_path / "results" / "x.parquet", get(Store(tmp_path / "own"), declared=diverging).runs.values())
    results = get(Store(None, (tmp_path / "results",)), declared=diverging)
    for minutes in (2.0, 1e-9):
        found = audit(results, 2, seed=0, minutes=minutes)
        assert found.agrees and len(found.runs) == 2 and verdict(found).outcome is Outcome.REPRODUCED


@pytest.mark.parametrize("there", [True, False])
def test_a_run_that_diverges_on_one_side_alone_is_found(stored, tmp_path, monkeypatch, there):
    def unnoticed(run):
        run.diverged_at[0] = run.step

    runs = list(stored.all())
    if there:
        runs = [replace(run, diverged_at=25, frame=run.frame[run.frame["step"] < 25]) for run in runs]
    write_runs(tmp_path / "results" / "x.parquet", runs)
    results = get(Store(None, (tmp_path / "results",)))
    if not there:
        monkeypatch.setattr(
            training_run.Run, "_look_for_divergence", lambda run: unnoticed(run) if run.step > 20 else None
        )
    found = audit(results, 1, seed=0)
    assert not found.agrees and found.table["gap"].max() == math.inf
    assert "diverged" in verdict(found).reason


def test_where_nothing_can_be_trained_again_it_says_why(stored, shipped):
    here = audit(get(stored))
    assert here.why == "all runs were computed on this machine" and verdict(here).outcome is Outcome.NOT_RUN
    absent = audit(get(shipped, STAND_IN))
    words = "not audited here: the data of the shipped runs, gaussian, are not on this machine"
    assert verdict(absent).outcome is Outcome.NOT_RUN and words in verdict(absent).reason
    assert "no audit was asked for" in verdict(audit(get(shipped), 0)).reason


def test_the_verdict_is_about_this_machine():
    assert CLAIM.rule.local and CLAIM.id == "learning-audit" and DATASET.name == "gaussian"
