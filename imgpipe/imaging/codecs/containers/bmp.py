"""BMP: its header. Microsoft, *BITMAPINFOHEADER* … *BITMAPV5HEADER* and the older BITMAPCOREHEADER."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from imgpipe.errors import Note
from imgpipe.imaging.codecs.containers.header import Header, damaged, reading, truncated, unread, unsupported

_FILE = 14  # bytes before the header
_CORE, _OS2 = 12, 64  # sizes of headers: the oldest, and that of OS/2, whose packings have other numbers
_RGB, _RLE8, _RLE4, _MASKS, _ALPHA_MASKS = 0, 1, 2, 3, 6  # how pixels are packed
_RLES = (_RLE8, _RLE4)
_BITS = {_RGB: (1, 4, 8, 16, 24, 32), _RLE8: (8,), _RLE4: (4,), _MASKS: (16, 32), _ALPHA_MASKS: (16, 32)}
_PROFILED, _PROFILES = 124, (b"DEBM", b"KNIL")  # size of the newest header; kinds of colour space in it
_USUAL = {16: (0x7C00, 0x3E0, 0x1F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}  # where there are no masks


@dataclass(frozen=True, slots=True)
class Layout:
    """Where pixels begin, bits of one, and how they lie.

    ``masks`` of red, green, blue and alpha in a pixel of 16 or 32 bits, else empty. ``core``: the header is
    the oldest. ``runs``: pixels are packed as runs of one index into the ``palette``, which has blue, green,
    red and a byte without meaning of each colour.
    """

    start: int
    bits: int
    masks: tuple[int, ...]
    top_down: bool
    core: bool
    runs: bool
    palette: bytes


def header(data: bytes) -> Header:
    """What the header says.

    Raises
    ------
    ImageError
        ``truncated`` or ``unreadable``.
    """
    with reading(data):
        (start,) = struct.unpack_from("<I", data, 10)
        size, width, height, bits, packing = _sides(data)
        masks = _masks(data, size, bits, packing)
        palette = _palette(data, size) if packing in _RLES else b""
    if bits not in _BITS[packing]:
        raise unsupported(f"a BMP of {bits} bits a pixel, packed in way {packing}")
    if width <= 0 or height == 0:
        raise damaged("its header describes no picture")
    if start < _FILE + size:
        raise damaged("its pixels begin within its header")
    row = (width * bits + 31) // 32 * 4
    if start > len(data) or (packing not in _RLES and start + row * abs(height) > len(data)):
        raise truncated(data)
    return Header(
        width,
        abs(height),
        bits=16 if any(mask.bit_count() > 8 for mask in masks) else 8,
        alpha=bool(masks and masks[3]),
        losses=(unread(Note.ICC, "BMP"),) if size >= _PROFILED and data[70:74] in _PROFILES else (),
        details=Layout(start, bits, masks, height < 0, size == _CORE, packing in _RLES, palette),
    )


def _sides(data: bytes) -> tuple[int, int, int, int, int]:
    """Size of the header, width, height, bits, packing."""
    (size,) = struct.unpack_from("<I", data, 14)
    if size == _CORE:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        return size, width, height, bits, _RGB
    if size < 40:
        raise unsupported(f"a BMP with a header of {size} bytes")
    width, height, bits, packing = struct.unpack_from("<ii2xHI", data, 18)
    if packing not in _BITS or (size == _OS2 and packing > _RLE4):
        raise unsupported(f"a BMP packed in way {packing}")
    return size, width, height, bits, packing


def _palette(data: bytes, size: int) -> bytes:
    """256 colours at most; 0 means as many as there are indices, and what is missing is black."""
    (count,) = struct.unpack_from("<I", data, 46)
    start, length = 14 + size, 4 * min(count or 256, 256)
    end = min(start + length, struct.unpack_from("<I", data, 10)[0])
    return data[start:end].ljust(4 * 256, b"\0")


def _masks(data: bytes, size: int, bits: int, packing: int) -> tuple[int, ...]:
    """Masks stand behind the oldest fields, in a newer header or after it; alpha has one in the newest."""
    if packing not in (_MASKS, _ALPHA_MASKS):
        return _USUAL.get(bits, ())
    count = 4 if size >= 56 or packing == _ALPHA_MASKS else 3
    masks: tuple[int, ...] = struct.unpack_from(f"<{count}I", data, 54)
    if any("01" in f"{mask:b}".rstrip("0") for mask in masks):
        raise damaged("a mask with gaps")
    if max(masks) >> bits:
        raise damaged("a mask of more bits than a pixel has")
    return (*masks, 0)[:4]
