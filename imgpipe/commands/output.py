"""What a job puts on stdout: text, ``--json``, or the lines of a dry run.

Each is asked for a line at every fact, and for the rest at the end.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Protocol

from imgpipe.commands import tables
from imgpipe.commands.job_options import Asked
from imgpipe.commands.outcome import say
from imgpipe.commands.words import count, entries
from imgpipe.errors import ExitCode
from imgpipe.facts import Fact, Ignored, ImageDone, ImageFailed, Planned
from imgpipe.notes import sentences
from imgpipe.records.events import event
from imgpipe.records.report import Report
from imgpipe.schema import shown

log = logging.getLogger(__name__)

HEADERS = ("worker", "done", "rejected", "retried", "failed", "busy")


class Output(Protocol):
    """How a job is told of."""

    def line(self, fact: Fact) -> str | None:
        """What a fact adds to stdout at once."""

    def close(self, report: Report, stopped: ExitCode | None) -> None:
        """Print the rest."""


def output_of(asked: Asked) -> Output:
    if asked.json:
        return JsonOutput(asked)
    return PlanOutput(asked) if asked.request.dry_run else TextOutput(asked)


class JsonOutput:
    """An object a line."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked.request

    def line(self, fact: Fact) -> str | None:
        found = event(fact)
        return None if found is None else json.dumps(found)

    def close(self, report: Report, stopped: ExitCode | None) -> None:
        summary = report.summary(stopped)
        if self._asked.dry_run:
            summary["collisions"] = report.collisions
        print(json.dumps(summary), flush=True)
        for line in (*_endings(report, stopped, self._asked.list_ignored), *report.troubles()):
            say(line)


class PlanOutput:
    """``input → output``."""

    def __init__(self, asked: Asked) -> None:
        self._named = asked.request.list_ignored

    def line(self, fact: Fact) -> str | None:
        match fact:
            case Planned():
                target = f" → {shown(fact.target)}" if fact.target else ""
                problem = f": {fact.problem}" if fact.problem else ""
                return f"{shown(fact.name)}{target}{problem}"
            case _:
                return _ignored(fact)

    def close(self, report: Report, stopped: ExitCode | None) -> None:
        for line in _endings(report, stopped, self._named):
            print(line)
        problems = f", {count(report.collisions, 'collision')}" if report.collisions else ""
        sums = f"{count(report.total, 'image')}{problems}, {entries(report.ignored)}"
        print(f"{sums}; nothing was touched; results would go to {shown(report.output)}", flush=True)


class TextOutput:
    """A table of the workers, the failures, the sums, and last the time.

    What there is to tell of single images is said on stderr, with ``-v`` alone.
    """

    def __init__(self, asked: Asked) -> None:
        self._quiet = asked.quiet
        self._named = asked.request.list_ignored

    def line(self, fact: Fact) -> str | None:
        if isinstance(fact, ImageDone | ImageFailed):
            for kind, message, *_ in fact.notes:
                log.info("%s: %s: %s", shown(fact.name), kind, message)
        return _ignored(fact)

    def close(self, report: Report, stopped: ExitCode | None) -> None:
        wordy = bool(report.total) and not self._quiet
        if wordy and (rows := _rows(report)):
            tables.show(HEADERS, rows)
            print()
        for line in (*_failures(report), *_endings(report, stopped, self._named)):
            print(line)
        if wordy:
            for line in (*sentences(report.notes), *report.troubles(), *_sums(report)):
                print(line)
        else:
            for line in report.troubles():
                say(line)
        print(f"Time elapsed: {report.elapsed_s or 0.0:.3f}", flush=True)


def _rows(report: Report) -> list[tuple[object, ...]]:
    return [
        (row.name, row.done, row.rejected, row.retried, row.failed, f"{row.busy_s:.3f} s")
        for row in report.working()
    ]


def _failures(report: Report) -> Iterator[str]:
    if report.failed:
        yield f"{count(report.failed, 'image')} failed:"
        yield from (f"  {_failure(fact)}" for fact in report.failures)
        more = report.failed - len(report.failures)
        if more > 0:
            yield f"  … and {more} more (--json names them all)"


def _failure(fact: ImageFailed) -> str:
    where = f" (on {fact.worker})" if fact.worker else ""
    return f"{shown(fact.name)}: {fact.kind}: {fact.message}{where}"


_SIGNALS = {ExitCode.INTERRUPTED: "stopped by Ctrl-C", ExitCode.TERMINATED: "stopped by SIGTERM"}


def _endings(report: Report, stopped: ExitCode | None, named: bool) -> Iterator[str]:
    """How the job ended, where that was not by finishing it. ``named``: what was ignored has been listed."""
    if report.state == "cancelled":
        own = _SIGNALS[stopped] if stopped is not None else ""
        why = own or report.stopping or report.problem or "cancelled"
        left = f"; {count(report.remaining, 'image')} not done" if report.remaining else ""
        yield f"job {report.job}: {why}{left}"
    elif report.problem:
        yield f"job {report.job} is not complete: {report.problem}"
    if report.state == "done" and not report.total:
        hint = "; --list-ignored names them" if report.ignored and not named else ""
        yield f"no images in {shown(report.source)}; {entries(report.ignored)}{hint}"


def _sums(report: Report) -> Iterator[str]:
    forced = f", {report.forced} forced" if report.forced else ""
    skipped = f", {report.skipped} current already" if report.skipped else ""
    yield (
        f"{report.done} of {count(report.total, 'image')} done{skipped}, {report.failed} failed, "
        f"{entries(report.ignored)}; {count(report.rejections, 'rejection')}{forced}"
    )
    if report.done:
        yield f"results in {shown(report.output)}"


def _ignored(fact: Fact) -> str | None:
    return f"ignored: {shown(fact.name)} ({fact.why})" if isinstance(fact, Ignored) else None
