"""Black and white: what is brighter than a level, fixed or found."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Annotated

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.declare import Channels, Doc, OneOf, Range, operation
from imgpipe.imaging.operations.histograms import histogram
from imgpipe.imaging.pixels import WHITE, Image, depth, grey, with_depth

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")


@operation(version=1, example="threshold:method=otsu", channels=Channels.GREY, luma=True)
def threshold(
    image: Image,
    *,
    method: Annotated[
        str,
        OneOf("fixed", "otsu", "adaptive"),
        Doc("fixed compares with level, otsu finds one level, adaptive compares with the mean around"),
    ] = "fixed",
    level: Annotated[float, Range(0, 100), Doc("percent of white; for fixed")] = 50.0,
    size: Annotated[int, Range(3, 999, odd=True), Doc("side of the box in pixels; for adaptive")] = 11,
    offset: Annotated[
        float, Range(-100, 100), Doc("how far below the mean is still white, percent; for adaptive")
    ] = 2.0,
) -> Image:
    """Makes the picture black and white: white is what is brighter than a level.

    Brightness is that of BT.601. ``otsu`` is the level that separates two classes best (N. Otsu, *A threshold
    selection method from gray-level histograms*, 1979); ``adaptive`` compares with the mean of a box around
    the pixel, edge pixels repeated. Both take float32 in 16 bits. The result has one channel, with alpha
    four; depth and alpha are kept.
    """
    source = grey(image)
    if method != "fixed" and depth(image) == "float32":
        source = with_depth(source, "uint16")
    white = WHITE[depth(source)]
    if method == "adaptive":
        bright = _above_surroundings(source, size, offset / 100 * white)
    elif method == "otsu":
        bright = source > otsu(histogram(source))
    else:
        bright = source > (level / 100 if depth(source) == "float32" else floor(level * white / 100))
    result: Image = np.multiply(bright, image.dtype.type(WHITE[depth(image)]))
    return result


def _above_surroundings(source: Image, size: int, offset: float) -> Image:
    """Where a pixel is above the mean of its box less ``offset``, all in the values of ``source``."""
    box = (size, size)
    mean = cv2.boxFilter(source, cv2.CV_32F, box, borderType=cv2.BORDER_REPLICATE)
    above: Image = source > np.subtract(mean, np.float32(offset), out=mean)
    return above


def otsu(count: Image) -> int:
    """The last value of the darker class of a histogram: the lowest with the most variance between both."""
    value = np.arange(len(count))
    below, sums = np.cumsum(count, dtype=float), np.cumsum(count * value, dtype=float)
    pairs = below * (below[-1] - below)
    distance = sums[-1] * below - below[-1] * sums
    variance = np.divide(distance**2, pairs, out=np.zeros_like(pairs), where=pairs > 0)
    return int(np.argmax(variance))
