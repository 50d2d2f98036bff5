"""The listing of one job, in a thread of its own: names stream out of it as fast as they are wanted.

The thread carries and decides nothing: it walks a directory that may be slow, notices collisions while
names pass, and hands each batch to the loop. It works off the batches it has been asked for and then waits,
so that memory holds a window of names however long the listing is. It is a daemon: a file system that hangs
cannot keep the process from ending.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from imgpipe import limits, storage
from imgpipe.errors import ImageError, Kind
from imgpipe.jobs.intake import SUFFIXES, Plan
from imgpipe.schema import shown

log = logging.getLogger(__name__)

#: Batches asked for ahead, so that the thread works while the loop does.
AHEAD = 4


@dataclass(slots=True)
class Batch:
    """What a stretch of the listing has found."""

    images: list[tuple[bytes, int]] = field(default_factory=list)
    failed: list[tuple[bytes, Kind, str]] = field(default_factory=list)
    ignored: list[tuple[bytes, str]] = field(default_factory=list)
    last: bool = False
    problem: str = ""

    @property
    def size(self) -> int:
        return len(self.images) + len(self.failed) + len(self.ignored)


class Listing:
    """A running listing. ``told`` is called on the loop with each batch; the last one says so."""

    def __init__(self, plan: Plan, collisions: storage.Collisions, told: Callable[[Batch], None]) -> None:
        self._plan = plan
        self._collisions = collisions
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._wanted = threading.Semaphore(0)
        self._asked = 0
        self._stopped = False
        self._lost = 0  # entries that could not be looked at
        self._first_lost = ""
        self._thread = threading.Thread(target=self._run, name=f"listing {plan.job}", daemon=True)
        self._thread.start()

    def want(self, room: int) -> None:
        """There is room for this many more names."""
        while self._asked < min(AHEAD, room // limits.LISTING_BATCH) and not self._stopped:
            self._asked += 1
            self._wanted.release()

    def stop(self) -> None:
        """No more names, please."""
        self._stopped = True
        self._wanted.release()

    def _run(self) -> None:
        last = Batch(last=True)
        try:
            for batch in self._batches():
                self._wanted.acquire()
                if self._stopped:
                    return
                self._hand_over(batch)
            last.problem = self._lost_words()
        except OSError as error:
            last.problem = (
                f"the listing of {shown(self._plan.source.path)} ended early: {storage.reason(error)}"
            )
        except Exception as error:  # whatever it is, the job must not wait for names for ever
            log.exception("job %s: a fault of imgpipe's own in the listing", self._plan.job)
            last.problem = f"the listing failed: {type(error).__name__}: {error}"
        if not self._stopped:
            self._hand_over(last)

    def _batches(self) -> Iterator[Batch]:
        batch, since = Batch(), time.monotonic()
        with self._plan.source.open() as folder:
            for found in self._walk(folder):
                self._sort_in(found, batch)
                if batch.size >= limits.LISTING_BATCH or time.monotonic() - since > limits.LISTING_BATCH_S:
                    yield batch
                    batch, since = Batch(), time.monotonic()
        if batch.size:
            yield batch

    def _walk(self, folder: storage.Folder) -> Iterator[storage.Entry | storage.Passed]:
        request = self._plan.request
        return storage.walk(
            folder,
            suffixes=SUFFIXES,
            include=request.include,
            exclude=request.exclude,
            skip=self._plan.nesting.output,
        )

    def _lost_words(self) -> str:
        """What could not be looked at, and may have held images; nothing if there was no such thing."""
        if not self._lost:
            return ""
        others = f" and {self._lost - 1} other{'s' * (self._lost > 2)}" if self._lost > 1 else ""
        return f"not everything could be read: {self._first_lost}{others}; images there are not in this job"

    def _sort_in(self, found: storage.Entry | storage.Passed, batch: Batch) -> None:
        if isinstance(found, storage.Passed):
            batch.ignored.append((found.name, found.why))
            if found.lost:
                self._lost += 1
                self._first_lost = self._first_lost or f"{shown(found.name)} ({found.why})"
            return
        try:
            target = self._plan.recipe.target(found.name)
            self._collisions.refuse_input(target)
            first = self._collisions.first(found.name, target)
        except ImageError as error:
            batch.failed.append((found.name, error.kind, error.message[: limits.TEXT_MAX]))
            return
        if first is None:
            batch.images.append((found.name, found.size))
        else:
            words = f"its output would be that of {shown(first)}, which was listed first"
            batch.failed.append((found.name, Kind.COLLISION, words[: limits.TEXT_MAX]))

    def _hand_over(self, batch: Batch) -> None:
        try:
            self._loop.call_soon_threadsafe(self._arrived, batch)
        except RuntimeError:  # the loop has ended while we were reading
            self._stopped = True

    def _arrived(self, batch: Batch) -> None:
        self._asked -= not batch.last
        if not self._stopped:
            self._told(batch)
