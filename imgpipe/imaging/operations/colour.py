"""Colour: what becomes of a pixel depends on that pixel alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.declare import Alpha, operation
from imgpipe.imaging.pixels import WHITE, Image, depth, grey

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


@operation(version=1, example="identity", alpha=Alpha.MOVED)
def identity(image: Image) -> Image:
    """Leaves every pixel as it is: for a change of format."""
    return image.copy()


@operation(version=1, example="grayscale")
def grayscale(image: Image) -> Image:
    """Turns colour into grey.

    The weights are those of ITU-R BT.601: 0.299 red, 0.587 green, 0.114 blue. The result has one channel; a
    picture with alpha keeps its four.
    """
    return grey(image).copy() if image.ndim == 2 else grey(image)


@operation(version=1, example="invert")
def invert(image: Image) -> Image:
    """Makes the negative: black becomes white."""
    white = image.dtype.type(WHITE[depth(image)])
    negative: Image = np.subtract(white, image)
    return negative
