"""The steps between executed notebooks and the site."""

import json
import subprocess

import pandas as pd
import pytest
import yaml

from igbrepro.claims import Record
from igbrepro.publishing import Entry
from igbrepro.publishing import stage as staging

FALLBACK = {"name": "fashion-mnist-subset", "source": "shipped", "fallback": True}


def write_record(folder, name, data=(), **parameters):
    path = folder / name / f"{name.partition('_')[2]}.record.json"
    Record(name, "smoke", parameters, (), {}, 1.0, {}, list(data)).write(path)
    path.with_name(path.name.replace(".record.json", ".ipynb")).write_text("{}")
    return path


def test_results_of_removed_chapters_are_forgotten(tmp_path):
    kept, gone = write_record(tmp_path, "ch01_a"), write_record(tmp_path, "ch02_b")
    staging.forget_others(tmp_path, ["ch01_a"])
    assert kept.exists() and kept.with_name("a.ipynb").exists()
    assert not gone.parent.exists()


@pytest.mark.parametrize(
    ("dataset", "here", "again"),
    [
        ("fashion-mnist", ["fashion-mnist"], True),
        ("fashion-mnist", ["cifar10"], False),
        ("cifar10", ["fashion-mnist"], False),
        (None, ["fashion-mnist"], True),
        (None, [], False),
    ],
)
def test_runs_on_fallback_data_are_repeated_once_the_data_are_here(tmp_path, monkeypatch, dataset, here, again):
    rows = [(name, "cache" if name in here else "-") for name in ("fashion-mnist", "cifar10")]
    frame = pd.DataFrame(rows, columns=["dataset", "place"])
    monkeypatch.setattr("igbrepro.data.status", lambda: frame)
    stand_in = write_record(tmp_path, "ch01_a", [FALLBACK], sizes=[1], **({"dataset": dataset} if dataset else {}))
    write_record(tmp_path, "ch02_b", [{**FALLBACK, "fallback": False}], dataset="fashion-mnist-subset")
    before = {path: path.read_text() for path in tmp_path.rglob("*.*")}
    assert staging.records_to_remake(tmp_path) == ([stand_in] if again else [])
    assert {path: path.read_text() for path in tmp_path.rglob("*.*")} == before


@pytest.mark.parametrize("text", ["{", "[]", '{"verdicts": 3}', '{"verdicts": []}', "\x00\xff"])
def test_a_record_that_cannot_be_read_is_made_again(tmp_path, text):
    good, damaged = write_record(tmp_path, "ch01_a"), write_record(tmp_path, "ch02_b")
    damaged.write_text(text, encoding="latin-1")
    assert staging.records_to_remake(tmp_path) == [damaged]
    (line,) = staging.set_aside([damaged])
    assert str(damaged) in line and "made again" in line
    assert good.exists() and not damaged.exists()
    assert damaged.with_name("b.record.json.1").read_text(encoding="latin-1") == text
    assert staging.records_to_remake(tmp_path) == []
    damaged.mkdir()  # a folder of that name
    assert staging.records_to_remake(tmp_path) == [damaged]


@pytest.mark.parametrize(
    ("remote", "environ", "url"),
    [
        (None, {}, None),
        (None, {"GITHUB_REPOSITORY": "a/b"}, "https://github.com/a/b"),
        ("https://github.com/a/b.git", {}, "https://github.com/a/b"),
        ("git@github.com:a/b.git", {}, "https://github.com/a/b"),
        ("https://example.org/a/b.git", {}, None),
        ("../elsewhere", {}, None),
    ],
)
def test_the_repository_is_never_invented(tmp_path, remote, environ, url):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    if remote:
        subprocess.run(["git", "remote", "add", "origin", remote], cwd=tmp_path, check=True)
    assert staging.repository_url(tmp_path, environ) == url


@pytest.fixture
def book(tmp_path):
    """The sources of a book of two pages."""
    folder = tmp_path / "book"
    (folder / "_assets").mkdir(parents=True)
    (folder / "_assets" / "style.css").write_text("")
    (folder / "_config.yml").write_text("title: Toy\nonly_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: book/intro\nchapters: [{file: book/generated/claims}]\n")
    (folder / "intro.md").write_text("# Intro\n\nSee {doc}`generated/claims`.\n")
    return folder


def stage(book, tmp_path, url=None):
    src = tmp_path / "out" / "src"
    (src / "book" / "generated").mkdir(parents=True, exist_ok=True)
    (src / "book" / "generated" / "claims.md").write_text("# Claims\n")
    staging.stage_book(book, src, url)
    return src


def test_staging_mirrors_the_repository_and_forgets_what_is_gone(book, tmp_path):
    (book / "old.md").write_text("# Old\n")
    stage(book, tmp_path)
    (book / "old.md").unlink()
    src = stage(book, tmp_path)
    files = {path.relative_to(src).as_posix() for path in src.rglob("*") if path.is_file()}
    assert files == {"_config.yml", "_toc.yml", "book/intro.md", "book/_assets/style.css", "book/generated/claims.md"}
    config = yaml.safe_load((src / "_config.yml").read_text())
    assert "repository" not in config and "launch_buttons" not in config


def test_buttons_appear_with_a_repository(book, tmp_path):
    config = yaml.safe_load((stage(book, tmp_path, "https://github.com/a/b") / "_config.yml").read_text())
    assert config["title"] == "Toy" and config["html"]["use_repository_button"]
    assert config["repository"] == {"url": "https://github.com/a/b", "branch": "main", "path_to_book": ""}
    assert config["launch_buttons"]["binderhub_url"].startswith("https://")


def test_a_warning_stops_every_build_and_leaves_the_site_of_before(book, tmp_path):
    html = tmp_path / "out" / "html"
    staging.build_html(stage(book, tmp_path), html)
    assert "See" in (html / "book" / "intro.html").read_text()
    reference, directive = "see {doc}`nowhere`.", "```{nosuch}\n```"
    for slip in (reference, directive, directive):  # a build must not forget the warnings of the one before
        (book / "intro.md").write_text(f"# Intro\n\nChanged; {{doc}}`generated/claims`\n\n{slip}\n")
        with pytest.raises(subprocess.CalledProcessError):
            staging.build_html(stage(book, tmp_path), html)
    assert "Changed" not in (html / "book" / "intro.html").read_text()


def test_time_needed_is_told_before_the_start():
    entries = {"a": Entry(4.0), "b": Entry(2.0), "c": Entry(1.5)}
    told = staging.time_needed("laptop", entries, 2)
    assert told.startswith("Preset laptop: 3 notebooks, 7.5 minutes of computing; with 2 at a time")
    assert "ready in about 5 minutes" in told
    assert "with 1 at a time and the pages ready in about 9 minutes" in staging.time_needed("laptop", entries, None)


def test_the_report_of_failures_names_notebooks_and_steps(tmp_path):
    logs = tmp_path / "log"
    logs.mkdir(parents=True)
    error = {"output_type": "error", "ename": "ValueError", "evalue": "planted", "traceback": []}
    (logs / "ch01_a.ipynb").write_text(json.dumps({"cells": [{"outputs": [{"output_type": "stream"}, error]}]}))
    (logs / "ch02_b.ipynb").write_text(json.dumps({"cells": []}))
    (logs / "ch03_c.ipynb").write_text("")  # what Snakemake leaves of a notebook that ran well
    (tmp_path / "log" / "html.txt").write_text("reading\nintro.md:3: WARNING: unknown document\ndone\n")
    (tmp_path / "log" / "register.txt").write_text("")
    report = staging.failure_report(tmp_path, ["ch01_a", "ch02_b", "ch03_c", "ch04_never"])
    assert "notebook ch01_a FAILED: ValueError: planted" in report and "ch02_b FAILED: it did not end" in report
    assert "step html FAILED:\n  intro.md:3: WARNING: unknown document" in report
    assert "ch03_c" not in report and "never" not in report and "register" not in report and "done" not in report
