"""BMP: its header. Microsoft, *BITMAPINFOHEADER* and the older BITMAPCOREHEADER."""

from __future__ import annotations

import struct

from imgpipe.imaging.codecs.containers.header import Header, damaged, reading, truncated

_CORE = 12
_RLE = (1, 2)
_END = b"\0\1"


def header(data: bytes) -> Header:
    """What the header says.

    Raises
    ------
    ImageError
        ``truncated`` or ``unreadable``.
    """
    with reading(data):
        (start,) = struct.unpack_from("<I", data, 10)
        width, height, bits, packing = _sides(data)
    if width <= 0 or height == 0 or bits not in (1, 4, 8, 16, 24, 32):
        raise damaged("its header describes no picture")
    row = (width * bits + 31) // 32 * 4
    if packing not in _RLE and start + row * abs(height) > len(data):
        raise truncated(data)
    if start > len(data):
        raise truncated(data)
    return Header(width, abs(height), alpha=bits in (16, 32))


def is_whole(data: bytes) -> bool:
    """Whether run lengths go on to their end mark. All other pixels have been counted."""
    (start,) = struct.unpack_from("<I", data, 10)
    packing = _sides(data)[3]
    at = start
    while packing in _RLE and data[at : at + 2] != _END:
        if at + 2 > len(data):
            return False
        count, value = data[at], data[at + 1]
        at += 2 if count else _escape(value, packing)
    return True


def _escape(value: int, packing: int) -> int:
    """Bytes of an escape: the end of a row, a jump, or so many pixels as they are, in whole words."""
    if value < 3:
        return 4 if value == 2 else 2
    return 2 + ((value if packing == 1 else (value + 1) // 2) + 1) // 2 * 2


def _sides(data: bytes) -> tuple[int, int, int, int]:
    (size,) = struct.unpack_from("<I", data, 14)
    if size == _CORE:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        return width, height, bits, 0
    if size < 40:
        raise damaged(f"a header of {size} bytes")
    return struct.unpack_from("<ii2xHI", data, 18)
