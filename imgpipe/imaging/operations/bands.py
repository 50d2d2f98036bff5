"""Pictures in bands of rows that overlap: `pixels.by_bands` for filters.

What a filter does in float32 then needs no float32 copy of the whole picture, and the many passes it makes
over a band find it in a processor's cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import BAND, Image, depth, with_depth

if TYPE_CHECKING:
    from collections.abc import Callable

    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")


def in_bands(function: Callable[[Image], Image], image: Image, reach: int) -> Image:
    """``function`` of every band of rows, put together again in the depth of ``image``.

    It is given float32 with white at 1, ``(rows + 2 · reach, W + 2 · reach[, C])``: the band and ``reach``
    pixels around it, mirrored at the border of the picture without its edge pixel (``dcb|abcd|cba``). It
    gives back ``(rows, W[, C])`` of float32.
    """
    height, width = image.shape[:2]
    result = np.empty_like(image)
    rows = max(BAND // width, 2 * reach, 1)  # at most half of what is converted lies around the band
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = image[mirrored(np.arange(top - reach, bottom + reach), height)]
        around = cv2.copyMakeBorder(band, 0, 0, reach, reach, cv2.BORDER_REFLECT_101)
        done = function(with_depth(around, "float32"))
        result[top:bottom] = with_depth(done, depth(image))
    return result


def mirrored(at: Image, count: int) -> Image:
    """Positions outside of 0 … count - 1 put back inside, as if by mirrors standing on the first and last."""
    if count == 1:
        return np.zeros_like(at)
    period = 2 * (count - 1)
    folded: Image = np.minimum(at % period, -at % period)
    return folded


def inner(band: Image, reach: int, down: int = 0, right: int = 0) -> Image:
    """The view of a band without ``reach`` pixels around it, so many pixels further down and to the right."""
    height, width = band.shape[0] - 2 * reach, band.shape[1] - 2 * reach
    top, left = reach + down, reach + right
    return band[top : top + height, left : left + width]
