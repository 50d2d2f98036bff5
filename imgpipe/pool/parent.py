"""The pool as its worker sees it: jobs and images go in, answers come out.

Every image put in is answered once, unless it was cancelled or forgotten: `Done` or `Failed` when it was run,
`Unseen` or `Returned` when it goes back. What a process answers is sent on unopened where every image in
it is still wanted.

A death is nobody's fault but the running image's. Where nothing was running the images go to another
process, and only one that was first in the queue of `DEATHS_MAX` processes when they died is blamed.
Processes that die before they are ready are started again with a back-off; after `limits.START_FAILURES_MAX`
in a row the pool gives up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from time import monotonic
from typing import Any, Protocol

from imgpipe import limits
from imgpipe.errors import Kind
from imgpipe.pool.feeder import Feeder
from imgpipe.pool.handle import Handle, encoded
from imgpipe.pool.images import Image, Wanted, Work
from imgpipe.protocol import (
    Done,
    Failed,
    Forget,
    Item,
    Job,
    JobReady,
    Offer,
    Returned,
    Token,
    Unseen,
    encode,
)

log = logging.getLogger(__name__)

DEATHS_MAX = 3  # deaths with nothing running are chance once or twice
_BACK_OFF_S = 0.1  # before a process is started again after one that was of no use; doubled each time …
_BACK_OFF_MAX_S = 10.0  # … up to this


class PoolError(RuntimeError):
    """No process of the pool lives long enough to be of use."""


class PoolOwner(Protocol):
    """Who is told what happens in a pool."""

    def answered(self, message: Any, body: bytes) -> None:
        """An answer for the coordinator: `JobReady`, `Done`, `Failed`, `Unseen` or `Returned`, and its body."""

    def broken(self, why: str) -> None:
        """The pool has given up."""


class Pool:
    """So many processes, each with one image at a time.

    Attributes
    ----------
    offer : Offer
        What the pool can be given; known once started.
    """

    offer: Offer

    def __init__(self, slots: int, roots: Mapping[str, bytes], owner: PoolOwner) -> None:
        self.slots = slots
        self._roots = roots
        self._owner = owner
        self._works: dict[str, Work] = {}
        self._images: dict[Token, Image] = {}
        self._feeder = Feeder()
        self._handles: set[Handle] = set()
        self._valid_until = 0.0
        self._useless = 0  # processes in a row that ended without having been of use
        self._closing = False
        self._feeding = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()

    # --- its life -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start every process, and wait for the first to be ready.

        Raises
        ------
        PoolError
            None of them lives.
        """
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._empty = asyncio.Event()
        self._empty.set()
        self._gone = asyncio.Event()
        self._later(limits.WATCH_S, self._watch)
        for _ in range(self.slots):
            self._launch()
        await self._started

    async def close(self) -> None:
        """Kill every process and see them gone."""
        self._closing = True
        for timer in self._timers:
            timer.cancel()
        for handle in self._handles:
            handle.kill()
        while self._handles:
            self._gone.clear()
            await self._gone.wait()

    async def idle(self) -> None:
        """Return when there is no image in hand."""
        await self._empty.wait()

    def _launch(self) -> None:
        if self._closing:
            return
        try:
            handle = Handle(self, self._roots, self._valid_until)
        except OSError as error:
            self._start_failed(f"cannot start a process: {error}")
            return
        self._handles.add(handle)
        self._spawn(handle.connect())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _later(self, after_s: float, call: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            call()

        timer = self._loop.call_later(after_s, run)
        self._timers.add(timer)

    def _watch(self) -> None:
        now = monotonic()
        for handle in tuple(self._handles):
            handle.watch(now)
        self._later(limits.WATCH_S, self._watch)

    # --- what is in hand ------------------------------------------------------------------------

    def __contains__(self, token: Token) -> bool:
        return token in self._images

    def __len__(self) -> int:
        """Images in hand."""
        return len(self._images)

    @property
    def running(self) -> int:
        """Processes that have something to do."""
        return sum(1 for handle in self._handles if handle.images)

    @property
    def queued(self) -> int:
        """Images in hand that wait for a process, or behind another image."""
        return len(self._images) - self.running

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(handle.pid for handle in self._handles)

    # --- what the worker says -------------------------------------------------------------------

    def job(self, message: Job, body: bytes) -> None:
        """A job's constants, in the frame's body they came in; the next `JobReady` is for whoever asked."""
        work = self._works.get(message.job)
        if work is None:
            work = self._works[message.job] = Work(message, body)
        work.job, work.body, work.asked = message, body, True
        for handle in self._handles:
            if handle.was_ready:
                handle.send_job(work)

    def forget(self, job: str) -> None:
        """The job has ended: drop its images, do not commit what is running."""
        if self._works.pop(job, None) is None:
            return
        self._drop(image for image in tuple(self._images.values()) if image.work.job.job == job)
        frame = encode(Forget(job))
        for handle in self._handles:
            handle.send(frame)

    def forget_all(self) -> None:
        for job in tuple(self._works):
            self.forget(job)

    def put(self, job: str, items: Iterable[Item], *, alone: bool = False, front: bool = False) -> None:
        """Process these images of a known job, in this order; ``front``: before all that wait.

        Raises
        ------
        KeyError
            The job is not known.
        """
        work = self._works[job]
        images = [Image(work, item, item[:2], alone) for item in items]
        self._images.update((image.token, image) for image in images)
        self._feeder.add(images, front=front)
        self._feed_soon()

    def cancel(self, job: str, tokens: Iterable[Token]) -> None:
        """Do not begin these, do not commit them, do not tell of them."""
        found = (self._images.get(token) for token in tokens)
        self._drop(image for image in found if image is not None and image.work.job.job == job)

    def renew(self, until: float) -> None:
        """Commits are valid until then, in seconds of `time.monotonic`."""
        self._valid_until = until
        for handle in self._handles:
            handle.renew(until)

    def take_back(self) -> dict[str, list[Token]]:
        """Begin nothing more: the images no process has, by job. Those behind another one follow as `Returned`."""
        back: dict[str, list[Token]] = {}
        for image in self._feeder.remove(lambda image: True):
            back.setdefault(image.work.job.job, []).append(image.token)
            del self._images[image.token]
        for handle in self._handles:
            for image in handle.images.values():
                image.wanted = Wanted.RETURN if image.wanted is Wanted.RESULT else image.wanted
            self._call_off(handle, list(handle.images.values()))
        self._note()
        return back

    def _drop(self, unwanted: Iterable[Image]) -> None:
        images = list(unwanted)
        for image in images:
            image.wanted = Wanted.NOTHING
            del self._images[image.token]
        self._feeder.remove(lambda image: image.wanted is Wanted.NOTHING)
        for handle in {image.holder for image in images if image.holder is not None}:
            self._call_off(handle, [image for image in images if image.holder is handle])
        self._note()

    @staticmethod
    def _call_off(handle: Handle, images: list[Image]) -> None:
        for job in {image.work.job.job for image in images}:
            handle.call_off(job, [image for image in images if image.work.job.job == job])

    # --- feeding --------------------------------------------------------------------------------

    def _feed_soon(self) -> None:
        """Once for all that happens in this turn of the loop."""
        self._note()
        if not self._feeding:
            self._feeding = True
            self._loop.call_soon(self._feed)

    def _feed(self) -> None:
        self._feeding = False
        self._feeder.feed()

    def _note(self) -> None:
        if self._images:
            self._empty.clear()
        else:
            self._empty.set()

    # --- what a process says --------------------------------------------------------------------

    def ready(self, handle: Handle, offer: Offer) -> None:
        self._useless = 0
        for work in self._works.values():
            handle.send_job(work)
        if not self._started.done():
            self.offer = Offer(self.slots, offer.operations, offer.codecs, offer.roots)
            self._started.set_result(None)
        self._changed(handle)

    def said(self, handle: Handle, message: Any, body: bytes) -> None:
        match message:
            case Done() | Failed():
                handle.measure_rows(self._works.get(message.job), len(message.rows))
                self._pass_on(handle, message, message.rows, body, lambda rows: type(message)(message.job, rows))
            case Returned():
                self._pass_on(handle, message, message.tokens, body, lambda rows: Returned(message.job, rows))
            case Unseen():
                self._pass_on(
                    handle, message, message.tokens, body, lambda rows: Unseen(message.job, rows, message.why)
                )
            case JobReady():
                self._job_ready(handle, message, body)
        self._changed(handle)
