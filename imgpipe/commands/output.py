"""What a job puts on stdout: text, ``--json``, or the lines of a dry run.

Each is asked for a line at every fact, and for the rest at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Protocol

from imgpipe.commands import tables
from imgpipe.commands.job_options import Asked
from imgpipe.commands.outcome import say
from imgpipe.errors import ExitCode
from imgpipe.facts import Fact, Ignored, ImageFailed, Planned
from imgpipe.records.events import event
from imgpipe.records.report import Report
from imgpipe.schema import shown

HEADERS = ("worker", "done", "rejected", "retried", "failed", "busy")


class Output(Protocol):
    """How a job is told of."""

    def line(self, fact: Fact) -> str | None:
        """What a fact adds to stdout at once."""

    def close(self, report: Report, stopped: ExitCode | None) -> None:
        """Print the rest."""


def output_of(asked: Asked) -> Output:
    if asked.json:
        return JsonOutput()
    return PlanOutput() if asked.request.dry_run else TextOutput(asked.quiet)


class JsonOutput:
    """An object a line."""

    def line(self, fact: Fact) -> str | None:
        found = event(fact)
        return None if found is None else json.dumps(found)

    def close(self, report: Report, stopped: ExitCode | None) -> None:
        print(json.dumps(report.summary(stopped)), flush=True)
        for line in _endings(report):
            say(line)


class PlanOutput:
    """``input → output``."""

    def line(self, fact: Fact) -> str | None:
        match fact:
            case Planned():
                problem = f": {fact.problem}" if fact.problem else ""
                return f"{shown(fact.name)} → {shown(fact.target)}{problem}"
            case _:
                return _ignored(fact)

    def close(self, report: Report, stopped: ExitCode | None) -> None:
        for line in _endings(report):
            print(line)
        problems = f", {_count(report.collisions, 'collision')}" if report.collisions else ""
        ignored = _entries(report.ignored)
        print(f"{_count(report.total, 'image')}{problems}, {ignored}; nothing was touched", flush=True)


class TextOutput:
    """A table of the workers, the failures, the sums, and last the time."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet

    def line(self, fact: Fact) -> str | None:
        return _ignored(fact)

    def close(self, report: Report, stopped: ExitCode | None) -> None:
        wordy = bool(report.total) and not self._quiet
        if wordy and (rows := _rows(report)):
            tables.show(HEADERS, rows)
            print()
        for line in (*_failures(report), *_endings(report)):
            print(line)
        if wordy:
            for line in (*report.troubles(), *_sums(report)):
                print(line)
        print(f"Time elapsed: {report.elapsed_s or 0.0:.3f}", flush=True)


def _rows(report: Report) -> list[tuple[object, ...]]:
    """Every worker that could have worked, by name."""
    rows = (row for row in report.workers.values() if row.took_part or row.state == "live")
    return [
        (row.name, row.done, row.rejected, row.retried, row.failed, f"{row.busy_s:.3f} s")
        for row in sorted(rows, key=lambda row: row.name)
    ]


def _failures(report: Report) -> Iterator[str]:
    if report.failed:
        yield f"{_count(report.failed, 'image')} failed:"
        yield from (f"  {_failure(fact)}" for fact in report.failures)
        more = report.failed - len(report.failures)
        if more > 0:
            yield f"  … and {more} more (--json names them all)"


def _failure(fact: ImageFailed) -> str:
    where = f" (on {fact.worker})" if fact.worker else ""
    return f"{shown(fact.name)}: {fact.kind}: {fact.message}{where}"


def _endings(report: Report) -> Iterator[str]:
    """How the job ended, where that was not by finishing it."""
    if report.state == "cancelled":
        why = report.stopping or report.problem or "cancelled"
        yield f"job {report.job}: {why}; {_count(report.remaining, 'image')} not done"
    elif report.problem:
        yield f"job {report.job} is not complete: {report.problem}"
    if report.state == "done" and not report.total:
        hint = "; --list-ignored names them" if report.ignored else ""
        yield f"no images in {shown(report.source)}; {_entries(report.ignored)}{hint}"


def _sums(report: Report) -> Iterator[str]:
    forced = f", {report.forced} forced" if report.forced else ""
    skipped = f", {report.skipped} current already" if report.skipped else ""
    yield (
        f"{report.done} of {_count(report.total, 'image')} done{skipped}, {report.failed} failed, "
        f"{_entries(report.ignored)}; {_count(report.rejections, 'rejection')}{forced}"
    )
    if report.done:
        yield f"results in {shown(report.output)}"


def _ignored(fact: Fact) -> str | None:
    return f"ignored: {shown(fact.name)} ({fact.why})" if isinstance(fact, Ignored) else None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _entries(number: int) -> str:
    return f"{number} other {'entry' if number == 1 else 'entries'} ignored"
