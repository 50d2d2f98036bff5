"""Where a smaller picture lies within a larger one, and in which colour what is around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.errors import ImageError, Kind
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.declare import Colour, OneOf
from imgpipe.imaging.pixels import WHITE, Image, depth, has_alpha

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

#: Names of ImageMagick and libvips, with the share of the free space that is left of and above the picture.
GRAVITIES = {
    "north-west": (0.0, 0.0),
    "north": (0.5, 0.0),
    "north-east": (1.0, 0.0),
    "west": (0.0, 0.5),
    "centre": (0.5, 0.5),
    "east": (1.0, 0.5),
    "south-west": (0.0, 1.0),
    "south": (0.5, 1.0),
    "south-east": (1.0, 1.0),
}
GRAVITY = OneOf(*GRAVITIES)
BLACK, PAPER = Colour(0, 0, 0), Colour(255, 255, 255)


def placed(
    outer: tuple[int, int], inner: tuple[int, int], gravity: str, x: int = 0, y: int = 0
) -> tuple[int, int]:
    """Left and top, in pixels, of what has the size ``inner`` within ``outer``, both width and height.

    Where the space does not halve, the extra pixel is on the right or below. ``x`` and ``y`` shift it away
    from the edges that ``gravity`` names, and from a middle to the right and down, as ImageMagick's
    ``-geometry``.
    """
    shares = GRAVITIES[gravity]
    left, top = (int((o - i) * share // 1) for o, i, share in zip(outer, inner, shares, strict=True))
    return left + (-x if shares[0] == 1 else x), top + (-y if shares[1] == 1 else y)


def paint(colour: Colour, like: Image) -> list[float]:
    """The value of each channel of an image like this one, in its depth, that shows ``colour``.

    In grey it is the colour's grey (ITU-R BT.601). Without an alpha channel the colour's alpha is left out.
    """
    red, green, blue, alpha = (value * WHITE[depth(like)] / 255 for value in colour)
    if like.ndim == 2:
        values = [0.299 * red + 0.587 * green + 0.114 * blue]
    else:
        values = [blue, green, red, alpha] if has_alpha(like) else [blue, green, red]
    return values if depth(like) == "float32" else [float(round(value)) for value in values]


def framed(image: Image, size: tuple[int, int], left: int, top: int, colour: Colour) -> Image:
    """A picture of ``size`` (width and height) in ``colour``, with ``image`` in it at (left, top)."""
    width, height = size
    canvas = np.empty((height, width, *image.shape[2:]), image.dtype)
    canvas[:] = paint(colour, image) if image.ndim == 3 else paint(colour, image)[0]
    canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas


def impossible(operation: str, what: str, width: int, height: int) -> ImageError:
    """The error of a request that a picture of this size cannot meet."""
    return ImageError(Kind.OPERATION, f"{operation}: {what}, and the picture has {width}x{height} pixels")
