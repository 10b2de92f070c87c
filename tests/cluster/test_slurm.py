"""The workflow on a cluster: what is asked of Slurm, and a book made by a real one, with a failure and a kill."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import pytest
import yaml
from toys import CLAIMS, JUDGED, ROOT, making_smoke_book, write_chapter, write_notebook, write_sizes, write_trained

from igbrepro.claims import Outcome, Record
from igbrepro.publishing import has_experiment, load_preset

PROFILE = "snakemake --profile profiles/slurm --config preset=paper"
PLAIN = "snakemake --executor slurm --jobs 20 --config preset=paper"
# A Slurm without accounting, and jobs of seconds.
OPTIONS = "--slurm-status-command squeue --slurm-init-seconds-before-status-checks 2".split()


@pytest.mark.cluster
def test_the_smoke_book_goes_through_slurm(cluster, tmp_path_factory):
    """The one that all other tests look at: so this one comes first."""
    with making_smoke_book(tmp_path_factory) as out:
        if (out / "html" / "index.html").exists():
            out = tmp_path_factory.mktemp("slurm") / "book"
        command = as_told(PROFILE, *OPTIONS, preset="smoke", out=out)
        done = subprocess.run([*cluster.enter, *command], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:] + cluster.log()[-2000:]
    jobs = [job for job in jobs_of(cluster).values() if job["WorkDir"] == str(ROOT)]
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    notebooks = {job["Comment"].partition("wildcards_")[2] for job in jobs if "notebook" in job["Comment"]}
    assert notebooks == {name.removeprefix("ch") for name in load_preset("smoke")}
    assert len(list(out.glob("executed/*/*.record.json"))) == len(notebooks)


def test_the_reader_is_told_these_lines():
    pages = [(ROOT / name).read_text() for name in ("README.md", "book/reproduce.md")]
    assert all(f"\n{PROFILE}\n" in page for page in pages) and f"`{PLAIN}`" in pages[1]


def as_told(line: str, *options: str, **config: object) -> list[str]:
    """The command of a line for the reader, with other values after --config and more options."""
    values = {"preset": "paper", **config}
    words = shlex.split(line.removesuffix("preset=paper")) + [f"{key}={value}" for key, value in values.items()]
    return [sys.executable, "-m", *words, *options]


@pytest.fixture
def no_slurm(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Commands of that name which take note of what is asked and refuse it, and an environment that finds them."""
    bin_, asked = tmp_path / "bin", tmp_path / "asked"
    bin_.mkdir()
    says = {"sinfo": "echo 'main*'", "sbatch": f'echo "$@" >> {asked}; echo refused >&2; exit 1'}
    for name in ("sinfo", "sbatch", "squeue", "sacct", "scontrol", "scancel"):
        (bin_ / name).write_text(f"#!/bin/sh\n{says.get(name, 'exit 1')}\n")
        (bin_ / name).chmod(0o755)
    return asked, {**os.environ, "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}


def test_every_notebook_of_the_paper_asks_for_what_its_sizes_say(no_slurm, tmp_path):
    asked, environ = no_slurm
    command = as_told(PLAIN, *OPTIONS, out=tmp_path / "out")
    run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert run.returncode != 0 and "refused" in run.stderr, run.stderr
    assert "with 20 at a time" in run.stdout + run.stderr
    lines = asked.read_text().splitlines()
    calls = {found[1]: call for call in lines if (found := re.search(r"notebook_wildcards_(\w+)", call))}
    entries = load_preset("paper")
    waiting = {name for name in entries if has_experiment(name)}  # for their training runs
    assert set(calls) <= {name.removeprefix("ch") for name in entries} and len(calls) >= len(entries) - len(waiting) - 1
    trained = [(found[1], call) for call in lines if (found := re.search(r"training_wildcards_(\w+)_\w{12}", call))]
    assert any("--gpus=1" in call for _, call in trained)
    for name, call in trained:
        assert ("--gpus=1" in call) is bool(entries[f"ch{name}"].gpu) and "--cpus-per-task=1" in call, call
    for name, entry in ((f"ch{wildcards}", entries[f"ch{wildcards}"]) for wildcards in calls):
        call = calls[name.removeprefix("ch")]
        assert f"-t {3 * entry.minutes + 10} --mem {1000 * entry.memory_gb:.0f} " in call, call
        assert ("--gpus=1" in call) is bool(entry.gpu) and "--cpus-per-task=1" in call, call


TOYS = ["ch01_good", "ch02_breaks", "ch03_trained", "ch04_killed"]
SLEEPS_ONCE = """import pathlib, time
started = pathlib.Path(folder) / "started"
if not started.exists():
    started.touch()
    time.sleep(600)"""


def small_book(folder: Path) -> None:
    """The sources of a book of four chapters: one is judged, one raises, one declares runs, one sleeps once."""
    others = shutil.ignore_patterns("*.md", "*.diff", "__pycache__", "abstract.yml")  # that one names claims
    shutil.copytree(ROOT / "book", folder / "book", ignore=others)
    shutil.copy(ROOT / "book" / "references.md", folder / "book")
    for page in ("intro", "reproduce", "evidence"):
        (folder / "book" / f"{page}.md").write_text(f"# {page}\n")
    root = folder / "notebooks"
    good = write_chapter(
        root, "ch01_good", "seed = 1\nwidth = 64", JUDGED, "import os\nos.environ['CUDA_VISIBLE_DEVICES']"
    )
    write_sizes(good, {"minutes": 7, "memory_gb": 1.5, "gpu": 1})
    (good / "claims.py").write_text(CLAIMS)
    write_chapter(root, "ch02_breaks", "seed = 3", "raise RuntimeError('planted')")
    write_trained(root)
    write_chapter(root, "ch04_killed", f"seed = 4\nfolder = {str(folder)!r}", SLEEPS_ONCE)
    pages = ("claims", "costs", "figures", "runs")
    names = [f"book/{page}" for page in ("reproduce", "evidence", "references", *(f"generated/{one}" for one in pages))]
    names += [f"notebooks/{name}/{name[5:]}" for name in TOYS]
    toc = {"format": "jb-book", "root": "book/intro", "chapters": [{"file": name} for name in names]}
    (folder / "book" / "_toc.yml").write_text(yaml.safe_dump(toc))


@dataclass
class Story:
    """Two runs of one command: what each said, its exit code, its jobs in Slurm, the time of each record after it."""

    out: Path
    said: list[str]
    codes: list[int]
    jobs: list[dict[str, dict[str, str]]]
    records: list[dict[str, int]]


def jobs_of(cluster) -> dict[str, dict[str, str]]:
    """What Slurm knows of each job, by its number."""
    lines = cluster.run("scontrol", "show", "jobs", "--oneliner").splitlines()
    return {
        found[1]: dict(re.findall(r"(\S+?)=(\S*)", line)) for line in lines if (found := re.match(r"JobId=(\d+)", line))
    }


@pytest.fixture(scope="module")
def story(cluster, tmp_path_factory) -> Story:
    """A book through Slurm: one notebook raises and one is killed in the middle; then the first is mended."""
    folder = tmp_path_factory.mktemp("cluster")
    small_book(folder)
    story = Story(folder / "out", [], [], [], [])
    config = {"preset": "smoke", "notebooks": folder / "notebooks", "out": story.out, "least": 0}
    command = as_told(PROFILE, *OPTIONS, "--directory", str(folder), **config)
    known = set(jobs_of(cluster))
    for attempt in range(2):
        process = subprocess.Popen(
            [*cluster.enter, *command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if attempt == 0:
            until = time.monotonic() + 600
            while not (folder / "started").exists():
                assert process.poll() is None and time.monotonic() < until, process.communicate()[0] + cluster.log()
                time.sleep(0.2)
            (killed,) = [number for number, job in jobs_of(cluster).items() if job["Comment"].endswith("04_killed")]
            cluster.run("scancel", "--signal=KILL", f"{killed}.0")
        story.said.append(process.communicate(timeout=1200)[0])
        story.codes.append(process.returncode)
        jobs = {number: job for number, job in jobs_of(cluster).items() if number not in known}
        known |= set(jobs)
        story.jobs.append({job["Comment"].removeprefix("rule_"): job for job in jobs.values()})
        records = story.out.glob("executed/*/*.record.json")
        story.records.append({path.parent.name: path.stat().st_mtime_ns for path in records})
        write_notebook(folder / "notebooks/ch02_breaks/breaks.ipynb", "seed = 3", "print('mended')")
    return story


@pytest.mark.cluster
def test_a_job_that_fails_is_named_and_spares_the_others(story):
    assert story.codes[0] != 0
    assert "\nnotebook ch02_breaks FAILED: RuntimeError: planted\n" in story.said[0], story.said[0]
    assert "notebook ch01_good" not in story.said[0]
    assert set(story.records[0]) == {"ch01_good", "ch03_trained"}


@pytest.mark.cluster
def test_a_job_killed_in_the_middle_is_named(story):
    assert "\nnotebook ch04_killed FAILED: it did not end\n" in story.said[0], story.said[0]
    assert story.jobs[0]["notebook_wildcards_04_killed"]["JobState"] == "FAILED"


@pytest.mark.cluster
def test_the_same_command_resumes_and_repeats_nothing(story):
    assert story.codes[1] == 0, story.said[1]
    again = {"notebook_wildcards_02_breaks", "notebook_wildcards_04_killed"}
    assert set(story.jobs[1]) == {*again, "pages", "html"}
    assert {name: story.records[1][name] for name in story.records[0]} == story.records[0]
    assert {job["JobState"] for job in story.jobs[1].values()} == {"COMPLETED"}


@pytest.mark.cluster
def test_the_book_is_there_with_its_records(story):
    assert set(story.records[1]) == set(TOYS)
    (verdict,) = Record.read(story.out / "executed/ch01_good/good.record.json").verdicts
    assert verdict.outcome is Outcome.REPRODUCED
    assert "A width is small." in (story.out / "html/book/generated/claims.html").read_text()
    assert (story.out / "html/index.html").is_file()
    assert all((story.out / f"html/notebooks/{name}/{name[5:]}.html").is_file() for name in TOYS)


@pytest.mark.cluster
def test_slurm_holds_each_job_to_its_sizes(story):
    asked = {
        name: (job["TimeLimit"], job["MinMemoryNode"], job["CPUs/Task"], job.get("TresPerJob", ""))
        for jobs in story.jobs
        for name, job in jobs.items()
    }
    usual = ("00:11:00", "4000M", "1", "")
    expected = {f"notebook_wildcards_{name[2:]}": usual for name in TOYS[1:]}
    expected |= {name: (limit, "4000M", "1", "") for name, limit in (("pages", "00:13:00"), ("html", "00:25:00"))}
    expected["notebook_wildcards_01_good"] = ("00:31:00", "1500M", "1", "gres:gpu:1")
    (training,) = (name for name in asked if name.startswith("training_wildcards_03_trained_"))
    assert asked == {**expected, training: usual}
    page = nbformat.read(story.out / "executed/ch01_good/good.ipynb", as_version=4)
    (seen,) = [out.data["text/plain"] for out in page.cells[-2].outputs]
    assert seen == "'0'"


@pytest.mark.cluster
@pytest.mark.parametrize("how", ["closed", "killed"])
def test_nothing_is_left_of_a_slurm_that_is_stopped(start_slurm, how):
    """Its jobs, too; but where it has no world of its own and is killed itself, they end in their time."""
    before = sorted(Path("/etc/slurm").glob("*"))
    with start_slurm() as one:
        one.run("sbatch", "--mem=100", "--output=/dev/null", "--wrap", "sleep 20")
        until = time.monotonic() + 20
        while one.run("squeue", "--noheader", "--format=%T").strip() != "RUNNING":
            assert time.monotonic() < until, one.log()
            time.sleep(0.2)
        mine = psutil.Process(one.process.pid).children(recursive=True)
        assert {"munged", "slurmctld", "slurmd", "slurmstepd", "sleep"} <= {process.name() for process in mine}
        if how == "killed":
            one.process.kill()
            mine = [process for process in mine if one.enter or process.name() in ("munged", "slurmctld", "slurmd")]
    gone, alive = psutil.wait_procs(mine, timeout=10)
    assert not alive and len(gone) == len(mine)
    assert sorted(Path("/etc/slurm").glob("*")) == before
