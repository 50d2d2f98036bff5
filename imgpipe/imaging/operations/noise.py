"""Noise: filters that take it away and leave edges where they are.

The linear filters of `filters` mix whatever is near. These ask first what belongs together: `median` takes
the middle of the values around, `bilateral` and `denoise` weigh neighbours by how alike they are. All three
weigh by differences of whole pixels or order values channel by channel, of colours weighted by alpha and of
alpha, so a transparent pixel's colour does not seep out, and an even colour stays what it is under any alpha:
c · alpha and alpha have the same order, and the same weights.

In a float picture NaN counts as black for `bilateral` and `denoise`, and as larger than any number for
`median`. At the border the picture is mirrored without its edge pixel; for `median` the edge pixel is
repeated.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Annotated

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.bands import in_bands, inner
from imgpipe.imaging.operations.declare import Alpha, Doc, Range, operation
from imgpipe.imaging.pixels import Image, depth, each_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

WINDOWS_MAX = 1 << 22  # values of windows sorted at once: 16 MB
INFINITE = 1e30  # stands for infinity: unlike everything else, and 0 · 1e30 is still 0


# --- by order -------------------------------------------------------------------------------------


@operation(version=1, example="median:size=5", alpha=Alpha.FILTERED)
def median(
    image: Image,
    *,
    size: Annotated[int, Range(3, 25, odd=True), Doc("side of the square in pixels")] = 3,
) -> Image:
    """Takes away specks: every value becomes the middle one of those around it.

    Every channel by itself, as Pillow's ``MedianFilter``. Channels and depth are kept. Quick in 8 bits, and
    with sizes up to 5; above, a picture of 16 bits, of floats or with alpha takes 20 to 30 s a megapixel for
    each 5,000 neighbours in its channels (size 15: a second for each channel).
    """
    if depth(image) == "uint8" or (size <= 5 and not _has_nan(image)):
        return cv2.medianBlur(image, size)
    return each_channel(image, lambda channel: _median(channel, size))


def _has_nan(image: Image) -> bool:
    return depth(image) == "float32" and bool(np.isnan(image).any())


def _median(channel: Image, size: int) -> Image:
    """The median of every window, where OpenCV has none: it sorts as far as needed, in bands of rows."""
    around = cv2.copyMakeBorder(channel, *[size // 2] * 4, cv2.BORDER_REPLICATE)
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
    Channels and depth are kept. The time grows with the square of the size; at 9, half a second a megapixel.
    """
    radius = size // 2
    span = range(-radius, radius + 1)
    near = [(y, x) for y in span for x in span if y**2 + x**2 <= radius**2]
    narrow = -1 / (2 * (tone / 100) ** 2)

    def weights(band: Image) -> Iterable[tuple[Image, Image]]:
        here = inner(band, radius)
        for y, x in near:
            there = inner(band, radius, y, x)
            unlike = _over_channels(cv2.absdiff(here, there))
            exponent = cv2.multiply(unlike, unlike, scale=narrow)
            yield there, cv2.exp(cv2.add(exponent, -(y**2 + x**2) / (2 * space**2)))

    return in_bands(lambda band: _weighted_mean(_finite(band), weights), image, radius)


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
    depth; channels and depth are kept. The time grows with the square of ``search``: at 15, 2 to 4 s a
    megapixel; at 31, four times that.
    """
    radius, margin = search // 2, patch // 2
    span = range(-radius, radius + 1)
    box = np.full(
        patch, sqrt(1 / patch)
    )  # applied along both sides: the sum over a patch, divided by its side
    narrow = -1 / (patch * (strength / 100) ** 2)

    def weights(band: Image) -> Iterable[tuple[Image, Image]]:
        wide = inner(band, radius)
        for y, x in ((y, x) for y in span for x in span):
            unlike = cv2.absdiff(wide, inner(band, radius, y, x))
            squares = _over_channels(cv2.multiply(unlike, unlike)) / _channels(band)
            alike = inner(cv2.sepFilter2D(squares, -1, box, box), margin)
            yield inner(band, radius + margin, y, x), cv2.exp(cv2.multiply(alike, narrow))

    return in_bands(lambda band: _weighted_mean(_finite(band), weights), image, radius + margin)


def _weighted_mean(band: Image, weights: Callable[[Image], Iterable[tuple[Image, Image]]]) -> Image:
    """The mean of what ``weights`` yields: neighbours ``(rows, W[, C])`` and their weights ``(rows, W)``."""
    norm, total = None, []
    for there, weight in weights(band):
        if norm is None:
            norm = np.zeros_like(weight)
            total = [np.zeros_like(weight) for _ in range(_channels(there))]
        cv2.accumulate(weight, norm)
        for sum_, plane in zip(total, cv2.split(there), strict=True):
            cv2.accumulateProduct(plane, weight, sum_)
    return cv2.merge([sum_ / norm for sum_ in total])


def _over_channels(band: Image) -> Image:
    """The sum over channels, ``(H, W)``."""
    return band if band.ndim == 2 else cv2.transform(band, np.ones((1, _channels(band))))


def _channels(band: Image) -> int:
    return 1 if band.ndim == 2 else int(band.shape[2])


def _finite(band: Image) -> Image:
    return np.nan_to_num(band, nan=0, posinf=INFINITE, neginf=-INFINITE)
