"""What a process and its parent share: what is being run, until when it may be committed, what was done.

Seven aligned 64-bit words in memory without a name, each written by one side only, and a mailbox:

============  =========  =======================================================================
word          writer     holds
============  =========  =======================================================================
VALID_UNTIL   parent     CLOCK_MONOTONIC in ns; from then on nothing may be committed
WRITTEN_OFF   parent     serial number of an image that may not be committed
RUNNING       process    serial number (from 1) of the image being run, 0 between images
TASK          process    its task …
ATTEMPT       process    … and attempt
START         process    when it was begun, CLOCK_MONOTONIC in ns
KEPT          process    bytes in the mailbox
============  =========  =======================================================================

The process writes TASK, ATTEMPT and START before RUNNING; the parent reads RUNNING before and after them, so
it never mixes two images. Serial numbers and not attempts are compared, because a process may outlive the
coordinator that numbered its attempts. The words survive the process: a death is blamed on what they say.

The mailbox holds answers, as frames, that the process has not sent yet, because waking its parent for each
would cost more than it brings. They are sent soon, in a larger frame; should the process die or be stuck
before that, the parent finds them here. So it may hear an answer twice, and never loses one.
"""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from dataclasses import dataclass
from time import monotonic_ns

VALID_UNTIL, WRITTEN_OFF, RUNNING, TASK, ATTEMPT, START, KEPT = range(7)
_WORDS = 8 * 7
SIZE = 16 * 1024  # whole pages, most of it mailbox


@dataclass(frozen=True, slots=True)
class Running:
    """An image being run. ``start`` is in seconds of `time.monotonic`."""

    serial: int
    token: tuple[int, int]
    start: float


def create() -> int:
    """The descriptor of a new cell, all zero. It is the caller's."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("imgpipe-cell")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, SIZE)
    return descriptor


class Cell:
    """One side's view of a cell. The descriptor may be closed once this is made."""

    def __init__(self, descriptor: int) -> None:
        self._map = mmap.mmap(descriptor, SIZE)
        self._words = memoryview(self._map)[:_WORDS].cast("q")
        self._serial = 0

    def close(self) -> None:
        self._words.release()
        self._map.close()

    # --- the process ----------------------------------------------------------------------------

    def begin(self, task: int, attempt: int) -> None:
        words = self._words
        words[TASK] = task
        words[ATTEMPT] = attempt
        words[START] = monotonic_ns()
        self._serial += 1
        words[RUNNING] = self._serial

    def end(self) -> None:
        self._words[RUNNING] = 0

    def still_valid(self) -> bool:
        """Whether the image being run may be committed now."""
        return self._words[WRITTEN_OFF] != self._serial and monotonic_ns() < self._words[VALID_UNTIL]

    def keep(self, frames: bytes) -> bool:
        """Put these behind what the mailbox holds. False, and nothing is changed, if they do not fit."""
        start = _WORDS + self._words[KEPT]
        end = start + len(frames)
        if end > SIZE:
            return False
        self._map[start:end] = frames
        self._words[KEPT] = end - _WORDS
        return True

    def discard(self) -> None:
        """What the mailbox holds has been sent."""
        self._words[KEPT] = 0

    # --- its parent -----------------------------------------------------------------------------

    def renew(self, until: float) -> None:
        """Commits are valid until then, in seconds of `time.monotonic`."""
        self._words[VALID_UNTIL] = int(until * 1e9)

    def write_off(self, serial: int) -> None:
        """The image with this serial number may not be committed. Nothing happens if it is no longer run."""
        self._words[WRITTEN_OFF] = serial

    def running(self) -> Running | None:
        words = self._words
        serial = words[RUNNING]
        found = Running(serial, (words[TASK], words[ATTEMPT]), words[START] / 1e9)
        return found if serial and words[RUNNING] == serial else None

    def kept(self) -> bytes:
        """What the mailbox holds: whole frames. It does not change while an image is being run."""
        return bytes(self._map[_WORDS : _WORDS + self._words[KEPT]])
