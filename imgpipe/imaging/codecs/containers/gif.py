"""GIF: its blocks. CompuServe, *Graphics Interchange Format, Version 89a*; Netscape's block for loops."""

from __future__ import annotations

import struct

from imgpipe import limits
from imgpipe.errors import ImageError, Kind
from imgpipe.imaging.codecs.containers.header import Header, damaged, parts_max, reading

_TRAILER, _EXTENSION, _IMAGE = 0x3B, 0x21, 0x2C
_CONTROL, _APPLICATION = 0xF9, 0xFF
_PARTS_OF_FRAMES = 3  # of each frame: its control, its pixels, and what else a writer may say
_PIECES = 2  # pixels come in pieces of 255 bytes, half of what `parts_max` counts as one part


def header(data: bytes) -> Header:
    """What the blocks say. Whether a colour that may be transparent is in the picture, only the pixels tell.

    Raises
    ------
    ImageError
        ``truncated`` or ``unreadable``.
    """
    with reading(data):
        return _Walk(data).header()


class _Walk:
    """One pass over the blocks."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._width, self._height, flags = struct.unpack_from("<HHB", data, 6)
        if not self._width or not self._height:
            raise damaged("a picture without size")
        self._global = bool(flags & 0x80)
        self._at = 13 + (3 * 2 ** ((flags & 7) + 1) if self._global else 0)
        self._durations: list[int] = []
        self._duration, self._loops = 0, 1
        self._left = _PARTS_OF_FRAMES * limits.PAGES_MAX + _PIECES * parts_max(data)
        while self._block():
            pass

    def header(self) -> Header:
        if not self._durations:
            raise damaged("no picture in it")
        animated = len(self._durations) > 1
        return Header(
            self._width,
            self._height,
            frames=len(self._durations),
            durations=tuple(self._durations) if animated else (),
            loops=self._loops,
        )

    def _block(self) -> bool:
        data, at = self._data, self._at
        kind = data[at]
        if kind == _IMAGE:
            self._image()
        elif kind == _EXTENSION:
            self._extension(data[at + 1])
        elif kind == _TRAILER:
            return False
        else:
            raise damaged(f"no block at byte {at}")
        return True

    def _extension(self, label: int) -> None:
        data, start = self._data, self._at + 3
        if label == _CONTROL:
            (delay,) = struct.unpack_from("<H", data, start + 1)
            self._duration = 10 * delay
        elif label == _APPLICATION and data[start : start + 11] == b"NETSCAPE2.0":
            (times,) = struct.unpack_from("<H", data, start + 13)
            self._loops = times + 1 if times else 0
        self._skip(self._at + 2)

    def _image(self) -> None:
        left, top, width, height, flags = struct.unpack_from("<HHHHB", self._data, self._at + 1)
        if not width or not height or left + width > self._width or top + height > self._height:
            raise damaged(f"frame {len(self._durations) + 1} does not lie within the picture")
        if not flags & 0x80 and not self._global:
            raise damaged("a frame without colours")
        if len(self._durations) >= limits.PAGES_MAX:
            raise ImageError(Kind.TOO_LARGE, f"more than {limits.PAGES_MAX} frames")
        start = self._at + 10 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)
        if not 1 <= self._data[start] <= 8:
            raise damaged(f"codes of {self._data[start]} bits")
        self._durations.append(self._duration)
        self._duration = 0
        self._skip(start + 1)

    def _skip(self, at: int) -> None:
        """Past sub-blocks, each with its length before it, and the empty one that ends them."""
        data = self._data
        while data[at]:
            at += 1 + data[at]
            self._left -= 1
            if self._left < 0:
                raise damaged("too many pieces")
        self._at = at + 1
