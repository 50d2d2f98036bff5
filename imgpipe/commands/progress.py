"""What a person sees on stderr while a job runs: live on a terminal, a plain line now and then elsewhere.

A `Progress` is shown the report at every tick of `ticking`; it never asks a clock of its own.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from imgpipe import limits
from imgpipe.commands.job_options import Asked
from imgpipe.commands.outcome import say
from imgpipe.commands.words import count
from imgpipe.records.report import Report, WorkerRow

if TYPE_CHECKING:
    from rich.table import Table

_FRAME_S = 0.1  # of the live display: smooth enough, and cheap
_LOOK_S = 1.0  # how soon it is told that nobody works
_ROWS_MAX = 16  # workers shown live; a terminal has 24 lines
_ROWS_WAITING = 5  # … while nobody works: why is worth more lines
_WAITING_MAX = 3  # workers whose troubles are shown live
_TROUBLE_MAX = 220  # characters of each: three lines

_WORDS = ("worker", "state")
_NUMBERS = ("done", "rejected", "delayed", "retried", "failed")


class Progress:
    """Says only when nobody works for the job, and why: all that ``-q`` leaves."""

    every_s = _LOOK_S

    def __init__(self) -> None:
        self._waiting = False

    def show(self, report: Report, elapsed_s: float) -> None:
        """Another tick."""
        waiting = report.waiting()
        if waiting and not self._waiting:
            for line in waiting:
                say(line)
        self._waiting = bool(waiting)

    def close(self) -> None:
        """Leave no trace."""


class PlainProgress(Progress):
    """A line every `limits.REPORT_EVERY_S`."""

    def __init__(self) -> None:
        super().__init__()
        self._last_s = 0.0

    def show(self, report: Report, elapsed_s: float) -> None:
        super().show(report, elapsed_s)
        if elapsed_s - self._last_s >= limits.REPORT_EVERY_S:
            self._last_s = elapsed_s
            say(headline(report, elapsed_s))


class LiveProgress(Progress):
    """The headline, a bar, and a row for each worker, drawn again and again in place."""

    every_s = _FRAME_S

    def __init__(self, *, redirect_stdout: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__()
        self._live = Live(
            console=Console(file=sys.stderr),
            auto_refresh=False,
            transient=True,
            redirect_stdout=redirect_stdout,
        )
        self._live.start()

    def show(self, report: Report, elapsed_s: float) -> None:
        self._live.update(drawn(report, elapsed_s), refresh=True)

    def close(self) -> None:
        self._live.stop()


def progress_of(asked: Asked) -> Progress:
    """A live display where it disturbs nothing on stdout.

    Lines that go to a pipe may come out on the same terminal (``| jq``), where the two would be mixed up.
    """
    lines_on_stdout = asked.json or asked.request.dry_run or asked.request.list_ignored
    if asked.quiet:
        return Progress()
    if sys.stderr.isatty() and not (lines_on_stdout and not _is_file(sys.stdout)):
        return LiveProgress(redirect_stdout=sys.stdout.isatty())
    return PlainProgress()


def _is_file(stream: TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:  # it has no descriptor
        return False


@contextmanager
def ticking(progress: Progress, report: Report) -> Iterator[None]:
    """Show the report at every tick, from here to the end of the block."""
    task = asyncio.ensure_future(_tick(progress, report, time.monotonic()))
    try:
        yield
    finally:
        task.cancel()
        progress.close()


async def _tick(progress: Progress, report: Report, begun_at: float) -> None:
    while True:
        await asyncio.sleep(progress.every_s)
        progress.show(report, time.monotonic() - begun_at)


# --- words --------------------------------------------------------------------------------------


def headline(report: Report, elapsed_s: float) -> str:
    """Where the job stands, in one line."""
    total = f"{report.total}" if report.listed else f"{report.total} found so far"
    failed = f", {report.failed} failed" if report.failed else ""
    eta_s = report.eta_s(elapsed_s)
    eta = "" if eta_s is None else f", {clock(eta_s)} left"
    stopping = ", stopping" if report.stopping else ""
    return f"{report.done} of {total} done{failed}, {report.rate(elapsed_s):.1f} images/s{eta}{stopping}"


def clock(seconds: float) -> str:
    """``1:05``, ``2:00:09``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def drawn(report: Report, elapsed_s: float) -> Any:
    """The live display, for rich."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    ended = report.done + report.failed + report.skipped
    bar = ProgressBar(total=max(1, report.total), completed=ended, pulse=not report.listed, width=60)
    waiting = report.waiting()
    rows_max = _ROWS_WAITING if waiting else _ROWS_MAX
    parts: list[Any] = [Text(headline(report, elapsed_s)), bar, _workers(report, rows_max)]
    rest = len(report.workers) - rows_max
    if rest > 0:
        parts.append(Text(f"… and {count(rest, 'more worker')}"))
    parts += [Text(_cut(line)) for line in waiting[: 1 + _WAITING_MAX]]
    return Group(*parts)


def _cut(line: str) -> str:
    return line if len(line) <= _TROUBLE_MAX else f"{line[: _TROUBLE_MAX - 1]}…"


def _workers(report: Report, rows_max: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in _WORDS:  # these alone give way where the terminal is narrow
        table.add_column(header)
    for header in _NUMBERS:
        table.add_column(header, justify="right", no_wrap=True)
    for row in list(report.workers.values())[:rows_max]:
        table.add_row(*(Text(str(cell), no_wrap=True, overflow="ellipsis") for cell in _cells(row)))
    return table


def _cells(row: WorkerRow) -> tuple[object, ...]:
    state = f"{row.state}: {row.reason}" if row.reason else row.state
    return (row.name, state[:50], row.done, row.rejected, row.delayed, row.retried, row.failed)
