"""What the parent remembers of an image in hand, and of a job."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from imgpipe import limits
from imgpipe.protocol import Job
from imgpipe.rows import Item, Token

#: Weight of the newest measure of an image's time: the last dozen images count.
_LEARN = 0.15


@dataclass(eq=False, slots=True)
class Work:
    """A job: its constants, the frame's body they came in, and what an image of it takes.

    ``asked``: somebody waits for the next `JobReady`. ``deaths`` counts the processes that died of being
    introduced to it; ``deadly``: no more are.
    """

    job: Job
    body: bytes
    asked: bool = True
    service_s: float = limits.DEPTH_S  # until it is known: none ahead
    measured: bool = False
    deaths: int = 0
    deadly: bool = False

    def learn(self, service_s: float) -> None:
        """An image took this long, from when its process was free for it to its answer."""
        self.service_s += (service_s - self.service_s) * (_LEARN if self.measured else 1.0)
        self.measured = True


class Wanted(IntEnum):
    """What somebody still wants to hear of an image: it only ever becomes less."""

    RESULT = 0
    RETURN = 1  # that it was not begun, or its result if it was
    NOTHING = 2


@dataclass(eq=False, slots=True)
class Image:
    """An image in hand: waiting for a process (``holder`` is None), or given to one.

    ``deaths`` counts the processes that died holding it first in their queue, with nothing begun.
    """

    work: Work
    item: Item
    token: Token
    alone: bool
    holder: Any = None
    cost_s: float = 0.0
    wanted: Wanted = Wanted.RESULT
    deaths: int = 0

    @property
    def job(self) -> str:
        return self.work.job.job
