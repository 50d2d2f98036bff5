"""Filters: what becomes of a pixel depends on its neighbours.

At the border the picture is mirrored without its edge pixel (``dcb|abcd|cba``), OpenCV's default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.declare import Alpha, Doc, Range, operation
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import cv2
else:
    cv2 = lazy("cv2")


@operation(version=1, example="blur:size=5", alpha=Alpha.FILTERED)
def blur(
    image: Image,
    *,
    size: Annotated[int, Range(1, 999), Doc("side of the box in pixels")] = 3,
) -> Image:
    """Blurs with a box: every pixel becomes the mean of the pixels around it."""
    return cv2.blur(image, (size, size))
