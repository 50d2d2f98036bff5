"""What a file's own structure says about it, read without decoding: is it whole?

Asked about files that did not decode, to tell a truncated one (it ends before its pixels do; fetch it again)
from one that is no image. Each reader follows its format only as far as the place where the end is stated,
never trusts a length, and never walks more than the file has bytes.

========  ==========================================================  =================================
format    begins with                                                 is whole when
========  ==========================================================  =================================
JPEG      ``FF D8 FF``                                                an EOI marker follows the scans
PNG       ``89 P N G 0D 0A 1A 0A``                                    an IEND chunk ends within it
WebP      ``RIFF`` size ``WEBP``                                      the RIFF size is there
BMP       ``BM``                                                      the size of its header is there
TIFF      ``II 2A 00`` or ``MM 00 2A``                                its directory and strips are there
========  ==========================================================  =================================

Sources: ITU-T T.81 annex B; PNG (W3C) section 5; the RIFF container of WebP; TIFF 6.0 section 2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import islice

_SOI, _EOI, _SOS = b"\xff\xd8\xff", b"\xff\xd9", 0xDA
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # bytes, by type
_PNG = b"\x89PNG\r\n\x1a\n"


def is_truncated(data: bytes) -> bool:
    """Whether these bytes are the beginning of an image file whose end is missing."""
    for magic, is_whole in _READERS:
        if data.startswith(magic):
            try:
                return not is_whole(data)
            except struct.error:  # a field lies beyond the end
                return True
    return any(len(data) > 1 and magic.startswith(data) for magic, _ in _READERS)


def _jpeg_is_whole(data: bytes) -> bool:
    scan = _first_scan(data)
    return scan > 0 and data.find(_EOI, scan) > 0


def _first_scan(data: bytes) -> int:
    """Where the first scan begins, past all segments (a thumbnail there has its own EOI); -1: nowhere."""
    at = 2
    while at + 4 <= len(data):
        marker, kind = data[at], data[at + 1]
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker != 0xFF:
            return at  # garbage between segments: whatever follows may hold the end
        if kind == 0xFF:  # fill
            at += 1
            continue
        at += 2 + max(length, 2)
        if kind == _SOS:
            return at
    return -1


def _png_is_whole(data: bytes) -> bool:
    at = len(_PNG)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        at += 12 + length
        if kind == b"IEND":
            break
    else:
        return False
    return at <= len(data)


def _webp_is_whole(data: bytes) -> bool:
    (size,) = struct.unpack_from("<I", data, 4)
    return 8 + int(size) <= len(data)


def _bmp_is_whole(data: bytes) -> bool:
    size, _, start = struct.unpack_from("<III", data, 2)
    return max(int(size), int(start)) <= len(data)


def _tiff_is_whole(data: bytes) -> bool:
    tags = {tag: values for tag, *values in _tiff_directory(data)}
    if any(at + _TIFF_SIZES.get(kind, 1) * count > len(data) for kind, count, at in tags.values()):
        return False
    for starts, sizes in ((273, 279), (324, 325)):  # strips, tiles
        if starts in tags and sizes in tags:
            pairs = zip(_tiff_values(data, *tags[starts]), _tiff_values(data, *tags[sizes]), strict=False)
            if any(start + size > len(data) for start, size in pairs):
                return False
    return True


def _tiff_order(data: bytes) -> str:
    return "<" if data.startswith(b"II") else ">"


def _tiff_directory(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count, and where its values are, of the first directory."""
    order = _tiff_order(data)
    (at,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, at)
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        tag, kind, count, value = struct.unpack_from(order + "HHII", data, entry)
        in_place = count * _TIFF_SIZES.get(kind, 1) <= 4
        yield tag, kind, count, entry + 8 if in_place else value


def _tiff_values(data: bytes, kind: int, count: int, at: int) -> Iterator[int]:
    one = struct.Struct(_tiff_order(data) + ("H" if kind == 3 else "I"))
    found = (one.unpack_from(data, at + one.size * number)[0] for number in range(count))
    return islice(found, 65_536)  # a missing end shows in fewer strips than this


_READERS: tuple[tuple[bytes, Callable[[bytes], bool]], ...] = (
    (_SOI, _jpeg_is_whole),
    (_PNG, _png_is_whole),
    (b"RIFF", _webp_is_whole),
    (b"II*\0", _tiff_is_whole),
    (b"MM\0*", _tiff_is_whole),
    (b"BM", _bmp_is_whole),
)
