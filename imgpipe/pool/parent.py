"""The pool as its worker sees it: jobs and images go in, answers come out.

Every image put in is answered once, unless it was cancelled or forgotten: `Done` or `Failed` when it was run,
`Unseen` or `Returned` when it goes back. What a process answers is sent on unopened where every image in
it is still wanted.

A death is nobody's fault but the running image's. Where nothing was running, all images go to another
process; only one that was first in the queue of `DEATHS_MAX` processes when they died is blamed. A job that
kills as many processes when they are introduced to it is not for this worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from imgpipe.errors import FaultError, Kind
from imgpipe.imaging.bounds import USUAL, Bounds
from imgpipe.pool.crew import Crew
from imgpipe.pool.feeder import Feeder
from imgpipe.pool.handle import Handle
from imgpipe.pool.images import Image, Wanted, Work
from imgpipe.protocol import Done, Failed, Forget, Job, JobReady, Offer, Returned, encode, packed
from imgpipe.rows import Item, Token

log = logging.getLogger(__name__)

DEATHS_MAX = 3  # once or twice is chance: somebody killed a process between two images


class PoolError(FaultError):
    """No process of the pool lives long enough to be of use."""


class PoolOwner(Protocol):
    """Who is told what happens in a pool."""

    def answered(self, message: Any, body: bytes) -> None:
        """`JobReady`, `Done`, `Failed`, `Unseen` or `Returned` for the coordinator, and its frame's body."""

    def broken(self, why: str) -> None:
        """The pool has given up."""


class Pool:
    """So many processes, each with one image at a time. Made, started and closed in one running loop.

    Attributes
    ----------
    offer : Offer
        What the pool can be given; known once started.
    """

    offer: Offer

    def __init__(
        self,
        slots: int,
        roots: Mapping[str, bytes],
        owner: PoolOwner,
        bounds: Bounds = USUAL,
    ) -> None:
        """``bounds`` hold for each process."""
        self.slots = slots
        self._owner = owner
        self._works: dict[str, Work] = {}
        self._images: dict[Token, Image] = {}  # those somebody wants to hear of
        self._feeder = Feeder(slots)
        self._valid_until = 0.0
        bounds = bounds.among(slots)
        self._crew = Crew(slots, lambda keeper: Handle(keeper, roots, bounds, self._valid_until), self)
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._feeding = False
        self._empty = asyncio.Event()
        self._empty.set()

    async def start(self) -> None:
        """Start every process, and return when the first is ready.

        Raises
        ------
        PoolError
            None of them lives so long.
        """
        self._crew.start()
        try:
            await self._started
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Kill every process, and return when all are gone. Nothing more is answered."""
        self.forget_all()
        await self._crew.close()

    async def idle(self) -> None:
        """Return when no image is in hand."""
        await self._empty.wait()

    # --- what is in hand ------------------------------------------------------------------------

    def __contains__(self, token: Token) -> bool:
        return token in self._images

    def __len__(self) -> int:
        """Images in hand."""
        return len(self._images)

    @property
    def running(self) -> int:
        """Processes that have something to do."""
        return sum(1 for handle in self._crew if handle.images)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes there are, ready or not."""
        return tuple(handle.pid for handle in self._crew)

    # --- what the worker says -------------------------------------------------------------------

    def job(self, message: Job, body: bytes) -> None:
        """A job's constants, with the frame's body they came in: one `JobReady` answers, each time anew."""
        work = self._works.setdefault(message.job, Work(message, body))
        work.job, work.body, work.asked, work.deadly = message, body, True, False
        for handle in self._crew:
            if handle.was_ready:
                handle.send_job(work)

    def forget(self, job: str) -> None:
        """The job has ended: drop its images, and do not commit those that are being run."""
        if self._works.pop(job, None) is None:
            return
        self._drop(image for image in tuple(self._images.values()) if image.job == job)
        frame = encode(Forget(job))
        for handle in self._crew:
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
        self._note()
        self._feed_soon()

    def cancel(self, job: str, tokens: Iterable[Token]) -> None:
        """Do not begin these, do not commit them, do not tell of them."""
        found = map(self._images.get, tokens)
        self._drop(image for image in found if image is not None and image.job == job)

    def renew(self, until: float) -> None:
        """Commits are valid until then, in seconds of `time.monotonic`."""
        self._valid_until = until
        for handle in self._crew:
            handle.renew(until)

    @property
    def unstarted(self) -> int:
        """Images that no process has yet."""
        return len(self._feeder)

    def limit(self, slots: int) -> None:
        """Run at most so many images at once, until it is said anew; never more than the pool's slots."""
        self._feeder.slots = max(1, min(slots, self.slots))
        self._feed_soon()

    def take_back(self) -> dict[str, list[Token]]:
        """Begin nothing more: the images that no process has, by job.

        Those that wait behind another one in a process follow as `Returned`.
        """
        back: dict[str, list[Token]] = {}
        for image in self._feeder.remove(lambda image: True):
            back.setdefault(image.job, []).append(image.token)
            del self._images[image.token]
        for handle in self._crew:
            handle.call_off(handle.images.values(), Wanted.RETURN)
        self._note()
        return back

    def _drop(self, unwanted: Iterable[Image]) -> None:
        held: dict[Handle, list[Image]] = {}
        for image in unwanted:
            image.wanted = Wanted.NOTHING
            del self._images[image.token]
            if image.holder is not None:
                held.setdefault(image.holder, []).append(image)
        self._feeder.remove(lambda image: image.wanted is Wanted.NOTHING)
        for handle, images in held.items():
            handle.call_off(images, Wanted.NOTHING)
        self._note()

    # --- feeding --------------------------------------------------------------------------------

    def _changed(self, handle: Handle) -> None:
        self._feeder.changed(handle)
        self._feed_soon()

    def _feed_soon(self) -> None:
        """Once for all that happens in this turn of the loop."""
        if not self._feeding and len(self._feeder):
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
        for work in self._works.values():
            if not work.deadly:
                handle.send_job(work)
        if not self._started.done():
            self.offer = replace(offer, slots=self.slots)
            self._started.set_result(None)
        self._changed(handle)

    def said(self, handle: Handle, message: Any, body: bytes) -> None:
        if isinstance(message, JobReady):
            self._job_ready(handle, message, body)
            return
        column = "rows" if isinstance(message, Done | Failed) else "tokens"
        said = getattr(message, column)
        rows = [row for row in said if row[:2] in handle.images]  # the others were said before
        kept = [row for row in rows if self._settle(handle, message.job, row[:2])]
        if rows and (work := self._works.get(message.job)):
            handle.measure(work, len(rows))
        if len(kept) == len(said):
            self._owner.answered(message, body)
        elif kept:
            self._tell(replace(message, **{column: tuple(kept)}))
        self._note()
        handle.retire()
        self._changed(handle)

    def _settle(self, handle: Handle, job: str, token: Token) -> bool:
        """An image was answered: does anybody want to know?"""
        image = handle.images.get(token)
        if image is None or image.job != job:
            return False
        handle.take(image)
        if image.wanted is Wanted.NOTHING:
            return False
        del self._images[token]
        return True

    def _job_ready(self, handle: Handle, message: JobReady, body: bytes) -> None:
        """Only the first answer to the latest question is told."""
        work = self._works.get(message.job)
        if handle.answered_job(message.job) and work is not None and work.asked:
            work.asked = False
            self._owner.answered(message, body)

    def _tell(self, message: Any) -> None:
        self._owner.answered(message, packed(message))

    # --- the end of a process -------------------------------------------------------------------

    def lost(self, handle: Handle) -> None:
        blamed = self._blamed(handle)
        if blamed is not None:
            self._blame(handle, blamed)
        if not handle.of_use:
            self._blame_jobs(handle)
        self._give_back(handle)
        self._note()
        self._changed(handle)

    @staticmethod
    def _blamed(handle: Handle) -> Image | None:
        """The image that was being run; or for which it was killed: it may have begun another since."""
        if handle.overdue is not None:
            return handle.images.get(handle.overdue)
        running = handle.running()
        if running is not None:
            return handle.images.get(running)
        first = next(iter(handle.images.values()), None)
        if first is None:
            return None
        first.deaths += 1
        return first if first.deaths >= DEATHS_MAX else None

    def _blame(self, handle: Handle, image: Image) -> None:
        kind, words = Kind.CRASHED, handle.why
        if handle.overdue is not None:
            kind, words = Kind.TIMEOUT, f"no result after {image.work.job.timeout_s:g} s"
        log.warning("process %d: %s, under image %d of job %s", handle.pid, words, image.token[0], image.job)
        if self._settle(handle, image.job, image.token):
            self._tell(Failed(image.job, ((*image.token, str(kind), words, True),)))

    def _blame_jobs(self, handle: Handle) -> None:
        """It died before it did anything, perhaps of a job: of an operation's package that it had to load."""
        for job in handle.unanswered_jobs:
            work = self._works.get(job)
            if work is None:
                continue
            work.deaths += 1
            if work.asked and work.deaths >= DEATHS_MAX:
                work.asked, work.deadly, work.deaths = False, True, 0
                self._tell(JobReady(job, False, f"processes die when they load its operations: {handle.why}"))

    def _give_back(self, handle: Handle) -> None:
        """What it had not begun was never given to it."""
        again = []
        for image in tuple(handle.images.values()):
            handle.take(image)
            if image.wanted is Wanted.RESULT:
                again.append(image)
            elif image.wanted is Wanted.RETURN:
                del self._images[image.token]
                self._tell(Returned(image.job, (image.token,)))
        self._feeder.add(again, front=True)

    def given_up(self, why: str) -> None:
        if self._started.done():
            self._owner.broken(why)
        else:
            self._started.set_exception(PoolError(why))
