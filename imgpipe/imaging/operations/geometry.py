"""Geometry: where pixels are, not what they are.

Sizes and angles are those of the upright picture: orientation has been applied when it was decoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.declare import Alpha, Doc, OneOf, Range, Size, operation
from imgpipe.imaging.operations.kinds import SIDE_MAX
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")


def scaled(image: Image, width: int, height: int, kernel: str = "auto") -> Image:
    """``image`` with ``width`` × ``height`` pixels; ``auto`` is ``area`` to reduce, ``cubic`` to enlarge."""
    if image.shape[:2] == (height, width):
        return image.copy()
    if kernel == "auto":
        reduces = width <= image.shape[1] and height <= image.shape[0]
        kernel = "area" if reduces else "cubic"
    # Looked up here, not in a table at the top: that would load OpenCV.
    interpolation: int = getattr(cv2, f"INTER_{kernel.upper()}")
    return cv2.resize(image, (width, height), interpolation=interpolation)


def _resized(width: int, height: int, *, size: Size, **_: Any) -> tuple[int, int]:
    """Both sides of ``size``, the missing one in proportion, rounded, at least 1."""
    if size.width and size.height:
        return size.width, size.height
    if size.width:
        return size.width, max(1, min(SIDE_MAX, round(size.width * height / width)))
    return max(1, min(SIDE_MAX, round(size.height * width / height))), size.height


def _fitted(width: int, height: int, *, size: int) -> tuple[int, int]:
    ratio = min(1.0, size / max(height, width))
    return max(1, round(width * ratio)), max(1, round(height * ratio))


def _turned(width: int, height: int, *, angle: int) -> tuple[int, int]:
    return (width, height) if angle == 180 else (height, width)


@operation(version=1, example="resize:size=800x", alpha=Alpha.FILTERED, size=_resized, scales=True)
def resize(
    image: Image,
    *,
    size: Annotated[Size, Doc("width x height in pixels; leave one out to keep the proportions")],
    kernel: Annotated[
        str,
        OneOf("auto", "nearest", "linear", "cubic", "lanczos4", "area"),
        Doc("interpolation; auto is area to reduce, cubic to enlarge"),
    ] = "auto",
) -> Image:
    """Changes the size, to larger or smaller."""
    height, width = image.shape[:2]
    return scaled(image, *_resized(width, height, size=size), kernel)


@operation(version=1, example="thumbnail:size=200", alpha=Alpha.FILTERED, size=_fitted, scales=True)
def thumbnail(
    image: Image,
    *,
    size: Annotated[int, Range(1, SIDE_MAX), Doc("longest side in pixels")] = 256,
) -> Image:
    """Reduces the picture to fit into a square, in proportion; smaller pictures stay as they are."""
    height, width = image.shape[:2]
    return scaled(image, *_fitted(width, height, size=size))


@operation(version=1, example="rotate:angle=90", alpha=Alpha.MOVED, size=_turned)
def rotate(
    image: Image,
    *,
    angle: Annotated[int, OneOf(90, 180, 270), Doc("degrees, clockwise")] = 90,
) -> Image:
    """Turns the picture clockwise by quarters of a turn."""
    turns = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
    return cv2.rotate(image, turns[angle])


@operation(version=1, example="flip:axis=horizontal", alpha=Alpha.MOVED)
def flip(
    image: Image,
    *,
    axis: Annotated[
        str,
        OneOf("horizontal", "vertical", "both"),
        Doc("horizontal swaps left and right, vertical top and bottom"),
    ] = "horizontal",
) -> Image:
    """Mirrors the picture."""
    return cv2.flip(image, {"horizontal": 1, "vertical": 0, "both": -1}[axis])
