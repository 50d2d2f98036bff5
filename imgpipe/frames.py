"""Frames: a 4-byte big-endian length, then that many bytes.

`Frames` takes bytes cut anywhere and gives whole bodies. A frame that is too long is refused when its length
has been read, before anything is allocated for it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from imgpipe import limits
from imgpipe.errors import ProtocolError

LENGTH = struct.Struct(">I")


def framed(body: bytes) -> bytes:
    """A body with its length before it."""
    return LENGTH.pack(len(body)) + body


class Frames:
    """Cuts a stream of bytes into frames' bodies.

    ``feed`` is a generator on purpose: ``frame_max`` is read anew for every frame, so a limit lifted by the
    message in one frame (`Welcome`) already holds for the next one in the same bytes. It must be run to its
    end, or to its error, before more is fed.
    """

    def __init__(self, frame_max: int = limits.FRAME_MAX) -> None:
        self.frame_max = frame_max
        self._rest = bytearray()
        self._needed = 0  # bytes before the rest can hold a frame: no look at it, and no copy, before

    @property
    def waiting(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._rest)

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[bytes]:
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        start, end = 0, len(data)
        self._needed = LENGTH.size
        while end - start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(data, start)
            if length > self.frame_max:
                allowed = f"at most {self.frame_max} are allowed here{_guess(data, start)}"
                raise ProtocolError(f"a frame of {length} bytes, {allowed}")
            body = start + LENGTH.size
            if end - body < length:
                self._needed = LENGTH.size + length
                break
            start = body + length
            yield bytes(data[body:start])
        self._rest += data[start:end]


def _guess(data: bytes | bytearray | memoryview, start: int) -> str:
    head = bytes(data[start : start + 8])
    if head[:4] in (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"HTTP"):
        return " (this looks like HTTP)"
    return " (this looks like TLS)" if head[:2] == b"\x16\x03" else ""
