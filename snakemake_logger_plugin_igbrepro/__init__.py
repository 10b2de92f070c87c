"""How Snakemake shows a build of the book: `snakemake --logger igbrepro --quiet host`, as `make book` does.

Snakemake finds it by its name, on the path.  What runs, how much is done and what time is left is shown by
`igbrepro.publishing.screen`; errors are told as Snakemake tells them; all else is in .snakemake/log only.
`--quiet host` takes back the word `progress` of profiles/default, under which Snakemake does not tell when a job ends.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

TOLD = ("Nothing to be done", "Terminating processes")  # of what Snakemake says without an event or as an error


class LogHandler(LogHandlerBase):
    """Hands what Snakemake says over to Progress and Screen; a dry run is shown as Snakemake shows it."""

    @property
    def has_filter(self) -> bool:
        """Whether all that Snakemake says comes here, or only what its own options let through."""
        return not self.as_ever

    @property
    def writes_to_stream(self) -> bool:
        """It takes the place of Snakemake's own lines."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """Snakemake's own log file stays."""
        return False

    @property
    def has_formatter(self) -> bool:
        """Errors are in Snakemake's words."""
        return False

    @property
    def needs_rulegraph(self) -> bool:
        """The Snakefile hands the jobs over."""
        return False

    def __post_init__(self) -> None:
        self.as_ever = self.common_settings.dryrun or self.common_settings.verbose
        self.screen: Any = None
        if not self.as_ever:
            from igbrepro.publishing.progress import Progress
            from igbrepro.publishing.screen import Screen

            self.progress = Progress()
            self.screen = Screen(self.progress)  # before any job starts, which would write past it
            self.remote = False
            self.records: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Show what a record of the log says; what goes wrong here stops no build."""
        try:
            self.take(record)
        except Exception:
            self.handleError(record)

    def take(self, said: Any) -> None:
        """Hand over what Snakemake says, by its event."""
        event = getattr(said, "event", None)
        if self.as_ever or said.levelno >= logging.WARNING:
            self.report(said)
        elif hasattr(said, "plan"):
            self.progress.jobs = said.plan
            self.screen.say(f"To do: {self.progress.to_do()}.")
        elif event == LogEvent.RESOURCES_INFO:
            self.provided(said)
        elif event == LogEvent.JOB_INFO:
            self.start(said)
        elif event == LogEvent.JOB_FINISHED:
            self.finish(said.job_id)
        elif event is None and said.getMessage().startswith(TOLD):
            self.report(said)

    def provided(self, said: Any) -> None:
        """Cores of this machine, or of how many jobs a cluster takes at once."""
        if hasattr(said, "cores"):
            self.progress.cores = said.cores
        elif hasattr(said, "nodes"):
            self.remote = True
            self.progress.cores = said.nodes if said.nodes < sys.maxsize else None

    def start(self, said: Any) -> None:
        """A job starts."""
        from igbrepro.publishing.progress import expected_minutes, job_of

        minutes = expected_minutes({}, said.priority, said.resources)
        self.progress.start(said.jobid, job_of(said.rule_name, said.log, said.wildcards, minutes, said.threads))
        if self.remote and (paths := [path for path in said.output if path.endswith(".record.json")]):
            self.records[said.jobid] = paths[0]
        self.screen.news = True

    def finish(self, number: int) -> None:
        """A job is done; what a chapter found is told here where the job's own words went to a cluster's log."""
        self.progress.finish(number)
        self.screen.news = True
        if number in self.records:
            from igbrepro.claims import Record
            from igbrepro.publishing.progress import result_line

            self.screen.say(result_line(Record.read(self.records[number])))

    def report(self, said: Any) -> None:
        """What went wrong, in Snakemake's words."""
        if not self.as_ever and getattr(said, "event", None) == LogEvent.JOB_ERROR:
            self.progress.fail(said.jobid)
        text = self.format(said)
        if text in ("", "None"):
            return
        if self.screen is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self.screen.report(text)

    def close(self) -> None:
        """The build is over."""
        if self.screen is not None:
            self.screen.close()
        super().close()
