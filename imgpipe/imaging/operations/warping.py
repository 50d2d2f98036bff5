"""Warping: the picture read between its pixels, turned or seen from the front.

Angles are clockwise, those of the upright picture: orientation has been applied when it was decoded.
`resampling` has the arithmetic. Colours are weighted by alpha, so that no hidden colour of a transparent
pixel seeps out.
"""

from __future__ import annotations

from math import ceil, cos, hypot, radians, sin
from typing import TYPE_CHECKING, Annotated, Any

from imgpipe import limits
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.canvas import BLACK, PAPER, impossible, paint
from imgpipe.imaging.operations.declare import (
    Alpha,
    Colour,
    Corners,
    Doc,
    OneOf,
    Range,
    Size,
    operation,
    refuse_huge,
)
from imgpipe.imaging.operations.geometry import sized
from imgpipe.imaging.operations.resampling import scaled, warped
from imgpipe.imaging.operations.skew import skew
from imgpipe.imaging.pixels import WHITE, Image, depth, has_alpha, premultiplied

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

Reading = Annotated[str, OneOf("nearest", "linear", "cubic"), Doc("how to read between pixels")]
QUARTERS = {90: "ROTATE_90_CLOCKWISE", 180: "ROTATE_180", 270: "ROTATE_90_COUNTERCLOCKWISE"}


# --- turns --------------------------------------------------------------------------------------


def _direction(angle: float) -> tuple[float, float]:
    """Cosine and sine of degrees, exact for quarters of a turn."""
    if angle % 90 == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(angle % 360) // 90]
    return cos(radians(angle)), sin(radians(angle))


def _rotated(width: int, height: int, *, angle: float, expand: bool, **_: Any) -> tuple[int, int]:
    if not expand:
        return width, height
    c, s = map(abs, _direction(angle))
    # A millionth: what is a whole number but for rounding is not another pixel.
    return max(1, ceil(width * c + height * s - 1e-6)), max(1, ceil(width * s + height * c - 1e-6))


@operation(version=2, example="rotate:angle=90", alpha=Alpha.MOVED, size=_rotated)
def rotate(
    image: Image,
    *,
    angle: Annotated[float, Range(-360, 360), Doc("degrees, clockwise")] = 90.0,
    expand: Annotated[bool, Doc("make the picture large enough for all of it; else keep its size")] = True,
    background: Annotated[Colour, Doc("colour of the corners")] = BLACK,
    kernel: Reading = "linear",
) -> Image:
    """Turns the picture clockwise, by any angle.

    By quarters of a turn it loses nothing. By other angles the picture is read between its pixels, and edges
    are smooth; a megapixel of colour that is made takes 0.1 to 0.3 s. Depth and channels are kept: a grey
    picture has a grey background, and without alpha the background is opaque.
    """
    if angle % 360 == 0:
        return image.copy()
    if angle % 180 == 0 or (angle % 90 == 0 and expand):
        return cv2.rotate(image, getattr(cv2, QUARTERS[int(angle % 360)]))
    return turned(image, angle, expand, background, kernel)


def turned(image: Image, angle: float, expand: bool, background: Colour, kernel: str) -> Image:
    """`rotate` by an angle that is no quarter of a turn: about the middle, colours weighted by alpha."""
    height, width = image.shape[:2]
    wide, high = _rotated(width, height, angle=angle, expand=expand)
    c, s = _direction(angle)
    turn = np.array([[c, s], [-s, c]])
    shift = np.array([width, height]) / 2 - turn @ (wide / 2, high / 2)
    matrix = np.vstack([np.column_stack([turn, shift]), (0, 0, 1)])
    return premultiplied(
        lambda seen: warped(seen, wide, high, matrix, kernel, _around(background, seen)), image
    )


def _around(background: Colour, seen: Image) -> list[float]:
    """`paint`, weighted by alpha where a picture has it: `premultiplied` hands it over like that."""
    values = paint(background, seen)
    if has_alpha(seen):
        values[:3] = [value * values[3] / WHITE[depth(seen)] for value in values[:3]]
    return values


@operation(version=1, example="deskew", alpha=Alpha.MOVED, size=None)
def deskew(
    image: Image,
    *,
    limit: Annotated[float, Range(0.5, 45), Doc("largest angle that is looked for, in degrees")] = 15.0,
    background: Annotated[Colour, Doc("colour of the corners")] = PAPER,
) -> Image:
    """Straightens a scanned page of text.

    The angle is the one at which rows of the page differ most from the next, ink from paper: the differential
    projection profile of W. Postl, *Detection of linear oblique structures and skew scan in digitized
    documents*, 1986. It is found to about 0.1 degrees. Nothing is cut off: the picture becomes a little
    larger. One without lines of text stays as it is. The search takes up to 2 s whatever the size,
    with a limit of 45 three times as long, and the turn takes as long as ``rotate``. Depth and channels are
    kept.
    """
    angle = skew(image, limit)
    if not angle:
        return image.copy()
    height, width = image.shape[:2]
    refuse_huge("deskew", _rotated(width, height, angle=-angle, expand=True), width, height)
    return turned(image, -angle, True, background, "cubic")


# --- perspective --------------------------------------------------------------------------------


def _sides(corners: Corners) -> tuple[int, int]:
    """Width and height: the longer one of opposite sides, in pixels."""
    a, b, c, d = corners
    lengths = [hypot(p[0] - q[0], p[1] - q[1]) for p, q in ((a, b), (c, d), (a, d), (b, c))]
    return max(1, round(max(lengths[:2]))), max(1, round(max(lengths[2:])))


def _straightened(
    width: int, height: int, *, corners: Corners, size: Size | None, **_: Any
) -> tuple[int, int]:
    for x, y in corners:
        if x > width or y > height:
            raise impossible("perspective", f"the corner {x:g},{y:g} lies outside", width, height)
    wide, high = _sides(corners)
    if wide * high > max(limits.PIXELS_MAX, 2 * width * height):  # a sliver, with sides along each other
        raise impossible("perspective", f"the sides of the corners are {wide} and {high} long", width, height)
    wanted = (wide, high) if size is None else sized(wide, high, size)
    refuse_huge("perspective", _read_at(wanted, corners), width, height)
    return wanted


def _read_at(wanted: tuple[int, int], corners: Corners) -> tuple[int, int]:
    """Reading between pixels does not reduce: what is to be smaller is read at its own size first."""
    wide, high = map(max, wanted, _sides(corners))
    return wide, high


@operation(
    version=1,
    example='perspective:corners="30,20 220,40 230,210 10,190"',
    alpha=Alpha.FILTERED,
    size=_straightened,
)
def perspective(
    image: Image,
    *,
    corners: Annotated[
        Corners, Doc("of what becomes the whole picture, in pixels from its left and top edge")
    ],
    size: Annotated[Size | None, Doc("of the result in pixels; without it, the longer sides")] = None,
    kernel: Reading = "linear",
) -> Image:
    """Makes a rectangle of what four corners enclose: a page or a front seen at an angle.

    The corners go clockwise from the top left one of the result. In quotes they may be written with commas.
    It takes as long as ``rotate``.
    Depth and channels are kept.
    """
    height, width = image.shape[:2]
    wanted = _straightened(width, height, corners=corners, size=size)
    wide, high = _read_at(wanted, corners)
    read = warped(image, wide, high, _homography(wide, high, corners), kernel, [0.0] * 4)
    return scaled(read, *wanted, "area")


def _homography(width: int, height: int, corners: Corners) -> Image:
    """3 × 3: from a picture of this size to the four corners.

    P. Heckbert, *Fundamentals of texture mapping and image warping*, 1989, 2.2.3: eight equations.
    """
    rows, right = [], []
    for (x, y), (u, v) in zip(((0, 0), (width, 0), (width, height), (0, height)), corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.append(np.linalg.solve(np.array(rows, float), np.array(right, float)), 1.0).reshape(3, 3)
