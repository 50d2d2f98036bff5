"""What the referee writes down: every image, every job, and every worker, modelled.

A modelled worker has a ready queue and slots; it starts what is ready as soon as a slot is free.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from imgpipe.errors import Kind, Note
from imgpipe.protocol import Done, Failed, Rejected, Returned, Unseen, Waiting
from imgpipe.scheduling.records import JobSpec


@dataclass(eq=False)
class Image:
    """One image in the books: queued, held, done, failed or cancelled."""

    job: Work
    number: int
    state: str = "queued"
    attempt: int | None = None
    seat: Seat | None = None
    count: int = 0
    tries: int = 0
    losses: int = 0
    refused: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)  # what allowed too little for it

    @property
    def name(self) -> bytes:
        return b"%d" % self.number

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """What is to be told of it: one in three has a note, one in six two of a kind and one of another."""
        warned = (str(Note.WARNING), f"of {self.number}")
        others = (warned, (str(Note.ALPHA), "gone")) if self.number % 6 == 0 else ()
        return (warned, *others) if self.number % 3 == 0 else ()

    @property
    def token(self) -> tuple[int, int]:
        assert self.attempt is not None
        return self.number, self.attempt


@dataclass(eq=False)
class Work:
    """One job in the books."""

    spec: JobSpec
    images: dict[int, Image] = field(default_factory=dict)
    total: int = 0
    listed: bool = False
    stopping: bool = False
    state: str = "done"
    ended: bool = False
    sums: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)  # images by kind of note

    @property
    def id(self) -> str:
        return self.spec.job

    @property
    def is_over(self) -> bool:
        live = any(image.state in ("queued", "held") for image in self.images.values())
        return (self.listed or self.stopping) and not live


@dataclass(eq=False)
class Seat:
    """A modelled worker: never more than ``slots`` running, the rest ready or waiting."""

    name: str
    state: str = "gone"
    slots: int = 1
    operations: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()
    pixels: int = 0
    gone_at: float = -math.inf  # it has been there before
    credit: dict[int, Image] = field(default_factory=dict)  # sent and not answered
    ready: list[Image] = field(default_factory=list)
    running: list[Image] = field(default_factory=list)
    waiting: list[Image] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    sees: set[str] = field(default_factory=set)

    def may_have(self, image: Image) -> bool:
        """It allows more than those that refused it."""
        return not any(
            self.pixels <= pixels and set(self.codecs) <= set(codecs) for pixels, codecs in image.refused
        )

    @property
    def images(self) -> list[Image]:
        return [*self.ready, *self.running, *self.waiting]

    def start(self) -> None:
        while self.ready and len(self.running) < self.slots:
            self.running.append(self.ready.pop(0))

    def drop(self, image: Image) -> None:
        for place in (self.ready, self.running, self.waiting):
            if image in place:
                place.remove(image)
        if image.attempt is not None:
            self.credit.pop(image.attempt, None)
        self.start()


def _noted(image: Image) -> tuple[Any, ...]:
    """The end of its row: notes only where there are any."""
    return (image.notes,) if image.notes else ()


def message_of(kind: str, job: str, images: list[Image]) -> Any:
    """What a worker says of images it holds."""
    tokens = tuple(image.token for image in images)
    match kind:
        case "done":
            return Done(job, tuple((*i.token, 1, 2, 50_000, 4, 5, *_noted(i)) for i in images))
        case "beyond":
            rows = ((*i.token, str(Kind.TOO_LARGE), "words", False, i.notes, True) for i in images)
            return Failed(job, tuple(rows))
        case "failed" | "crashed":
            words = Kind.CRASHED if kind == "crashed" else Kind.UNREADABLE
            again = kind == "crashed"
            return Failed(job, tuple((*i.token, str(words), "words", again, *_noted(i)) for i in images))
        case "rejected":
            return Rejected(job, tokens)
        case "waiting":
            return Waiting(job, tokens)
        case "returned":
            return Returned(job, tokens)
    return Unseen(job, tokens, "the folder is gone")
