"""Delayed images, and the one timer they wait on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count

from imgpipe.rows import Item, Token


@dataclass(frozen=True, slots=True)
class Delayed:
    """An image that waits before it is processed."""

    job: str
    item: Item
    alone: bool


class WaitingRoom:
    """Images in the order in which their delays end.

    Those that are taken out early stay in the heap, as a time and a number, until their time comes.
    """

    def __init__(self, told: Callable[[list[Delayed]], None]) -> None:
        """``told`` hears which images have waited long enough, in the order they came."""
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._images: dict[Token, tuple[int, Delayed]] = {}
        self._heap: list[tuple[float, int, Token]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None

    def __contains__(self, token: Token) -> bool:
        return token in self._images

    def __len__(self) -> int:
        return len(self._images)

    def add(self, images: Iterable[Delayed], delay_s: float) -> None:
        """These wait for so long from now."""
        until = self._loop.time() + delay_s
        for image in images:
            number, token = next(self._numbers), image.item[:2]
            self._images[token] = (number, image)
            heappush(self._heap, (until, number, token))
        self._rearm()

    def remove(self, tokens: Iterable[Token]) -> None:
        """These wait no longer, and never come out."""
        for token in tokens:
            self._images.pop(token, None)

    def forget(self, job: str) -> None:
        """Every image of this job."""
        self.remove([token for token, (_, image) in self._images.items() if image.job == job])

    def clear(self) -> dict[str, list[Token]]:
        """Every image, by job."""
        cleared: dict[str, list[Token]] = {}
        for token, (_, image) in self._images.items():
            cleared.setdefault(image.job, []).append(token)
        self._images.clear()
        self._heap.clear()
        self._rearm()
        return cleared

    def _rearm(self) -> None:
        if self._timer is not None and (not self._heap or self._timer.when() > self._heap[0][0]):
            self._timer.cancel()
            self._timer = None
        if self._timer is None and self._heap:
            self._timer = self._loop.call_at(self._heap[0][0], self._ring)

    def _ring(self) -> None:
        self._timer = None
        now, over = self._loop.time(), []
        while self._heap and self._heap[0][0] <= now:
            _, number, token = heappop(self._heap)
            waiting = self._images.get(token)
            if waiting is not None and waiting[0] == number:
                over.append(waiting[1])
                del self._images[token]
        self._rearm()
        if over:
            self._told(over)
