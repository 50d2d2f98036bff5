"""BMP whose pixels are read here: 16 and 32 bits a pixel, and runs (RLE8, RLE4).

OpenCV takes the byte that three masks leave over for alpha, knows only the usual masks, and makes 248 of
white in 5 bits. A run that goes on beyond the end of its row, as ImageMagick writes it to fill up words, it
carries into the next row, or it gives up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.imaging.codecs.containers.bmp import Layout
from imgpipe.imaging.codecs.containers.header import Header, damaged, truncated
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import WHITE, Image

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

_HALVES = [bytes(divmod(byte, 16)) for byte in range(256)]
_END_OF_ROW, _END, _JUMP = 0, 1, 2  # what follows a 0: Microsoft, *Bitmap Compression*
_CODES_MORE, _CODES_FREE = 8, 10_000  # beside one a pixel: of each row, of all


def decode(data: bytes, found: Header) -> Image:
    """``(H, W)`` where a palette is all grey, ``(H, W, 3)`` BGR, or ``(H, W, 4)`` BGRA where there is a mask
    for alpha; uint16 where one has more than 8 bits, else uint8. The header has been checked.

    Raises
    ------
    ImageError
        ``truncated`` or ``unreadable``: only runs themselves tell whether they are all there.
    """
    layout: Layout = found.details
    rows = _indices(data, found, layout) if layout.runs else _words(data, found, layout)
    if not layout.top_down:
        rows = rows[::-1]
    return _coloured(rows, layout.palette) if layout.runs else _masked(rows, layout.masks, found.depth)


# --- words --------------------------------------------------------------------------------------


def _words(data: bytes, found: Header, layout: Layout) -> Image:
    row = (found.width * layout.bits + 31) // 32 * 4
    rows = np.frombuffer(data, np.uint8, row * found.height, layout.start).reshape(found.height, row)
    return rows.view("<u2" if layout.bits == 16 else "<u4")[:, : found.width]


def _masked(words: Image, masks: tuple[int, ...], depth: str) -> Image:
    red, green, blue, alpha = masks
    order = (blue, green, red, alpha) if alpha else (blue, green, red)
    return np.stack([_sample(words, mask, depth) for mask in order], axis=2)


def _sample(words: Image, mask: int, depth: str) -> Image:
    """What stands under ``mask``, with white as `WHITE` has it."""
    white, largest = WHITE[depth], (1 << mask.bit_count()) - 1
    values: Image = (words & words.dtype.type(mask)) >> max(0, (mask & -mask).bit_length() - 1)
    if largest not in (0, white):
        values = np.rint(values * (white / largest))
    return values.astype(depth)


# --- runs ---------------------------------------------------------------------------------------


def _indices(data: bytes, found: Header, layout: Layout) -> Image:
    """``(H, W)``. What lies beyond the end of a row is cut off, what no run covers is index 0."""
    width, height, halves = found.width, found.height, layout.bits == 4
    pixels = bytearray(width * height)
    at, x, y = layout.start, 0, 0
    for _ in range((width + _CODES_MORE) * height + _CODES_FREE):
        if y >= height or (at >= len(data) and y == height - 1 and x >= width):
            break
        if at + 2 > len(data):
            raise truncated(data)
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            run = (_HALVES[value] * ((count + 1) // 2))[:count] if halves else data[at - 1 : at] * count
        elif value > _JUMP:
            size = (value + 1) // 2 if halves else value
            run = data[at : at + size]
            if len(run) < size:
                raise truncated(data)
            run = b"".join([_HALVES[byte] for byte in run])[:value] if halves else run
            at += size + size % 2
        elif value == _END:
            break
        elif value == _END_OF_ROW:
            x, y = 0, y + 1
            continue
        else:
            if at + 2 > len(data):
                raise truncated(data)
            x, y, at = x + data[at], y + data[at + 1], at + 2
            continue
        seen = run[: max(0, width - x)]
        pixels[y * width + x : y * width + x + len(seen)] = seen
        x += len(run)
    else:
        raise damaged("more runs than pixels")
    return np.frombuffer(pixels, np.uint8).reshape(height, width)


def _coloured(indices: Image, palette: bytes) -> Image:
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 4)[:, :3]
    if (colours == colours[:, :1]).all():
        return colours[:, 0][indices]
    return colours[indices]
