"""The figures and tables of an executed notebook as files beside it: figures/NAME.png and tables/NAME.csv."""

from __future__ import annotations

import base64
import csv
import shutil
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class _Tables(HTMLParser):
    """The rows of the tables that pandas shows; a cell that spans several rows or columns stands in each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._inside = False
        self._text: list[str] | None = None
        self._span = (1, 1)
        self._below: dict[int, tuple[int, str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table" and "dataframe" in (given.get("class") or ""):
            self._inside, self._below = True, {}
            self.tables.append([])
        elif self._inside and tag == "tr":
            self.tables[-1].append([])
        elif self._inside and tag in ("td", "th"):
            self._text = []
            self._span = (int(given.get("rowspan") or 1), int(given.get("colspan") or 1))

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._inside = False
        elif tag == "tr" and self._inside:
            self._fill(self.tables[-1][-1])
        elif tag in ("td", "th") and self._text is not None:
            row, text = self.tables[-1][-1], "".join(self._text).strip()
            self._fill(row)
            down, right = self._span
            for _ in range(right):
                if down > 1:
                    self._below[len(row)] = (down, text)
                row.append(text)
            self._text = None

    def _fill(self, row: list[str]) -> None:
        """Append what cells of the rows above put into the next columns of this one."""
        while len(row) in self._below:
            left, text = self._below[len(row)]
            if left == 1:
                break
            self._below[len(row)] = (left - 1, text)
            row.append(text)


def notebook_figures(notebook: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """(name, PNG) of every captioned figure among the outputs."""
    for cell in notebook["cells"]:
        name = cell.get("metadata", {}).get("mystnb", {}).get("figure", {}).get("name")
        images = [out["data"]["image/png"] for out in cell.get("outputs", ()) if "image/png" in out.get("data", {})]
        if name and images:
            yield name, base64.b64decode("".join(images[0]))


def notebook_tables(notebook: Mapping[str, Any]) -> Iterator[tuple[str, list[list[str]]]]:
    """(name, rows) of every table that pandas shows among the outputs: table-1, table-2, ... in order."""
    parser = _Tables()
    for cell in notebook["cells"]:
        for out in cell.get("outputs", ()):
            parser.feed("".join(out.get("data", {}).get("text/html", "")))
    yield from ((f"table-{number}", rows) for number, rows in enumerate(parser.tables, start=1))


def write_results(notebook: Mapping[str, Any], folder: Path | str) -> list[Path]:
    """Write the figures and tables of an executed notebook below `folder`, in the place of older ones.

    Numbers in a table have the digits that the notebook shows.  Returns the paths.
    """
    figures, tables = (Path(folder) / name for name in ("figures", "tables"))
    written = []
    for old in (figures, tables):
        shutil.rmtree(old, ignore_errors=True)
    for name, png in notebook_figures(notebook):
        figures.mkdir(parents=True, exist_ok=True)
        written.append(figures / f"{name}.png")
        written[-1].write_bytes(png)
    for name, rows in notebook_tables(notebook):
        tables.mkdir(parents=True, exist_ok=True)
        written.append(tables / f"{name}.csv")
        with written[-1].open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(rows)
    return written
