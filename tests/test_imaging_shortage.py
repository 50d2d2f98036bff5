"""What the C library remembers of memory it did not give."""

from __future__ import annotations

import ctypes
import os
import threading

import pytest

from imgpipe.imaging import shortage

_LIBRARY = ctypes.CDLL(None)
_LIBRARY.malloc.argtypes, _LIBRARY.malloc.restype = (ctypes.c_size_t,), ctypes.c_void_p


def refused() -> None:
    """More than there are addresses."""
    assert _LIBRARY.malloc(1 << 60) is None


def test_a_refusal_is_seen_until_it_is_forgotten():
    shortage.forget()
    assert not shortage.seen()
    refused()
    assert shortage.seen()
    assert [bytearray(1 << 20), sorted(range(1000))]  # what succeeds changes nothing
    assert shortage.seen()
    shortage.forget()
    assert not shortage.seen()


def test_a_refusal_that_only_python_saw_is_seen_too():
    shortage.forget()
    with pytest.raises(MemoryError):
        bytearray(1 << 60)
    assert shortage.seen()


def test_other_errors_are_none_of_it():
    shortage.forget()
    with pytest.raises(OSError, match="No such file"):
        os.stat("/nowhere")
    assert not shortage.seen()


def test_a_thread_sees_its_own():
    shortage.forget()
    thread = threading.Thread(target=refused)
    thread.start()
    thread.join()
    assert not shortage.seen()


def test_recovering_gives_back_what_is_free_and_keeps_the_rest():
    kept = bytearray(b"x" * (1 << 20))
    shortage.recover()
    assert kept.count(b"x") == 1 << 20


def test_another_c_library_sees_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shortage, "_library", object)
    shortage.forget()
    refused()
    assert not shortage.seen()
    shortage.recover()
