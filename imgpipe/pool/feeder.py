"""Which process is given which image next, and how many ahead of their turn.

An idle process comes first, and nobody gets more than its share of what is there. A process that is busy is
given images ahead, so that it does not wait for its parent between two: as many as it does in
`limits.DEPTH_S`, once half of them are left, and at least one; but none behind or before an image that takes
`LONG_S` or is not measured yet: there the way through the parent costs nothing, and an image queued behind a
slow one would wait for it while other processes are idle.

At most ``slots`` processes hold images at once: machines.txt may give imgpipe less of a machine than its
worker offers, and the rest stay idle.

An image that is to be alone goes to an idle process, which gets nothing else until it has answered. While
one waits nothing is given ahead, so a process does become idle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Protocol

from imgpipe import limits
from imgpipe.pool.images import Image

#: From here on the way through the parent, some 0.3 ms, is under 1 % of an image's time.
LONG_S = 0.05


class Holder(Protocol):
    """A process, as far as it matters here."""

    @property
    def takes(self) -> bool:
        """It may be given images now."""

    @property
    def held(self) -> int:
        """Images given and not answered."""

    @property
    def ahead_s(self) -> float:
        """How long it has work for."""

    @property
    def alone(self) -> bool:
        """It holds an image that is to be alone."""

    def give(self, images: list[Image]) -> None:
        """These are for you."""


def room(holder: Holder, images: Iterable[Image]) -> int:
    """How many of these images, from the first on, may be given to this process now."""
    held, ahead_s, count = holder.held, holder.ahead_s, 0
    if held > 1 and ahead_s > limits.DEPTH_S / 2:
        return 0  # it is woken less often, and given more at once
    for image in images:
        cost_s = image.work.service_s
        if held and not _fits(held, ahead_s, cost_s, image.work.measured):
            break
        held, ahead_s, count = held + 1, ahead_s + cost_s, count + 1
    return count


def _fits(held: int, ahead_s: float, cost_s: float, measured: bool) -> bool:
    """Whether an image may wait behind what the process holds."""
    if not measured or max(ahead_s, cost_s) >= LONG_S:
        return False
    return held < 2 or (ahead_s + cost_s <= limits.DEPTH_S and held < limits.DEPTH_MAX)


class Feeder:
    """Images without a process, and processes that may have room."""

    def __init__(self, slots: int) -> None:
        """``slots``: processes that may hold images at once. It may be changed at any time."""
        self.slots = slots
        self._ready: deque[Image] = deque()
        self._alone: deque[Image] = deque()
        self._idle: dict[Holder, None] = {}
        self._busy: dict[Holder, None] = {}  # … that may be given something ahead
        self._holding: set[Holder] = set()

    def __len__(self) -> int:
        return len(self._ready) + len(self._alone)

    def add(self, images: Iterable[Image], *, front: bool = False) -> None:
        """More images, behind or before those there are; they keep their order."""
        images = list(images)
        for alone, queue in ((False, self._ready), (True, self._alone)):
            chosen = [image for image in images if image.alone is alone]
            if front:
                queue.extendleft(reversed(chosen))
            else:
                queue.extend(chosen)

    def remove(self, wanted: Callable[[Image], bool]) -> list[Image]:
        """Take out the images of which this is true."""
        taken = [image for queue in (self._alone, self._ready) for image in queue if wanted(image)]
        if taken:
            gone = set(map(id, taken))
            self._ready = deque(image for image in self._ready if id(image) not in gone)
            self._alone = deque(image for image in self._alone if id(image) not in gone)
        return taken

    def changed(self, holder: Holder) -> None:
        """A process has given or taken something, begun or ended."""
        self._idle.pop(holder, None)
        self._busy.pop(holder, None)
        if holder.held:
            self._holding.add(holder)
        else:
            self._holding.discard(holder)
        if holder.takes and not holder.held:
            self._idle[holder] = None
        elif holder.takes and not holder.alone:
            self._busy[holder] = None

    def feed(self) -> None:
        """Give out what can be given out."""
        while self._alone and self._free:
            self._give(self._first(self._idle), [self._alone.popleft()])
        while self._ready and self._free:
            self._share(self._idle, self._free)
        if not self._alone and len(self._holding) <= self.slots:
            while self._ready and self._busy:
                self._share(self._busy, len(self._busy))

    @property
    def _free(self) -> int:
        """Idle processes that may be given something."""
        return min(len(self._idle), max(0, self.slots - len(self._holding)))

    def _share(self, holders: dict[Holder, None], count: int) -> None:
        """One of so many gets its share, as far as it has room; if it has none, it is not asked again
        until it changes."""
        share = -(-len(self._ready) // count)
        holder = self._first(holders)
        del holders[holder]
        if fit := room(holder, islice(self._ready, share)):
            self._give(holder, [self._ready.popleft() for _ in range(fit)])

    def _give(self, holder: Holder, images: list[Image]) -> None:
        holder.give(images)
        self.changed(holder)

    @staticmethod
    def _first(holders: dict[Holder, None]) -> Holder:
        return next(iter(holders))
