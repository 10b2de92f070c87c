"""The generated pages say what the records say: planted records in, their numbers, verdicts and links out."""

import base64
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from toys import write_chapter

from igbrepro.claims import Measurement, Outcome, Record, Verdict, judge, provenance
from igbrepro.errors import ParameterError
from igbrepro.publishing import load_claims, write_pages
from igbrepro.publishing.abstract import Sentence, read_abstract
from igbrepro.publishing.chapters import load_register
from igbrepro.publishing.pages import _by_origin, all_verdicts

MADE = {**provenance(), "commit": "0123456789abcdef", "dirty": False, "date": "2026-01-02T03:04:05+00:00"}
DATA = {"name": "fashion-mnist", "source": "somewhere", "n_train": 10000, "n_test": 2000, "fallback": True}


def png() -> str:
    stream = io.BytesIO()
    Image.new("RGB", (1200, 600), "red").save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def notebook(title: str, figure: str = "") -> dict:
    cells = [{"cell_type": "markdown", "metadata": {}, "source": [f"# {title}\n", "text"]}]
    if figure:
        settings = {"figure": {"name": figure, "caption": "Gap $1-c$ by layer."}, "image": {"alt": "A falling line."}}
        outputs = [{"output_type": "display_data", "data": {"image/png": png()}}]
        cells.append({"cell_type": "code", "metadata": {"mystnb": settings}, "source": "", "outputs": outputs})
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


CLAIMS = """from igbrepro.claims import Claim, agrees

FIRST = Claim("first", "Halves are halves", "One | half is *half*.", "Section 1", agrees("the number"))
SECOND = Claim("second", "Thirds are halves", "A third is a half.", "Section 2", agrees("the number"))
"""
LATER = """from igbrepro.claims import Claim, agrees

THIRD = Claim("third", "Later", "Comes later.", "Section 9", agrees("the number"))
"""


@pytest.fixture
def root(tmp_path):
    """Two chapters, one with two claims and one with a claim that has no verdict."""
    root = tmp_path / "notebooks"
    for name, claims in (("ch01_one", CLAIMS), ("ch02_two", LATER)):
        (write_chapter(root, name, "seed = 1") / "claims.py").write_text(claims)
    return root


@pytest.fixture
def site(tmp_path, root):
    """These two executed, in a source tree."""
    claims = load_claims("ch01_one", root)
    verdicts = (
        judge(claims["first"], [Measurement("the number", 0.5012, 0.0034, expected=0.5)], data=[DATA]),
        judge(claims["second"], [Measurement("the number", 0.3333, 0.0011, expected=0.5)]),
    )
    verdicts = tuple(replace(verdict, chapter="ch01_one") for verdict in verdicts)
    folder = tmp_path / "src" / "notebooks"
    record = Record("ch01_one", "smoke", {"width": 64, "seed": 7}, verdicts, MADE, 100.0, {"width": 64}, [DATA])
    record.write(folder / "ch01_one" / "one.record.json")
    Record("ch02_two", "smoke", {"seed": 8}, (), MADE, 20.0).write(folder / "ch02_two" / "two.record.json")
    (folder / "ch01_one" / "one.ipynb").write_text(json.dumps(notebook("The first chapter", "fig-01-gap")))
    (folder / "ch02_two" / "two.ipynb").write_text(json.dumps(notebook("The second chapter")))
    return folder


def pages(site) -> dict[str, str]:
    out = site.parent / "book" / "generated"
    return {path.name: path.read_text() for path in write_pages(site, out, site.parent.parent / "notebooks")}


def test_claims_page_has_every_claim_with_source_verdict_numbers_data_and_chapter(site):
    text = pages(site)["claims.md"]
    row = next(row for row in text.split("\n* - ") if "<claim-first>" in row)
    link = "{ref}`Halves are halves <claim-first>`"
    chapter = "{doc}`Chapter 1 </notebooks/ch01_one/one>`"
    parts = ("reproduced with a caveat", link, "Section 1", "0.5012 ± 0.0034", "fashion-mnist (fall-back)", chapter)
    assert not [part for part in parts if part not in row]
    assert "not reproduced" in text and "0.3333 ± 0.0011" in text  # published, not hidden
    assert "(claim-first)=\n### Halves are halves" in text and "preset *smoke*; width 64; seed 7." in text


def test_claims_page_says_what_would_have_been_refuted(site):
    """In the table and in the box; not of the second claim, which is itself refuted."""
    assert pages(site)["claims.md"].count("Would have been refuted: an expected value") == 2


def test_claims_are_grouped_by_whose_they_are():
    sources = ["ours, after arXiv:2505.12096", "arXiv:2505.12096, figure", "follows from arXiv:2505.12096", "ours"]
    verdicts = [Verdict(str(k), "b", "c", source, YES, YES, "e", ()) for k, source in enumerate(sources)]
    groups = [(origin, [one.claim_id for one in chosen]) for origin, chosen in _by_origin(verdicts)]
    assert groups == [("the paper's claims", ["1"]), ("what follows from them", ["2"]), ("ours", ["0", "3"])]


def test_a_claim_without_verdict_is_listed_as_not_run_here(site):
    text = pages(site)["claims.md"]
    later = text[text.index("(claim-third)=") :].split("(claim-")[1]
    assert "not run here" in later and "no record of its notebook" in later


ABSTRACT = """
- {where: "abstract, all versions", sentence: "Halves are *halves*.", claims: [first, second], number: [first, 0]}
- {where: version 3, sentence: Thirds are halves., claims: [second], number: [second, the number]}
- {where: version 3, sentence: More comes later., claims: [third], number: [third, 0]}
"""


def test_the_abstract_gives_each_sentence_a_verdict_its_number_and_its_claims(site, root):
    (root.parent / "book").mkdir()
    (root.parent / "book" / "abstract.yml").write_text(ABSTRACT)
    first, second, third = pages(site)["abstract.md"].split("\n* - ")[2:]
    parts = ("with a caveat", "1 of 2 claims hold; 1 not reproduced", r"Halves are \*halves\*.", "0.5012 ± 0.0034")
    assert not [part for part in (*parts, "{ref}`✓* <claim-first>` {ref}`✗ <claim-second>`") if part not in first]
    assert "igb-not-reproduced" in second and "0 of 1 claims hold" in second and "0.3333 ± 0.0011" in second
    assert "igb-not-run-here" in third and third.count("not run here") >= 2
    assert "1 reproduced with a caveat, 1 not reproduced, 1 not run here" in third


@pytest.mark.parametrize(
    ("claims", "number", "words"),
    [
        ("[first, fourth]", "[first, 0]", "names fourth, which no chapter claims"),
        ("[first]", "[first, size]", "claim 'first' has no measurement 'size'"),
        ("[first]", "[first, 7]", "claim 'first' has no measurement 7"),
    ],
)
def test_a_sentence_on_a_claim_or_number_that_is_not_there_is_refused(site, root, claims, number, words):
    (root.parent / "book").mkdir()
    entry = f"- {{where: x, sentence: y, claims: {claims}, number: {number}}}"
    (root.parent / "book" / "abstract.yml").write_text(entry)
    with pytest.raises(ParameterError, match=words):
        pages(site)


YES, BUT, NO, OPEN = Outcome.REPRODUCED, Outcome.CAVEAT, Outcome.NOT_REPRODUCED, Outcome.UNDECIDED


@pytest.mark.parametrize(
    ("outcomes", "together"),
    [
        ([YES, YES], YES),
        ([YES, BUT], BUT),
        ([NO, NO], NO),
        ([NO, OPEN], NO),
        ([YES, NO], BUT),
        ([YES, NO, OPEN], BUT),
        ([YES, OPEN], OPEN),
        ([OPEN, OPEN], OPEN),
        ([YES, Outcome.NOT_RUN], Outcome.NOT_RUN),
    ],
)
def test_verdicts_on_a_sentence_come_together(outcomes, together):
    verdicts = tuple(Verdict("a", "b", "c", "d", one, one, "e", ()) for one in outcomes)
    assert Sentence("text", "where", verdicts, None).outcome is together


def test_every_sentence_of_the_abstract_names_claims_of_the_register():
    verdicts = all_verdicts([], load_register())
    sentences = read_abstract(Path(__file__).parents[2] / "book" / "abstract.yml", verdicts)
    assert len(sentences) >= 8 and all(len(one.verdicts) > 1 for one in sentences)


def test_pages_follow_the_register_not_the_alphabet(site):
    text = pages(site)["claims.md"]
    assert text.index("<claim-first>") < text.index("<claim-second>") < text.index("<claim-third>")


def test_words_are_those_of_the_claims_as_they_now_read(site, root):
    (root / "ch01_one" / "claims.py").write_text(CLAIMS.replace("A third is a half.", "Not at all."))
    assert "Not at all." in pages(site)["claims.md"]


def test_figures_page_shows_each_figure_small_with_its_words(site):
    text = pages(site)["figures.md"]
    caption = "{numref}`fig-01-gap`. Gap $1-c$ by layer."
    parts = ("## The first chapter", ":link: fig-01-gap", caption, ":img-alt: A falling line.")
    assert not [part for part in parts if part not in text]
    assert "The second chapter" not in text  # it has none
    small = site.parent / "book/generated/thumbnails/fig-01-gap.png"
    assert Image.open(small).size == (480, 240)


def test_runs_page_lists_time_parameters_data_commit_and_versions(site):
    text = pages(site)["runs.md"]
    parts = ["2 notebooks, 2.0 min of computing", "`width = 64`", "`0123456789`", "2026-01-02 03:04", "numpy", "Python"]
    parts.append("10,000 train + 2,000 test (fall-back")
    assert not [part for part in parts if part not in text]
    assert text.index("Chapter 1") < text.index("Chapter 2")
    assert "The same for every notebook." in text


def test_runs_page_tells_different_environments_apart(site):
    other = {**MADE, "python": "3.99.0"}
    Record("ch02_two", "laptop", {}, (), other, 1.0).write(site / "ch02_two" / "two.record.json")
    text = pages(site)["runs.md"]
    assert "Versions and hardware (2)" in text and "3.99.0" in text and "laptop, smoke" in text


def test_no_records_at_all_still_make_pages(tmp_path, root):
    (tmp_path / "src/notebooks").mkdir(parents=True)
    texts = pages(tmp_path / "src/notebooks")
    assert set(texts) == {"abstract.md", "claims.md", "costs.md", "figures.md", "runs.md"} and all(texts.values())


def test_a_damaged_record_is_left_out_and_named(site):
    (site / "ch01_one" / "one.record.json").write_text("{")
    with pytest.warns(UserWarning, match=r"left out: .*one\.record\.json: not a record"):
        texts = pages(site)
    assert "3 not run here" in texts["abstract.md"]


def test_pages_are_the_same_when_written_again(site):
    assert pages(site) == pages(site)
