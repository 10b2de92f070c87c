"""Sphinx extension of this book: labels of references by author and year, and pages that are sound HTML.

Jupyter Book always loads sphinx-thebe, whose settings Sphinx 7 then writes twice into each page (an error in the
browser's console) although the book has no Thebe button.  sphinx-proof and sphinx-exercise give the body of every
theorem, exercise and solution one and the same id.
"""

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle
from sphinx.application import Sphinx

COMMON_IDS = {"proof-content", "exercise-content", "solution-content"}


class AuthorYearLabels(BaseLabelStyle):
    """Labels such as "Cho and Saul, 2009", the words in which the text cites the work."""

    def format_labels(self, sorted_entries: list[Entry]) -> Iterator[str]:
        """One label an entry, with a letter behind the year where two would be the same."""
        seen: dict[str, int] = {}
        for entry in sorted_entries:
            names = [" ".join(person.last_names) for person in entry.persons["author"]]
            who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
            label = f"{who}, {entry.fields['year']}"
            seen[label] = seen.get(label, 0) + 1
            yield label + ("" if seen[label] == 1 else chr(ord("a") + seen[label] - 1))


class AuthorYearStyle(PlainStyle):
    """The plain style under author-year labels."""

    default_label_style = AuthorYearLabels


def _is_thebe(script: Any) -> bool:
    attributes = getattr(script, "attributes", {})
    return "thebe" in f"{getattr(script, 'filename', script)}{attributes.get('body', '')}".lower()


def drop_thebe(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Leave Thebe's scripts out of the page."""
    context["script_files"] = [script for script in context["script_files"] if not _is_thebe(script)]


def drop_common_ids(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Take away the ids that several elements of a page share; nothing links to them."""
    for section in doctree.findall(nodes.section):
        section["ids"] = [name for name in section["ids"] if name not in COMMON_IDS]
    proofs = [element for element in doctree.findall(nodes.Element) if element.get("ids") == ["proof"]]
    for number, proof in enumerate(proofs, start=1):  # sphinx-proof looks for its proofs by id: number them
        proof["ids"] = [f"proof-{number}"]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx; safe for parallel reading and writing."""
    register_plugin("pybtex.style.formatting", "author_year", AuthorYearStyle)
    app.connect("doctree-resolved", drop_common_ids)
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
