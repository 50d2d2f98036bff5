"""Joins sockets, the clock and the listing to the scheduler.

Bytes come in by `Owner` calls, are turned into calls of the scheduler, and wake one `_flush` per turn of
the loop: outbox → frames, joined per peer; facts → journals and their followers; one timer re-armed. No
thread, task, future or wake-up exists for an image. Tasks own lifetimes only: a dial loop for each machine,
and the taking in of a job, whose look at the file system happens in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import imgpipe
from imgpipe import limits
from imgpipe.connection import Door, Owner, Stream, join, keep_dialling
from imgpipe.errors import ExitCode, ProtocolError, UnfinishedError, UsageError
from imgpipe.handshake import CLIENT, COORDINATOR, WORKER, Identity
from imgpipe.jobs.board import Jobs, LiveJob
from imgpipe.machines import Machine
from imgpipe.protocol import (
    Accepted,
    Cancel,
    CancelJob,
    Declined,
    DelayedExecute,
    Execute,
    Follow,
    Hello,
    JobReady,
    Offer,
    Slots,
    Status,
    StatusRequest,
    SubmitRequest,
    encode,
    encode_batch,
)
from imgpipe.scheduling.records import WorkerRecord
from imgpipe.scheduling.scheduler import Scheduler
from imgpipe.storage import Roots

log = logging.getLogger(__name__)

_ROWS_OF_STATUS = 24  # with two paths and two reasons in each: well within a frame
_BATCH_FIELDS: dict[type, str] = {Execute: "items", DelayedExecute: "items", Cancel: "tokens"}
_DRAINING = "the coordinator is leaving"


class Coordinator(Owner):
    """The fleet's one decision maker, on its loop."""

    def __init__(
        self,
        *,
        roots: Roots,
        machines: tuple[Machine, ...] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        seed: int | None = None,
    ) -> None:
        self.host, self.port = host, port
        self.epoch = int(time.time()) & 0x7FFF_FFFF  # attempts are (epoch << 32) + serial, in 63 bits
        self._machines = {machine.name: machine for machine in machines}
        self._rng = random.Random(seed)
        self._scheduler = Scheduler(random.Random(self._rng.random()), self.epoch)
        self._workers: dict[str, Stream] = {}
        self._clients: set[Stream] = set()
        self.jobs = Jobs(self._scheduler, roots, self._wake, self._spawn)
        self._lifetimes: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.get_running_loop()
        self._awake = False
        self._timer: asyncio.TimerHandle | None = None
        self.door = Door(Identity(COORDINATOR, f"this process ({id(self):x})", self.epoch), self, self._admit)

    # --- its life -------------------------------------------------------------------------------

    async def start(self) -> tuple[str, int]:
        """Listen for clients and begin to dial the machines.

        Raises
        ------
        UsageError
            The port is taken, or the address is not this machine's.
        """
        self._server = await self.door.listen(self.host, self.port)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        self.door.me = Identity(COORDINATOR, f"{socket.gethostname()}:{self.port}", self.epoch)
        for machine in self._machines.values():
            self._scheduler.known(machine.name, str(machine.address), time.monotonic())
            self._spawn(self._dial(machine))
        return self.host, self.port

    async def adopt(self, name: str, worker: Door) -> None:
        """Join a worker of this process, without a port."""
        self._scheduler.known(name, "this process", time.monotonic())
        await join(partial(self.door.dialled, name), worker.caller)

    async def drain(self) -> None:
        """Take no new jobs, hand out nothing more, let what is in hand end, tell everybody, and stop."""
        await self.jobs.close(_DRAINING, drain=True)
        await self.stop()

    async def stop(self) -> None:
        """Cancel every job, clean up after it, and end every stream and every task."""
        if self._server is not None:
            self._server.close()
        with suppress(TimeoutError):
            await self.jobs.close(_DRAINING, drain=False)
        for task in self._lifetimes:
            task.cancel()
        await asyncio.gather(*self._lifetimes, return_exceptions=True)
        streams = [*self._workers.values(), *self._clients]
        for stream in streams:
            stream.close("the coordinator has ended")
        await asyncio.gather(*(stream.ended for stream in streams))
        if self._timer is not None:
            self._timer.cancel()

    async def _dial(self, machine: Machine) -> None:
        address = machine.address

        def told(why: str) -> None:
            log.info("machine %s (%s): %s", machine.name, address, why)
            self._scheduler.unreachable(machine.name, why, time.monotonic())
            self._wake()

        await keep_dialling(self.door, address.host, address.port, machine.name, told, self._rng)
        log.warning("machine %s (%s) refused us and is not dialled again", machine.name, address)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._lifetimes.add(task)
        task.add_done_callback(self._ended_task)

    def _ended_task(self, task: asyncio.Task[None]) -> None:
        self._lifetimes.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a fault of imgpipe's own", exc_info=error)

    # --- streams --------------------------------------------------------------------------------

    def _admit(self, hello: Hello) -> str:
        if hello.role != CLIENT:
            return f"this is a coordinator: it takes clients, not a {hello.role}"
        return self.jobs.closed

    def opened(self, channel: Stream) -> None:
        if channel.peer.role == CLIENT:
            self._clients.add(channel)
        elif channel.peer.role != WORKER:
            channel.refused = True
            channel.close(f"expected a worker there, found a {channel.peer.role}")

    def received(self, channel: Stream, message: Any, body: bytes) -> None:
        now = time.monotonic()
        if channel.peer.role == CLIENT:
            self._from_client(channel, message)
            if not channel.writable:  # it asks, and does not read the answers
                channel.pause_reading()
        else:
            self._from_worker(channel, message, now)
        self._wake()

    def closed(self, channel: Stream, why: str) -> None:
        now = time.monotonic()
        if channel in self._clients:
            self._clients.discard(channel)
            self.jobs.leave(channel)
        if self._workers.get(channel.called) is channel:
            del self._workers[channel.called]
            log.info("worker %s is gone: %s", channel.called, why)
            self._scheduler.lost(channel.called, now, why)
        self._wake()

    def beat(self, channel: Stream, silent_s: float) -> None:
        if self._workers.get(channel.called) is channel:
            self._scheduler.suspected(channel.called, silent_s >= limits.SUSPECT_S, time.monotonic())
            self._wake()

    def drained(self, channel: Stream) -> None:
        if channel in self._clients:
            channel.resume_reading()
            self.jobs.push(channel)
        self._wake()

    # --- workers --------------------------------------------------------------------------------

    def _from_worker(self, stream: Stream, message: Any, now: float) -> None:
        name = stream.called
        if isinstance(message, Offer):
            self._joined(stream, message, now)
        elif self._workers.get(name) is stream:
            self._scheduler.received(name, message, now)
            if isinstance(message, JobReady) and not message.ready:
                self.jobs.not_seen(message.job)
        else:
            raise ProtocolError(f"expected an Offer first, got {type(message).__name__}")

    def _joined(self, stream: Stream, offer: Offer, now: float) -> None:
        name = stream.called
        old = self._workers.get(name)
        self._workers[name] = stream
        if old is not None and old is not stream:
            old.abort("another stream took its place")
        machine = self._machines.get(name)
        slots = min(offer.slots, limits.SLOTS_MAX)
        if machine is not None and machine.slots is not None:
            slots = min(slots, machine.slots)
        address = str(machine.address) if machine else stream.address
        slots = max(1, slots)
        if slots < offer.slots:
            stream.send(Slots(slots))
        self._scheduler.joined(name, replace(offer, slots=slots), now, address)
        log.info("worker %s (%s) has joined with %d slots", name, address, slots)

    # --- clients --------------------------------------------------------------------------------

    def _from_client(self, stream: Stream, message: Any) -> None:
        match message:
            case SubmitRequest():
                self._spawn(self._take_in(stream, message))
            case Follow():
                if (job := self._find(stream, message.job)) is not None:
                    self._attend(stream, job, message.first)
            case CancelJob():
                if (job := self._find(stream, message.job)) is not None:
                    self.jobs.cancel(job, message.drain, "stopped by a client")
            case StatusRequest():
                for status in self._status():
                    stream.send(status)
            case _:
                raise ProtocolError(f"a client does not send {type(message).__name__}")

    async def _take_in(self, stream: Stream, request: SubmitRequest) -> None:
        stream.pause_reading()  # one request at a time
        try:
            job = await self.jobs.accept(request)
        except UsageError as error:
            _decline(stream, ExitCode.USAGE, error)
        except UnfinishedError as error:
            _decline(stream, ExitCode.UNFINISHED, error)
        except ProtocolError as error:
            log.warning("closing the connection with %s: %s", stream.address, error)
            stream.close(f"protocol error: {error}")
        else:
            self._attend(stream, job, 0)
            self._wake()
        finally:
            stream.resume_reading()

    def _attend(self, stream: Stream, job: LiveJob, first: int) -> None:
        stream.send(Accepted(job.plan.job, job.plan.source.path, job.plan.output.path))
        if stream in self._clients:  # it may have gone while the job was taken in
            job.followed.follow(stream, first, time.monotonic())

    def _find(self, stream: Stream, word: str) -> LiveJob | None:
        try:
            return self.jobs.find(word)
        except UsageError as error:
            _decline(stream, ExitCode.USAGE, error)
            return None

    # --- one turn of the loop -------------------------------------------------------------------

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._awake = False
        now = time.monotonic()
        self._scheduler.elapsed(now)
        box = self._scheduler.outbox(now)
        for worker, message in box.messages:
            self._send(worker, message)
        for job, facts in box.facts:
            self.jobs.tell(job, facts)
        for record in box.ended:
            self.jobs.ended(record)
        self.jobs.feed(box.hungry)
        self._rearm(now)

    def _send(self, worker: str, message: Any) -> None:
        stream = self._workers.get(worker)
        if stream is None:
            return
        try:
            for frame in _frames(message):
                stream.send_frame(frame)
        except ValueError as error:  # no limit is known to let this happen; if one does, it is one job's end
            log.error("job %s cannot be sent and is cancelled: %s", message.job, str(error)[:300])
            self.jobs.cancel(self.jobs[message.job], False, "it does not fit into a message")

    def _rearm(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._scheduler.deadline()
        if deadline is not None:
            self._timer = self._loop.call_later(max(0.0, deadline - now), self._wake)

    # --- status ---------------------------------------------------------------------------------

    def _reasons(self, job: str) -> list[str]:
        """Why workers do not see a job's folders, each reason once."""
        views = (worker.sights.get(job) for worker in self._scheduler.fleet.workers.values())
        return list(dict.fromkeys(view.why for view in views if view is not None and view.why))

    def _status(self) -> Iterator[Status]:
        """As many messages as it takes; the last has ``more`` false."""
        workers = [_worker_row(worker) for worker in self._scheduler.fleet.workers.values()]
        jobs = [job.row(self._reasons(job.plan.job)) for job in self.jobs]
        more = True
        while more:
            some, workers = workers[:_ROWS_OF_STATUS], workers[_ROWS_OF_STATUS:]
            rows, jobs = jobs[:_ROWS_OF_STATUS], jobs[_ROWS_OF_STATUS:]
            more = bool(workers or jobs)
            version = imgpipe.__version__
            yield Status(self.door.me.name, version, self.epoch, tuple(some), tuple(rows), more)


def _worker_row(worker: WorkerRecord) -> tuple[Any, ...]:
    asides = "; ".join(f"job {job}: {view.why}" for job, view in worker.sights.items() if view.why)
    state = "aside" if asides and worker.state == "live" else str(worker.state)
    counts = (worker.slots, worker.busy, len(worker.waiting), worker.done)
    return (worker.name, worker.address, state, *counts, (worker.why or asides)[:1000])


def _decline(stream: Stream, code: ExitCode, error: Exception) -> None:
    stream.send(Declined(code, str(error)[: limits.TEXT_MAX]))


def _frames(message: Any) -> Iterator[bytes]:
    """A message as one frame; a batch that is too long for one as several."""
    batch_field = _BATCH_FIELDS.get(type(message))
    if batch_field is None:
        yield encode(message)
        return
    rows = getattr(message, batch_field)
    yield from encode_batch(lambda _, part: replace(message, **{batch_field: part}), rows)
