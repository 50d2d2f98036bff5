"""Writing GIF. CompuServe, *Graphics Interchange Format, Version 89a*; Netscape's block for loops.

OpenCV's encoder has one fixed palette, 8 × 8 × 4 colours, for every picture. Here each frame has its own: one
of at most 256 colours (transparency is one of them) comes back as it was, any other is reduced to the best
that are found (`palette`).

Where nothing is transparent, a frame of an animation holds only the rectangle that has changed, and is drawn
over the one before. Where something is, each holds all of the picture, and the one before is cleared first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from imgpipe.errors import Note
from imgpipe.imaging.codecs import lzw
from imgpipe.imaging.codecs.palette import Indexed, indexed, shown
from imgpipe.imaging.codecs.picture import Remark
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import WHITE, Image, has_alpha

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

_DELAY_MAX = _REPEATS_MAX = 65_535  # 16 bits; a delay is in units of 10 ms
_KEEP, _CLEAR = 1, 2  # what is done with a frame before the next one is drawn

#: Rows and columns.
_Place: TypeAlias = tuple[slice, slice]


def encode(frames: Sequence[Image], durations: Sequence[int], loops: int) -> tuple[bytes, list[Remark]]:
    """The bytes of a GIF, and what was lost in it.

    Parameters
    ----------
    frames
        ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA, uint8, all of one size, at most 65,535 a side.
    durations
        How long each is shown, in ms.
    loops
        How often all are shown, 0 for ever. For a single frame it means nothing.
    """
    transparent = not all(shown(frame).all() for frame in frames)
    places = [_whole(frame) for frame in frames] if transparent else list(_changed(frames))
    parts = [indexed(f[place], transparent=transparent) for f, place in zip(frames, places, strict=True)]
    animated, first = len(frames) > 1, _table(parts[0])
    blocks = [_screen(frames[0], first)]
    if animated and loops != 1:
        blocks.append(_repeated(loops - 1 if loops else 0))
    for part, place, delay in zip(parts, places, _delays(durations) if animated else (0,), strict=True):
        if animated or transparent:
            blocks.append(_control(part, delay))
        blocks.append(_image(part, place, first))
    return b"".join((*blocks, b";")), _losses(frames, parts)


def _losses(frames: Sequence[Image], parts: Sequence[Indexed]) -> list[Remark]:
    remarks: list[Remark] = []
    if any(map(_half_seen, frames)):
        remarks.append((str(Note.ALPHA), "transparency became all or nothing: GIF has no more"))
    if any(part.reduced for part in parts):
        remarks.append((str(Note.DEPTH), "reduced to 256 colours: GIF has no more"))
    return remarks


def _half_seen(frame: Image) -> bool:
    if not has_alpha(frame):
        return False
    alpha = frame[:, :, 3]
    return bool(((alpha > 0) & (alpha < WHITE["uint8"])).any())


# --- time and place -----------------------------------------------------------------------------


def _delays(durations: Sequence[int]) -> Iterator[int]:
    """In units of 10 ms, rounded so that their sum stays true, but a frame that is shown is shown for one."""
    passed = told = 0
    for duration in durations:
        passed += duration
        delay = min(max((passed + 5) // 10 - told, 1 if duration else 0), _DELAY_MAX)
        told += delay
        yield delay


def _whole(frame: Image) -> _Place:
    return slice(0, frame.shape[0]), slice(0, frame.shape[1])


def _changed(frames: Sequence[Image]) -> Iterator[_Place]:
    """All of the first frame; of any other the rectangle that is not as it was, one pixel at least."""
    yield _whole(frames[0])
    for before, frame in pairwise(frames):
        differs = (frame[:, :, :3] != before[:, :, :3]).any(axis=2)
        yield _extent(differs.any(axis=1)), _extent(differs.any(axis=0))


def _extent(flags: Image) -> slice:
    """From the first flag that is set to the last."""
    where = np.flatnonzero(flags)
    return slice(int(where[0]), int(where[-1]) + 1) if len(where) else slice(0, 1)


# --- blocks -------------------------------------------------------------------------------------


def _screen(frame: Image, table: bytes) -> bytes:
    height, width = frame.shape[:2]
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0 | _bits(table) - 1, 0, 0) + table


def _repeated(repeats: int) -> bytes:
    return b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", min(repeats, _REPEATS_MAX), 0)


def _control(part: Indexed, delay: int) -> bytes:
    # Some readers clear to transparency only where a frame has a transparent colour: each of them has.
    unseen, disposal = (len(part.colours), _CLEAR) if part.transparent else (0, _KEEP)
    return b"\x21\xf9\x04" + struct.pack("<BHBB", disposal << 2 | part.transparent, delay, unseen, 0)


def _image(part: Indexed, place: _Place, screen_table: bytes) -> bytes:
    """A frame; its table of colours is left out where it is the screen's."""
    rows, columns = place
    table = _table(part)
    own = table != screen_table
    flags = 0x80 | _bits(table) - 1 if own else 0
    height, width = part.indices.shape
    head = struct.pack("<BHHHHB", 0x2C, columns.start, rows.start, width, height, flags)
    bits = max(2, _bits(table))  # appendix F: even for two colours
    data = lzw.compressed(part.indices.tobytes(), bits)
    return b"".join((head, table if own else b"", bytes((bits,)), _blocks(data)))


def _table(part: Indexed) -> bytes:
    """Red, green, blue of 2, 4, … 256 colours; unused ones are black, and so is what is not seen."""
    size = max(2, len(part.colours) + part.transparent)
    colours: bytes = part.colours[:, ::-1].tobytes()
    return colours.ljust(3 << (size - 1).bit_length(), b"\0")


def _bits(table: bytes) -> int:
    return (len(table) // 3 - 1).bit_length()


def _blocks(data: bytes) -> bytes:
    """In pieces of at most 255 bytes, each with its length before it, and an empty one."""
    pieces = (data[at : at + 255] for at in range(0, len(data), 255))
    return b"".join(bytes((len(piece),)) + piece for piece in pieces) + b"\0"
