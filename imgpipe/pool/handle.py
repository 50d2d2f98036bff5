"""One process from its start to its end, as its parent sees it.

starting → (`Offer`) ready → (`Draining`) retiring → ended. It may end from anywhere: that is seen as
end-of-file on the socket, after everything it said has been heard, or by the watch where somebody else holds
the socket open. It is always reaped, and never waited for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from itertools import groupby, islice
from time import monotonic
from typing import Any, Protocol

from imgpipe import limits
from imgpipe.connection import Channel, Owner
from imgpipe.errors import ProtocolError
from imgpipe.frames import Frames, framed
from imgpipe.imaging.bounds import Bounds
from imgpipe.pool import cell
from imgpipe.pool.images import Image, Wanted, Work
from imgpipe.protocol import Cancel, Draining, Execute, Offer, Refused, decode, encode_batch
from imgpipe.rows import Token

log = logging.getLogger(__name__)

_BLOCKED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_REAP_S = 0.002  # between two looks at a process whose socket has ended; it is gone in a moment …
_LINGER_S = 1.0  # … or killed after this


class Keeper(Protocol):
    """Who is told about a process."""

    def ready(self, handle: Handle, offer: Offer) -> None: ...

    def said(self, handle: Handle, message: Any, body: bytes) -> None: ...

    def ended(self, handle: Handle) -> None: ...


class Handle(Owner):
    """A process, what it was given and has not answered, and what it died of.

    Attributes
    ----------
    images : dict
        Given and not answered, by token, in the order they were given.
    of_use : bool
        It has begun an image.
    why : str
        What it died of, once it has ended.
    """

    def __init__(
        self, keeper: Keeper, roots: Mapping[str, bytes], bounds: Bounds, valid_until: float
    ) -> None:
        self.images: dict[Token, Image] = {}
        self.of_use = False
        self.why = ""
        self.ahead_s = 0.0
        self.was_ready = False
        self.overdue: Token | None = None
        self._asked: dict[str, int] = {}  # by job, how many `JobReady` are still to come
        self._keeper = keeper
        self._roots = roots
        self._bounds = bounds
        self._loop = asyncio.get_running_loop()
        self._retiring = False
        self._channel: Channel | None = None
        self._born = monotonic()
        self._free_since = self._born
        self._refused = ""
        self._seen_dead = False
        self._collected = 0  # serial number of the image before which the mailbox was last looked at
        self._finished = False
        descriptor = cell.create()
        try:
            self._cell = cell.Cell(descriptor)
            self._cell.renew(valid_until)
            self._socket = self._spawn(descriptor)
        finally:
            os.close(descriptor)

    # --- starting -------------------------------------------------------------------------------

    def _spawn(self, cell_fd: int) -> socket.socket:
        here, there = socket.socketpair()
        with there:
            try:
                self._popen = self._popened(there.fileno(), cell_fd)
            except BaseException:
                here.close()
                raise
        return here

    def _popened(self, socket_fd: int, cell_fd: int) -> subprocess.Popen[bytes]:
        """Started with the signals meant for us blocked, so that it can ignore them before it sees any."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED)
        try:
            return subprocess.Popen(
                self._command(socket_fd, cell_fd),
                stdin=subprocess.DEVNULL,
                stdout=2,  # stdout is data, and ours
                pass_fds=(socket_fd, cell_fd),
                env=_environment() | self._bounds.environment,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _command(self, socket_fd: int, cell_fd: int) -> list[str]:
        numbers = (socket_fd, cell_fd, os.getpid(), limits.RECYCLE_IMAGES, limits.RECYCLE_GROWTH)
        roots = [f"{name}={os.fsdecode(path)}" for name, path in self._roots.items()]
        words = (*map(str, numbers), *self._bounds.words(), *roots)
        return [sys.executable, "-P", "-m", "imgpipe.pool", *words]

    async def connect(self) -> None:
        """Begin to listen to it."""
        await self._loop.create_unix_connection(lambda: Channel(self), sock=self._socket)

    def opened(self, channel: Channel) -> None:
        self._channel = channel

    # --- what it is given -----------------------------------------------------------------------

    @property
    def takes(self) -> bool:
        return self.was_ready and not self._retiring and self._channel is not None and self._channel.open

    @property
    def held(self) -> int:
        return len(self.images)

    @property
    def alone(self) -> bool:
        return any(image.alone for image in islice(self.images.values(), 1))  # then it is the only one

    @property
    def pid(self) -> int:
        return self._popen.pid

    def send(self, frame: bytes) -> None:
        if self._channel is not None:
            self._channel.send_frame(frame)

    def send_job(self, work: Work) -> None:
        job = work.job.job
        self._asked[job] = self._asked.get(job, 0) + 1
        self.send(framed(work.body))

    def answered_job(self, job: str) -> bool:
        """It has said `JobReady`. Was that to the latest `Job`?"""
        left = self._asked.pop(job, 1) - 1
        if left:
            self._asked[job] = left
        return not left

    @property
    def unanswered_jobs(self) -> tuple[str, ...]:
        """Jobs it was introduced to and has not said `JobReady` for."""
        return tuple(self._asked)

    def give(self, images: list[Image]) -> None:
        """These are for you, in this order. They leave at once."""
        if not self.images:
            self._free_since = monotonic()
            self.ahead_s = 0.0
        for image in images:
            image.holder = self
            image.cost_s = image.work.service_s
            self.ahead_s += image.cost_s
            self.images[image.token] = image
        for work, group in groupby(images, lambda image: image.work):
            items = [image.item for image in group]
            for frame in encode_batch(lambda _, part, job=work.job.job: Execute(job, part), items):  # type: ignore[misc]
                self.send(frame)
        assert self._channel is not None
        self._channel.flush()

    def take(self, image: Image) -> None:
        """It has answered this image, or it is taken from it."""
        del self.images[image.token]
        self.ahead_s -= image.cost_s
        image.holder = None

    def measure(self, work: Work, count: int) -> None:
        """So many images of this job were answered at once."""
        now = monotonic()
        work.learn((now - self._free_since) / count)
        self._free_since = now
        self.of_use = True

    # --- calling off ----------------------------------------------------------------------------

    def call_off(self, images: Iterable[Image], wanted: Wanted) -> None:
        """Do not begin these; and if nobody wants to hear of the one being run, it may not be committed."""
        tokens: dict[str, list[Token]] = {}
        for image in images:
            image.wanted = max(image.wanted, wanted)
            tokens.setdefault(image.job, []).append(image.token)
        for job, part in tokens.items():
            for frame in encode_batch(lambda _, batch, job=job: Cancel(job, batch), part):  # type: ignore[misc]
                self.send(frame)
        self.fence()

    def fence(self) -> None:
        """Forbid the commit of what is being run, if it is not wanted any more."""
        running = self._cell.running()
        if running is not None:
            image = self.images.get(running.token)
            if image is not None and image.wanted is Wanted.NOTHING:
                self._cell.write_off(running.serial)

    def renew(self, until: float) -> None:
        self._cell.renew(until)

    def running(self) -> Token | None:
        """What is, or was when it died, being run."""
        running = self._cell.running()
        return running.token if running else None

    # --- what it says ---------------------------------------------------------------------------

    def received(self, channel: Any, message: Any, body: bytes) -> None:
        match message:
            case Offer():
                self.was_ready = True
                self._keeper.ready(self, message)
            case Draining():
                log.info("process %d is replaced: %s", self.pid, message.why)
                self._retiring = True
                self.retire()
            case Refused():
                self._refused = message.why
            case _:
                self._keeper.said(self, message, body)

    def retire(self) -> None:
        """Let a process that wants to be replaced go, once it holds nothing."""
        if self._retiring and not self.images and self._channel is not None:
            self._channel.close("it was replaced")

    def _collect_if_stuck(self, now: float) -> None:
        """What it had done before an image that takes its time shall not wait for that image."""
        running = self._cell.running()
        if running is None or running.serial == self._collected or now - running.start < limits.WATCH_S / 2:
            return
        kept = self._cell.kept()
        if self._cell.running() == running:  # else it is going on, and tells by itself
            self._collected = running.serial
            self._collect(kept)

    def _collect(self, kept: bytes) -> None:
        """Hear what it has in its mailbox; it may say it again."""
        try:
            for body in Frames().feed(kept):
                self.received(None, decode(body), body)
        except ProtocolError as error:  # something in it wrote where it should not: the images are done again
            log.warning("process %d left something else than answers: %s", self.pid, error)

    # --- its end --------------------------------------------------------------------------------

    def watch(self, now: float) -> None:
        """Hold it against its time limits; see whether it is dead though nobody said so."""
        if self._popen.poll() is not None:
            if self._seen_dead and self._channel is not None:
                self._channel.abort("its process has ended")  # somebody else holds its socket
            self._seen_dead = True
        elif not self.was_ready:
            if now - self._born > limits.START_S:
                self.kill()
        else:
            self.fence()
            self._collect_if_stuck(now)
            self._hold_to_time(now)

    def _hold_to_time(self, now: float) -> None:
        running = self._cell.running()
        image = self.images.get(running.token) if running else None
        if running is None or image is None or self.overdue is not None:
            return
        if now - running.start > (image.work.job.timeout_s or float("inf")):
            self.overdue = running.token
            self.kill()

    def kill(self) -> None:
        self._popen.kill()

    def closed(self, channel: Channel, why: str) -> None:
        self._reap(monotonic() + _LINGER_S)

    def _reap(self, patience: float) -> None:
        code = self._popen.poll()
        if code is None:
            if monotonic() > patience:
                self.kill()
            self._loop.call_later(_REAP_S, self._reap, patience)
        elif not self._finished:
            self._finished = True
            self._collect(self._cell.kept())
            self.why = self._refused or death_words(code)
            self.of_use = self.of_use or self.running() is not None
            self._keeper.ended(self)
            self._cell.close()


def death_words(code: int) -> str:
    """What an exit status says: ``killed by SIGSEGV``, ``exit code 3``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def _environment() -> dict[str, str]:
    """Ours; NumPy's libraries start no threads; and modules are found where we find them."""
    paths = [os.path.abspath(path) for path in sys.path]
    one = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **one, "PYTHONPATH": os.pathsep.join(paths)}
