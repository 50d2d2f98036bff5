"""Facts folded into numbers, and the summary they end in.

`Report.fold` takes one fact at a time, in order. What it holds follows the number of workers, not of images:
sums, a row for each worker, and the first failures. Time is an argument. `Ended` repeats a job's sums, and
what it says replaces what was added up: a report that missed facts in the middle still ends right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from imgpipe import limits
from imgpipe.errors import ExitCode
from imgpipe.facts import (
    Ended,
    Fact,
    Found,
    ImageDone,
    ImageFailed,
    Listed,
    Opened,
    Planned,
    Started,
    Stopping,
    Tally,
    WorkerChanged,
)
from imgpipe.notes import kinds

#: States of a worker in which it works for the job, or did a moment ago.
WORKING = ("live", "suspect")

#: States of a worker in which it does not work for the job, though it should.
TROUBLED = ("aside", "gone", "down", "suspect")

#: The numbers of a summary, in the order of its fields.
_SUMS = ("total", "done", "failed", "skipped", "ignored", "rejections", "forced", "retries")


@dataclass(slots=True)
class WorkerRow:
    """One worker's part in a job, and how the job last saw it."""

    name: str
    address: str = ""
    state: str = ""
    reason: str = ""
    slots: int = 0
    done: int = 0
    rejected: int = 0
    retried: int = 0
    failed: int = 0
    delayed: int = 0
    lost: int = 0
    busy_us: int = 0

    @property
    def busy_s(self) -> float:
        """Seconds its processes spent on images."""
        return self.busy_us / 1e6

    @property
    def took_part(self) -> bool:
        return bool(self.done or self.rejected or self.retried or self.failed)


class Report:
    """One job, folded.

    Attributes
    ----------
    total, done, failed, skipped, remaining, ignored : int
        Images by suffix; of these, with an output, without one, already current, without a result; then
        entries that are no images.
    rejections, forced, retries, delayed : int
        Refusals, images that were sent to a worker that had to take them, runs after a first, delays.
    workers : dict
        `WorkerRow` by name.
    failures : list
        The first failures; ``failed`` counts them all.
    notes : dict
        Images by kind of note (`errors.Note`).
    state, problem : str
        ``running``, then what `Ended` said.
    """

    def __init__(self, failures_max: int = limits.FAILED_SHOWN) -> None:
        self.job = self.mode = self.operations = ""
        self.source = self.output = b""
        self.total = self.done = self.failed = self.skipped = self.ignored = 0
        self.rejections = self.forced = self.retries = self.delayed = 0
        self.collisions = 0
        self.listed = False
        self.state = "running"
        self.problem = self.stopping = ""
        self.startup_s: float | None = None
        self.elapsed_s: float | None = None
        self.workers: dict[str, WorkerRow] = {}
        self.failures: list[ImageFailed] = []
        self.notes: Counter[str] = Counter()
        self._failures_max = failures_max
        self._remaining: int | None = None
        self._folds: dict[type, Callable[[Any], None]] = {
            Opened: self._opened,
            Found: self._found,
            Listed: self._listed,
            ImageDone: self._image_done,
            ImageFailed: self._image_failed,
            Tally: self._tally,
            WorkerChanged: self._worker_changed,
            Planned: self._planned,
            Stopping: self._stopping,
            Started: self._started,
            Ended: self._ended,
        }

    # --- folding --------------------------------------------------------------------------------

    def fold(self, fact: Fact) -> None:
        """Take in the next fact."""
        fold = self._folds.get(type(fact))
        if fold is not None:
            fold(fact)

    def finished(self, elapsed_s: float) -> None:
        """There are no more facts; from the request to here it took so long."""
        self.elapsed_s = elapsed_s

    def _row(self, worker: str) -> WorkerRow:
        row = self.workers.get(worker)
        if row is None:
            row = self.workers[worker] = WorkerRow(worker)
        return row

    def _opened(self, fact: Opened) -> None:
        self.job, self.mode, self.operations = fact.job, fact.mode, fact.operations
        self.source, self.output = fact.source, fact.output

    def _found(self, fact: Found | Listed) -> None:
        self.total, self.ignored = fact.total, fact.ignored

    def _listed(self, fact: Listed) -> None:
        self._found(fact)
        self.listed, self.problem = True, fact.problem

    def _image_done(self, fact: ImageDone) -> None:
        row = self._row(fact.worker)
        row.done += 1
        row.busy_us += sum(fact.times)
        self.done += 1
        self._noted(fact)

    def _image_failed(self, fact: ImageFailed) -> None:
        self.failed += 1
        self._noted(fact)
        if fact.worker:
            self._row(fact.worker).failed += 1
        if len(self.failures) < self._failures_max:
            self.failures.append(fact)

    def _noted(self, fact: ImageDone | ImageFailed) -> None:
        if fact.notes:
            self.notes.update(kinds(fact.notes))

    def _tally(self, fact: Tally) -> None:
        row = self._row(fact.worker)
        row.rejected += fact.rejections
        row.retried += fact.retries
        row.delayed += fact.delayed
        row.lost += fact.lost
        self.rejections += fact.rejections
        self.retries += fact.retries
        self.forced += fact.forced
        self.delayed += fact.delayed

    def _worker_changed(self, fact: WorkerChanged) -> None:
        row = self._row(fact.worker)
        row.address, row.state, row.reason, row.slots = fact.address, fact.state, fact.reason, fact.slots

    def _planned(self, fact: Planned) -> None:
        self.collisions += bool(fact.problem and fact.target)  # without a target, its name is the problem

    def _stopping(self, fact: Stopping) -> None:
        self.stopping = fact.reason

    def _started(self, fact: Started) -> None:
        self.startup_s = fact.after_s

    def _ended(self, fact: Ended) -> None:
        self.listed = True
        self.state, self.problem = fact.state, fact.problem
        self.total, self.done, self.failed = fact.total, fact.done, fact.failed
        self.skipped, self.ignored, self._remaining = fact.skipped, fact.ignored, fact.remaining
        self.rejections, self.forced, self.retries = fact.rejections, fact.forced, fact.retries
        for name, done, rejected, retried, failed, busy_us, *_ in fact.workers:
            row = self._row(name)
            row.done, row.rejected, row.retried, row.failed = done, rejected, retried, failed
            row.busy_us = busy_us
        self.notes = Counter({kind: count for kind, count, *_ in fact.notes})

    # --- numbers --------------------------------------------------------------------------------

    @property
    def remaining(self) -> int:
        """Images without a result, as far as they are known."""
        if self._remaining is not None:
            return self._remaining
        return max(0, self.total - self.done - self.failed - self.skipped)

    def rate(self, elapsed_s: float) -> float:
        """Images a second since the first was handed out; ``elapsed_s`` is since the request."""
        working_s = elapsed_s - (self.startup_s or 0.0)
        return (self.done + self.failed) / working_s if working_s > 0 else 0.0

    def eta_s(self, elapsed_s: float) -> float | None:
        """Seconds until the end at this rate; None where that cannot be known yet."""
        rate = self.rate(elapsed_s)
        return self.remaining / rate if self.listed and rate > 0 else None

    def exit_code(self, stopped: ExitCode | None = None) -> ExitCode:
        """What the command exits with; ``stopped`` is the signal's code if one stopped the job."""
        if self.state != "done":
            return stopped if stopped is not None and self.state == "cancelled" else ExitCode.UNFINISHED
        return ExitCode.SOME_FAILED if self.failed else ExitCode.DONE

    def working(self) -> list[WorkerRow]:
        """Every worker that did something for the job, or could have, by name."""
        rows = (row for row in self.workers.values() if row.took_part or row.state == "live")
        return sorted(rows, key=lambda row: row.name)

    # --- words ----------------------------------------------------------------------------------

    def troubles(self) -> list[str]:
        """A line for each worker that did not work for the job when it ended, with what to do about it."""
        return [_trouble(row) for row in self.workers.values() if row.state in TROUBLED]

    def waiting(self) -> list[str]:
        """Why nobody works for the job just now; nothing while somebody does, or nobody has to."""
        over = self.state != "running" or (self.listed and not self.remaining)
        if over or any(row.state in WORKING for row in self.workers.values()):
            return []
        if not self.workers:
            return ["no worker: the coordinator knows of none; name machines in its machines.txt"]
        aside = any(row.state == "aside" for row in self.workers.values())
        why = "no worker can do the job; it waits until one can:"
        return [why if aside else "no live worker; the job waits until one is back:", *self.troubles()]

    # --- json -----------------------------------------------------------------------------------

    def summary(self, stopped: ExitCode | None = None) -> dict[str, Any]:
        """The last object of ``--json``."""
        object_: dict[str, Any] = {"event": "summary", "job": self.job, "mode": self.mode}
        object_ |= {name: getattr(self, name) for name in _SUMS}
        object_["elapsed_s"] = _rounded(self.elapsed_s)
        object_["startup_s"] = _rounded(self.startup_s)
        object_["workers"] = {row.name: _worker_object(row) for row in self.working()}
        object_["exit"] = int(self.exit_code(stopped))
        object_ |= {"remaining": self.remaining, "state": self.state}  # from here on: fields added later
        if self.problem:
            object_["problem"] = self.problem
        return object_ | {"troubles": self.troubles(), "notes": dict(self.notes)}


def _worker_object(row: WorkerRow) -> dict[str, Any]:
    return {
        "done": row.done,
        "rejected": row.rejected,
        "failed": row.failed,
        "retried": row.retried,
        "busy_s": _rounded(row.busy_s),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _trouble(row: WorkerRow) -> str:
    where = f" at {row.address}" if row.address else ""
    why = f": {row.reason}" if row.reason else ""
    remedy = _remedy(row)
    return f"{row.name}{where} is {row.state}{why}{'; ' if remedy else ''}{remedy}"


def _remedy(row: WorkerRow) -> str:
    """What a person can do about it; nothing where only waiting helps, or the reason says it already."""
    if row.state == "aside":
        fitting = (remedy for words, remedy in _ASIDE if any(word in row.reason for word in words))
        return next(fitting, "")
    if row.state not in ("gone", "down"):
        return ""
    if row.reason.startswith("refused"):
        return (
            "if another coordinator holds it, stop that one, or take the machine out of machines.txt; "
            "then restart this coordinator, which does not dial a machine again that refused it"
        )
    port = row.address.rpartition(":")[2]
    option = f" --port {port}" if port.isdigit() else ""
    return f"start it there with `imgpipe worker{option}`, and it joins by itself"


#: Words of the reason why a worker stands aside → what helps; the first line that fits is taken.
_ASIDE = (
    (("start it with",), ""),  # the reason says it already
    (("no space left", "quota exceeded"), "free some space there"),
    (("read-only file system", "permission denied"), "make the folder writable there"),
    (
        ("no such file", "not a directory", "no root", "mark is not there", "does not hold the images"),
        "start it in the same shared directory, or with `--root NAME=PATH` of the same NAME, where it sees "
        "the folder",
    ),
)
