"""Every notebook, run at the smoke preset by the real workflow: a page, a record, and its verdicts."""

import pytest

from igbrepro.claims import CLAIMS, Record, check_register
from igbrepro.publishing import PROVENANCE_TITLE
from igbrepro.publishing import chapters as sources


@pytest.fixture(params=sources.notebook_names())
def record(request, smoke_book) -> Record:
    return Record.read(smoke_book.parent / "src" / "notebooks" / f"{request.param}.record.json")


def test_it_settles_its_claims(record):
    settled = {verdict.claim_id for verdict in record.verdicts}
    assert settled == {claim.id for claim in CLAIMS.values() if claim.notebook == record.notebook}


def test_a_theory_that_small_runs_cannot_confirm_they_do_not_contradict(record):
    """Theory is judged by its distance in standard errors; who learns first needs a training of full length."""
    if record.notebook.startswith("theory/"):
        check_register(record.verdicts, undecided_ok=record.preset == "smoke")


def test_it_is_a_page_that_says_how_it_was_made(record, smoke_book):
    page = (smoke_book / "notebooks" / f"{record.notebook}.html").read_text()
    assert PROVENANCE_TITLE in page and "Traceback" not in page


def test_the_generated_pages_are_there(smoke_book):
    assert (smoke_book / "index.html").is_file()
    pages = {path.name for path in (smoke_book / "book" / "generated").glob("*.html")}
    assert {"claims.html", "figures.html", "runs.html"} <= pages
