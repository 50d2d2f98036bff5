"""A coordinator that says what a test tells it to: real streams, no scheduler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from imgpipe.connection import Door, Owner, Stream
from imgpipe.facts import FACTS, Ended, Fact, Found, ImageDone, Listed, Opened
from imgpipe.handshake import COORDINATOR, Identity
from imgpipe.protocol import Accepted, Facts, Finished, SubmitRequest

JOB = "abcdefghij"
ACCEPTED = Accepted(JOB, b"/in", b"/out")


class FakeCoordinator(Owner):
    """``answer(stream, message)`` is called for whatever a client says; ``said`` keeps it."""

    def __init__(self, answer: Callable[[Stream, Any], None], role: str = COORDINATOR) -> None:
        self.said: list[Any] = []
        self.streams: list[Stream] = []
        self.refuses = ""
        self.on_drained: Callable[[], None] = lambda: None
        self.door = Door(Identity(role, "fake", 1), self, lambda hello: self.refuses)
        self._answer = answer

    def opened(self, channel: Stream) -> None:
        self.streams.append(channel)

    def received(self, channel: Stream, message: Any, body: bytes) -> None:
        self.said.append(message)
        self._answer(channel, message)

    def drained(self, channel: Stream) -> None:
        self.on_drained()


def facts_of(images: int, *, failed: int = 0, worker: str = "node1", state: str = "done") -> list[Fact]:
    """What a small job tells."""
    done = [ImageDone(b"%d.jpg" % n, worker, 1, 1, (1, 2, 3, 4, 5)) for n in range(images)]
    ended = Ended(
        state, images, images, failed, 0, 0, 0, 0, 0, 0, ((worker, images, 0, 0, failed, 15 * images),)
    )
    opened = Opened(JOB, "balanced", b"/in", b"/out", "--op edges")
    return [opened, Found(images, 0), Listed(images, 0), *done, ended]


def message(first: int, facts: Sequence[Fact]) -> Facts:
    return Facts(JOB, first, tuple(FACTS.array(fact) for fact in facts))


def telling(facts: Sequence[Fact]) -> Callable[[Stream, Any], None]:
    """Answers a `SubmitRequest` with the whole job."""

    def answer(stream: Stream, said: Any) -> None:
        if isinstance(said, SubmitRequest):
            stream.send(ACCEPTED)
            stream.send(message(0, facts))
            stream.send(Finished(JOB, 1.0))

    return answer
