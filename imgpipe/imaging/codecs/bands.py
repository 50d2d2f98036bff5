"""Arithmetic on a few rows at a time: what is worked out in between takes no memory to speak of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

_PIXELS = 1 << 20  # at a time: 32 MB of four channels in float64


def banded(function: Callable[..., Image], *images: Image) -> Image:
    """``function`` of images of one shape, ``(H, W)`` or ``(H, W, C)``: for one that gives an image of the
    shape and dtype of the first, and whose rows do not depend on each other."""
    height, width = images[0].shape[:2]
    rows = max(1, _PIXELS // width)
    if height <= rows:
        return function(*images)
    result = np.empty_like(images[0])
    for at in range(0, height, rows):
        result[at : at + rows] = function(*(image[at : at + rows] for image in images))
    return result
