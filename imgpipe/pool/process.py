"""One process of a pool: a plain blocking loop over its socket.

Hear what has arrived, run, tell. Between two real images it always hears, so that nothing that was called
off is begun; and it leaves the answer where its parent finds it if the next image takes the process down
(`Cell.keep`), or tells it, if there is no next one or nothing was told for `limits.KEEP_S`. Empty tasks
cannot take it down, and run by the hundred between two system calls.

It speaks the protocol's own messages: `Offer` once it is ready, `JobReady` for each `Job`, one answer for
each image, `Draining` when it wants to be replaced; or `Refused` if it could not get ready.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from imgpipe import limits, memory
from imgpipe.errors import ImgpipeError, Kind
from imgpipe.frames import Frames
from imgpipe.imaging import operations, shortage, task
from imgpipe.imaging.bounds import WORDS, Bounds
from imgpipe.pool.cell import Cell
from imgpipe.protocol import (
    Cancel,
    Done,
    Draining,
    Execute,
    Failed,
    Forget,
    Job,
    JobReady,
    Offer,
    Refused,
    Returned,
    Unseen,
    decode,
    encode,
    encode_batch,
)
from imgpipe.rows import Item, Token
from imgpipe.storage import KeptOpen

#: Signals for the worker, which the terminal or a service manager may send to its whole group.
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_RECEIVE = 256 * 1024  # bytes taken from the socket at once: a full queue of usual names
_TURN_S = 0.001  # empty tasks are run for this long between two looks at the socket
_AGE_EVERY = 64  # images between two looks at the memory: a look takes 10 µs


@dataclass(frozen=True, slots=True)
class Place:
    """A job in this process: where its images are done, or why they cannot be."""

    workplace: task.Workplace | None
    why: str
    empty: bool


class Answers:
    """What is to be told, gathered by job and kind."""

    def __init__(self, sock: socket.socket, cell: Cell) -> None:
        self._sock = sock
        self._cell = cell
        self._frames: list[bytes] = []
        self._rows: dict[tuple[Callable[[str, Any], Any], str], list[Any]] = {}
        self._latest: list[bytes] = []  # of rows that are not in the mailbox yet
        self._told = monotonic()

    def say(self, message: Any) -> None:
        """In a hurry: it is told at the next occasion, and all rows with it."""
        self._frames.append(encode(message))

    def add(self, kind: Callable[[str, Any], Any], job: str, row: Any) -> None:
        """One more row for the next message of this kind (Done, Failed, Returned)."""
        self._rows.setdefault((kind, job), []).append(row)

    def keep(self, kind: Callable[[str, Any], Any], job: str, row: Any) -> None:
        """The same for a row that `tell` may leave in the mailbox for a while."""
        self.add(kind, job, row)
        self._latest.append(encode(kind(job, (row,))))

    def tell(self) -> None:
        """Tell everything; or only leave it in the mailbox, if that is enough for now."""
        latest, self._latest = b"".join(self._latest), []
        recent = monotonic() - self._told < limits.KEEP_S
        if self._frames or not recent or not self._cell.keep(latest):
            self.flush()

    def flush(self) -> None:
        for (kind, job), rows in self._rows.items():
            self._frames += encode_batch(lambda _, part, kind=kind, job=job: kind(job, part), rows)  # type: ignore[misc]
        if self._frames:
            self._sock.sendall(b"".join(self._frames))
            self._cell.discard()
            self._frames.clear()
            self._rows.clear()
            self._latest.clear()
        self._told = monotonic()


class Age:
    """When a process is old enough to be replaced: images done, or memory grown by, in bytes."""

    def __init__(self, images_max: int, growth_max: int) -> None:
        self._images_max = images_max
        self._growth_max = growth_max
        self._born_with = memory.resident()
        self._images = 0
        self.old = False

    def one_more(self) -> str:
        """An image was done. Why the process should be replaced, once; or nothing."""
        self._images += 1
        if self.old or (self._images < self._images_max and self._images % _AGE_EVERY):
            return ""
        grown = memory.resident() - self._born_with
        self.old = self._images >= self._images_max or grown >= self._growth_max
        return f"{self._images} images done, memory grown by {grown >> 20} MB" if self.old else ""


class Process:
    """The loop and what it knows: jobs, and images not begun."""

    def __init__(
        self, sock: socket.socket, cell: Cell, roots: Mapping[str, bytes], bounds: Bounds, age: Age
    ) -> None:
        self._sock = sock
        self._cell = cell
        self._roots = roots
        self._bounds = bounds
        self._kept = KeptOpen(limits.DIRECTORIES_OPEN)
        self._age = age
        self._frames = Frames()
        self._answers = Answers(sock, cell)
        self._queue: deque[tuple[str, Item]] = deque()
        self._places: dict[str, Place] = {}
        self._hears: dict[type, Callable[[Any], None]] = {
            Job: self._job,
            Execute: self._execute,
            Cancel: self._cancel,
            Forget: self._forget,
        }

    def serve(self) -> None:
        """Until the other end of the socket is closed."""
        suffixes, pixels = self._bounds.suffixes, self._bounds.ceiling.pixels
        self._answers.say(Offer(1, operations.names(), suffixes, tuple(self._roots), pixels=pixels))
        self._answers.flush()
        while self._hear():
            self._turn()
            if self._next_is_real():
                self._answers.tell()
            else:
                self._answers.flush()

    # --- hearing --------------------------------------------------------------------------------

    def _hear(self) -> bool:
        """Take what has arrived; wait for it if there is nothing else to do. False: the parent hung up."""
        try:
            data = self._sock.recv(_RECEIVE, socket.MSG_DONTWAIT if self._queue else 0)
        except BlockingIOError:
            return True
        for body in self._frames.feed(data):
            message = decode(body)
            self._hears[type(message)](message)
        return bool(data)

    def _job(self, job: Job) -> None:
        self._close(job.job)
        try:
            workplace = task.Workplace(job, self._roots, self._kept, self._bounds)
            place = Place(workplace, "", job.empty)
            why = workplace.ready()
        except ImgpipeError as error:
            why = str(error)[: limits.TEXT_MAX]
            place = Place(None, why, job.empty)
        self._places[job.job] = place
        self._answers.say(JobReady(job.job, not why, why[: limits.TEXT_MAX]))

    def _execute(self, message: Execute) -> None:
        job = message.job
        self._queue.extend((job, item) for item in message.items)

    def _cancel(self, message: Cancel) -> None:
        tokens = set(message.tokens)
        self._drop(lambda job, token: job == message.job and token in tokens)

    def _forget(self, message: Forget) -> None:
        self._close(message.job)
        self._drop(lambda job, token: job == message.job)

    def _drop(self, wanted: Callable[[str, Token], bool]) -> None:
        """Give these back, if they have not begun."""
        queue, self._queue = self._queue, deque()
        for job, item in queue:
            if wanted(job, item[:2]):
                self._answers.add(Returned, job, item[:2])
            else:
                self._queue.append((job, item))

    def _close(self, job: str) -> None:
        place = self._places.pop(job, None)
        if place is not None and place.workplace is not None:
            place.workplace.close()

    # --- running --------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Run one real image, or as many empty ones as fit in a turn."""
        until = monotonic() + _TURN_S
        while self._queue:
            job, item = self._queue.popleft()
            place = self._places.get(job)
            self._run(place, job, item)
            if not self._next_is_empty() or monotonic() > until:
                return

    @property
    def _next(self) -> Place | None:
        """Where the next image is done."""
        return self._places.get(self._queue[0][0]) if self._queue else None

    def _next_is_empty(self) -> bool:
        return (place := self._next) is not None and place.empty

    def _next_is_real(self) -> bool:
        return (place := self._next) is not None and not place.empty

    def _run(self, place: Place | None, job: str, item: Item) -> None:
        number, attempt, name, size = item[:4]
        if place is None or place.workplace is None:
            why = place.why if place else "this process does not know the job"
            self._answers.say(Unseen(job, ((number, attempt),), why))
            return
        self._cell.begin(number, attempt)
        result = place.workplace.run(number, attempt, name, size, self._cell.still_valid)
        self._cell.end()
        self._answer(job, (number, attempt), result, self._answers.add if place.empty else self._answers.keep)
        if why := self._age.one_more():
            self._answers.say(Draining(why))

    def _answer(self, job: str, token: Token, result: task.Result, add: Callable[..., None]) -> None:
        match result:
            case task.Committed():
                add(Done, job, result.row)
            case task.Unprocessed():
                add(Failed, job, result.row)
                if result.row[2] == Kind.TOO_LARGE:
                    shortage.recover()
            case task.Unseen():
                self._answers.say(Unseen(job, (token,), result.why))
            case task.Stale():
                self._answers.add(Returned, job, token)


def main(arguments: Sequence[str]) -> int:
    """``SOCKET CELL PARENT IMAGES GROWTH``, `Bounds.words`, ``NAME=PATH …``: two descriptors, an id, and when
    it is old; what it may do, and where."""
    socket_fd, cell_fd, parent, images_max, growth_max = map(int, arguments[:5])
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)
    tie_to(parent)
    _allow_descriptors()
    sock, cell = _opened(socket_fd, cell_fd)
    try:
        bounds = Bounds.from_words(arguments[5:])
        roots = dict(map(_root, arguments[5 + WORDS :]))
        task.prepare()
        process = Process(sock, cell, roots, bounds, Age(images_max, growth_max))
        memory.bound(bounds.memory)
    except Exception as error:
        traceback.print_exc()
        sock.sendall(encode(Refused(f"{type(error).__name__}: {error}"[: limits.TEXT_MAX])))
        return 1
    process.serve()
    return 0


def tie_to(parent: int) -> None:
    """Die when the parent does, even in the middle of an image."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _allow_descriptors() -> None:
    """As many as the system lets us have: the usual 1,024 are meant for programs that call select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # a system without a limit still has one it does not tell
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _opened(socket_fd: int, cell_fd: int) -> tuple[socket.socket, Cell]:
    """The inherited descriptors, which no process started by an operation shall inherit."""
    os.set_inheritable(socket_fd, False)
    sock = socket.socket(fileno=socket_fd)
    cell = Cell(cell_fd)
    os.close(cell_fd)
    return sock, cell


def _root(word: str) -> tuple[str, bytes]:
    name, _, path = word.partition("=")
    return name, os.fsencode(path)
