"""Overlay: what is put over a picture or around it.

What lies above is blended by the *over* operator of T. Porter and T. Duff, *Compositing digital images*,
1984: each pixel in proportion to its own alpha and the opacity, in the depth of the picture, on the values as
they are stored. Pixels that nothing lies above stay as they are. A grey picture stays grey: colours over it
become their grey.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Annotated, Any

from imgpipe import limits
from imgpipe.errors import ImageError, Kind
from imgpipe.imaging.codecs import Ceiling, decode
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.canvas import BLACK, GRAVITY, PAPER, framed, paint, placed
from imgpipe.imaging.operations.declare import Alpha, Colour, Doc, File, Length, Range, Text, operation
from imgpipe.imaging.operations.kinds import SIDE_MAX
from imgpipe.imaging.operations.lettering import CAPITAL, CHARACTERS, DEPTH, covered, strokes
from imgpipe.imaging.operations.resampling import scaled
from imgpipe.imaging.pixels import Image, depth, grey, has_alpha, premultiplied, with_alpha, with_depth

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

Offset = Annotated[
    Length,
    Range(-SIDE_MAX, SIDE_MAX),
    Doc("from the edge that gravity names, or the middle: pixels, or a share of the picture's side"),
]
Opacity = Annotated[float, Range(0, 1), Doc("0 is not to be seen, 1 hides what is below")]
NO_OFFSET, LETTERS, FRAME = Length(0), Length(4, percent=True), Length(10)
TRANSPARENT = Colour(0, 0, 0, 0)
SPACING = CAPITAL / 2  # units of the font: between a label's letters and the edge of its box


@operation(version=1, example="watermark:image=logo.png,gravity=south-east,opacity=0.5", alpha=Alpha.BLENDED)
def watermark(
    picture: Image,
    *,
    image: Annotated[File, Doc("what is put over the picture; its own transparency counts")],
    gravity: Annotated[str, GRAVITY, Doc("where it lies")] = "south-east",
    x: Offset = NO_OFFSET,
    y: Offset = NO_OFFSET,
    scale: Annotated[
        float | None, Range(0.001, 1), Doc("it fits into this share of the picture; without it, as it is")
    ] = None,
    opacity: Opacity = 1.0,
) -> Image:
    """Puts an image over the picture, such as a logo.

    The image is read when the recipe is made and is part of it; workers need no file of it. Where it is
    larger than the picture, what is beyond is cut off; it may have 6 megapixels. Depth and channels of the
    picture are kept.
    """
    height, width = picture.shape[:2]
    logo = _decoded(bytes(image))
    if scale is not None:
        logo = _fitted(logo, width * scale, height * scale)
    corner = placed((width, height), logo.shape[1::-1], gravity, x.of(width), y.of(height))
    return _over(picture, *corner, logo, opacity)


@lru_cache(maxsize=4)  # a process works on the images of a few jobs, and a decoded logo may have 100 MB
def _decoded(data: bytes) -> Image:
    """The pixels of an embedded image: float32 ``(h, w, 4)``."""
    try:
        pixels = decode(data, ceiling=Ceiling(limits.EMBEDDED_PIXELS_MAX)).frames[0]
        return with_alpha(with_depth(pixels, "float32"))
    except ImageError as error:
        raise ImageError(Kind.OPERATION, f"watermark: its own image: {error.message}") from None


def _fitted(logo: Image, width: float, height: float) -> Image:
    """In proportion, as large as fits; at least one pixel."""
    factor = min(width / logo.shape[1], height / logo.shape[0])
    wide, high = (max(1, round(side * factor)) for side in logo.shape[1::-1])
    return premultiplied(lambda pixels: scaled(pixels, wide, high), logo)


@operation(version=1, example='label:text="A. Name, 2026",size=5%,gravity=south', alpha=Alpha.BLENDED)
def label(
    picture: Image,
    *,
    text: Annotated[str, Text(limits.LABEL_MAX, CHARACTERS), Doc("one line: ASCII, and ©")],
    size: Annotated[
        Length, Range(1, 2000), Doc("height of a capital: pixels, or a share of the picture's")
    ] = LETTERS,
    colour: Annotated[Colour, Doc("of the letters")] = PAPER,
    background: Annotated[Colour | None, Doc("of a box behind them; without it, there is none")] = None,
    gravity: Annotated[str, GRAVITY, Doc("where it lies")] = "south-east",
    x: Offset = NO_OFFSET,
    y: Offset = NO_OFFSET,
    opacity: Opacity = 1.0,
) -> Image:
    """Writes a line of text over the picture.

    The letters are imgpipe's own, of one weight, the same on every machine. Text wider than the picture is
    cut off. Depth and channels of the picture are kept.
    """
    height, width = picture.shape[:2]
    lines, units = strokes(text)
    unit = max(1, size.of(height)) / CAPITAL
    box = ceil((units + 2 * SPACING) * unit), ceil((DEPTH + 2 * SPACING) * unit)
    left, top = placed((width, height), box, gravity, x.of(width), y.of(height))
    # Only what is seen is drawn: a long text in large letters may be a hundred times the picture.
    columns, rows = _seen(left, box[0], width), _seen(top, box[1], height)
    inset = round(SPACING * unit)
    shape = len(rows), len(columns)
    letters = covered(lines, unit, columns.start - inset, rows.start - inset, *shape[::-1])
    layer = np.full((*shape, 4), _values(background or TRANSPARENT))
    layer = _mixed(layer, _values(colour)[:3], letters[:, :, None] * np.float32(colour.alpha / 255))
    return _over(picture, left + columns.start, top + rows.start, layer, opacity)


def _seen(start: int, length: int, side: int) -> range:
    """Which pixels of something that begins at ``start`` lie within a side of a picture."""
    first = max(0, -start)
    return range(first, max(first, min(length, side - start)))


def _values(ink: Colour) -> Image:
    """Blue, green, red, alpha from 0 to 1, float32."""
    return np.array(paint(ink, np.empty((1, 1, 4), np.float32)), np.float32)


def _over(image: Image, left: int, top: int, layer: Image, opacity: float) -> Image:
    """``image`` with a layer, float32 ``(h, w, 4)``, over it at (left, top), where the two meet."""
    result = image.copy()
    rows = _seen(top, layer.shape[0], image.shape[0])
    columns = _seen(left, layer.shape[1], image.shape[1])
    below = result[max(0, top) :, max(0, left) :][: len(rows), : len(columns)]
    if below.size:
        seen = layer[rows.start : rows.stop, columns.start : columns.stop]
        cover = seen[:, :, 3:] * np.float32(opacity)
        shown = seen[:, :, :3] if image.ndim == 3 else grey(seen)[:, :, None]
        with np.errstate(invalid="ignore", over="ignore"):  # a float picture may hold anything
            mixed = _mixed(with_depth(np.atleast_3d(below), "float32"), shown, cover)
        touched = cover[:, :, 0] > 0
        below[touched] = with_depth(mixed, depth(image)).reshape(below.shape)[touched]
    return result


def _mixed(below: Image, shown: Image, cover: Image) -> Image:
    """``shown`` over ``below``, float32 ``(h, w, channels)``, the last one alpha where ``below`` has four."""
    mixed: Image
    if not has_alpha(below):
        mixed = shown * cover + below * (1 - cover)
        return mixed
    under = below[:, :, 3:] * (1 - cover)
    total = cover + under
    colours = (shown * cover + below[:, :, :3] * under) / np.where(total > 0, total, 1)
    mixed = np.concatenate([colours, total], axis=2)
    return mixed


def _edge(wide: int, high: int, width: Length) -> int:
    return width.of(min(wide, high))


def _bordered(wide: int, high: int, /, **arguments: Any) -> tuple[int, int]:
    edge = _edge(wide, high, arguments["width"])
    return wide + 2 * edge, high + 2 * edge


@operation(version=1, example="border:width=10,colour=navy", alpha=Alpha.MOVED, size=_bordered)
def border(
    picture: Image,
    *,
    width: Annotated[
        Length, Range(1, SIDE_MAX), Doc("on each side: pixels, or a share of the shorter side")
    ] = FRAME,
    colour: Annotated[Colour, Doc("of the border")] = BLACK,
) -> Image:
    """Puts a frame of one colour around the picture, which becomes larger by it.

    Alpha, depth and channels are kept: a grey picture has a grey border, and without alpha it is opaque.
    """
    high, wide = picture.shape[:2]
    edge = _edge(wide, high, width)
    return framed(picture, _bordered(wide, high, width=width), edge, edge, colour)
