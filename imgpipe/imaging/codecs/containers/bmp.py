"""BMP: its header. Microsoft, *BITMAPINFOHEADER* and the older BITMAPCOREHEADER."""

from __future__ import annotations

import struct

from imgpipe.imaging.codecs.containers.header import Header, damaged, reading, truncated

_CORE = 12
_RLE = (1, 2)


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


def _sides(data: bytes) -> tuple[int, int, int, int]:
    (size,) = struct.unpack_from("<I", data, 14)
    if size == _CORE:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        return width, height, bits, 0
    if size < 40:
        raise damaged(f"a header of {size} bytes")
    return struct.unpack_from("<ii2xHI", data, 18)
