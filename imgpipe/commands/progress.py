"""What a person sees on stderr while a job runs: live on a terminal, a plain line now and then elsewhere.

A `Progress` is shown the report at every tick of `ticking`; it never asks a clock of its own.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from imgpipe import limits
from imgpipe.commands.job_options import Asked
from imgpipe.commands.outcome import say
from imgpipe.records.report import Report, WorkerRow

if TYPE_CHECKING:
    from rich.table import Table

_FRAME_S = 0.1  # of the live display: smooth enough, and cheap
_LOOK_S = 1.0  # how soon it is told that nobody works
_ROWS_MAX = 16  # workers shown live; a terminal has 24 lines


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
    """A live display where it disturbs nothing on stdout."""
    lines_on_stdout = asked.json or asked.request.dry_run or asked.request.list_ignored
    if asked.quiet:
        return Progress()
    if sys.stderr.isatty() and not (lines_on_stdout and sys.stdout.isatty()):
        return LiveProgress(redirect_stdout=sys.stdout.isatty())
    return PlainProgress()


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
    parts: list[Any] = [Text(headline(report, elapsed_s)), bar, _workers(report)]
    rest = len(report.workers) - _ROWS_MAX
    if rest > 0:
        parts.append(Text(f"… and {rest} more workers"))
    parts += [Text(line) for line in report.waiting()[:1]]
    return Group(*parts)


def _workers(report: Report) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("worker", "state", "done", "rejected", "retried", "failed"):
        justify: Literal["left", "right"] = "left" if header in ("worker", "state") else "right"
        table.add_column(header, justify=justify, no_wrap=True, overflow="ellipsis")
    for row in list(report.workers.values())[:_ROWS_MAX]:
        table.add_row(*(Text(str(cell)) for cell in _cells(row)))
    return table


def _cells(row: WorkerRow) -> tuple[object, ...]:
    state = f"{row.state}: {row.reason}" if row.reason else row.state
    return (row.name, state[:50], row.done, row.rejected, row.retried, row.failed)
