"""Filters: what becomes of a pixel is a weighted sum of its neighbours.

At the border the picture is mirrored without its edge pixel (``dcb|abcd|cba``), OpenCV's default. A value in
a float picture that is not finite spreads as far as the filter reaches, and no further.
"""

from __future__ import annotations

from collections import Counter
from math import cos, floor, radians, sin
from typing import TYPE_CHECKING, Annotated

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.bands import in_bands, inner
from imgpipe.imaging.operations.declare import Alpha, Doc, Range, operation
from imgpipe.imaging.pixels import ALPHA_MIN, WHITE, Image, depth, has_alpha

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

#: A float picture with larger values is not blurred by running sums: they would not come back from there.
RUNNING_MAX = 1e6


@operation(version=1, example="blur:size=5", alpha=Alpha.FILTERED)
def blur(
    image: Image,
    *,
    size: Annotated[int, Range(1, 999), Doc("side of the box in pixels")] = 3,
) -> Image:
    """Blurs with a box: every pixel becomes the mean of the pixels around it.

    With an even size the box reaches one pixel further up and to the left. Channels and depth are kept. The
    time does not depend on the size.
    """
    if depth(image) == "float32" and not cv2.checkRange(image, minVal=-RUNNING_MAX, maxVal=RUNNING_MAX)[0]:
        box = np.full(size, 1 / size)
        return cv2.sepFilter2D(image, -1, box, box)
    return cv2.blur(image, (size, size))


@operation(version=1, example="gaussian-blur:sigma=3", alpha=Alpha.FILTERED)
def gaussian_blur(
    image: Image,
    *,
    sigma: Annotated[float, Range(0.1, 100), Doc("standard deviation in pixels")] = 2.0,
) -> Image:
    """Blurs with a Gaussian: nearer neighbours count more.

    The ``sigma`` of ImageMagick and libvips, the radius of Pillow. The kernel reaches to 4 sigma. Channels
    and depth are kept. The time grows with sigma: up to a second a megapixel and channel at 100.
    """
    kernel = gaussian(sigma)
    # A kernel whose sum is 1 would be rounded to 8 bits for 8-bit pictures, which is wrong by up to 2 levels.
    return cv2.sepFilter2D(image, -1, 2 * kernel, kernel / 2)


def gaussian(sigma: float) -> Image:
    """The weights of a Gaussian from -4 to 4 sigma, ``(N, 1)`` float64 with sum 1."""
    return cv2.getGaussianKernel(2 * int(4 * sigma + 0.5) + 1, sigma)


@operation(version=1, example="motion-blur:length=15,angle=30", alpha=Alpha.FILTERED)
def motion_blur(
    image: Image,
    *,
    length: Annotated[int, Range(1, 255), Doc("length of the movement in pixels")] = 9,
    angle: Annotated[
        float, Range(-360, 360), Doc("direction in degrees: 0 is horizontal, growing clockwise")
    ] = 0.0,
) -> Image:
    """Blurs along a line, as if the camera had moved.

    The mean of ``length`` points a pixel apart on a line through the pixel, each interpolated linearly.
    Channels and depth are kept. The time grows with the length: 0.2 s a megapixel and channel at 255.
    """
    taps = line(length, angle)

    def blurred(band: Image) -> Image:
        total = np.zeros_like(inner(band, length // 2 + 1))
        for (down, right), weight in taps.items():
            cv2.scaleAdd(inner(band, length // 2 + 1, down, right), weight, total, total)
        return total

    return in_bands(blurred, image, length // 2 + 1)


def line(length: int, angle: float) -> dict[tuple[int, int], float]:
    """Weights with sum 1 by pixels down and to the right: ``length`` points a pixel apart around 0."""
    weights: Counter[tuple[int, int]] = Counter()
    for number in range(length):
        along = number - (length - 1) / 2
        # Rounded, so that a right angle's cosine of 6e-17 does not make a line two pixels wide.
        y, x = round(along * sin(radians(angle)), 9), round(along * cos(radians(angle)), 9)
        top, left = floor(y), floor(x)
        for down, share in ((top, top + 1 - y), (top + 1, y - top)):
            weights[down, left] += share * (left + 1 - x) / length  # type: ignore[assignment]
            weights[down, left + 1] += share * (x - left) / length  # type: ignore[assignment]
    return {at: weight for at, weight in weights.items() if weight > 0}


@operation(version=1, example="sharpen:sigma=1.5,amount=0.8", alpha=Alpha.WEIGHED)
def sharpen(
    image: Image,
    *,
    sigma: Annotated[float, Range(0.1, 50), Doc("standard deviation of the blur, in pixels")] = 1.0,
    amount: Annotated[float, Range(0, 20), Doc("how much of the detail is added; 1 doubles it")] = 1.0,
    threshold: Annotated[
        float, Range(0, 100), Doc("detail up to this, in percent of white, is left as it is")
    ] = 0.0,
) -> Image:
    """Makes edges crisper, by an unsharp mask.

    value + amount · (value - its Gaussian blur), as ``-unsharp`` of ImageMagick and ``UnsharpMask`` of
    Pillow. The blur is that of the neighbours as far as they can be seen; alpha itself stays, as an edge of
    transparency made crisper would leave colours without a place. Channels and depth are kept. The time
    grows with sigma, as that of ``gaussian-blur``.
    """
    kernel, reach = gaussian(sigma), int(4 * sigma + 0.5)

    def sharpened(band: Image) -> Image:
        here, smooth = inner(band, reach), inner(cv2.sepFilter2D(band, -1, kernel, kernel), reach)
        if has_alpha(band):
            smooth = smooth * (here[:, :, 3:] / np.maximum(smooth[:, :, 3:], ALPHA_MIN))
        detail = here - smooth
        if threshold:
            detail *= np.abs(detail) > threshold / 100
        return cv2.scaleAdd(detail, amount, here)

    with np.errstate(invalid="ignore", over="ignore"):  # a float picture may hold anything
        return in_bands(sharpened, image, reach)


@operation(version=1, example="emboss:azimuth=135", alpha=Alpha.SEEN)
def emboss(
    image: Image,
    *,
    azimuth: Annotated[
        float, Range(-360, 360), Doc("where the light comes from: degrees counter-clockwise from the right")
    ] = 135.0,
    amount: Annotated[float, Range(0, 10), Doc("how deep the relief is; 0 is flat grey")] = 1.0,
) -> Image:
    """Turns the picture into a relief of middle grey, lit from one side.

    Every channel is a height: middle grey plus ``amount`` times the slope away from the light, measured over
    two pixels by Sobel's kernels. The azimuth is that of ImageMagick's ``-shade``. Channels and depth are
    kept.
    """
    return cv2.filter2D(image, -1, _slope(azimuth) * amount, delta=_middle(image))


def _slope(azimuth: float) -> Image:
    """Kernel 3 × 3 of the difference over two pixels, away from the light: its absolute sum is at most 3."""
    across = np.outer([1, 2, 1], [-1, 0, 1]) / 4
    away = (-cos(radians(azimuth)), sin(radians(azimuth)))  # right, down
    slope: Image = away[0] * across + away[1] * across.T
    return slope


def _middle(image: Image) -> float:
    """Half of white; of integers 128 or 32768, as in Pillow: half of 255 would round either way."""
    white = WHITE[depth(image)]
    return 0.5 if depth(image) == "float32" else (white + 1) / 2
