"""What happened to a job: every change worth telling, typed, numbered per job from 0.

Progress, ``--json``, the summary, `status` and programs read facts and nothing else; so following a job from
its middle, twice, or again after a broken connection is the same as following it from its start.

Per-image facts are whole when they are told (`ImageDone`, `ImageFailed`). What happens many times between
two flushes is told as one `Tally` per worker. `Ended` is a job's last fact and repeats its totals, so that
who missed the middle still has the sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from imgpipe import limits
from imgpipe.notes import Notes, is_kind, is_notes
from imgpipe.schema import (
    COUNT,
    WORD,
    Count,
    Elided,
    Path,
    Registry,
    Seconds,
    Shape,
    Text,
    Word,
    is_relative,
    octets,
    rows,
)

FACTS = Registry("fact")

# Names in facts are shown, never opened: a missing one (an empty task has none) is allowed.
ShownName = Annotated[bytes, Shape("name", lambda v: type(v) is bytes and (v == b"" or is_relative(v)))]

#: Microseconds an image spent in its process: read, decode, operate, encode, write.
Times = tuple[int, int, int, int, int]
STAGES = ("read", "decode", "operate", "encode", "write")


def _is_times(value: Any) -> bool:
    return type(value) is tuple and len(value) >= len(STAGES) and all(map(COUNT.accepts, value))


NotesField = Annotated[
    Notes,
    Shape(f"at most {limits.NOTES_MAX} of [kind of note, text of {limits.NOTE_MAX}]", is_notes),
]
TimesField = Annotated[Times, Shape("five counts of microseconds", _is_times)]


@FACTS.kind(1)
@dataclass(frozen=True, slots=True)
class Opened(Elided):
    """The job was accepted. ``source`` and ``output`` are the coordinator's absolute paths."""

    job: Word
    mode: Word
    source: Path
    output: Path
    operations: Word


@FACTS.kind(2)
@dataclass(frozen=True, slots=True)
class Found(Elided):
    """So far the listing has seen ``total`` eligible images and ignored ``ignored`` other entries."""

    total: Count
    ignored: Count


@FACTS.kind(3)
@dataclass(frozen=True, slots=True)
class Listed(Elided):
    """The listing ended: these totals are final. ``problem`` is why it ended early, or empty."""

    total: Count
    ignored: Count
    problem: Text = ""


@FACTS.kind(4)
@dataclass(frozen=True, slots=True)
class ImageDone(Elided):
    """An output is in place."""

    name: ShownName
    worker: Word
    attempts: Count
    tries: Count
    times: TimesField
    notes: NotesField = ()


@FACTS.kind(5)
@dataclass(frozen=True, slots=True)
class ImageFailed(Elided):
    """An image has no output. ``worker`` is empty where it was never assigned."""

    name: ShownName
    kind: Word
    message: Text
    worker: Word
    attempts: Count
    tries: Count
    notes: NotesField = ()


@FACTS.kind(6)
@dataclass(frozen=True, slots=True)
class Tally(Elided):
    """What happened between one worker and this job since the last tally of the two."""

    worker: Word
    rejections: Count = 0
    retries: Count = 0
    forced: Count = 0
    delayed: Count = 0
    lost: Count = 0


@FACTS.kind(7)
@dataclass(frozen=True, slots=True)
class WorkerChanged(Elided):
    """A worker's state as this job sees it: live, suspect, aside, draining, gone or down; and why."""

    worker: Word
    address: Word
    state: Word
    slots: Count
    reason: Text = ""


@FACTS.kind(8)
@dataclass(frozen=True, slots=True)
class Planned(Elided):
    """A dry run's line: this input would become this output, or why not."""

    name: ShownName
    target: ShownName
    problem: Text = ""


@FACTS.kind(9)
@dataclass(frozen=True, slots=True)
class Ignored(Elided):
    """An entry the listing passed over, and why. Told only where it was asked for."""

    name: Annotated[bytes, octets(65_536)]
    why: Word


@FACTS.kind(10)
@dataclass(frozen=True, slots=True)
class Stopping(Elided):
    """Nothing more is handed out; what is in hand may end (``drain``) or is cancelled."""

    reason: Text
    drain: Annotated[bool, Shape("true or false", lambda v: type(v) is bool)]


@FACTS.kind(11)
@dataclass(frozen=True, slots=True)
class Started(Elided):
    """The first image was handed to a worker, this long after the job was accepted."""

    after_s: Seconds


@FACTS.kind(12)
@dataclass(frozen=True, slots=True)
class Ended(Elided):
    """The last fact of a job: how it ended (``done``, ``cancelled``, ``failed``), and its totals.

    ``workers`` (the first 400 by name) has a row ``[name, done, rejections, retries, failed, busy µs]`` for
    each worker that answered. ``notes`` has a row ``[kind, images]`` for each kind of note there was.
    """

    state: Word
    total: Count
    done: Count
    failed: Count
    skipped: Count
    ignored: Count
    remaining: Count
    rejections: Count
    forced: Count
    retries: Count
    workers: Annotated[
        tuple[tuple[str, int, int, int, int, int], ...], rows(WORD, COUNT, COUNT, COUNT, COUNT, COUNT)
    ]
    problem: Text = ""
    notes: Annotated[tuple[tuple[str, int], ...], rows(Shape("kind of note", is_kind), COUNT)] = ()


Fact = (
    Opened
    | Found
    | Listed
    | ImageDone
    | ImageFailed
    | Tally
    | WorkerChanged
    | Planned
    | Ignored
    | Stopping
    | Started
    | Ended
)
