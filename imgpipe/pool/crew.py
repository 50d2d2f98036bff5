"""As many live processes as there are slots: started, watched, replaced when they end, and given up on.

A process that was of use is replaced at once, one that was not after a back-off. When
`limits.START_FAILURES_MAX` in a row have ended before they were ready, no more are started.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, Protocol

from imgpipe import limits
from imgpipe.pool.handle import Handle, Keeper
from imgpipe.protocol import Offer

log = logging.getLogger(__name__)

_BACK_OFF_S = 0.1  # after one process of no use; doubled each time …
_BACK_OFF_MAX_S = 10.0  # … up to this


class CrewOwner(Protocol):
    """Who is told what the processes say, and of their ends."""

    def ready(self, handle: Handle, offer: Offer) -> None:
        """It may be given images."""

    def said(self, handle: Handle, message: Any, body: bytes) -> None:
        """An answer."""

    def lost(self, handle: Handle) -> None:
        """It has ended, with whatever it held."""

    def given_up(self, why: str) -> None:
        """No more are started."""


class Crew:
    """The processes of a pool."""

    def __init__(self, slots: int, make: Callable[[Keeper], Handle], owner: CrewOwner) -> None:
        self._slots = slots
        self._make = make
        self._owner = owner
        self._handles: set[Handle] = set()
        self._unborn = 0  # processes in a row that ended before they were ready
        self._useless = 0  # … or before they had begun an image
        self._closing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._loop = asyncio.get_running_loop()
        self._gone = asyncio.Event()

    def __iter__(self) -> Iterator[Handle]:
        return iter(tuple(self._handles))

    def start(self) -> None:
        self._later(limits.WATCH_S, self._watch)
        for _ in range(self._slots):
            self._launch()

    async def close(self) -> None:
        """Kill every process, and return when all are gone."""
        self._closing = True
        for timer in self._timers:
            timer.cancel()
        for handle in self._handles:
            handle.kill()
        while self._handles:
            self._gone.clear()
            await self._gone.wait()

    # --- what a process does --------------------------------------------------------------------

    def ready(self, handle: Handle, offer: Offer) -> None:
        self._unborn = 0
        self._owner.ready(handle, offer)

    def said(self, handle: Handle, message: Any, body: bytes) -> None:
        self._owner.said(handle, message, body)

    def ended(self, handle: Handle) -> None:
        self._handles.discard(handle)
        self._gone.set()
        if not self._closing:
            self._owner.lost(handle)
            self._replace(handle)

    def _replace(self, handle: Handle) -> None:
        if not handle.was_ready:
            self._not_started(handle.why)
            return
        self._useless = 0 if handle.of_use else self._useless + 1
        self._launch_later()

    # --- starting -------------------------------------------------------------------------------

    def _launch(self) -> None:
        try:
            handle = self._make(self)
        except OSError as error:
            self._not_started(str(error))
            return
        self._handles.add(handle)
        task = self._loop.create_task(handle.connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _not_started(self, why: str) -> None:
        self._unborn += 1
        self._useless += 1
        log.warning("a pool process ended before it was ready: %s", why)
        if self._unborn < limits.START_FAILURES_MAX:
            self._launch_later()
        elif self._unborn == limits.START_FAILURES_MAX:
            count = self._unborn
            self._owner.given_up(f"{count} pool processes in a row ended before they were ready: {why}")

    def _launch_later(self) -> None:
        if self._useless:
            self._later(min(_BACK_OFF_S * 2 ** (self._useless - 1), _BACK_OFF_MAX_S), self._launch)
        else:
            self._launch()

    def _watch(self) -> None:
        now = monotonic()
        for handle in self:
            handle.watch(now)
        self._later(limits.WATCH_S, self._watch)

    def _later(self, after_s: float, call: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            call()

        timer = self._loop.call_later(after_s, run)
        self._timers.add(timer)
