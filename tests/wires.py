"""Scripted peers for tests of the coordinator: real streams, and answers a test chooses."""

import asyncio
from collections.abc import Callable
from typing import Any

from imgpipe import protocol
from imgpipe.connection import Door, Owner, Stream, join
from imgpipe.coordinator import Coordinator
from imgpipe.facts import FACTS, Fact
from imgpipe.handshake import Identity
from imgpipe.imaging.recipe import Recipe
from imgpipe.protocol import Done, Execute, Job, JobReady, Offer, SubmitRequest
from imgpipe.rows import Item

Answer = Callable[["ScriptedWorker", str, tuple[Item, ...]], list[Any]]


def all_done(worker: "ScriptedWorker", job: str, items: tuple[Item, ...]) -> list[Any]:
    return [Done(job, tuple((item[0], item[1], 1, 1, 1, 1, 1) for item in items))]


class Waits(Owner):
    """An owner whose changes a test can wait for."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


class ScriptedWorker(Waits):
    """Says what it sees of a job, and answers items as it is told to."""

    def __init__(
        self, name: str, slots: int = 2, answer: Answer = all_done, offer: Offer | None = None
    ) -> None:
        super().__init__()
        self.name = name
        self.door = Door(Identity("worker", name), self, lambda hello: "")
        self.offer = offer or Offer(slots, ("edges", "identity"), ("jpg", "png"), (".",))
        self.answer = answer
        self.ready: Callable[[Job], tuple[bool, str]] = lambda job: (True, "")
        self.heard: list[Any] = []
        self.stream: Stream | None = None
        self.ends: list[str] = []

    def opened(self, channel: Stream) -> None:
        self.stream = channel
        channel.send(self.offer)
        self._changed.set()

    def received(self, channel: Stream, message: Any, body: bytes) -> None:
        self.heard.append(message)
        if isinstance(message, Job):
            channel.send(JobReady(message.job, *self.ready(message)))
        elif isinstance(message, Execute | protocol.DelayedExecute):
            for answer in self.answer(self, message.job, message.items):
                channel.send(answer)
        self._changed.set()

    def closed(self, channel: Stream, why: str) -> None:
        self.ends.append(why)
        self._changed.set()

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.heard if type(message) is kind]


class ScriptedClient(Waits):
    """Says what it is told to, and keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []
        self.stream: Stream | None = None
        self.ends: list[str] = []

    async def join(self, coordinator: Coordinator) -> "ScriptedClient":
        door = Door(Identity("client", "a test"), self)
        await join(lambda: door.dialled(""), coordinator.door.caller)
        await self.until(lambda: self.stream)
        return self

    def opened(self, channel: Stream) -> None:
        self.stream = channel
        self._changed.set()

    def received(self, channel: Stream, message: Any, body: bytes) -> None:
        self.heard.append(message)
        self._changed.set()

    def closed(self, channel: Stream, why: str) -> None:
        self.ends.append(why)
        self._changed.set()

    def say(self, message: Any) -> None:
        assert self.stream is not None
        self.stream.send(message)

    async def hear(self, *kinds: type) -> Any:
        """The next message of one of these kinds that has not been heard this way."""
        await self.until(lambda: any(isinstance(message, kinds) for message in self.heard))
        found = next(message for message in self.heard if isinstance(message, kinds))
        self.heard.remove(found)
        return found

    async def finished(self) -> list[Fact]:
        """Wait for `Finished`; all facts heard by then, which have no gap."""
        await self.hear(protocol.Finished)
        facts: list[Fact] = []
        for message in self.heard:
            if isinstance(message, protocol.Facts):
                assert message.first == len(facts)
                facts += [FACTS.record(row) for row in message.facts]
        return facts


def request(source: bytes = b"", **changes: Any) -> SubmitRequest:
    """A job on this folder; without one, empty tasks."""
    fields: dict[str, Any] = {
        "source": source,
        "output": b"",
        "recipe": Recipe.from_options(["identity"]).array(),
        "mode": "balanced",
        "include": (),
        "exclude": (),
        "existing": "redo",
        "retries": 1,
        "timeout_s": 60.0,
        "priority": 0,
    }
    return SubmitRequest(**{**fields, **changes})
