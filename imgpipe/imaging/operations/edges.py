"""Edges: where brightness changes fast.

Both operations are Canny's detector (J. Canny, *A computational approach to edge detection*, 1986):
gradients by Sobel kernels, thinned to ridges, kept where they are stronger than ``high`` or joined to such a
ridge by ones stronger than ``low``. A gradient's strength is the sum of its absolute components in 8-bit grey
(with ``l2``, its length).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.declare import Alpha, Channels, Depth, Doc, OneOf, Range, operation
from imgpipe.imaging.pixels import Image, colour8, grey, with_depth

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")


@operation(
    version=1, example="edges", alpha=Alpha.DROPPED, depth=Depth.EIGHT, channels=Channels.COLOUR, colour8=True
)
def edges(image: Image) -> Image:
    """Draws the edges in pure green on the picture at half brightness.

    The default. Grey, smoothed by a 3×3 box, goes through Canny's detector with thresholds 10 and 30 and a
    Sobel kernel of 5; every other pixel is half its value, truncated. The result is colour, 8 bits.
    """
    source = colour8(image)
    smooth = cv2.blur(cv2.cvtColor(source, cv2.COLOR_BGR2GRAY), (3, 3))
    found = cv2.Canny(smooth, 10, 30, apertureSize=5)
    # For uint8, `>> 1` is np.uint8(source / 2.) at a tenth of its time.
    half = np.right_shift(source, 1)
    nothing = np.zeros_like(found)  # Canny marks with 255: as green, already the colour wanted
    return cv2.copyTo(cv2.merge((nothing, found, nothing)), found, half)


@operation(
    version=1,
    example="canny:low=50,high=150",
    alpha=Alpha.DROPPED,
    depth=Depth.EIGHT,
    channels=Channels.GREY,
)
def canny(
    image: Image,
    *,
    low: Annotated[float, Range(0, 100_000), Doc("gradients below this are no edge")] = 100.0,
    high: Annotated[float, Range(0, 100_000), Doc("gradients above this are an edge")] = 200.0,
    aperture: Annotated[int, OneOf(3, 5, 7), Doc("side of the Sobel kernel in pixels")] = 3,
    l2: Annotated[bool, Doc("measure gradients by their length, not by their sum")] = False,
) -> Image:
    """Finds edges with Canny's detector: white on black.

    The result is grey, 8 bits. Larger apertures give larger gradients: raise the thresholds with them.
    """
    return cv2.Canny(with_depth(grey(image), "uint8"), low, high, apertureSize=aperture, L2gradient=l2)
