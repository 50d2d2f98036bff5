"""One conversation with a coordinator: a stream of its own, and what has arrived on it, in order.

The bridge from `Owner` calls to ``await``. Little more is taken in than was read: when a few messages lie
unread the stream is no longer read, the kernel's buffers fill, and the coordinator notices.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from imgpipe import limits
from imgpipe.connection import Door, Owner, Stream, join
from imgpipe.errors import ProtocolError, UnfinishedError
from imgpipe.handshake import CLIENT, COORDINATOR, Identity
from imgpipe.machines import Address

#: Connects to a coordinator; raises OSError or TimeoutError where nobody answers.
Dial = Callable[[Door], Awaitable[Stream]]


class LostError(Exception):
    """The stream of a conversation has ended; the words are for people."""


#: What `converse` raises where there is no coordinator, or none that answers.
NOBODY = (OSError, TimeoutError, LostError)


def over_tcp(at: Address) -> Dial:
    return lambda door: door.dial(at.host, at.port, COORDINATOR)


def inside(there: Callable[[], asyncio.Protocol]) -> Dial:
    """To a coordinator in this process, by a socket pair; ``there`` makes its end."""

    async def dial(door: Door) -> Stream:
        stream = door.dialled(COORDINATOR)
        await join(lambda: stream, there)
        return stream

    return dial


async def converse(dial: Dial) -> Conversation:
    """Dial, and say hello.

    Raises
    ------
    UnfinishedError
        We were refused.
    OSError, TimeoutError, LostError
        There is no coordinator, or none that answers (`NOBODY`).
    """
    conversation = Conversation()
    stream = await dial(Door(Identity(CLIENT, "client"), conversation))
    try:
        await conversation.welcome(stream)
    except BaseException:
        stream.abort("not needed any more")
        raise
    return conversation


class Conversation(Owner):
    """What is said on one stream."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._inbox: deque[Any] = deque()
        self._changed = asyncio.Event()
        self._lost = ""
        self._misunderstood = False

    async def welcome(self, stream: Stream) -> None:
        """Wait for the end of the hello."""
        welcomed = asyncio.ensure_future(self._changed.wait())
        either: set[asyncio.Future[Any]] = {welcomed, stream.ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        welcomed.cancel()
        if stream.refused:
            raise UnfinishedError(f"the coordinator at {stream.address} {await stream.ended}")
        if self._stream is None:
            raise LostError(await stream.ended)

    @property
    def alive(self) -> bool:
        return self._stream is not None and not self._lost

    def send(self, message: Any) -> None:
        if self._stream is not None:
            self._stream.send(message)

    async def receive(self) -> Any:
        """The next message.

        Raises
        ------
        LostError
            The stream has ended, and everything that came before has been read.
        UnfinishedError
            The same, because we did not understand what came: dialling again would change nothing.
        """
        while not self._inbox:
            if self._misunderstood:
                raise UnfinishedError(f"the coordinator speaks another language: {self._lost}")
            if not self.alive:
                raise LostError(self._lost)
            self._changed.clear()
            await self._changed.wait()
        message = self._inbox.popleft()
        if len(self._inbox) <= limits.INBOX_MAX // 2 and self._stream is not None:
            self._stream.resume_reading()
        return message

    async def close(self) -> None:
        if self._stream is not None:
            self._stream.close("the client has what it wanted")
            await self._stream.ended

    # --- what the stream tells ------------------------------------------------------------------

    def opened(self, channel: Stream) -> None:
        if channel.peer.role != COORDINATOR:
            raise ProtocolError(f"expected a coordinator there, found a {channel.peer.role}")
        self._stream = channel
        self._changed.set()

    def received(self, channel: Stream, message: Any, body: bytes) -> None:
        self._inbox.append(message)
        self._changed.set()
        if len(self._inbox) >= limits.INBOX_MAX:
            channel.pause_reading()

    def closed(self, channel: Stream, why: str) -> None:
        self._lost, self._misunderstood = why, channel.misunderstood
        self._changed.set()

    def beat(self, channel: Stream, silent_s: float) -> None:
        if self._inbox:  # it is we who do not listen
            channel.last_heard = time.monotonic()
