"""How far a build is and how long it will still take, from its jobs and the minutes that they should take.

Imports nothing of Snakemake: the logger plugin `snakemake_logger_plugin_igbrepro` hands over what it says.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from igbrepro.claims import Outcome, Record
from igbrepro.publishing.resources import minutes_of

UNTOLD = 0.25  # minutes of a job of which nothing says how long it takes
PRIOR = 1.0  # minutes of work as expected that the pace starts with, so that one short job does not set it
OVERDUE = 0.1  # of the time it has run a job needs at least, so that one that is overdue is not at its end


@dataclass(frozen=True)
class Job:
    """One job of a build: its name, what it is counted as and as how many, expected minutes on this many cores.

    needs: the ids of the jobs of this build that have to be done before it.
    """

    name: str
    kind: str = "step"
    minutes: float = UNTOLD
    threads: int = 1
    needs: frozenset[int] = frozenset()
    count: int = 1


@dataclass
class Progress:
    """The jobs of a build by id, which of them run, are done or failed, and what time is left.

    cores: how many there are; None: as many as all jobs could use.  clock: seconds, by default monotonic.
    Every change replaces the dict that it changes, so that another thread may read meanwhile.
    """

    jobs: dict[int, Job] = field(default_factory=dict)
    cores: int | None = 1
    clock: Callable[[], float] = time.monotonic
    running: dict[int, float] = field(default_factory=dict, init=False)
    done: dict[int, float] = field(default_factory=dict, init=False)
    failed: set[int] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def start(self, number: int, job: Job) -> None:
        """Job `number` runs from now on; one that was not among the jobs is added as `job`."""
        self.jobs = {number: job, **self.jobs}
        self.running = {**self.running, number: self.clock()}

    def finish(self, number: int) -> None:
        """Job `number` is done; one that nobody started (or that had ended before) changes nothing."""
        if (since := self._stop(number)) is not None:
            self.done = {**self.done, number: self.clock() - since}

    def fail(self, number: int) -> None:
        """Job `number` has failed, and the jobs that need it will not run."""
        if self._stop(number) is not None:
            self.failed = self.failed | {number}

    def _stop(self, number: int) -> float | None:
        since = self.running.get(number)
        self.running = {other: time for other, time in self.running.items() if other != number}
        return since

    @property
    def pace(self) -> float:
        """Real over expected time of the jobs that are done, and of those that have run for longer than expected."""
        pairs = [(seconds / 60, self.jobs[number].minutes) for number, seconds in self.done.items()]
        ages = [(minutes, self.jobs[number].minutes) for number, minutes in self.ages().items()]
        pairs += [(real, expected) for real, expected in ages if real > expected]
        return (PRIOR + sum(real for real, _ in pairs)) / (PRIOR + sum(expected for _, expected in pairs))

    def ages(self) -> dict[int, float]:
        """For how many minutes each running job has run."""
        now = self.clock()
        return {number: (now - since) / 60 for number, since in self.running.items()}

    def blocked(self) -> set[int]:
        """The jobs that will not run because one they need, perhaps through others, has failed."""
        out: set[int] = set()
        while new := {n for n, job in self.jobs.items() if job.needs & (self.failed | out)} - out:
            out |= new
        return out

    def remaining(self) -> float:
        """Minutes until nothing runs: the jobs played through at the pace so far, on these cores, the longest first.

        It is the order in which Snakemake takes them, where their priority is their length.
        """
        pace, ages = self.pace, self.ages()
        cores = self.cores or max(1, sum(job.threads for job in self.jobs.values()))
        ends = [
            (max(pace * self.jobs[number].minutes - age, OVERDUE * age), number, min(self.jobs[number].threads, cores))
            for number, age in ages.items()
        ]
        heapq.heapify(ends)
        free = cores - sum(threads for *_, threads in ends)
        gone = set(self.done) | self.failed | self.blocked() | set(ages)
        waiting = {number: set(job.needs) - set(self.done) for number, job in self.jobs.items() if number not in gone}
        now = 0.0
        while True:
            ready = [number for number, needs in waiting.items() if not needs]
            for number in sorted(ready, key=lambda number: -self.jobs[number].minutes):
                threads = min(self.jobs[number].threads, cores)
                if threads <= free:
                    heapq.heappush(ends, (now + pace * self.jobs[number].minutes, number, threads))
                    free -= threads
                    del waiting[number]
            if not ends:
                return now
            now, ended, threads = heapq.heappop(ends)
            free += threads
            for needs in waiting.values():
                needs.discard(ended)

    def counts(self) -> str:
        """How many jobs of each kind are done: "3 of 21 notebooks, 1 of 4 steps; 1 failed"."""
        done = self._kinds(self.done)
        text = ", ".join(
            f"{done[kind]} of {_many(total, kind)}" for kind, total in self._kinds(self.jobs).most_common()
        )
        return f"{text}; {len(self.failed)} failed" if self.failed else text

    def to_do(self) -> str:
        """What is to be done and how long it takes, before it starts: "21 notebooks, 4 steps; about 42 minutes"."""
        return (
            ", ".join(_many(total, kind) for kind, total in self._kinds(self.jobs).most_common())
            + f"; {about(self.remaining())}"
        )

    def _kinds(self, numbers: Iterable[int]) -> Counter[str]:
        """How many of each kind these jobs are."""
        found: Counter[str] = Counter()
        for number in numbers:
            found[self.jobs[number].kind] += self.jobs[number].count
        return found

    def running_jobs(self) -> list[tuple[str, str]]:
        """The name of each running job, and for how long it has run of how long it should: "2.1 min of about 4 min"."""
        pace = self.pace
        return [
            (self.jobs[number].name, f"{duration(age)} of about {_rough(pace * self.jobs[number].minutes)}")
            for number, age in self.ages().items()
        ]

    def line(self) -> str:
        """All of it in one line."""
        parts = [self.counts()]
        if self.running or set(self.jobs) - set(self.done) - self.failed - self.blocked():
            parts.append(f"{about(self.remaining())} to go")
        if self.running:
            parts.append("running: " + ", ".join(f"{name} ({told})" for name, told in self.running_jobs()))
        return "; ".join(parts)

    @property
    def elapsed(self) -> float:
        """Minutes since the beginning."""
        return (self.clock() - self.began) / 60


def _many(number: int, kind: str) -> str:
    return f"{number} {kind}{'' if number == 1 else 's'}"


def duration(minutes: float) -> str:
    """A time as measured: "13 s", "3.1 min", "1.5 h"."""
    if minutes < 2:
        return f"{60 * minutes:.0f} s"
    return f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _rough(minutes: float) -> str:
    return f"{minutes:.0f} min" if 2 <= minutes < 120 else duration(minutes)


def about(minutes: float) -> str:
    """A time as estimated: "less than a minute", "about 3 minutes", "about 2.5 hours"."""
    if minutes < 1:
        return "less than a minute"
    whole = round(minutes)
    if whole < 90:
        return f"about {whole} minute{'s' if whole > 1 else ''}"
    return f"about {minutes / 60:.1f} hours"


def result_line(record: Record) -> str:
    """What a chapter found, in one line: "ch06_learning: 5 reproduced, 2 undecided (3.1 min)"."""
    found = Counter(verdict.outcome for verdict in record.verdicts)
    counts = ", ".join(f"{found[outcome]} {outcome}" for outcome in Outcome if found[outcome])
    return f"{record.notebook}: {counts or 'no verdicts'} ({duration(record.seconds / 60)})"


def expected_minutes(params: Mapping[str, Any], priority: Any, resources: Mapping[str, Any]) -> float:
    """The minutes a job should take, from its parameter `minutes`, its priority or its resource `runtime`."""
    runtime = resources.get("runtime")
    told = minutes_of(runtime) if isinstance(runtime, int | float) else None
    for value in (params.get("minutes"), priority, told):
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e6:
            return float(value)
    return UNTOLD


def job_of(rule: str, log: Any, wildcards: Mapping[str, Any], minutes: float, threads: Any) -> Job:
    """The job of a rule: named after its log file, counted by its rule where the rule makes many jobs (wildcards)."""
    name = Path(str(log[0])).stem if log else " ".join([rule, *map(str, wildcards.values())])
    return Job(name, rule if wildcards else "step", minutes, threads if isinstance(threads, int) and threads > 0 else 1)


def planned(dag: Any) -> dict[int, Job]:
    """The jobs that Snakemake's graph of jobs has to run, by their ids.

    A job with the parameter `runs`, a number or a list of them, is counted as so many runs.
    """
    numbers = {job: dag.jobid(job) for job in dag.needrun_jobs()}
    jobs = {}
    for job, number in numbers.items():
        minutes = expected_minutes(job.params, job.priority, job.resources)
        needs = frozenset(numbers[other] for other in dag.dependencies[job] if other in numbers)
        one = replace(job_of(job.rule.name, job.log, job.wildcards_dict, minutes, job.threads), needs=needs)
        runs = job.params.get("runs")
        count = len(runs) if isinstance(runs, Sized) and not isinstance(runs, str) else runs
        jobs[number] = replace(one, kind="run", count=count) if isinstance(count, int) and count > 0 else one
    return jobs
