"""Every notebook, run at the smoke preset by the real workflow: a page, a record, and its verdicts."""

from pathlib import Path

import pytest
import yaml
from toys import ROOT

from igbrepro.claims import Outcome, Record
from igbrepro.publishing import chapters
from igbrepro.publishing.run import PROVENANCE_TITLE

# What the parts after these claim compares trainings of full length (who learns first), which a smoke run is not.
PARTS = ("Theory", "Beyond single nodes")
TOC = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
LISTED = [one["file"] for part in TOC["parts"] if part["caption"] in PARTS for one in part["chapters"]]
THEORY = {Path(file).parent.name for file in LISTED}


def test_theory_is_in_its_parts_of_the_book():
    assert {"ch01_signals", "ch10_residual"} <= THEORY <= set(chapters.chapter_names())


@pytest.fixture(params=chapters.chapter_names())
def record(request, smoke_book) -> Record:
    folder = smoke_book.parent / "src" / "notebooks"
    return Record.read(chapters.record_path(chapters.notebook_path(request.param, folder)))


def test_it_settles_its_claims(record):
    assert [verdict.claim_id for verdict in record.verdicts] == list(chapters.load_claims(record.notebook))


def test_a_theory_that_small_runs_cannot_confirm_they_do_not_contradict(record):
    """Theory is judged by its distance in standard errors; that decides less in a small run, and nothing else."""
    if record.notebook in THEORY:
        expected = chapters.load_expected(record.notebook)
        found = {verdict.claim_id: verdict.rule_outcome for verdict in record.verdicts}
        small = record.preset == "smoke"
        assert not {k: v for k, v in found.items() if v != expected[k] and not (small and v is Outcome.UNDECIDED)}


def test_it_is_a_page_that_says_how_it_was_made(record, smoke_book):
    page = chapters.notebook_path(record.notebook, smoke_book / "notebooks").with_suffix(".html").read_text()
    assert PROVENANCE_TITLE in page and "Traceback" not in page


def test_the_generated_pages_are_there(smoke_book):
    assert (smoke_book / "index.html").is_file()
    pages = {path.name for path in (smoke_book / "book" / "generated").glob("*.html")}
    assert {"claims.html", "figures.html", "runs.html"} <= pages
