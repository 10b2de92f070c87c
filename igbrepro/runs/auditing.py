"""Stored runs trained again and compared: does what was shipped come out here, too? (torch only where one is trained)

Two trainings of one run differ by rounding (another processor, another number of networks in a stack), which training
makes larger step by step, some networks a million times within ten steps. So early evaluations are compared number by
number, with the tolerance EARLY or, where rounding matters more, with what a twin says that is trained beside, its
weights changed by a rounding error; the last one is compared with the spread over seeds, beyond which rounding cannot
have carried it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from scipy.stats import t

from igbrepro.checks import whole
from igbrepro.claims import Claim, Measurement, Outcome, Rule
from igbrepro.data import Dataset
from igbrepro.runs.cost import in_words
from igbrepro.runs.declared import Measured, Run
from igbrepro.runs.store import StoredRun
from igbrepro.training import TrainSettings

if TYPE_CHECKING:
    from igbrepro.runs.results import Results

EARLY_STEPS = 10
EARLY = {0: 1e-4, EARLY_STEPS: 2e-3}  # largest relative gap of a test loss, up to this step
CHANGE = 0.1  # nor, beyond the smaller of these, more than this share of what training has changed by then
NUDGE = 2.0**-22  # of the twin's weights, relative: two units in the last place of float32
MEASURED = 1e-3  # largest relative gap of what is measured without training
TWIN = 10  # times as far apart as run and twin have been by then is what rounding may do
SURE = 0.9995  # one side of the interval of Student's t for the last evaluation
METRICS = ("loss", "accuracy", "max_class_fraction")

# Names of measurements.
AUDITED = "shipped runs trained again here"
EARLY_GAP = "largest early gap, in tolerances"
LATE_GAP = "largest late gap, in spreads over seeds"


def audit_claim(chapter: str, *, measured: bool = False, trains: bool = True) -> Claim:
    """The claim of a chapter that its shipped runs come out again.

    chapter: "learning", its name without the number.  measured: its runs are no plain trainings (`Measured`).
    trains: as of these.
    """

    def decide(measurements: Mapping[str, Measurement]) -> tuple[Outcome, str]:
        n = measurements[AUDITED]
        if not n.value:
            return Outcome.NOT_RUN, f"not audited here: {n.note or 'nothing was trained again'}"
        gaps = [measurements[name] for name in (EARLY_GAP, LATE_GAP) if name in measurements]
        wrong = [gap for gap in gaps if gap.value > 1]
        if wrong:
            return Outcome.NOT_REPRODUCED, "; ".join(
                f"{gap.name}: {gap.value:.3g}, more than 1 ({gap.note})" for gap in wrong
            )
        return Outcome.REPRODUCED, f"{n.value:.0f} drawn at random ({n.note}) agree with what was shipped"

    if measured and not trains:
        extent = f"every number to {MEASURED:g} of its size, or of the usual size of its kind"
    elif measured:
        extent = "every number to within the spread over seeds"
    else:
        extent = (
            f"test losses of the first {EARLY_STEPS} steps to {EARLY[0]:g} at the start and {EARLY[EARLY_STEPS]:g} "
            "after it, or to what rounding does to them, the last evaluation to within the spread over seeds"
        )
    return Claim(
        id=f"{chapter.replace('_', '-')}-audit",
        title="The shipped runs come out again",
        statement=f"Runs drawn at random among those shipped with this book, {'trained' if trains else 'made'} again "
        f"on the machine that builds it, agree with them: {extent}.",
        source="ours; an audit of the evidence",
        rule=Rule(decide, (AUDITED,), local=True),
    )


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    table: one row a comparison: run, seed, step, metric, shipped, here, gap in units of what is allowed.
    why: what was drawn, or why nothing was trained again.  seed: of the draw.
    """

    table: pd.DataFrame
    why: str
    seed: int | None = None

    @cached_property
    def runs(self) -> list[tuple[str, int]]:
        """Those that were trained again, by name and seed."""
        return list(dict.fromkeys(zip(self.table["run"], self.table["seed"], strict=True)))

    @property
    def agrees(self) -> bool:
        """Whether no gap is larger than allowed."""
        return bool((self.table["gap"] <= 1).all())

    @property
    def summary(self) -> pd.DataFrame:
        """One row a run that was trained again: its largest gaps, 1 being what is allowed, and the last accuracies."""
        rows = []
        for key, group in self.table.groupby(["run", "seed"], sort=False):
            name, seed = cast(tuple, key)
            accuracies = group[group["metric"] == "accuracy"]
            ends = (accuracies if len(accuracies) else group).iloc[-1]
            early, late = (group[group["early"] == part]["gap"].max() for part in (True, False))
            rows.append((name, seed, early, late, ends["step"], ends["shipped"], ends["here"]))
        columns = ["run", "seed", "early gap", "late gap", "step", "accuracy, shipped", "accuracy, here"]
        return pd.DataFrame(rows, columns=pd.Index(columns)).set_index(["run", "seed"])

    @property
    def measurements(self) -> list[Measurement]:
        """What the claim of `audit_claim` is judged by."""
        found = [Measurement(AUDITED, len(self.runs), note=self.why)]
        for name, rows in ((EARLY_GAP, self.table[self.table["early"]]), (LATE_GAP, self.table[~self.table["early"]])):
            if len(rows):
                worst = rows.iloc[int(np.argmax(rows["gap"]))]
                note = f"{worst['run']}, seed {worst['seed']}, step {worst['step']}, {worst['metric']}"
                found.append(Measurement(name, min(float(worst["gap"]), 1e9), note=note))
        return found


COLUMNS = ["run", "seed", "step", "metric", "shipped", "here", "gap", "early"]


def nothing(why: str) -> Audit:
    """An audit of no run."""
    return Audit(pd.DataFrame(columns=pd.Index(COLUMNS)).astype({"gap": float, "early": bool}), why)


def audit(results: Results, n: int = 2, *, minutes: float = 2.0, seed: int | None = None) -> Audit:
    """Draw n of the shipped runs of a sweep, train them again here and compare.

    minutes: of one core, for all of them as long as they took where they were made; a run that would take more than
        its share is trained for its first steps only, or left out where it is no plain training.
    seed: of the draw; None: another one every time, which the result tells.
    """
    whole("n", n, 0)
    shipped = [key for key, source in results.sources.items() if source == "evidence"]
    if not shipped:
        return nothing("all runs were computed on this machine")
    if results.dataset is None:
        return nothing(f"the data of the shipped runs, {results.data.name}, are not on this machine")
    if n == 0:
        return nothing("no audit was asked for")
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
    chosen = np.random.default_rng(seed).choice(len(shipped), min(n, len(shipped)), replace=False)
    drawn = [shipped[k] for k in sorted(chosen)]
    runs = {(run.name, run.seed): run for run in results.sweep.runs}
    share = in_words(60 * minutes / len(drawn))
    tables, brief, left = [], 0, 0
    for key in drawn:
        stored = results.runs[key]
        alike = [one for (name, _), one in results.runs.items() if name == key[0]]
        long = stored.seconds > 60 * minutes / len(drawn)
        if long and isinstance(runs[key].settings, Measured):
            left += 1
            continue
        brief += long
        tables.append(audit_run(stored, runs[key], results.dataset, alike, brief=long).table)
    if not tables:
        return nothing(f"each run takes more than {share}")
    why = f"{len(drawn)} of {len(shipped)}, drawn with seed {seed}"
    if left:
        why += f"; {left} of them left out, since they take more than {share}"
    if brief:
        why += f"; {brief} of them for the first {EARLY_STEPS} steps only, since whole they take more than {share}"
    return Audit(pd.concat(tables, ignore_index=True), why, seed)


def audit_run(stored: StoredRun, run: Run, dataset: Dataset, alike: Sequence[StoredRun], *, brief: bool) -> Audit:
    """Train one stored run again and compare.

    run: what it is.  alike: the stored runs that differ from it in the seed alone, itself among them.
    brief: train for the first steps only; what is measured is always measured whole.
    """
    if isinstance(run.settings, Measured):
        rows = compare_measured(stored, run.settings.numbers(run, dataset), alike, trains=run.settings.trains)
    else:
        rows = compare(stored, again(run, dataset, brief=brief), alike)
    return Audit(pd.DataFrame(rows, columns=pd.Index(COLUMNS)), f"{stored.name}, seed {stored.seed}")


@dataclass(frozen=True)
class Again:
    """A run trained anew: its numbers as `StoredRun.frame`, up to which step, and whether it diverged on the way.

    twin: those of the first steps of the same run with its weights changed by a rounding error.
    """

    frame: pd.DataFrame
    steps: int
    diverged: bool
    twin: pd.DataFrame

    def rounding(self, step: int, metric: str) -> float:
        """How far apart the two have been at most, up to this step."""
        ours, theirs = _series(self.frame), _series(self.twin)
        both = [key for key in ours.keys() & theirs.keys() if key[0] <= step and key[1] == metric]
        return max((gap for key in both if math.isfinite(gap := abs(ours[key] - theirs[key]))), default=0.0)


def again(run: Run, dataset: Dataset, *, brief: bool = False) -> Again:
    """Train a run anew; brief: up to its last evaluation within EARLY_STEPS."""
    from igbrepro.training import Conduct, Task, in_parts, train_parts

    assert isinstance(run.settings, TrainSettings)
    points = [point for point in run.settings.points if point <= EARLY_STEPS]
    first = replace(run.settings, steps=points[-1], eval_points=points)
    settings = first if brief else run.settings
    task = Task(run.name, run.spec, run.init, run.seed, settings.resolved(dataset))
    twin = replace(task, plan=first.resolved(dataset), nudge=NUDGE)
    (ours,), (theirs,) = (train_parts(in_parts([one]), dataset, Conduct(progress=False), 1) for one in (task, twin))
    frame, (*_, diverged_at) = ours[run.name, run.seed]
    return Again(frame, settings.steps, diverged_at is not None, theirs[run.name, run.seed][0])


def compare(stored: StoredRun, here: Again, alike: Sequence[StoredRun]) -> list[tuple[Any, ...]]:
    """Rows of Audit.table for one run.

    alike: stored runs that differ in the seed alone.  A number that one of the two lacks is an infinite gap.
    """
    rows, n_eval = [], stored.task["settings"]["n_eval"]
    steps, diverged = here.steps, here.diverged
    ours, theirs = _series(here.frame), _series(stored.frame)
    for step, metric in sorted({*ours, *theirs}):
        if step > min(steps, EARLY_STEPS):
            continue
        shipped, value = theirs.get((step, metric), math.nan), ours.get((step, metric), math.nan)
        if metric == "loss":
            size = max(abs(shipped), 1e-12)
            changed = abs(shipped - theirs.get((0, metric), math.nan))  # little, at a tiny learning rate
            allowed = max(EARLY[0] * size, min(EARLY[EARLY_STEPS] * size, CHANGE * changed) if step else 0.0)
        else:
            allowed = (2 if step == 0 else 0.02 * n_eval + 2) / n_eval
        allowed = max(allowed, TWIN * here.rounding(step, metric))
        rows.append((stored.name, stored.seed, step, metric, shipped, value, _gap(shipped, value, allowed), True))
    if steps < stored.task["settings"]["steps"] or steps <= EARLY_STEPS:
        return rows
    outcomes = {one.diverged_at is not None for one in alike}
    if outcomes == {not diverged}:  # where some seeds diverge and others do not, rounding may decide
        shipped, value = float(not diverged), float(diverged)
        rows.append((stored.name, stored.seed, steps, "diverged", shipped, value, math.inf, False))
    for metric in () if diverged or stored.diverged_at is not None else METRICS:
        shipped, value = theirs[steps, metric], ours[steps, metric]
        values = [_series(one.frame).get((steps, metric), math.nan) for one in alike if one.seed != stored.seed]
        others = [one for one in values if math.isfinite(one)]
        if not others:  # one seed has no spread
            continue
        # The smaller of two spreads: a wrong number does not make its own excuse.
        spread = min(float(np.std([*others, one], ddof=1)) for one in (shipped, value))
        allowed = float(t.ppf(SURE, len(others))) * math.sqrt(2) * spread
        floor = EARLY[EARLY_STEPS] * abs(shipped) if metric == "loss" else 2 / n_eval
        gap = _gap(shipped, value, max(allowed, floor))
        rows.append((stored.name, stored.seed, steps, metric, shipped, value, gap, False))
    return rows


def compare_measured(
    stored: StoredRun, here: pd.DataFrame, alike: Sequence[StoredRun], *, trains: bool
) -> list[tuple[Any, ...]]:
    """Rows of Audit.table for a measured run, one a metric: the number that is farthest off.

    Each has to agree to MEASURED of its size or of the metric's typical one. Where networks are trained on the way, the
    last evaluation (or all numbers, where there is none) has to agree to within the spread over seeds, or two images;
    the bound is that of Student's t for so many comparisons.
    """
    index = ["step", "split", "metric", "class"]
    ours, theirs, *others = (
        frame.assign(**{"class": frame["class"].fillna(-1)}).set_index(index)["value"]
        for frame in (here, stored.frame, *(one.frame for one in alike if one.seed != stored.seed))
    )
    table = pd.concat({"shipped": theirs, "here": ours}, axis=1)
    size = pd.Series(table["shipped"].abs())
    typical = pd.Series(size.groupby(level="metric").transform("median"))
    table["allowed"] = MEASURED * size.clip(lower=typical).clip(lower=np.finfo(float).tiny)
    if trains and others:
        ends = table.index.isin(METRICS, level="metric") & table.index.isin(["test"], level="split")
        ends &= table.index.get_level_values("class") == -1
        if ends.any():
            last = table.index[ends].get_level_values("step").max()
            table = table[ends & (table.index.get_level_values("step") == last)].copy()
        seeds = pd.concat(others, axis=1).reindex(table.index)
        spreads = [seeds.assign(own=table[one]).std(axis=1, ddof=1) for one in ("shipped", "here")]
        spread = pd.concat(spreads, axis=1).min(axis=1)
        bound = float(t.ppf(1 - (1 - SURE) * len(METRICS) / max(len(table), len(METRICS)), len(others))) * math.sqrt(2)
        images = stored.task["settings"]["arguments"].get("n_eval", 100)
        shares = table.index.isin(("accuracy", "max_class_fraction"), level="metric")
        table["allowed"] = table["allowed"].clip(lower=bound * spread).clip(lower=np.where(shares, 2 / images, 0.0))
    table["gap"] = [_gap(*row) for row in table[["shipped", "here", "allowed"]].itertuples(index=False)]
    worst = table.loc[table.groupby(level="metric", sort=False)["gap"].idxmax()].reset_index()
    return [
        (stored.name, stored.seed, row.step, row.metric, row.shipped, row.here, row.gap, not trains)
        for row in worst.itertuples()
    ]


def _gap(shipped: float, here: float, allowed: float) -> float:
    """Of two numbers in units of what is allowed: 0 where neither is finite, infinite where one is not."""
    if not (math.isfinite(shipped) and math.isfinite(here)):
        return 0.0 if math.isfinite(shipped) == math.isfinite(here) else math.inf
    return abs(shipped - here) / allowed


def _series(frame: pd.DataFrame) -> dict[tuple[int, str], float]:
    """The test metrics over all classes, by step and metric."""
    rows = frame[(frame["split"] == "test") & frame["class"].isna() & frame["metric"].isin(METRICS)]
    return {
        (int(step), metric): value
        for step, metric, value in zip(rows["step"], rows["metric"], rows["value"], strict=True)
    }
