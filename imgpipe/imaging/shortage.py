"""Whether this thread has just asked for memory that it was not given.

OpenCV raises for its own buffers, but what its libraries were refused it mostly keeps to itself: of a
progressive JPEG, a WebP, an AVIF or a JPEG 2000 that found no room, `imdecode` gives nothing, as it does for
rubbish (4.14 and 5.0). What they all do is to ask the C library, and that leaves ENOMEM in ``errno``, which
no call that succeeds changes. So `forget` before the work and `seen` right after it tell the two apart. In
between, nothing may read files by Python's own means, which set ``errno`` back.
"""

from __future__ import annotations

import ctypes
import errno
import gc
from contextlib import suppress
from functools import cache
from typing import Any


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    with suppress(AttributeError):
        library.__errno_location.restype = ctypes.POINTER(ctypes.c_int)
    return library


def _errno() -> Any:
    """This thread's ``errno``, as it is in memory; `ctypes.get_errno` only has a copy of its own."""
    try:
        return _library().__errno_location().contents
    except AttributeError:  # another system's C library: nothing is ever seen
        return ctypes.c_int()


def forget() -> None:
    _errno().value = 0


def seen() -> bool:
    """Memory was refused since `forget`."""
    return bool(_errno().value == errno.ENOMEM)


def recover() -> None:
    """Give back what is free: the next image shall find as much room as in a fresh process."""
    gc.collect()  # an exception may hold the arrays of the functions it went through
    with suppress(AttributeError):
        _library().malloc_trim(0)
