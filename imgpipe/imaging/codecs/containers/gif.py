"""GIF: its blocks, and the GIFs of one frame that OpenCV is given instead of the file.

OpenCV clears with black where a frame is disposed of, forgets what was there before, and makes what no frame
covers opaque. CompuServe, *Graphics Interchange Format, Version 89a*; Netscape's block for loops.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from imgpipe import limits
from imgpipe.errors import ImageError, Kind, Note
from imgpipe.imaging.codecs.containers.header import Frame, Header, damaged, parts_max, reading, unread

_TRAILER, _EXTENSION, _IMAGE = 0x3B, 0x21, 0x2C
_CONTROL, _APPLICATION = 0xF9, 0xFF
_HIDDEN, _INTERLACED = 0x01, 0x40  # flags: one colour is transparent; rows lie in four passes
_DISPOSALS = {2: 1, 3: 2}  # to a frame's: clear, restore; all others leave it
_HOLDING = {b"XMP DataXMP": Note.XMP, b"ICCRGBG1012": Note.ICC}  # names of applications
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
        self._at = 13 + _table(flags)
        self._palette = flags & 7, memoryview(data)[13 : self._at]
        self._frames: list[Frame] = []
        self._held: dict[Note, None] = {}
        self._control, self._loops = (0, 0, 0), 1  # flags, delay, transparent colour
        self._left = _PARTS_OF_FRAMES * limits.PAGES_MAX + _PIECES * parts_max(data)
        while self._block():
            pass

    def header(self) -> Header:
        if not self._frames:
            raise damaged("no picture in it")
        animated = len(self._frames) > 1
        return Header(
            self._width,
            self._height,
            frames=len(self._frames),
            durations=tuple(frame.duration for frame in self._frames) if animated else (),
            loops=self._loops,
            losses=tuple(self._losses()),
            details=self._frames,
        )

    def _losses(self) -> Iterator[tuple[str, str]]:
        yield from (unread(note, "GIF") for note in self._held)
        if self._at == len(self._data):  # some writers leave it out
            yield str(Note.WARNING), "it has no trailer: frames may be missing"

    def _block(self) -> bool:
        data, at = self._data, self._at
        if at == len(data) and self._frames:
            return False
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
            self._control = struct.unpack_from("<BHB", data, start)
        elif label == _APPLICATION:
            self._application(data[start : start + 11], start + 13)
        self._skip(self._at + 2)

    def _application(self, name: bytes, start: int) -> None:
        if name == b"NETSCAPE2.0":
            (times,) = struct.unpack_from("<H", self._data, start)
            self._loops = times + 1 if times else 0
        elif name in _HOLDING:
            self._held[_HOLDING[name]] = None

    def _image(self) -> None:
        left, top, width, height, flags = struct.unpack_from("<HHHHB", self._data, self._at + 1)
        if not width or not height or left + width > self._width or top + height > self._height:
            raise damaged(f"frame {len(self._frames) + 1} does not lie within the picture")
        if len(self._frames) >= limits.PAGES_MAX:
            raise ImageError(Kind.TOO_LARGE, f"more than {limits.PAGES_MAX} frames")
        view, start = memoryview(self._data), self._at + 10 + _table(flags)
        size, palette = (flags & 7, view[self._at + 10 : start]) if flags & 0x80 else self._palette
        if not palette:
            raise damaged("a frame without colours")
        if not 1 <= self._data[start] <= 8:
            raise damaged(f"codes of {self._data[start]} bits")
        how, delay, hidden = self._control
        self._control = (0, 0, 0)
        self._skip(start + 1)
        frame = Frame(width, height, left, top, 10 * delay, _DISPOSALS.get(how >> 2 & 7, 0), over=True)
        head = struct.pack("<6sHHBBB", b"GIF89a", width, height, 0xF0 | size, 0, 0)
        control = struct.pack("<3sBHBB", b"!\xf9\x04", how & _HIDDEN, 0, hidden, 0)
        place = struct.pack("<BHHHHB", _IMAGE, 0, 0, width, height, flags & _INTERLACED)
        frame.data = [head, palette, control + place, view[start : self._at], b";"]
        self._frames.append(frame)

    def _skip(self, at: int) -> None:
        """Past sub-blocks, each with its length before it, and the empty one that ends them."""
        data = self._data
        while data[at]:
            at += 1 + data[at]
            self._left -= 1
            if self._left < 0:
                raise damaged("too many pieces")
        self._at = at + 1


def _table(flags: int) -> int:
    """Bytes of the table of colours that follows a block with these flags."""
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def clean(frame: Frame) -> bytes:
    """A GIF of this frame alone, in its own size."""
    return b"".join(frame.data)
