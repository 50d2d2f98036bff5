"""Arrangement: which pixels of the picture stay, what is put around them, and which way up they are.

Every pixel of the result is one of the picture, unchanged, or background. Sizes are those of the upright
picture. A request that a picture cannot meet is that picture's failure: nothing is silently made smaller.
"""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING, Annotated, Any

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.canvas import BLACK, GRAVITY, framed, impossible, paint, placed
from imgpipe.imaging.operations.declare import (
    Alpha,
    Colour,
    Doc,
    Length,
    OneOf,
    Range,
    Ratio,
    Size,
    operation,
)
from imgpipe.imaging.operations.kinds import SIDE_MAX, nearest_pixel
from imgpipe.imaging.pixels import WHITE, Image, by_bands, depth, has_alpha, weighted

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

Margin = Annotated[Length, Range(0, SIDE_MAX), Doc("of background there: pixels, or a share of that side")]
NOTHING = Length(0)


# --- parts of the picture -----------------------------------------------------------------------


def _part(image: Image, left: int, top: int, width: int, height: int) -> Image:
    part: Image = image[top : top + height, left : left + width].copy()
    return part


def _span(side: int, start: Length, length: Length | None) -> tuple[int, int]:
    """First pixel and count. Both ends are rounded, so that shares of 33.3 % and 66.7 % meet."""
    first = start.exact(side) + (side if start.value < 0 else 0)
    end = side if length is None else first + length.exact(side)
    return nearest_pixel(first), nearest_pixel(end) - nearest_pixel(first)


def _cropped(width: int, height: int, /, **arguments: Any) -> tuple[int, int]:
    left, wide = _span(width, arguments["x"], arguments["width"])
    top, high = _span(height, arguments["y"], arguments["height"])
    if min(left, top) < 0 or min(wide, high) < 1 or left + wide > width or top + high > height:
        raise impossible("crop", f"{wide}x{high} at {left},{top} is asked for", width, height)
    return wide, high


def _no_crop(*, x: Length, y: Length, width: Length | None, height: Length | None) -> str:
    said = x.value or y.value or width or height
    return "" if said else "x, y, width or height must be given"


@operation(
    version=1,
    example="crop:x=10,y=10,width=200,height=50%",
    alpha=Alpha.MOVED,
    size=_cropped,
    check=_no_crop,
)
def crop(
    image: Image,
    *,
    x: Annotated[Length, Range(-SIDE_MAX, SIDE_MAX), Doc("left edge; below 0, from the right")] = NOTHING,
    y: Annotated[Length, Range(-SIDE_MAX, SIDE_MAX), Doc("top edge; below 0, from below")] = NOTHING,
    width: Annotated[Length | None, Range(1, SIDE_MAX), Doc("width; without it, all to the right")] = None,
    height: Annotated[Length | None, Range(1, SIDE_MAX), Doc("height; without it, all below")] = None,
) -> Image:
    """Cuts out a rectangle.

    It has to lie within the picture: a smaller picture fails. A share is of the picture's width or height.
    Alpha, depth and channels are kept.
    """
    left, wide = _span(image.shape[1], x, width)
    top, high = _span(image.shape[0], y, height)
    return _part(image, left, top, wide, high)


def _middle(width: int, height: int, *, size: Size) -> tuple[int, int]:
    wide, high = size.width or width, size.height or height
    if wide > width or high > height:
        raise impossible("centre-crop", f"{wide}x{high} is asked for", width, height)
    return wide, high


@operation(version=1, example="centre-crop:size=200x100", alpha=Alpha.MOVED, size=_middle)
def centre_crop(
    image: Image,
    *,
    size: Annotated[Size, Doc("of the part, in pixels; a side that is left out stays whole")],
) -> Image:
    """Cuts out the middle of the picture.

    A smaller picture fails: to scale it first, take ``fill``. Alpha, depth and channels are kept.
    """
    height, width = image.shape[:2]
    part = _middle(width, height, size=size)
    return _part(image, *placed((width, height), part, "centre"), *part)


def _aspect(width: int, height: int, *, ratio: Ratio, **_: Any) -> tuple[int, int]:
    if width * ratio.height > height * ratio.width:
        return max(1, nearest_pixel(height * ratio.width / ratio.height)), height
    return width, max(1, nearest_pixel(width * ratio.height / ratio.width))


@operation(version=1, example="aspect-crop:ratio=16:9", alpha=Alpha.MOVED, size=_aspect)
def aspect_crop(
    image: Image,
    *,
    ratio: Annotated[Ratio, Doc("width to height")],
    gravity: Annotated[str, GRAVITY, Doc("which part of the picture stays")] = "centre",
) -> Image:
    """Cuts the picture to a ratio of width to height, as large as possible.

    Alpha, depth and channels are kept.
    """
    height, width = image.shape[:2]
    part = _aspect(width, height, ratio=ratio)
    return _part(image, *placed((width, height), part, gravity), *part)


@operation(version=1, example="trim:tolerance=4", alpha=Alpha.MOVED, size=None)
def trim(
    image: Image,
    *,
    tolerance: Annotated[
        float, Range(0, 100), Doc("how far a channel may be from the colour, in percent of white")
    ] = 4.0,
    colour: Annotated[Colour | None, Doc("of the borders; without it, that of the top left pixel")] = None,
) -> Image:
    """Cuts off borders of one colour.

    As ImageMagick's ``-trim`` with ``-fuzz``. Colours are weighted by alpha, so transparent pixels are alike.
    A picture that is nothing but border stays as it is. Alpha, depth and channels are kept.
    """
    seen = _seen(image)
    target = seen[:1, :1] if colour is None else _seen(np.full_like(image[:1, :1], paint(colour, image)))
    picture = ~_alike(seen, target.ravel().tolist(), tolerance / 100 * WHITE[depth(seen)])
    rows, columns = (np.flatnonzero(picture.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return image.copy()
    return _part(image, columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)


def _seen(image: Image) -> Image:
    """The same, with colours weighted by alpha where there is alpha; float32 then."""
    return by_bands(weighted, image) if has_alpha(image) else image


def _alike(image: Image, target: list[float], distance: float) -> Image:
    """bool ``(H, W)``: where no channel is further than ``distance`` from the target."""
    low, high = [value - distance for value in target], [value + distance for value in target]
    if depth(image) != "float32":  # OpenCV takes integers as bounds of integers
        low, high = [ceil(value) for value in low], [floor(value) for value in high]
    return cv2.inRange(image, np.array(low, float), np.array(high, float)) > 0


# --- around the picture -------------------------------------------------------------------------


def _unclear(*, size: Size | None, gravity: str, background: Colour, **margins: Length) -> str:
    given = [name for name, margin in margins.items() if margin.value]
    if size is None and not given:
        return f"either size or some of {', '.join(margins)} must be given"
    return f"size and {given[0]} exclude each other" if size is not None and given else ""


def _padded(width: int, height: int, *, size: Size | None, **rest: Any) -> tuple[int, int]:
    if size is None:
        wide = width + rest["left"].of(width) + rest["right"].of(width)
        return wide, height + rest["top"].of(height) + rest["bottom"].of(height)
    wide, high = size.width or width, size.height or height
    if wide < width or high < height:
        raise impossible("pad", f"{wide}x{high} is asked for", width, height)
    return wide, high


@operation(version=1, example="pad:size=400x400", alpha=Alpha.MOVED, size=_padded, check=_unclear)
def pad(
    image: Image,
    *,
    size: Annotated[Size | None, Doc("of the result, in pixels; a side that is left out stays")] = None,
    left: Margin = NOTHING,
    right: Margin = NOTHING,
    top: Margin = NOTHING,
    bottom: Margin = NOTHING,
    gravity: Annotated[str, GRAVITY, Doc("with size: where the picture lies within it")] = "centre",
    background: Annotated[Colour, Doc("colour of what is added")] = BLACK,
) -> Image:
    """Puts background around the picture: up to a size, or by margins.

    A picture larger than ``size`` fails: to scale it first, take ``resize:fit=…``. Alpha, depth and channels
    are kept: a grey picture has a grey background, and without alpha the background is opaque.
    """
    height, width = image.shape[:2]
    outer = _padded(width, height, size=size, left=left, right=right, top=top, bottom=bottom)
    inset = (left.of(width), top.of(height)) if size is None else placed(outer, (width, height), gravity)
    return framed(image, outer, *inset, background)


# --- which way up -------------------------------------------------------------------------------


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


def _transposed(width: int, height: int) -> tuple[int, int]:
    return height, width


@operation(version=1, example="transpose", alpha=Alpha.MOVED, size=_transposed)
def transpose(image: Image) -> Image:
    """Swaps rows and columns: mirrors the picture at its diagonal from the top left.

    Alpha, depth and channels are kept.
    """
    return cv2.transpose(image)


@operation(version=1, example="transverse", alpha=Alpha.MOVED, size=_transposed)
def transverse(image: Image) -> Image:
    """Mirrors the picture at its diagonal from the top right.

    Alpha, depth and channels are kept.
    """
    return cv2.flip(cv2.transpose(image), -1)
