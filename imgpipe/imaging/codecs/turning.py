"""Orientation: pixels as they are stored, turned as they are to be seen. EXIF 2.3, table 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import cv2
else:
    cv2 = lazy("cv2")


def upright(image: Image, turned: int) -> Image:
    """The picture as it should be seen: 2 … 4 are flips, 5 … 8 the same after swapping rows and columns."""
    if turned >= 5:
        image = cv2.transpose(image)
    flips = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
    return cv2.flip(image, flips[turned]) if turned in flips else image


def upright_size(width: int, height: int, turned: int) -> tuple[int, int]:
    return (height, width) if turned >= 5 else (width, height)
