"""Every notebook, run at the smoke preset by the real workflow: a page, a record, and verdicts that hold."""

import pytest

from igbrepro import sources
from igbrepro.claims import CLAIMS, check_register
from igbrepro.results import Record
from igbrepro.workflow import PROVENANCE_TITLE


@pytest.fixture(params=sources.notebook_names())
def record(request, smoke_book) -> Record:
    return Record.read(smoke_book.parent / "src" / "notebooks" / f"{request.param}.record.json")


def test_it_settles_its_claims_and_contradicts_none(record):
    settled = {verdict.claim_id for verdict in record.verdicts}
    assert settled == {claim.id for claim in CLAIMS.values() if claim.notebook == record.notebook}
    check_register(record.verdicts, undecided_ok=record.preset == "smoke")


def test_it_runs_within_the_minutes_of_its_preset(record):
    """Three times over, since tests share the machine: a preset that promises the wrong time is a broken promise."""
    assert record.seconds < 3 * 60 * sources.load_preset(record.preset)[record.notebook].minutes + 10


def test_it_is_a_page_that_says_how_it_was_made(record, smoke_book):
    page = (smoke_book / "notebooks" / f"{record.notebook}.html").read_text()
    assert PROVENANCE_TITLE in page and "Traceback" not in page


def test_the_generated_pages_are_there(smoke_book):
    assert (smoke_book / "index.html").is_file()
    pages = {path.name for path in (smoke_book / "book" / "generated").glob("*.html")}
    assert {"claims.html", "figures.html", "runs.html"} <= pages
