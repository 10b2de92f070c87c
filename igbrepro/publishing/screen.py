"""A build on the screen: a live display below the lines on a terminal, elsewhere lines with the time.

What the processes of the build write to a terminal is caught and put above the display, which it would tear otherwise.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from igbrepro.publishing.progress import Progress, about, duration

if TYPE_CHECKING:
    from rich.console import RenderableType

STDOUT, STDERR = 1, 2
SOON, LATE = 10.0, 60.0  # seconds between two plain lines on the progress: with news, without
SHOWN = 8  # running jobs that the live display names


class Caught:
    """What this process and those it starts write to a stream, handed line by line to `say` until `close`.

    stream: 1 or 2.  `kept` is a descriptor of where it led before.
    """

    def __init__(self, stream: int, say: Callable[[str], None]) -> None:
        self.stream, self.say, self.kept = stream, say, os.dup(stream)
        reading, writing = os.pipe()
        os.dup2(writing, stream)
        os.close(writing)
        self._thread = threading.Thread(target=self._read, args=(reading,), daemon=True)
        self._thread.start()

    def _read(self, reading: int) -> None:
        with open(reading, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                self.say(line.rstrip("\n"))

    def close(self) -> None:
        """Lead the stream back; waits a moment for the last lines, not for processes that live on."""
        with contextlib.suppress(OSError, ValueError):
            (sys.stdout if self.stream == STDOUT else sys.stderr).flush()
        os.dup2(self.kept, self.stream)
        self._thread.join(timeout=1)


class Screen:
    """Shows a Progress from `open` to `close`, and what is said meanwhile.

    On a terminal (standard output) the display stands below all lines; elsewhere a line on the progress comes when
    there is news, at most every 10 seconds, and at least every minute.
    """

    def __init__(self, progress: Progress) -> None:
        from rich.console import Console

        self.progress = progress
        self.live = os.isatty(STDOUT) and os.environ.get("TERM") != "dumb"
        self.news = False
        self._over = threading.Event()
        self._lock = threading.Lock()
        both = self.live and os.isatty(STDERR)
        sys.stdout.flush()
        self._caught = [Caught(stream, self.say) for stream in ((STDOUT, STDERR) if both else (STDOUT,))]
        encoding = sys.stdout.encoding or "utf-8"
        self._file = open(self._caught[0].kept, "w", encoding=encoding, errors="replace", closefd=False)
        self._console = Console(file=self._file)
        self._display = self._start_display() if self.live else self._start_lines()
        atexit.register(self.close)

    def _start_display(self) -> Callable[[], None]:
        from rich.live import Live

        live = Live(
            get_renderable=self._table,
            console=self._console,
            refresh_per_second=2,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()
        return live.stop

    def _start_lines(self) -> Callable[[], None]:
        thread = threading.Thread(target=self._tell_regularly, daemon=True)
        thread.start()
        return thread.join

    def _tell_regularly(self) -> None:
        last = time.monotonic() - SOON
        while not self._over.wait(1):
            age = time.monotonic() - last
            if self.progress.running and age >= (SOON if self.news else LATE):
                self.news, last = False, time.monotonic()
                self.say(self.progress.line())

    def say(self, text: str) -> None:
        """One or more lines on standard output, with the time."""
        stamp = time.strftime("%H:%M:%S")
        with self._lock, contextlib.suppress(OSError):
            for line in text.splitlines():
                self._console.print(f"{stamp} {line}", markup=False, highlight=False, soft_wrap=True)
            self._file.flush()

    def report(self, text: str) -> None:
        """What went wrong, as it is, on standard error; above the display where that is on the same terminal."""
        with self._lock, contextlib.suppress(OSError):
            if len(self._caught) == 2 and not self._over.is_set():
                self._console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Take the display away, lead the streams back, say what was done and in which time; nothing a second time."""
        if self._over.is_set():
            return
        self._over.set()
        self._display()
        for caught in self._caught:
            caught.close()
        if self.progress.jobs:
            self.say(f"{self.progress.counts()} in {duration(self.progress.elapsed)}")

    def _table(self) -> RenderableType:
        """The live display: a bar with the counts and times, and a line for each running job."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        progress = self.progress
        if not progress.jobs:
            return Text()
        left, elapsed = progress.remaining(), progress.elapsed
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=left + elapsed, completed=elapsed, width=20),
            Text(f"{progress.counts()}, {duration(elapsed)}; {about(left)} to go", no_wrap=True, overflow="ellipsis"),
        )
        jobs = progress.running_jobs()
        told = [f"  {name}  {times}" for name, times in jobs[:SHOWN]]
        told += [f"  and {len(jobs) - SHOWN} more"] if len(jobs) > SHOWN else []
        return Group(bar, *(Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in told))
