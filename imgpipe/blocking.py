"""The async classes without async: the same names, and every call waits for its result.

There is no second copy to keep alike. A `Blocking` stands for an object that lives on a loop in a thread of
its own: a call of it runs there and is waited for, an async iterator becomes a plain one, ``async with``
becomes ``with``, and what a call gives back is wrapped again if it is async itself::

    from imgpipe import blocking

    with blocking.Client.connect("127.0.0.1:9190") as client:
        job = client.submit(request)
        for fact in job.facts(): ...
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache, partial
from typing import Any

from imgpipe.loop import loop_factory

_END = object()


class Portal:
    """A loop in a thread of its own, and the way to it."""

    def __init__(self) -> None:
        self._loop = loop_factory()()
        threading.Thread(target=self._loop.run_forever, name="imgpipe", daemon=True).start()

    def call(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """Call ``function`` there, wait for its result, and for the result of that if it is awaitable."""

        async def there() -> Any:
            result = function(*arguments, **keywords)
            return await result if inspect.isawaitable(result) else result

        future = asyncio.run_coroutine_threadsafe(there(), self._loop)
        try:
            return future.result()
        except BaseException:  # Ctrl-C arrives here, not there
            future.cancel()
            raise


@cache
def portal() -> Portal:
    """The one of this process."""
    return Portal()


class Blocking:
    """Stands for an async object (or class): see the module."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return _wrapped(portal().call(self._target, *arguments, **keywords))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        return Blocking(value) if callable(value) else _wrapped(value)

    def __enter__(self) -> Any:
        return _wrapped(portal().call(self._target.__aenter__))

    def __exit__(self, *raised: Any) -> Any:
        return portal().call(self._target.__aexit__, *raised)

    def __repr__(self) -> str:
        return f"Blocking({self._target!r})"


def _wrapped(value: Any) -> Any:
    if isinstance(value, AsyncIterator):
        return _iterated(value)
    return Blocking(value) if _is_async(type(value)) else value  # type: ignore[arg-type]  # classes have hashes


def _iterated(source: AsyncIterator[Any]) -> Iterator[Any]:
    following = partial(portal().call, anext, source, _END)
    try:
        while (value := following()) is not _END:
            yield _wrapped(value)
    finally:
        if inspect.isasyncgen(source):
            portal().call(source.aclose)


@cache
def _is_async(kind: type) -> bool:
    """Whether a class of ours has anything to await."""
    ours = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
    methods = inspect.getmembers(kind, inspect.isfunction) if ours else ()
    return any(inspect.iscoroutinefunction(m) or inspect.isasyncgenfunction(m) for _, m in methods)


def __getattr__(name: str) -> Any:
    """``Client`` and ``LocalCluster``, loaded when they are asked for."""
    if name == "Client":
        from imgpipe.client import Client

        return Blocking(Client)
    if name == "LocalCluster":
        from imgpipe.local import LocalCluster

        return Blocking(LocalCluster)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
