"""The first Ctrl-C or SIGTERM asks, the second leaves now."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Self

from imgpipe.errors import ExitCode

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class Interrupts:
    """Signals, while it is entered.

    Attributes
    ----------
    code : ExitCode or None
        That of the first signal; None while there was none.
    first : function or None
        Called at the first signal. Without it, that one already leaves.
    leaving : function or None
        Called at the signal that leaves: what becomes of the work is to be said.
    """

    def __init__(self) -> None:
        self.code: ExitCode | None = None
        self.first: Callable[[], None] | None = None
        self.leaving: Callable[[], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()

    def __enter__(self) -> Self:
        for signum in _CODES:
            self._loop.add_signal_handler(signum, self._got, signum)
        return self

    def __exit__(self, *_: object) -> None:
        for signum in _CODES:
            self._loop.remove_signal_handler(signum)

    def _got(self, signum: signal.Signals) -> None:
        if self.code is None:
            self.code = _CODES[signum]
            if self.first is not None:
                self.first()
                return
        self.__exit__()  # a third one ends the process wherever it hangs
        if self.leaving is not None:
            self.leaving()
        if self._task is not None:
            self._task.cancel()


async def attended(work: Callable[[Interrupts], Awaitable[int]]) -> int:
    """The exit code of ``work``, or that of the signal it left at."""
    with Interrupts() as interrupts:
        try:
            return await work(interrupts)
        except asyncio.CancelledError:
            if interrupts.code is None:
                raise
            return interrupts.code
