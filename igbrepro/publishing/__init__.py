"""Chapters on disk, executed, staged and made into pages (no torch here)."""

from igbrepro.publishing.chapters import (
    NOTEBOOKS,
    ROOT,
    Entry,
    chapter_names,
    find_chapter,
    load_claims,
    load_expected,
    load_preset,
    load_register,
    notebook_path,
    notebook_title,
    parameter_defaults,
    resolve_parameters,
)
from igbrepro.publishing.pages import all_verdicts, write_pages
from igbrepro.publishing.progress import result_line
from igbrepro.publishing.rejudged import check_records, read_rejudged, stage_chapters
from igbrepro.publishing.run import parse_value, run_notebook
from igbrepro.publishing.stage import build_html, forget_others, repository_url, stage_book
from igbrepro.publishing.sweeps import chapter_jobs, has_experiment, measuring, plan_chapter

__all__ = [
    "NOTEBOOKS",
    "ROOT",
    "Entry",
    "all_verdicts",
    "build_html",
    "chapter_jobs",
    "chapter_names",
    "check_records",
    "find_chapter",
    "forget_others",
    "has_experiment",
    "measuring",
    "load_claims",
    "load_expected",
    "load_preset",
    "load_register",
    "notebook_path",
    "notebook_title",
    "parameter_defaults",
    "parse_value",
    "plan_chapter",
    "read_rejudged",
    "repository_url",
    "resolve_parameters",
    "result_line",
    "run_notebook",
    "stage_book",
    "stage_chapters",
    "write_pages",
]
