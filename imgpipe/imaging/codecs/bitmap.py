"""BMP of 16 and 32 bits a pixel: its samples, read here.

OpenCV takes the byte that three masks leave over for alpha, knows only the usual masks, and makes 248 of
white in 5 bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.imaging.codecs.containers.bmp import Layout
from imgpipe.imaging.codecs.containers.header import Header
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import WHITE, Image

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


def decode(data: bytes, found: Header) -> Image:
    """``(H, W, 3)`` BGR, or ``(H, W, 4)`` BGRA where there is a mask for alpha; uint16 where one has more
    than 8 bits, else uint8. The header has been checked."""
    layout: Layout = found.details
    row = (found.width * layout.bits + 31) // 32 * 4
    rows = np.frombuffer(data, np.uint8, row * found.height, layout.start).reshape(found.height, row)
    words = rows.view("<u2" if layout.bits == 16 else "<u4")[:, : found.width]
    if not layout.top_down:
        words = words[::-1]
    red, green, blue, alpha = layout.masks
    masks = (blue, green, red, alpha) if alpha else (blue, green, red)
    return np.stack([_sample(words, mask, found.depth) for mask in masks], axis=2)


def _sample(words: Image, mask: int, depth: str) -> Image:
    """What stands under ``mask``, with white as `WHITE` has it."""
    white, largest = WHITE[depth], (1 << mask.bit_count()) - 1
    values: Image = (words & words.dtype.type(mask)) >> max(0, (mask & -mask).bit_length() - 1)
    if largest not in (0, white):
        values = np.rint(values * (white / largest))
    return values.astype(depth)
