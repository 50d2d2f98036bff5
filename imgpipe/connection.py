"""One stream that speaks messages: dialling, the hello, heartbeats, one write per turn of the loop.

`Channel` moves frames over any transport, and is all that a worker and its pool processes need between them.
`Stream` is a channel between machines: it says hello first, proves every second that it is alive, and
watches that the other side does.

Both are `asyncio.Protocol`: no ``await`` stands between bytes and the decision they lead to. Whatever is sent
during one turn of the loop leaves as one joined write. What happens is told to an `Owner`, by plain calls; a
`ProtocolError` that such a call raises closes this connection and nothing else.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import random
import socket
import time
from collections.abc import Callable
from typing import Any, cast

from imgpipe import limits
from imgpipe.errors import ProtocolError, UsageError
from imgpipe.frames import Frames, framed
from imgpipe.handshake import Admit, Handshake, Identity, RefusedError
from imgpipe.protocol import Beat, Refused, decode, encode

log = logging.getLogger(__name__)


class Owner:
    """Who is told what happens on a channel. Everything may be left as it is."""

    def opened(self, channel: Any) -> None:
        """The channel may be used (on a stream: the hello is done)."""

    def received(self, channel: Any, message: Any, body: bytes) -> None:
        """A checked message, and the frame's body it came in, to be sent on unopened."""

    def closed(self, channel: Any, why: str) -> None:
        """The channel has ended; ``why`` is for people."""

    def beat(self, channel: Any, silent_s: float) -> None:
        """Once a heartbeat: the other side has been silent for this long."""

    def drained(self, channel: Any) -> None:
        """What was written has mostly left: it may be given more."""


class Channel(asyncio.Protocol):
    """Messages over one transport."""

    def __init__(self, owner: Owner, frame_max: int = limits.FRAME_MAX) -> None:
        self.owner = owner
        self.loop = asyncio.get_running_loop()
        self.last_heard = time.monotonic()
        self.writable = True
        self.misunderstood = False  # the other side broke the protocol, as far as we can tell
        self.address = "?"
        self.ended: asyncio.Future[str] = self.loop.create_future()
        self._frames = Frames(frame_max)
        self._out: list[bytes] = []
        self._leaving: asyncio.Handle | None = None  # the flush to come …
        self._held = False  # … and whether it takes its time
        self._why = ""
        self._transport: asyncio.Transport | None = None

    # --- sending --------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, message: Any) -> None:
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s > %s", self.address, message)
        self.send_frame(encode(message))

    def send_body(self, body: bytes) -> None:
        """Send on a frame's body as it came."""
        self.send_frame(framed(body))

    def send_frame(self, frame: bytes) -> None:
        self._out.append(frame)
        if self._leaving is None or self._held:
            self._leave(self.loop.call_soon(self.flush), held=False)

    def hold_body(self, body: bytes) -> None:
        """Send on a body that is in no hurry: with whatever is sent next, at the latest after `HOLD_S`.

        A wake-up of the other side costs more than a small image's share of everything else.
        """
        self._out.append(framed(body))
        if self._leaving is None:
            self._leave(self.loop.call_later(limits.HOLD_S, self.flush), held=True)

    def _leave(self, handle: asyncio.Handle | None, held: bool) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
        self._leaving, self._held = handle, held

    def flush(self) -> None:
        """Write what this turn of the loop has gathered."""
        self._leave(None, held=False)
        if self._out and self.open:
            assert self._transport is not None
            self._transport.write(b"".join(self._out))
        self._out.clear()

    def close(self, why: str) -> None:
        """End it once what was sent has left. The first reason given is the one that is told."""
        self._why = self._why or why
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self, why: str) -> None:
        """End it now."""
        self._why = self._why or why
        if self._transport is not None:
            self._transport.abort()

    # --- receiving ------------------------------------------------------------------------------

    def pause_reading(self) -> None:
        """Take no more bytes for now: the other side is held back by its own full buffer."""
        if self._transport is not None and self.open and self._transport.is_reading():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and self.open and not self._transport.is_reading():
            self.last_heard = time.monotonic()
            self._transport.resume_reading()

    # --- what asyncio calls ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=limits.FRAME_MAX)
        self.address = _peer_words(transport)
        self.last_heard = time.monotonic()
        self._begin()

    def data_received(self, data: bytes) -> None:
        self.last_heard = time.monotonic()
        try:
            for body in self._frames.feed(data):
                if self._why:
                    return
                message = decode(body)
                if log.isEnabledFor(logging.DEBUG):
                    log.debug("%s < %s", self.address, message)
                self._received(message, body)
        except ProtocolError as error:
            log.warning("closing the connection with %s: %s", self.address, error)
            self.misunderstood = True
            self.close(f"protocol error: {error}")

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self.owner.drained(self)

    def connection_lost(self, exc: Exception | None) -> None:
        why = self._why or (str(exc) if exc else "the other side closed the connection")
        self._end(why)
        if not self.ended.done():
            self.ended.set_result(why)

    # --- what a stream does differently ---------------------------------------------------------

    def _begin(self) -> None:
        self.owner.opened(self)

    def _received(self, message: Any, body: bytes) -> None:
        self.owner.received(self, message, body)

    def _end(self, why: str) -> None:
        self.owner.closed(self, why)


class Stream(Channel):
    """A channel between machines.

    Attributes
    ----------
    peer : Identity
        Who is on the other side, once opened.
    called : str
        What the dialler called the listener.
    refused : bool
        The other side refused us: dialling again would be rude.
    """

    peer: Identity

    def __init__(
        self,
        owner: Owner,
        me: Identity,
        strangers: dict[Stream, None],
        *,
        admit: Admit | None = None,
        called: str = "",
    ) -> None:
        super().__init__(owner, limits.HELLO_FRAME_MAX)
        self.called = called
        self.refused = False
        self._handshake = Handshake(me, os.urandom(16), admit=admit, called=called)
        self._strangers = strangers
        self._timer: asyncio.TimerHandle | None = None
        self._said = 0.0

    @property
    def welcome(self) -> bool:
        return self._handshake.done

    def send_frame(self, frame: bytes) -> None:
        self._said = time.monotonic()
        super().send_frame(frame)

    def _begin(self) -> None:
        if len(self._strangers) >= limits.STRANGERS_MAX:  # who comes now may be a client
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.send_away("too many connections that have not said hello, and this was the first")
        self._strangers[self] = None
        self._timer = self.loop.call_later(limits.HELLO_S, self._hello_late)
        for message in self._handshake.start():
            self.send(message)

    def _hello_late(self) -> None:
        self.send_away(f"no hello after {limits.HELLO_S:g} s")

    def send_away(self, why: str) -> None:
        log.warning("closing the connection with %s: %s", self.address, why)
        self.abort(why)

    def _received(self, message: Any, body: bytes) -> None:
        if not self.welcome:
            self._greet(message)
        elif type(message) is not Beat:
            self.owner.received(self, message, body)

    def _greet(self, message: Any) -> None:
        try:
            answers = self._handshake.received(message)
        except RefusedError as refusal:
            self.refused = True
            self.close(f"refused: {refusal}")
            return
        for answer in answers:
            self.send(answer)
            if isinstance(answer, Refused):
                log.warning("refused %s: %s", self.address, answer.why)
                self.close(f"we refused it: {answer.why}")
                return
        if self.welcome:
            self._welcomed()

    def _welcomed(self) -> None:
        assert self._handshake.peer is not None
        self.peer = self._handshake.peer
        self.called = self._handshake.called
        self._frames.frame_max = limits.FRAME_MAX
        self._strangers.pop(self, None)
        self._rearm()
        self.owner.opened(self)

    def _rearm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(limits.HEARTBEAT_S, self._beat)

    def _beat(self) -> None:
        now = time.monotonic()
        if self._transport is not None and not self._transport.is_reading():
            self.last_heard = now  # it is we who do not listen
        silent_s = now - self.last_heard
        if silent_s >= limits.DEAD_S:
            self.abort(f"silent for {silent_s:.0f} s")
            return
        if now - self._said >= limits.HEARTBEAT_S * 0.9:
            self.send(Beat())
        self._rearm()
        self.owner.beat(self, silent_s)

    def _end(self, why: str) -> None:
        self._strangers.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
        if self.welcome:
            self.owner.closed(self, why)


class Door:
    """Makes the streams of one process: who we are, who may come in, and who has not said hello yet."""

    def __init__(self, me: Identity, owner: Owner, admit: Admit | None = None) -> None:
        self.me = me
        self.owner = owner
        self._admit = admit or (lambda hello: "this side takes no callers")
        self._strangers: dict[Stream, None] = {}  # in the order they came

    def caller(self) -> Stream:
        """A stream somebody dialled."""
        return Stream(self.owner, self.me, self._strangers, admit=self._admit)

    def dialled(self, called: str) -> Stream:
        """A stream we dial, to the one we call ``called``."""
        return Stream(self.owner, self.me, {}, called=called)  # we know whom we call

    async def listen(self, host: str, port: int, *, start: bool = True) -> asyncio.Server:
        """Accept callers on this address; port 0 picks one. Without ``start``, take it and accept nobody yet.

        Raises
        ------
        UsageError
            The address is taken, not ours, or does not exist.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_server(self.caller, host, port, reuse_address=True, start_serving=start)
        except OSError as error:
            raise UsageError(_listen_words(host, port, error)) from None

    async def dial(self, host: str, port: int, called: str) -> Stream:
        """Connect, and say hello; the stream tells its owner when it is welcome.

        Raises
        ------
        OSError
            Nobody there.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(limits.HELLO_S):
            _, stream = await loop.create_connection(lambda: self.dialled(called), host, port)
        return stream


async def join(here: Callable[[], asyncio.Protocol], there: Callable[[], asyncio.Protocol]) -> None:
    """Connect two protocols of this process by a socket pair: nothing listens, so nobody else can call."""
    loop = asyncio.get_running_loop()
    loose = list(socket.socketpair())
    try:
        for protocol in (here, there):
            await loop.create_unix_connection(protocol, sock=loose[0])
            del loose[0]
    except BaseException:  # a signal, in the middle of it
        for end in loose:
            end.close()
        raise


async def keep_dialling(
    door: Door,
    host: str,
    port: int,
    called: str,
    told: Callable[[str], None],
    jitter: random.Random,
) -> None:
    """Keep a stream to this address for ever: back-off with jitter between tries; ends only when refused.

    ``told`` hears why there is no stream just now.
    """
    wait_s = limits.REDIAL_MIN_S
    while True:
        try:
            stream = await door.dial(host, port, called)
        except (OSError, TimeoutError) as error:
            told(dial_words(error))
        else:
            told(await asyncio.shield(stream.ended))  # whoever cancels this loop does not cancel that
            if stream.refused:
                return
            if stream.welcome:
                wait_s = limits.REDIAL_MIN_S
        await asyncio.sleep(wait_s * jitter.uniform(0.5, 1.5))
        wait_s = min(2 * wait_s, limits.REDIAL_MAX_S)


def dial_words(error: BaseException) -> str:
    """Why a dial failed, in a few words."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused (nothing listens there)"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, socket.gaierror):
        return f"unknown host ({error.strerror})"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def _listen_words(host: str, port: int, error: OSError) -> str:
    where = f"{host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop what listens there, or choose another with --port"
    if error.errno in (errno.EADDRNOTAVAIL, None):  # asyncio of 3.13 loses the number of this one alone
        return f"{host} is not an address of this machine: choose one with --host"
    if error.errno == errno.EACCES:
        return f"{where}: permission denied (ports below 1024 are the administrator's): choose another --port"
    return f"cannot listen on {where}: {dial_words(error)}"


def _peer_words(transport: asyncio.BaseTransport) -> str:
    name = transport.get_extra_info("peername")
    if isinstance(name, tuple) and len(name) >= 2:
        return f"[{name[0]}]:{name[1]}" if ":" in str(name[0]) else f"{name[0]}:{name[1]}"
    return "this process"
