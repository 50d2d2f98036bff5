"""LZW with codes of a variable width, as GIF has it: indices of colours → bytes.

Welch, *A Technique for High-Performance Data Compression* (1984); CompuServe, *Graphics Interchange Format,
Version 89a*, appendix F. The longest known run of indices becomes one code, and that run with the index after
it becomes known under the next free code. When all codes of 12 bits are in use, a clear code forgets them.

How wide a code is follows from its place after the last clear code alone: the decoder, one step behind, then
knows ``clear + place`` codes. So the one loop over the pixels, in `_segments`, only finds codes; widths are
looked up and bits packed by NumPy, many codes at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

WIDTH_MAX = 12
_NEWEST = 2**WIDTH_MAX - 1
_BLOCK = 1 << 16  # codes packed at once


def compressed(indices: bytes, bits: int) -> bytes:
    """The codes of at least one index, each below ``2**bits``, packed; ``bits`` is 2 … 8."""
    clear = 1 << bits
    places = np.arange(_NEWEST - clear + 2)
    widths = np.searchsorted(2 ** np.arange(WIDTH_MAX), clear + places, side="right").astype(np.uint8)
    codes, wide = [np.array([clear], np.uint16)], [widths[:1]]
    for segment in _segments(indices, clear):
        codes.append((np.array(segment, np.uint32) >> 8).astype(np.uint16))
        wide.append(widths[1 : len(segment) + 1])
    return _packed(np.concatenate(codes), np.concatenate(wide))


def _segments(indices: bytes, clear: int) -> Iterator[list[int]]:
    """The codes after each clear code, with the clear code or the end that follows, all shifted by 8 bits.

    Prefix and index then make one key by adding them, and what is found is the next prefix as it is.
    """
    pixels = iter(indices)
    prefix = next(pixels) << 8
    while True:
        codes, following = _segment(pixels, prefix, clear)
        if following is None:
            yield [*codes, (clear + 1) << 8]
            return
        yield [*codes, clear << 8]
        prefix = following << 8


def _segment(pixels: Iterator[int], prefix: int, clear: int) -> tuple[list[int], int | None]:
    """Codes until all are given away, with the index that comes then; None where the pixels have ended."""
    codes: list[int] = []
    table: dict[int, int] = {}
    newest, last = (clear + 1) << 8, _NEWEST << 8
    append, known = codes.append, table.get  # looked up once: this loop runs for every pixel
    for pixel in pixels:
        key = prefix + pixel
        found = known(key)
        if found:
            prefix = found
            continue
        append(prefix)
        if newest == last:
            return codes, pixel
        newest += 256
        table[key] = newest
        prefix = pixel << 8
    append(prefix)
    return codes, None


def _packed(codes: Image, widths: Image) -> bytes:
    """Each code in so many bits, the lowest first, without gaps."""
    ends = np.cumsum(widths, dtype=np.int64)
    packed = np.zeros(int(ends[-1] + 7) // 8 + 2, np.uint8)  # two more: every code is written as three bytes
    for at in range(0, len(codes), _BLOCK):
        starts = ends[at : at + _BLOCK] - widths[at : at + _BLOCK]
        shifted = codes[at : at + _BLOCK].astype(np.int64) << (starts & 7)
        base = int(starts[0]) >> 3
        for byte in range(3):
            # Bits of different codes never meet, so adding them is joining them.
            sums = np.bincount((starts >> 3) - base + byte, (shifted >> 8 * byte) & 255)
            packed[base : base + len(sums)] += sums.astype(np.uint8)
    return packed[:-2].tobytes()
