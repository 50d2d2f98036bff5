"""What the machines say to each other: frames, messages, and nothing of sockets.

A frame is a 4-byte big-endian length and that many bytes of msgpack: one array ``[kind, field, …]``.
`frames.Frames` cuts a stream of bytes into frames; `decode` turns a frame's body into a checked message, and
`encode` does the reverse. The one exception that leaves `decode` is `ProtocolError`, whatever arrived.

============  =========================================  ======================================
speakers      hello, then                                answers
============  =========================================  ======================================
coordinator   Job, Execute, DelayedExecute, Cancel,      JobReady, Rejected, Waiting, Done,
→ worker      Forget, Slots                              Failed, Unseen, Returned, Draining
client        SubmitRequest, Follow, CancelJob,          Accepted, Declined, Facts, Finished,
→ coordinator StatusRequest                              Status
============  =========================================  ======================================

``(task, attempt)`` is a fencing token: an answer that names an attempt which is no longer alive changes
nothing. Names of files travel as bytes, relative to a named root.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgpack

from imgpipe import limits
from imgpipe.errors import ProtocolError
from imgpipe.facts import FACTS
from imgpipe.frames import framed
from imgpipe.rows import DoneRows, FailedRows, Items, Nonce, Recipe, Samples, Tokens
from imgpipe.schema import (
    COUNT,
    TEXT,
    WORD,
    Count,
    Elided,
    Flag,
    Folder,
    Number,
    Path,
    Probability,
    Registry,
    Seconds,
    Shape,
    Text,
    Word,
    Words,
    many,
    octets,
    rows,
)

MAGIC = b"imgpipe"
VERSION = 1
MESSAGES = Registry("message")
_PATH = octets(limits.NAME_MAX)


# --- the hello ----------------------------------------------------------------------------------


@MESSAGES.kind(1)
@dataclass(frozen=True, slots=True)
class Hello(Elided):
    """First word of who dialled. ``epoch`` is 0 but for a coordinator; ``peer`` names who is dialled."""

    magic: Annotated[bytes, octets(16)]
    versions: Annotated[tuple[int, ...], many(COUNT, 16)]
    role: Word
    epoch: Count
    nonce: Nonce
    auth: Words
    name: Word
    peer: Word = ""


@MESSAGES.kind(2)
@dataclass(frozen=True, slots=True)
class Challenge(Elided):
    """The listener's nonce, and its proof for the dialler's."""

    nonce: Nonce
    proof: Nonce


@MESSAGES.kind(3)
@dataclass(frozen=True, slots=True)
class Proof(Elided):
    """The dialler's proof for the listener's nonce. Empty until keys exist."""

    proof: Nonce


@MESSAGES.kind(4)
@dataclass(frozen=True, slots=True)
class Welcome(Elided):
    """The hello is done; both speak this version from here."""

    version: Count
    role: Word
    name: Word


@MESSAGES.kind(5)
@dataclass(frozen=True, slots=True)
class Refused(Elided):
    """Instead of any answer: why not. A refused peer does not retry."""

    why: Text


@MESSAGES.kind(6)
@dataclass(frozen=True, slots=True)
class Beat(Elided):
    """I have had nothing to say, and am alive."""


# --- coordinator → worker -----------------------------------------------------------------------


@MESSAGES.kind(10)
@dataclass(frozen=True, slots=True)
class Job(Elided):
    """A job's constants, once per stream; asks whether the worker sees the folders (`JobReady`).

    ``empty`` jobs touch no file. ``samples`` are up to three listed images with their sizes: one of them
    must be there.
    """

    job: Word
    empty: Flag
    source_root: Word
    source: Folder
    output_root: Word
    output: Folder
    recipe: Recipe
    timeout_s: Seconds
    samples: Samples


@MESSAGES.kind(11)
@dataclass(frozen=True, slots=True)
class Execute(Elided):
    """Process these images; you may refuse. ``alone``: each in a process that holds no other image."""

    job: Word
    items: Items
    alone: Flag = False


@MESSAGES.kind(12)
@dataclass(frozen=True, slots=True)
class DelayedExecute(Elided):
    """Process these images; you may delay them but not refuse."""

    job: Word
    items: Items
    alone: Flag = False


@MESSAGES.kind(13)
@dataclass(frozen=True, slots=True)
class Cancel(Elided):
    """These attempts are written off: do not start them, do not commit them, do not answer."""

    job: Word
    tokens: Tokens


@MESSAGES.kind(14)
@dataclass(frozen=True, slots=True)
class Forget(Elided):
    """The job has ended: forget its constants."""

    job: Word


@MESSAGES.kind(15)
@dataclass(frozen=True, slots=True)
class Slots(Elided):
    """Run at most so many images at once. Without it, as many as were offered."""

    slots: Count


# --- worker → coordinator -----------------------------------------------------------------------


@MESSAGES.kind(20)
@dataclass(frozen=True, slots=True)
class Offer(Elided):
    """What a worker (or, to its worker, a pool process) can be given; images of up to so many ``pixels``."""

    slots: Count
    operations: Words
    codecs: Words
    roots: Words
    load: Probability = 0.0
    pixels: Count = 0


@MESSAGES.kind(21)
@dataclass(frozen=True, slots=True)
class JobReady(Elided):
    """Whether the worker can work on the job, and if not, why."""

    job: Word
    ready: Flag
    why: Text = ""


@MESSAGES.kind(22)
@dataclass(frozen=True, slots=True)
class Rejected(Elided):
    """Refused, untouched."""

    job: Word
    tokens: Tokens


@MESSAGES.kind(23)
@dataclass(frozen=True, slots=True)
class Waiting(Elided):
    """Accepted, and waiting for their delay to pass: they hold no credit while they do."""

    job: Word
    tokens: Tokens


@MESSAGES.kind(24)
@dataclass(frozen=True, slots=True)
class Done(Elided):
    """Their outputs are in place."""

    job: Word
    rows: DoneRows


@MESSAGES.kind(25)
@dataclass(frozen=True, slots=True)
class Failed(Elided):
    """They have no output, and why."""

    job: Word
    rows: FailedRows


@MESSAGES.kind(26)
@dataclass(frozen=True, slots=True)
class Unseen(Elided):
    """The job's folders are gone, full or read-only here: these go back, and no more of it, please."""

    job: Word
    tokens: Tokens
    why: Text


@MESSAGES.kind(27)
@dataclass(frozen=True, slots=True)
class Returned(Elided):
    """Accepted and not started: they go back."""

    job: Word
    tokens: Tokens


@MESSAGES.kind(28)
@dataclass(frozen=True, slots=True)
class Draining(Elided):
    """No more work, please: I leave when what I run has ended."""

    why: Text = ""


# --- client → coordinator -----------------------------------------------------------------------


@MESSAGES.kind(40)
@dataclass(frozen=True, slots=True)
class SubmitRequest(Elided):
    """A job. ``output`` may be empty: the default. ``count`` > 0 asks for so many empty tasks, no folder."""

    source: Path
    output: Path
    recipe: Recipe
    mode: Word
    include: Words
    exclude: Words
    existing: Word
    retries: Count
    timeout_s: Seconds
    priority: Number
    count: Count = 0
    dry_run: Flag = False
    list_ignored: Flag = False


@MESSAGES.kind(41)
@dataclass(frozen=True, slots=True)
class Accepted(Elided):
    """The job's id, and the folders it was understood to mean."""

    job: Word
    source: Path
    output: Path


@MESSAGES.kind(42)
@dataclass(frozen=True, slots=True)
class Declined(Elided):
    """The request cannot be done. ``code`` is the exit code it deserves: 2 or 4."""

    code: Count
    why: Text


@MESSAGES.kind(43)
@dataclass(frozen=True, slots=True)
class Follow(Elided):
    """Tell me this job's facts from this number on; ``job`` may be a unique prefix of its id, 4 or longer."""

    job: Word
    first: Count


def _is_fact(value: Any) -> bool:
    FACTS.check(value)
    return True


@MESSAGES.kind(44)
@dataclass(frozen=True, slots=True)
class Facts(Elided):
    """Facts of a job, numbered from ``first`` on. A gap between two of these messages is one nobody kept."""

    job: Word
    first: Count
    facts: Annotated[tuple[tuple[Any, ...], ...], many(Shape("fact", _is_fact))]


@MESSAGES.kind(45)
@dataclass(frozen=True, slots=True)
class Finished(Elided):
    """The job has ended and all its facts were told. ``elapsed_s`` is the coordinator's own measure."""

    job: Word
    elapsed_s: Seconds


@MESSAGES.kind(46)
@dataclass(frozen=True, slots=True)
class CancelJob(Elided):
    """Hand out nothing more; with ``drain`` what is in hand may end."""

    job: Word
    drain: Flag


@MESSAGES.kind(47)
@dataclass(frozen=True, slots=True)
class StatusRequest(Elided):
    """How is the fleet?"""


@MESSAGES.kind(48)
@dataclass(frozen=True, slots=True)
class Status(Elided):
    """The fleet and its jobs. More rows than fit in one frame are sent as several; ``more`` is then true.

    ``workers``: ``[name, address, state, slots, in flight, waiting, done, why]``;
    ``jobs``: ``[job, mode, state, source, output, total, done, failed, remaining, why]``.
    """

    name: Word
    version: Word
    epoch: Count
    workers: Annotated[
        tuple[tuple[str, str, str, int, int, int, int, str], ...],
        rows(WORD, WORD, WORD, COUNT, COUNT, COUNT, COUNT, TEXT),
    ]
    jobs: Annotated[
        tuple[tuple[str, str, str, bytes, bytes, int, int, int, int, str], ...],
        rows(WORD, WORD, WORD, _PATH, _PATH, COUNT, COUNT, COUNT, COUNT, TEXT),
    ]
    more: Flag = False


# --- bytes ↔ messages ---------------------------------------------------------------------------


def packed(message: Any) -> bytes:
    """The body of a message's frame."""
    body: bytes = msgpack.packb(MESSAGES.array(message))
    return body


def encode(message: Any) -> bytes:
    """One frame, length and all.

    Raises
    ------
    ValueError
        The frame would be longer than any peer accepts: batches go through `encode_batch`.
    """
    body = packed(message)
    if len(body) > limits.FRAME_MAX:
        raise ValueError(f"a frame of {len(body)} bytes is over {limits.FRAME_MAX}: {message}")
    return framed(body)


def encode_batch(make: Callable[[int, tuple[Any, ...]], Any], batch: Sequence[Any]) -> Iterator[bytes]:
    """Frames that together hold the whole batch, in order, each within every limit.

    ``make`` is called with the place of its first row in the batch, and the rows; it gives a message.
    """
    for start in range(0, len(batch), limits.BATCH_MAX):
        yield from _encode_part(make, batch, start, min(start + limits.BATCH_MAX, len(batch)))


def _encode_part(
    make: Callable[[int, tuple[Any, ...]], Any], batch: Sequence[Any], start: int, end: int
) -> Iterator[bytes]:
    try:
        yield encode(make(start, tuple(batch[start:end])))
    except ValueError:
        if end - start < 2:
            raise
        middle = (start + end) // 2
        yield from _encode_part(make, batch, start, middle)
        yield from _encode_part(make, batch, middle, end)


def decode(body: bytes) -> Any:
    """The checked message in one frame's body (without its length)."""
    try:
        array = msgpack.unpackb(body, use_list=False, strict_map_key=False)
    except Exception as error:  # msgpack raises half a dozen types for bad bytes, UnicodeDecodeError too
        raise ProtocolError(f"not msgpack: {error!r:.200}") from None
    return MESSAGES.record(array)
