"""uvloop where it exists, asyncio where it does not."""

from __future__ import annotations

import asyncio
import sys

import pytest

from imgpipe.loop import loop_factory, run


async def kind_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_uvloop_where_it_exists():
    pytest.importorskip("uvloop")
    assert run(kind_of_loop()) == "uvloop"


def test_asyncio_where_it_does_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_factory() is asyncio.new_event_loop
    assert run(kind_of_loop()) == "asyncio"
