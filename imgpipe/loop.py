"""Which event loop runs (uvloop where it exists, asyncio's own where it does not), and threads beside it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes a new loop."""
    try:
        import uvloop
    except ImportError:  # no wheel for this system: only slower
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def in_thread(function: Callable[..., Result], *arguments: Any) -> asyncio.Future[Result]:
    """Call it in a thread of its own, and await the result.

    Not asyncio's executor: a few calls that hang in a file system would hold up all others, and the end of
    the process too. These threads are daemons.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def tell(set_: Callable[[Any], None], value: Any) -> None:
        if not future.done():
            set_(value)

    def work() -> None:
        outcome: tuple[Callable[[Any], None], Any]
        try:
            outcome = future.set_result, function(*arguments)
        except BaseException as error:
            outcome = future.set_exception, error
        with suppress(RuntimeError):  # the loop has ended meanwhile: nobody waits
            loop.call_soon_threadsafe(tell, *outcome)

    threading.Thread(target=work, name=function.__name__, daemon=True).start()
    return future


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run`, on the better loop."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)
