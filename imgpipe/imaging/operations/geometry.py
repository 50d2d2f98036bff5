"""Geometry: the size of the picture.

`warping` turns it, `arrangement` moves whole pixels. Sizes are those of the upright picture: orientation has
been applied when it was decoded. `resampling` has the arithmetic. Colours are weighted by alpha, so that no
hidden colour of a transparent pixel seeps out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.canvas import GRAVITY, placed
from imgpipe.imaging.operations.declare import (
    Alpha,
    Doc,
    OneOf,
    Range,
    Size,
    always,
    one_of,
    operation,
)
from imgpipe.imaging.operations.kinds import SIDE_MAX
from imgpipe.imaging.operations.resampling import scaled
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

Kernel = Annotated[
    str,
    OneOf("auto", "nearest", "linear", "cubic", "lanczos", "area"),
    Doc("auto is area to reduce, cubic to enlarge; linear, cubic and lanczos do not alias when they reduce"),
]


def _by(width: int, height: int, factor: float) -> tuple[int, int]:
    """Both sides times ``factor``, rounded, at least 1 and at most `SIDE_MAX`."""
    wide, high = (max(1, min(SIDE_MAX, round(side * factor))) for side in (width, height))
    return wide, high


def sized(width: int, height: int, size: Size) -> tuple[int, int]:
    """Both sides of ``size``, the missing one in proportion, rounded, at least 1."""
    if size.width and size.height:
        return size.width, size.height
    if size.width:
        return size.width, max(1, min(SIDE_MAX, round(size.width * height / width)))
    return max(1, min(SIDE_MAX, round(size.height * width / height))), size.height


def _fit(width: int, height: int, size: Size) -> tuple[int, int]:
    """The largest size in proportion that neither side of ``size`` cuts."""
    ratios = [wanted / side for wanted, side in zip(size, (width, height), strict=True) if wanted]
    return _by(width, height, min(ratios))


def _averages(*, kernel: str, **_: Any) -> bool:
    """Only these make of a picture reduced before what they would have made of the whole: others sharpen."""
    return kernel in ("auto", "area")


def _resized(
    width: int,
    height: int,
    *,
    size: Size | None,
    fit: Size | None,
    long: int | None,
    short: int | None,
    **_: Any,
) -> tuple[int, int]:
    if size is not None:
        return sized(width, height, size)
    if fit is not None:
        return _fit(width, height, fit)
    if long is not None:
        return _by(width, height, long / max(width, height))
    return _by(width, height, (short or 1) / min(width, height))


@operation(
    version=2,
    example="resize:size=800x",
    alpha=Alpha.FILTERED,
    size=_resized,
    scales=_averages,
    check=one_of("size", "fit", "long", "short"),
)
def resize(
    image: Image,
    *,
    size: Annotated[
        Size | None, Doc("exactly this, in pixels; leave a side out to keep the proportions")
    ] = None,
    fit: Annotated[Size | None, Doc("as large as fits into this box of pixels, in proportion")] = None,
    long: Annotated[int | None, Range(1, SIDE_MAX), Doc("longer side in pixels, in proportion")] = None,
    short: Annotated[int | None, Range(1, SIDE_MAX), Doc("shorter side in pixels, in proportion")] = None,
    kernel: Kernel = "auto",
) -> Image:
    """Changes the size, to larger or smaller.

    Exactly one of size, fit, long and short is given: 800x600 as size stretches, as fit it does not. To cover
    a box and crop what is beyond it, take ``fill``; to reduce only, ``thumbnail``. Depth and channels are
    kept. Kernels are those of Pillow and libvips: when linear, cubic and lanczos reduce they are stretched by
    the factor, so that fine patterns do not alias.
    """
    height, width = image.shape[:2]
    wanted = _resized(width, height, size=size, fit=fit, long=long, short=short)
    return scaled(image, *wanted, kernel)


def _filled(width: int, height: int, *, size: Size, **_: Any) -> tuple[int, int]:
    return size.width or size.height, size.height or size.width


@operation(version=1, example="fill:size=400x400", alpha=Alpha.FILTERED, size=_filled)
def fill(
    image: Image,
    *,
    size: Annotated[Size, Doc("width x height of the box in pixels; with one left out it is a square")],
    gravity: Annotated[str, GRAVITY, Doc("which part of the picture stays")] = "centre",
    kernel: Kernel = "auto",
) -> Image:
    """Scales the picture to cover a box and crops what is beyond it.

    As ``object-fit: cover`` of CSS, Pillow's ``ImageOps.fit`` and the crop of ``vipsthumbnail``: the result
    has exactly this size, and is stretched by no more than half a pixel. Depth and channels are kept.
    """
    height, width = image.shape[:2]
    box = _filled(width, height, size=size)
    factor = max(box[0] / width, box[1] / height)
    # Only what will be seen is scaled: the part of the picture that has the proportions of the box.
    part = max(1, min(width, round(box[0] / factor))), max(1, min(height, round(box[1] / factor)))
    left, top = placed((width, height), part, gravity)
    return scaled(image[top : top + part[1], left : left + part[0]], *box, kernel)


def _thumbnail(width: int, height: int, *, size: int) -> tuple[int, int]:
    ratio = min(1.0, size / max(height, width))
    return max(1, round(width * ratio)), max(1, round(height * ratio))


@operation(version=1, example="thumbnail:size=200", alpha=Alpha.FILTERED, size=_thumbnail, scales=always)
def thumbnail(
    image: Image,
    *,
    size: Annotated[int, Range(1, SIDE_MAX), Doc("longest side in pixels")] = 256,
) -> Image:
    """Reduces the picture to fit into a square, in proportion; smaller pictures stay as they are."""
    height, width = image.shape[:2]
    return scaled(image, *_thumbnail(width, height, size=size))
