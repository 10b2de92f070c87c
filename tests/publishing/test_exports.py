"""Figures and tables of a run as files."""

import base64

import pandas as pd

from igbrepro.publishing.exports import write_results


def test_figures_and_tables_are_files_beside_the_record(tmp_path):
    frame = pd.DataFrame({"gap": [0.5, 0.25], "a, b": ["x & y", "z"]}, index=pd.Index([1, 2], name="layer"))
    many = pd.DataFrame({"n": range(4)}, index=pd.MultiIndex.from_product([["r", "t"], [1, 2]], names=["f", "k"]))
    plain = "<table><tr><td>no frame</td></tr></table>"
    html = [frame.to_html(), plain, many.to_html()]
    figure = {"mystnb": {"figure": {"name": "fig-01-gap", "caption": "A gap."}}}
    cells = [
        {"metadata": figure, "outputs": [{"data": {"image/png": base64.b64encode(b"PNG").decode()}}]},
        {
            "metadata": {},
            "outputs": [{"data": {"image/png": base64.b64encode(b"unnamed").decode()}}, {"name": "stdout"}],
        },
        {"metadata": {}, "outputs": [{"data": {"text/html": text}} for text in html]},
    ]
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "old.png").write_bytes(b"old")
    written = write_results({"cells": cells}, tmp_path)
    names = ["figures/fig-01-gap.png", "tables/table-1.csv", "tables/table-2.csv"]
    assert [path.relative_to(tmp_path).as_posix() for path in written] == names
    assert {path for path in tmp_path.rglob("*.*")} == set(written)
    assert written[0].read_bytes() == b"PNG"
    read = pd.read_csv(written[1], header=None).fillna("").astype(str).values.tolist()
    assert read == [["", "gap", "a, b"], ["layer", "", ""], ["1", "0.50", "x & y"], ["2", "0.25", "z"]]
    rows = [line.split(",") for line in written[2].read_text().splitlines()]
    assert rows[2:] == [["r", "1", "0"], ["r", "2", "1"], ["t", "1", "2"], ["t", "2", "3"]]
