"""Which event loop runs: uvloop where it exists, asyncio's own where it does not. Decided here alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes a new loop."""
    try:
        import uvloop
    except ImportError:  # no wheel for this system: only slower
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run`, on the better loop."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)
