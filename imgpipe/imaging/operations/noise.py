"""Noise: filters that take it away and leave edges where they are.

The linear filters of `filters` mix whatever is near. These ask first what belongs together: `median` takes
the middle of the values around, `bilateral` and `denoise` weigh neighbours by how alike they are.

All three are given colours weighted by alpha, and alpha. `median` orders each by itself, the others give all
channels of a neighbour one weight; either way a transparent pixel's colour does not seep out, and an even
colour stays what it is however its alpha changes.

In a float picture `bilateral` and `denoise` take NaN for black and infinity for a large number; to `median`
NaN is larger than any number. At the border the picture is mirrored without its edge pixel; for `median` the
edge pixel is repeated.

Exponentials and squares with a factor are NumPy's: OpenCV's versions differ in their last bits.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Annotated

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.bands import in_bands, inner
from imgpipe.imaging.operations.declare import Alpha, Doc, Range, operation
from imgpipe.imaging.pixels import Image, depth, each_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import cv2
    import numpy as np

    Planes = Sequence[Image]
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

WINDOWS_MAX = 1 << 22  # values of windows sorted at once: 16 MB
LARGEST = 1e15  # stands for what is larger, infinity too: its square, times any factor here, is still finite


# --- by order -------------------------------------------------------------------------------------


@operation(version=1, example="median:size=5", alpha=Alpha.FILTERED)
def median(
    image: Image,
    *,
    size: Annotated[int, Range(3, 25, odd=True), Doc("side of the square in pixels")] = 3,
) -> Image:
    """Takes away specks: every value becomes the middle one of those around it.

    Every channel by itself, as Pillow's ``MedianFilter``. Channels and depth are kept. Quick in 8 bits
    without alpha, and everywhere with sizes up to 5; else a megapixel takes for each channel about 0.4 s at
    7, 1 s at 15 and 3 s at 25.
    """
    if depth(image) == "uint8" or (size <= 5 and not _has_nan(image)):
        return cv2.medianBlur(image, size)
    return each_channel(image, lambda channel: _median(channel, size))


def _has_nan(image: Image) -> bool:
    return depth(image) == "float32" and bool(np.isnan(image).any())


def _median(channel: Image, size: int) -> Image:
    """The median of every window, where OpenCV has none: it sorts as far as needed, in bands of rows."""
    reach = size // 2
    around = cv2.copyMakeBorder(channel, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    windows = np.lib.stride_tricks.sliding_window_view(around, (size, size))
    result = np.empty_like(channel)
    step = max(1, WINDOWS_MAX // (channel.shape[1] * size**2))
    middle = size**2 // 2
    for top in range(0, len(channel), step):
        band = windows[top : top + step]
        # float32 holds every 16-bit value, and NumPy sorts it twice as fast.
        values = band.reshape(*band.shape[:2], size**2).astype(np.float32, copy=False)
        result[top : top + step] = np.partition(values, middle, axis=-1)[:, :, middle]
    return result


# --- by likeness ----------------------------------------------------------------------------------


@operation(version=1, example="bilateral:size=9", alpha=Alpha.FILTERED)
def bilateral(
    image: Image,
    *,
    size: Annotated[int, Range(3, 25, odd=True), Doc("diameter of the neighbourhood in pixels")] = 9,
    space: Annotated[float, Range(0.1, 100), Doc("how far neighbours count: sigma in pixels")] = 3.0,
    tone: Annotated[
        float, Range(0.1, 1000), Doc("how unlike ones count: sigma in percent of white, summed over channels")
    ] = 20.0,
) -> Image:
    """Smooths areas and keeps edges: neighbours count by distance and by likeness.

    C. Tomasi and R. Manduchi, *Bilateral filtering for gray and color images* (1998), with two Gaussians: of
    the distance in pixels, and of the sum of the absolute differences of all channels, as OpenCV has it.
    Channels and depth are kept. The time grows with the square of the size: 0.3 s a megapixel at 9,
    2 to 3 s at 25.
    """
    radius = size // 2
    span = range(-radius, radius + 1)
    near = [(y, x) for y in span for x in span if y**2 + x**2 <= radius**2]
    narrow = -1 / (2 * (tone / 100) ** 2)

    def weights(planes: Planes) -> Iterable[tuple[Planes, Image]]:
        here = [inner(plane, radius) for plane in planes]
        for y, x in near:
            there = [inner(plane, radius, y, x) for plane in planes]
            exponent = np.square(_sum(map(cv2.absdiff, here, there)))
            exponent *= narrow
            exponent -= (y**2 + x**2) / (2 * space**2)
            yield there, np.exp(exponent, out=exponent)

    return in_bands(lambda band: _weighted_mean(band, weights), image, radius)


@operation(version=1, example="denoise:strength=6", alpha=Alpha.FILTERED)
def denoise(
    image: Image,
    *,
    strength: Annotated[float, Range(0.1, 100), Doc("deviation taken for noise, in percent of white")] = 4.0,
    patch: Annotated[int, Range(1, 15, odd=True), Doc("side of the squares compared, in pixels")] = 7,
    search: Annotated[int, Range(3, 31, odd=True), Doc("side of the square searched, in pixels")] = 15,
) -> Image:
    """Takes away noise and keeps texture: the mean of what looks alike around.

    Non-local means (A. Buades, B. Coll, J.-M. Morel, *A non-local algorithm for image denoising*, 2005):
    every pixel of the search square counts by exp(-d / strength²), with d the mean squared difference of the
    patches around it and around this pixel, over all channels together. The same for grey, colour and every
    depth; channels and depth are kept. The time grows with the square of ``search``: 1 to 3 s a
    megapixel at 15, up to 12 s at 31.
    """
    radius, margin = search // 2, patch // 2
    span = range(-radius, radius + 1)
    box = np.full(patch, 1 / patch)
    narrow = -1 / (strength / 100) ** 2

    def weights(planes: Planes) -> Iterable[tuple[Planes, Image]]:
        wide = [inner(plane, radius) for plane in planes]
        for y, x in ((y, x) for y in span for x in span):
            unlike = _sum(
                cv2.multiply(difference, difference, difference)
                for difference in map(cv2.subtract, wide, (inner(plane, radius, y, x) for plane in planes))
            )
            alike = inner(cv2.sepFilter2D(unlike, -1, box, box * narrow / len(planes)), margin)
            yield [inner(plane, radius + margin, y, x) for plane in planes], np.exp(alike)

    return in_bands(lambda band: _weighted_mean(band, weights), image, radius + margin)


def _weighted_mean(band: Image, weights: Callable[[Planes], Iterable[tuple[Planes, Image]]]) -> Image:
    """The mean of what ``weights`` yields of the planes of a band: neighbours and their weights.

    One weight for all channels of a neighbour, ``(rows, W)`` each.
    """
    planes = cv2.split(np.clip(np.nan_to_num(band, nan=0), -LARGEST, LARGEST))
    sums: list[Image] = []  # of the weights, and of each plane's products with them
    for there, weight in weights(planes):
        sums = sums or [np.zeros_like(weight) for _ in range(1 + len(planes))]
        cv2.accumulate(weight, sums[0])
        for plane, total in zip(there, sums[1:], strict=True):
            cv2.accumulateProduct(plane, weight, total)
    return cv2.merge([cv2.divide(total, sums[0]) for total in sums[1:]])


def _sum(planes: Iterable[Image]) -> Image:
    """Their sum, in the first."""
    return reduce(lambda total, plane: cv2.add(total, plane, total), planes)
