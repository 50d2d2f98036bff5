"""Joins one stream and the pool to admission.

One coordinator at a time holds a worker. What it assigns meets admission, image by image: refused ones go
straight back (`Rejected`), delayed ones wait on one timer (`Waiting`) and then go before all others, the
rest go to the pool. What the pool answers goes up unopened.

=====================  ====================================================================================
from the coordinator   what becomes of it
=====================  ====================================================================================
another start of it    with a newer epoch it takes over, as when it dials again; what was assigned is dropped
another name from it   refused: machines.txt names this worker twice
another coordinator    refused, with the holder's name
silence                the lease runs out: the pool commits nothing until the coordinator is heard again
the stream lost        its images are dropped and its jobs forgotten; the worker waits to be dialled again
=====================  ====================================================================================

A worker never loads OpenCV or NumPy, and opens no image: its processes do.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imgpipe import limits
from imgpipe.connection import Door, Owner, Stream
from imgpipe.errors import ProtocolError
from imgpipe.handshake import COORDINATOR, WORKER, Identity
from imgpipe.imaging.bounds import USUAL, Bounds
from imgpipe.pool.parent import Pool, PoolError
from imgpipe.protocol import (
    Cancel,
    DelayedExecute,
    Done,
    Draining,
    Execute,
    Forget,
    Hello,
    Job,
    Rejected,
    Returned,
    Slots,
    Waiting,
)
from imgpipe.rows import Item, Token, batches
from imgpipe.scheduling.admission import Admission, Verdict
from imgpipe.waiting import Delayed, WaitingRoom

log = logging.getLogger(__name__)

_GOODBYE_S = 2.0  # for the last answers to leave, when the worker does
_LEAVING = "the worker was asked to stop"


class Worker(Owner):
    """One worker. Made, started and closed in one running loop.

    Attributes
    ----------
    door : Door
        Makes the streams of this worker: ``door.caller`` is one somebody dialled.
    name : str
        What the coordinator calls it, or else what it was named.
    pool : Pool
        Its processes.
    """

    def __init__(
        self,
        host: str,
        port: int | None,
        *,
        name: str,
        slots: int,
        roots: Mapping[str, bytes],
        load: float = 0.0,
        delay_s: float = limits.DELAY_S,
        seed: int | None = None,
        bounds: Bounds = USUAL,
    ) -> None:
        """Without a port nobody can call from outside: connect it with ``door.caller``.

        ``bounds`` hold for each of its processes.
        """
        self.name = name
        self.door = Door(Identity(WORKER, name), self, self._admit)
        self.pool = Pool(slots, roots, self, bounds)
        self._address = (host, port)
        self._admission = Admission(load, delay_s, random.Random(seed))
        self._waiting = WaitingRoom(self._waited)
        self._jobs: set[str] = set()
        self._held_max = slots + limits.PREFETCH_MAX + 2 * limits.WAITING_MAX
        self._stream: Stream | None = None
        self._server: asyncio.Server | None = None
        self._draining = False
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # --- its life -------------------------------------------------------------------------------

    async def start(self) -> int:
        """Start the pool, then accept callers. Returns the port, 0 if there is none.

        Raises
        ------
        UsageError
            The address cannot be listened on.
        PoolError
            No process of the pool lives.
        """
        host, port = self._address
        if port is None:
            await self.pool.start()
            return 0
        self._server = await self.door.listen(host, port, start=False)
        try:
            await self.pool.start()
        except BaseException:
            self._server.close()
            raise
        await self._server.start_serving()
        return int(self._server.sockets[0].getsockname()[1])

    async def serve(self) -> None:
        """Return when the worker has drained or was stopped.

        Raises
        ------
        PoolError
            The pool has given up; the worker is closed.
        """
        try:
            await asyncio.shield(self._ended)
        finally:
            await self.close()

    async def drain(self, why: str = _LEAVING) -> None:
        """Take nothing more, give back what has not begun, finish the rest, then leave."""
        self._draining = True
        self._send(Draining(why))
        for job, tokens in (*self._waiting.clear().items(), *self.pool.take_back().items()):
            self._send_tokens(Returned, job, tokens)
        await self.pool.idle()
        stream = self._stream
        if stream is not None:
            stream.close(why)
            await asyncio.wait((stream.ended,), timeout=_GOODBYE_S)
        self.stop()

    def stop(self) -> None:
        """Leave now: `serve` returns."""
        if not self._ended.done():
            self._ended.set_result(None)

    async def close(self) -> None:
        """Close everything; every process is gone when this returns."""
        self.stop()
        if self._server is not None:
            self._server.close()
        if (stream := self._stream) is not None:  # first: it brings images that the pool would not know
            stream.abort("the worker has stopped")
            await stream.ended
        self._waiting.clear()
        await self.pool.close()

    # --- the coordinator ------------------------------------------------------------------------

    def _admit(self, hello: Hello) -> str:
        if hello.role != COORDINATOR:
            return f"this is worker {self.name!r}: it takes calls from coordinators, not from a {hello.role}"
        return self._holder_words(hello.name, hello.epoch, hello.peer)

    def _holder_words(self, name: str, epoch: int, called: str) -> str:
        """Why the worker is not for this coordinator, or nothing. ``called`` is what it calls the worker."""
        if self._stream is None:
            return ""
        holder = self._stream.peer
        if holder.name != name:
            return f"worker {self.name!r} is held by coordinator {holder.name!r} at {self._stream.address}"
        if epoch < holder.epoch:
            return f"worker {self.name!r} is held by a newer start of coordinator {name!r}"
        mine = self._stream.called
        if epoch == holder.epoch and called != mine and self._stream.open:
            return f"this worker is already {mine!r} of that coordinator: machines.txt names it twice"
        return ""

    def opened(self, stream: Stream) -> None:
        if why := self._holder_words(stream.peer.name, stream.peer.epoch, stream.called):
            stream.close(why)  # two came at once
            return
        before, self._stream = self._stream, stream
        if before is not None:
            self._lost()
            before.close("another start of the coordinator took over")
        self.name = stream.called or self.name
        self.pool.limit(self.pool.slots)
        log.info("coordinator %r at %s", stream.peer.name, stream.address)
        self._send(replace(self.pool.offer, load=self._admission.load))
        self.beat(stream, 0.0)
        if self._draining:
            self._send(Draining(_LEAVING))

    def closed(self, stream: Stream, why: str) -> None:
        if stream is self._stream:
            self._stream = None
            dropped = self._lost()
            log.info("coordinator %r is gone (%s); %d images dropped", stream.peer.name, why, dropped)

    def _lost(self) -> int:
        """Forget everything the coordinator said. How many images it had here."""
        dropped = len(self._waiting) + len(self.pool)
        self._waiting.clear()
        self.pool.renew(0.0)
        self.pool.forget_all()
        self._jobs.clear()
        return dropped

    def beat(self, stream: Stream, silent_s: float) -> None:
        if stream is self._stream:
            self.pool.renew(stream.last_heard + limits.LEASE_S)

    # --- what it says ---------------------------------------------------------------------------

    def received(self, stream: Stream, message: Any, body: bytes) -> None:
        if stream is not self._stream:
            return
        match message:
            case Execute() | DelayedExecute():
                self._assigned(message)
            case Job():
                self._job(message, body)
            case Cancel():
                self._waiting.remove(message.tokens)
                self.pool.cancel(message.job, message.tokens)
            case Forget():
                self._jobs.discard(message.job)
                self._waiting.forget(message.job)
                self.pool.forget(message.job)
            case Slots():
                self.pool.limit(message.slots)
            case _:
                raise ProtocolError(f"a worker does not take {type(message).__name__}")

    def _job(self, message: Job, body: bytes) -> None:
        if message.job not in self._jobs and len(self._jobs) >= limits.JOBS_MAX:
            raise ProtocolError(f"more than {limits.JOBS_MAX} jobs at once")
        self._jobs.add(message.job)
        self.pool.job(message, body)

    def _assigned(self, message: Execute | DelayedExecute) -> None:
        job = message.job
        if job not in self._jobs:
            raise ProtocolError(f"images of a job that was not introduced: {job!r:.40}")
        items = self._new(message.items)
        if self._draining:
            self._send_tokens(Returned, job, [item[:2] for item in items])
            return
        chosen = self._chosen(items, may_refuse=isinstance(message, Execute))
        self._send_tokens(Rejected, job, [item[:2] for item in chosen[Verdict.REJECT]])
        self._send_tokens(Waiting, job, [item[:2] for item in chosen[Verdict.DELAY]])
        delayed = [Delayed(job, item, message.alone) for item in chosen[Verdict.DELAY]]
        self._waiting.add(delayed, self._admission.delay_s)
        if chosen[Verdict.NOW]:
            self.pool.put(job, chosen[Verdict.NOW], alone=message.alone)

    def _new(self, items: tuple[Item, ...]) -> list[Item]:
        """Those that are not here already, as one sent twice would be."""
        if len(self.pool) + len(self._waiting) + len(items) > self._held_max:
            raise ProtocolError(f"more than {self._held_max} images at once")
        new = {
            item[:2]: item for item in items if item[:2] not in self.pool and item[:2] not in self._waiting
        }
        if len(new) < len(items):
            log.warning("%d images were assigned twice: once is enough", len(items) - len(new))
        return list(new.values())

    def _chosen(self, items: list[Item], *, may_refuse: bool) -> dict[Verdict, list[Item]]:
        """Toss for each; who would have to wait when too many do is processed now."""
        chosen: dict[Verdict, list[Item]] = {verdict: [] for verdict in Verdict}
        room = limits.WAITING_MAX - len(self._waiting)
        for item in items:
            verdict = self._admission.verdict(may_refuse=may_refuse)
            if verdict is Verdict.DELAY and len(chosen[verdict]) >= room:
                verdict = Verdict.NOW
            chosen[verdict].append(item)
        return chosen

    def _waited(self, delayed: list[Delayed]) -> None:
        """Their delay has ended: they go before all that came later."""
        for image in reversed(delayed):
            self.pool.put(image.job, (image.item,), alone=image.alone, front=True)

    # --- what goes up ---------------------------------------------------------------------------

    def _send(self, message: Any) -> None:
        if self._stream is not None:
            self._stream.send(message)

    def _send_tokens(self, kind: type[Rejected | Waiting | Returned], job: str, tokens: list[Token]) -> None:
        for batch in batches(tokens):
            self._send(kind(job, batch))

    def answered(self, message: Any, body: bytes) -> None:
        if self._stream is None:
            return
        if type(message) is Done and self.pool.unstarted:
            self._stream.hold_body(body)
        else:
            self._stream.send_body(body)

    def broken(self, why: str) -> None:
        log.error("the pool has given up: %s", why)
        self.pool.forget_all()
        if self._stream is not None:
            self._stream.abort("its pool is broken")
        if not self._ended.done():
            self._ended.set_exception(PoolError(why))
            self._ended.exception()  # whoever serves hears of it; nobody has to
