"""One image of a job: read, decode, apply, encode, commit, with the time each took.

A `Workplace` is what a job is inside one pool process: its folders and its recipe, looked up once.
`Workplace.run` does one image and says how that ended:

=============  =====================================================================================
`Committed`    its output is in place
`Unprocessed`  it has none, and another worker would say the same (or, with ``again``, might not)
`Unseen`       nothing is wrong with the image: the folders are gone, full or read-only from here
`Stale`        the attempt was written off meanwhile: nothing was changed, and nobody waits to hear of it
=============  =====================================================================================

An open that fails because something is not there looks at the folders again before it blames the image: a
mount that went away takes every image with it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TypeAlias

from imgpipe import limits
from imgpipe.errors import ImageError, Kind, UsageError
from imgpipe.imaging.bounds import USUAL, Bounds
from imgpipe.imaging.codecs import suffix_of
from imgpipe.imaging.processing import Outcome, own_hearing, prepare, process, run
from imgpipe.imaging.recipe import Recipe
from imgpipe.memory import in_words
from imgpipe.notes import Notes, fitted, of_input
from imgpipe.protocol import Job
from imgpipe.rows import DoneRow, FailedRow
from imgpipe.schema import shown
from imgpipe.storage import Folder, KeptOpen, nonce_name, reason, temporary_name

__all__ = [
    "Committed",
    "Outcome",
    "Result",
    "Stale",
    "Unprocessed",
    "Unseen",
    "Workplace",
    "prepare",
    "process",
]

# Not there: the image, or the folders with it?
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENOTCONN, errno.EIO)
# Nothing more can be written here, whatever the image.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
# This process has too little of something: another, or this one later, may have enough.
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class Committed:
    """The output is in place."""

    row: DoneRow


@dataclass(frozen=True, slots=True)
class Unprocessed:
    """The image has no output, and why."""

    row: FailedRow


@dataclass(frozen=True, slots=True)
class Unseen:
    """The job's folders cannot be used from here, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Stale:
    """Commits of this attempt are no longer valid."""


Result: TypeAlias = Committed | Unprocessed | Unseen | Stale


class _UnseenError(Exception):
    """The folders, not the image."""


class Workplace:
    """A job's constants inside one process. Not for several threads at once."""

    def __init__(
        self,
        job: Job,
        roots: Mapping[str, bytes],
        kept: KeptOpen | None = None,
        bounds: Bounds = USUAL,
    ) -> None:
        """``roots`` are absolute paths by name. No folder is looked at yet: ask `ready`.

        Workplaces of one process share the room in ``kept``. ``bounds`` are those of the process.

        Raises
        ------
        UsageError
            The recipe cannot be done here, or a root has no such name here.
        ProtocolError
            The recipe is not one.
        """
        self._job = job
        self._kept = KeptOpen(limits.DIRECTORY_CACHE) if kept is None else kept
        self._nonce = nonce_name(job.job)
        self._bounds = bounds
        self._source: Folder | None = None
        self._output: Folder | None = None
        self._known: tuple[int, int] | None = None  # the source that was seen: device and inode
        if job.empty:
            return
        self._recipe = Recipe.from_array(job.recipe)
        self._program = self._recipe.bind()
        self._ceiling = bounds.ceiling.lowered(self._recipe.pixels_max)
        self._source_root = _root(roots, job.source_root)
        self._output_root = _root(roots, job.output_root)

    def close(self) -> None:
        """Give the folders back."""
        for folder in (self._source, self._output):
            if folder is not None:
                folder.close()
        self._source = self._output = None

    def ready(self) -> str:
        """Nothing if this process sees the job's folders, looked at afresh, and can write; else why not."""
        if self._job.empty:
            return ""
        self.close()
        try:
            self._source = Folder(self._source_root, self._job.source, kept=self._kept)
            self._output = Folder(self._output_root, self._job.output, kept=self._kept)
            why = self._unseen(self._source, self._output)
        except OSError as error:
            why = f"{shown(error.filename or b'')}: {reason(error)}".lstrip(": ")
        if why:
            self.close()
        return why

    def _unseen(self, source: Folder, output: Folder) -> str:
        if not output.exists(self._nonce):
            return f"{shown(output.path)} is not the output directory of this job: its mark is not there"
        if not self._is_source(source):
            return f"{shown(source.path)} does not hold the images of this job"
        problem = output.problem()
        return f"{shown(output.path)}: {problem}" if problem else ""

    def _is_source(self, source: Folder) -> bool:
        """Known by an image in it, and then by itself: a small job may lose all its images."""
        status = os.stat(source.path)
        identity = status.st_dev, status.st_ino
        samples = self._job.samples
        if samples and identity != self._known and not any(_has(source, *sample) for sample in samples):
            return False
        self._known = identity
        return True

    def run(self, task: int, attempt: int, name: bytes, size: int, still_valid: Callable[[], bool]) -> Result:
        """Do one image. ``size`` in bytes is the listing's; ``still_valid`` is asked before the commit."""
        if self._job.empty:
            return Committed((task, attempt, 0, 0, 0, 0, 0))
        try:
            return self._run(task, attempt, name, size, still_valid)
        except ImageError as error:
            return _unprocessed(task, attempt, self._advised(error))
        except _UnseenError as error:
            return Unseen(str(error)[: limits.TEXT_MAX])

    def _run(
        self, task: int, attempt: int, name: bytes, size: int, still_valid: Callable[[], bool]
    ) -> Result:
        if self._output is None and (why := self.ready()):
            raise _UnseenError(why)
        start = perf_counter_ns()
        data = self._read(name, size)
        read = perf_counter_ns()
        target = self._recipe.target(name)
        outcome = self._processed(data, name, target)
        notes = fitted(outcome.notes)
        if outcome.failure is not None:
            return _unprocessed(task, attempt, self._advised(outcome.failure), of_input(notes))
        assert outcome.data is not None
        begun = perf_counter_ns()
        if not self._commit(target, attempt, outcome.data, still_valid):
            return self._stale(still_valid)
        written = perf_counter_ns()
        _, decode, operate, encode, _ = outcome.times
        times = ((read - start) // 1000, decode, operate, encode, (written - begun) // 1000)
        done = (task, attempt, *times)
        return Committed((*done, notes) if notes else done)

    def _processed(self, data: bytes, name: bytes, target: bytes) -> Outcome:
        suffix, named = suffix_of(target), suffix_of(name)
        return run(
            data, self._program, suffix, self._recipe, self._ceiling, named=named, hearing=own_hearing()
        )

    def _read(self, name: bytes, size: int) -> bytes:
        if size > limits.IMAGE_BYTES_MAX:
            raise ImageError(Kind.TOO_LARGE, f"{size} bytes, at most {limits.IMAGE_BYTES_MAX} are read")
        assert self._source is not None
        try:
            return self._source.read(name, limits.IMAGE_BYTES_MAX)
        except MemoryError:
            raise ImageError(Kind.TOO_LARGE, "out of memory", again=True) from None
        except OSError as error:
            if error.errno not in _GONE:
                again = error.errno in _SCARCE
                raise ImageError(Kind.UNREADABLE, f"cannot be read: {reason(error)}", again=again) from None
            self._look_again()
            raise ImageError(Kind.MISSING, f"gone since it was listed: {reason(error)}") from None

    def _commit(self, target: bytes, attempt: int, data: bytes, still_valid: Callable[[], bool]) -> bool:
        output = self._output
        assert output is not None
        temporary = temporary_name(self._job.job, attempt)
        try:
            return output.commit(
                target, temporary, data, lambda: still_valid() and output.exists(self._nonce)
            )
        except OSError as error:
            if error.errno in _FULL:
                raise _UnseenError(f"{shown(output.path)}: {reason(error)}") from None
            if error.errno in _GONE:
                self._look_again()
            again = error.errno in _SCARCE
            raise ImageError(Kind.UNWRITABLE, f"cannot be written: {reason(error)}", again=again) from None

    def _advised(self, error: ImageError) -> ImageError:
        """Where memory ran out, with how to have more."""
        if error.kind is not Kind.TOO_LARGE or not error.again or not self._bounds.memory:
            return error
        advice = f"a process here may take {in_words(self._bounds.memory)}: --max-memory, or fewer --slots, "
        message = (
            f"{error.message[: limits.TEXT_MAX - 200]}; {advice}where the worker is started gives it more"
        )
        return ImageError(error.kind, message, again=True)

    def _look_again(self) -> None:
        if why := self.ready():
            raise _UnseenError(why)

    def _stale(self, still_valid: Callable[[], bool]) -> Result:
        """Nothing was committed. Only an attempt that knows it was written off may be silent about it."""
        if not still_valid():
            return Stale()
        self._look_again()  # has the output directory lost its mark?
        raise ImageError(Kind.UNWRITABLE, "its temporary file was removed by someone else", again=True)


def _unprocessed(task: int, attempt: int, error: ImageError, notes: Notes = ()) -> Unprocessed:
    row = (task, attempt, str(error.kind), error.message[: limits.TEXT_MAX], error.again)
    if error.beyond:
        return Unprocessed((*row, notes, True))
    return Unprocessed((*row, notes) if notes else row)


def _root(roots: Mapping[str, bytes], name: str) -> bytes:
    try:
        return roots[name]
    except KeyError:
        known = ", ".join(roots) or "none"
        raise UsageError(
            f"no root {name!r} here (there is {known}): start it with --root {name}=PATH"
        ) from None


def _has(folder: Folder, name: bytes, size: int) -> bool:
    try:
        return folder.size(name) == size
    except OSError:
        return False
