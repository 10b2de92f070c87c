"""Measurements, verdict boxes and records: values in, the same values out, and no unpublishable word among them."""

import getpass
import json
import re
import socket
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from igbrepro.claims import (
    VERDICT_MIME,
    Measurement,
    Outcome,
    Record,
    Verdict,
    describe_data,
    format_number,
    notebook_verdicts,
    provenance,
    read_records,
)
from igbrepro.errors import ParameterError

ROOT = Path(__file__).resolve().parents[2]
FALLBACK = {"name": "fashion-mnist", "source": "shipped subset", "n_train": 10000, "n_test": 2000, "fallback": True}


def a_verdict(**changes) -> Verdict:
    fields = {
        "claim_id": "demo",
        "title": "A demonstration",
        "statement": "Half of the square is <below> the diagonal.",
        "source": "arXiv:2505.12096, Section 1",
        "chapter": "ch01_signals",
        "outcome": Outcome.CAVEAT,
        "rule_outcome": Outcome.REPRODUCED,
        "reason": "area = 0.501 ± 0.003: within 4 standard errors",
        "measurements": (Measurement("area", np.float64(0.5012), 0.0034, expected=0.5, note="1,000 points"),),
        "data": (FALLBACK,),
        "caveats": ("small <run>",),
    }
    return Verdict(**{**fields, **changes})


@pytest.mark.parametrize(
    ("value", "error", "want"),
    [
        (0.76132, 0.0012, "0.7613 ± 0.0012"),
        (-0.76132, 0.0012, "−0.7613 ± 0.0012"),
        (1.5, 0.4, "1.50 ± 0.40"),
        (2.0, 30.0, "2 ± 30"),
        (1234.5678, 3.0, "1234.6 ± 3.0"),
        (3.0341884, None, "3.03419"),
        (0.0, None, "0"),
        (0.0, 0.01, "0.000 ± 0.010"),
        (1.234e-12, None, "1.234 × 10⁻¹²"),
        (1.234e-12, 5e-14, "(1.234 ± 0.050) × 10⁻¹²"),
        (2.5e7, 1e6, "(2.50 ± 0.10) × 10⁷"),
        (float("inf"), None, "∞"),
    ],
)
def test_numbers_carry_two_digits_of_their_error(value, error, want):
    assert format_number(value, error) == want


@pytest.mark.parametrize(
    "bad",
    [
        {"value": float("nan")},
        {"value": float("inf")},
        {"value": None},
        {"value": 1.0, "std_error": float("nan")},
        {"value": 1.0, "std_error": -0.1},
        {"value": 1.0, "expected": float("-inf")},
        {"value": 1.0, "note": r"$\gamma$"},
    ],
)
def test_measurement_refuses_what_no_verdict_can_use(bad):
    with pytest.raises(ParameterError, match=r"gap of layer 3|TeX"):
        Measurement("gap of layer 3", **bad)


def test_measurement_takes_numpy_scalars_and_tells_its_distance():
    m = Measurement("c", np.float32(0.5), np.float64(0.25), expected=np.int64(1))
    assert (m.value, m.std_error, m.expected, m.z) == (0.5, 0.25, 1.0, -2.0)
    assert Measurement("c", 0.5, 0.0, expected=1.0).z is None


def test_verdict_survives_json():
    verdict = a_verdict()
    raw = json.loads(json.dumps(verdict.to_dict()))
    assert Verdict.from_dict(raw) == verdict


def test_bundle_has_html_text_and_json_of_the_same_verdict():
    bundle = a_verdict()._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain", VERDICT_MIME}
    for text in (bundle["text/html"], bundle["text/plain"]):
        for part in ("reproduced with a caveat", "0.5012 ± 0.0034", "1,000 points" if "<" in text[:1] else "area"):
            assert part in text
    assert bundle[VERDICT_MIME]["claim_id"] == "demo"


def test_box_is_well_formed_escaped_and_self_contained():
    html = a_verdict().to_html()
    assert "&lt;below&gt;" in html and "<below>" not in html and "small &lt;run&gt;" in html
    assert "<script" not in html and "http" not in html and "<style" not in html
    open_tags = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag != "br":
                open_tags.append(tag)

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

    Balance().feed(html)
    assert not open_tags


@pytest.mark.parametrize("outcome", list(Outcome))
def test_box_tells_outcomes_apart_by_word_and_sign(outcome):
    html = a_verdict(outcome=outcome).to_html()
    assert f"{outcome.mark} {outcome}" in html and f"igb-{outcome.slug}" in html
    assert len({o.mark for o in Outcome}) == len(Outcome) == 5


def contrast_with_white(colour):
    """As WCAG 2.1 defines it."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_word_can_be_read_on_its_colour_which_the_book_shares(outcome):
    hue = re.search(r"background:(#\w{6});color:#fff", a_verdict(outcome=outcome).to_html())[1]
    assert contrast_with_white(hue) >= 4.5
    style = (ROOT / "book/_assets/igbrepro.css").read_text()
    own = re.search(rf"\.igb-badge\.igb-{outcome.slug} {{ background: (#\w+);", style)
    assert (own or re.search(r"\.igb-badge {.*?background: (#\w+);", style, re.DOTALL))[1] == hue


@pytest.mark.parametrize(("bad", "words"), [({"n": 1}, "two or more repeats"), ({"floor": -0.1}, "floor=-0.1")])
def test_how_an_error_came_about_is_checked(bad, words):
    with pytest.raises(ParameterError, match=words):
        Measurement("a", 1.0, 0.1, **bad)


def test_fallback_data_is_named_as_such():
    assert "fall-back" in describe_data(FALLBACK) and "10,000 train + 2,000 test" in describe_data(FALLBACK)
    assert "fall-back" not in describe_data({**FALLBACK, "fallback": False})


def test_verdicts_are_read_out_of_an_executed_notebook():
    first, second = a_verdict(), a_verdict(claim_id="other", data=(), caveats=())
    cells = [
        {"cell_type": "markdown", "source": "text"},
        {"cell_type": "code", "outputs": [{"output_type": "stream", "text": "hello"}]},
        {"cell_type": "code", "outputs": [{"output_type": "execute_result", "data": first._repr_mimebundle_()}]},
        {"cell_type": "code", "outputs": [{"output_type": "display_data", "data": second._repr_mimebundle_()}]},
    ]
    assert notebook_verdicts({"cells": json.loads(json.dumps(cells))}) == [first, second]


def test_records_come_back_as_they_were_written(tmp_path):
    made = provenance(tmp_path)
    late = Record("ch02_b", "smoke", {"width": np.int64(64)}, (a_verdict(),), made, 1.5, {"width": 64}, [FALLBACK])
    early = Record("ch01_a", "smoke", {"seed": 1}, (), made, 0.5)
    late.write(tmp_path / "ch02_b.record.json")
    early.write(tmp_path / "deep/01_a.record.json")
    assert read_records(tmp_path) == [early, late]


def test_damaged_record_names_the_file_and_the_remedy(tmp_path):
    path = tmp_path / "x.record.json"
    path.write_text('{"notebook": "x"')
    with pytest.raises(ParameterError, match=r"x\.record\.json: not a record .* run its notebook again"):
        Record.read(path)
    with pytest.warns(UserWarning, match=r"left out: .*x\.record\.json"):
        assert read_records(tmp_path) == []


def test_provenance_is_complete_and_publishable(tmp_path):
    made = provenance(tmp_path)
    assert made["commit"] is None and made["dirty"] is None  # tmp_path is in no repository
    assert {"numpy", "scipy"} <= set(made["versions"]) and made["hardware"]["cores"] >= 1
    text = json.dumps(made)
    assert str(tmp_path) not in text and socket.gethostname() not in text
    assert getpass.getuser() not in text or getpass.getuser() in "Linux"
