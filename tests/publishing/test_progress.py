"""What is left of a build, its lines and its display, and Snakemake with the logger plugin on toy chapters."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from logging import INFO, LogRecord
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from toys import ROOT, snakemake, write_chapter

from igbrepro.claims import Claim, Measurement, Record, between, judge
from igbrepro.publishing import screen
from igbrepro.publishing.progress import Job, Progress, about, duration, expected_minutes, planned, result_line
from snakemake_logger_plugin_igbrepro import LogHandler

TIME = r"[\d.]+ (s|min)"
PLUGIN = ("--logger", "igbrepro", "--quiet", "host")


class Clock:
    """A clock that stands still until it is set, in minutes."""

    minutes = 0.0

    def __call__(self):
        return 60 * self.minutes


def build(cores, *minutes, **more):
    """A Progress of jobs 0, 1, ... of these minutes, and more by number, with its clock."""
    clock = Clock()
    jobs = {number: Job(f"ch{number}", "notebook", length) for number, length in enumerate(minutes)}
    return Progress({**jobs, **{int(name[1:]): job for name, job in more.items()}}, cores, clock), clock


@pytest.mark.parametrize(
    ("cores", "left"),
    [(1, 22), (2, 12), (3, 12), (None, 12)],  # 4 + 6 beside 10, then the step of 2 minutes that needs all
)
def test_jobs_are_played_through_on_the_cores_with_what_they_need(cores, left):
    progress, _ = build(cores, 4, 6, 10, j3=Job("html", minutes=2, needs=frozenset({0, 1, 2})))
    assert progress.remaining() == pytest.approx(left)


def test_a_job_of_all_cores_runs_alone():
    progress, _ = build(2, 3, j1=Job("wide", "notebook", 5, threads=2), j2=Job("wider", "notebook", 1, threads=64))
    assert progress.remaining() == pytest.approx(5 + 3 + 1)


def test_what_runs_needs_the_rest_of_its_time_and_what_is_overdue_a_tenth_of_its_age():
    progress, clock = build(1, 10)
    progress.start(0, Job("ch0"))
    clock.minutes = 4
    assert progress.remaining() == pytest.approx(6)
    clock.minutes = 50  # by then the pace is (1 + 50) / (1 + 10), and 10 minutes at that pace are over
    assert progress.pace == pytest.approx(51 / 11) and progress.remaining() == pytest.approx(5)


def test_the_pace_is_that_of_the_jobs_so_far_after_one_minute_as_expected():
    progress, clock = build(1, 2, 3)
    progress.start(0, Job("ch0"))
    clock.minutes = 5
    progress.finish(0)
    assert progress.pace == pytest.approx((1 + 5) / (1 + 2)) and progress.remaining() == pytest.approx(2 * 3)


def test_what_needs_a_failed_job_will_not_run():
    steps = {"j2": Job("pages", minutes=1, needs=frozenset({0, 1})), "j3": Job("html", minutes=7, needs=frozenset({2}))}
    progress, clock = build(1, 5, 6, **steps)
    progress.start(0, Job("ch0"))
    progress.fail(0)
    assert progress.remaining() == pytest.approx(6)
    assert progress.line() == "0 of 2 notebooks, 0 of 2 steps; 1 failed; about 6 minutes to go"
    progress.start(1, Job("ch1"))
    clock.minutes = 6
    progress.finish(1)
    assert progress.line() == "1 of 2 notebooks, 0 of 2 steps; 1 failed" and progress.remaining() == 0


def test_a_line_tells_what_is_done_what_runs_and_what_is_left():
    progress, clock = build(2, 40, 50, 60)
    assert progress.to_do() == "3 notebooks; about 1.5 hours"
    progress.start(2, Job("ch2"))
    progress.start(1, Job("ch1"))
    progress.start(7, Job("extra", "step", 1))  # nobody spoke of it before
    clock.minutes = 1
    progress.finish(7)
    progress.finish(7)
    running = "running: ch2 (60 s of about 60 min), ch1 (60 s of about 50 min)"
    assert progress.line() == f"0 of 3 notebooks, 1 of 1 step; about 89 minutes to go; {running}"


def test_times_in_words():
    assert [duration(m) for m in (0.21, 1.9, 3.14, 150)] == ["13 s", "114 s", "3.1 min", "2.5 h"]
    words = ["less than a minute", "about 1 minute", "about 3 minutes", "about 1.5 hours"]
    assert [about(m) for m in (0.9, 1.2, 2.6, 90)] == words


def test_minutes_come_from_the_parameter_before_the_priority_before_the_resource():
    assert expected_minutes({"minutes": 3}, 2, {"runtime": 1}) == 3
    assert expected_minutes({}, 2, {"runtime": 1}) == 2
    assert expected_minutes({"minutes": "<TBD>"}, "highest", {"runtime": 13}) == 1
    assert expected_minutes({}, 0, {}) == 0.25


def test_the_jobs_of_a_graph_are_named_after_their_logs_and_counted_by_their_runs():
    class Hashed(SimpleNamespace):
        __hash__ = object.__hash__

    def job(rule, log, wildcards, **more):
        fields = {"params": {}, "priority": 0, "resources": {}, "threads": 1, **more}
        return Hashed(rule=SimpleNamespace(name=rule), log=log, wildcards_dict=wildcards, **fields)

    first, second, third, fourth = made = (
        job("training", ["log/runs/one.txt"], {"key": "one"}, params={"runs": 8, "minutes": 5}, threads=2),
        job("training", [], {"key": "two"}, params={"runs": ["a", "b"]}, resources={"runtime": 16}),
        job("notebook", ["log/ch06_learning.ipynb"], {"number": "06"}, priority=3.2),
        job("notebook", ["log/ch05_edge.ipynb"], {"number": "05"}, priority=3.2),
    )
    graph = SimpleNamespace(
        needrun_jobs=lambda: made[:3],  # the fourth is done already
        dependencies={first: {}, second: {}, third: {first: {"x"}, second: {"y"}, fourth: {"z"}}},
        jobid=lambda one: [other is one for other in made].index(True),
    )
    jobs = planned(graph)
    assert jobs == {
        0: Job("one", "run", 5, threads=2, count=8),
        1: Job("training two", "run", 2, count=2),
        2: Job("ch06_learning", "notebook", 3.2, needs=frozenset({0, 1})),
    }
    assert Progress(jobs, 2).to_do() == "10 runs, 1 notebook; about 10 minutes"  # 5, then 2, then 3.2


def record_of(*values):
    """The record of a chapter of 186 seconds whose claims hold for values above 0, with an error of 1."""
    claim = Claim("toy", "A toy", "It holds.", "Section 1", between("x", 0, 100))
    verdicts = tuple(judge(claim, [Measurement("x", value, error)]) for value, error in values)
    return Record("ch06_learning", "laptop", {}, verdicts, {}, 186.0)


def test_a_chapter_s_verdicts_are_counted_in_one_line():
    found = record_of((50, 80), (50, 1), (-200, 1), (60, 1))
    assert result_line(found) == "ch06_learning: 2 reproduced, 1 not reproduced, 1 undecided (3.1 min)"
    assert result_line(record_of()) == "ch06_learning: no verdicts (3.1 min)"


def log(message="", level=INFO, **fields):
    """What Snakemake hands a logger plugin."""
    record = LogRecord("snakemake", level, "", 0, message, None, None)
    vars(record).update(fields)
    return record


def test_on_a_cluster_the_verdicts_come_from_the_record(monkeypatch, tmp_path):
    said = []
    shown = SimpleNamespace(say=said.append, close=lambda: None)
    monkeypatch.setattr(screen, "Screen", lambda progress: shown)
    path = record_of((50, 1)).write(tmp_path / "learning.record.json")
    handler = LogHandler(SimpleNamespace(dryrun=False, verbose=False), None)
    fields = {"rule_name": "notebook", "priority": 3, "resources": {}, "threads": 1}
    where = {"log": ["log/ch06_learning.ipynb"], "wildcards": {"number": "06"}, "output": ["x.ipynb", str(path)]}
    handler.handle(log(event=LogEvent.RESOURCES_INFO, nodes=sys.maxsize))
    handler.handle(log(event=LogEvent.JOB_INFO, jobid=4, **fields, **where))
    assert handler.progress.cores is None and handler.progress.jobs == {4: Job("ch06_learning", "notebook", 3.0)}
    handler.handle(log(event=LogEvent.JOB_FINISHED, job_id=4))
    assert said == ["ch06_learning: 1 reproduced (3.1 min)"] and set(handler.progress.done) == {4}


def test_a_build_in_a_log_is_told_in_lines_with_times_and_its_failure_in_full(toys, tmp_path):
    write_chapter(toys, "ch02_other", "seed = 2", "import os", "os.system('echo stray; echo stray >&2')", "seed")
    write_chapter(toys, "ch03_breaks", "seed = 1", "raise RuntimeError('planted')")
    page, out = f"{tmp_path}/out/src/book/generated/claims.md", tmp_path / "out"
    run = snakemake(page, *PLUGIN, apart=True, preset="smoke", notebooks=toys, out=out)
    assert run.returncode != 0
    told = run.stdout.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d \S", line) for line in told), run.stdout
    lines = [line.partition(" ")[2] for line in told]
    assert "To do: 3 notebooks, 1 step; about 1 minute." in lines
    assert [line for line in lines if re.fullmatch(rf"ch01_good: 1 reproduced \({TIME}\)", line)]
    assert [line for line in lines if re.fullmatch(rf"ch02_other: no verdicts \({TIME}\)", line)]
    assert [line for line in lines if line.startswith("0 of 3 notebooks, 0 of 1 step; ") and "running: ch0" in line]
    assert re.fullmatch(rf"2 of 3 notebooks, 0 of 1 step; 1 failed in {TIME}", lines[-1])
    for noise in ("Select jobs", "Building DAG", "Widths are small", "starts: about", "stray"):
        assert noise not in run.stdout + run.stderr
    assert "Error in rule notebook" in run.stderr and "ch03_breaks failed: RuntimeError: planted" in run.stderr
    assert run.stderr.splitlines()[-2] == "notebook ch03_breaks FAILED: RuntimeError: planted"
    said = (out / "log" / "ch01_good.txt").read_text()
    assert "ch01_good starts: about 6 seconds" in said and "✓ reproduced: Widths are small" in said

    plan = snakemake(page, *PLUGIN, "--dry-run", apart=True, preset="smoke", notebooks=toys, out=out)
    assert plan.returncode == 0 and "run the notebook of ch03_breaks" in plan.stdout + plan.stderr


SNAKEFILE = """
from snakemake.logging import logger
from igbrepro.publishing.progress import planned

onstart:
    logger.info(None, extra={"plan": planned(workflow.dag)})

rule slow:
    output: "{word}.txt"
    priority: 3
    shell: "echo out {wildcards.word}; echo err {wildcards.word} >&2; sleep 2; touch {output}"
"""


@pytest.fixture
def terminal(tmp_path):
    """Runs a workflow of one job with the plugin, from a terminal of 100 columns; gives the exit code and all bytes."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)

    def run(*arguments):
        command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "1", *PLUGIN]
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
        process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        read = b""
        try:
            while part := os.read(master, 65536):
                read += part
        except OSError:  # the other end is closed
            pass
        os.close(master)
        return process.wait(), read.decode()

    return run


def test_on_a_terminal_the_display_stands_below_the_lines_and_goes_in_the_end(terminal):
    code, text = terminal("a.txt")
    assert code == 0, text
    erased = "\x1b[2K"
    assert re.search(
        r"━\x1b\[0m 0 of 1 slow, \d+ s; about 3 minutes to go\r\n\x1b\[2m  slow a  \d+ s of about 3 min", text
    )
    for stream in ("out", "err"):
        assert re.search(rf"{re.escape(erased)}\d\d:\d\d:\d\d {stream} a\r\n", text), "above the display"
    assert text.index("\x1b[?25l") < text.index("\x1b[?25h"), "the cursor comes back"
    assert re.search(rf"\d\d:\d\d:\d\d 1 of 1 slow in {TIME}\r\n$", text)


def test_on_a_terminal_what_is_up_to_date_is_one_line(terminal, tmp_path):
    terminal("a.txt")
    code, text = terminal("a.txt")
    assert code == 0 and "Nothing to be done" in text and "slow" not in text
