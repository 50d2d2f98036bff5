"""Tone: which values become lighter or darker, of a pixel by itself or after all those of the picture.

A tone curve is written for values from black, 0, to white, 1, so that one formula serves every depth.
Integers go through a table of its values, rounded to nearest and clipped; float32 is given to the curve as
it is, and clipped only where the curve does so. Transparent pixels count like others in every histogram.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.declare import Doc, Range, operation
from imgpipe.imaging.operations.histograms import histogram, interpolated, tile_curves
from imgpipe.imaging.pixels import WHITE, Image, depth, each_channel, grey, with_depth

if TYPE_CHECKING:
    from collections.abc import Callable

    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

# --- curves that are the same for every picture ---------------------------------------------------


@operation(version=1, example="brightness:factor=1.2")
def brightness(
    image: Image,
    *,
    factor: Annotated[float, Range(0, 10), Doc("0 is black, 1 changes nothing, above 1 is brighter")],
) -> Image:
    """Makes the picture brighter or darker.

    Every value is multiplied, as with Pillow's ``ImageEnhance.Brightness`` and CSS's ``brightness()``.
    Channels, depth and alpha are kept.
    """
    return _mapped(image, lambda x: x * factor)


@operation(version=1, example="contrast:factor=1.3")
def contrast(
    image: Image,
    *,
    factor: Annotated[float, Range(0, 10), Doc("0 is flat grey, 1 changes nothing, above 1 is harder")],
) -> Image:
    """Makes the difference between light and dark smaller or larger.

    Values move away from middle grey or towards it: 0.5 + factor · (value - 0.5), as ``contrast()`` of W3C,
    *Filter Effects Module Level 1*. (Pillow takes the mean of each picture, so that a series would come out
    uneven.) Channels, depth and alpha are kept.
    """
    return _mapped(image, lambda x: (x - 0.5) * factor + 0.5)


@operation(version=1, example="gamma:gamma=1.6")
def gamma(
    image: Image,
    *,
    gamma: Annotated[float, Range(0.1, 10), Doc("1 changes nothing, above 1 lightens the middle tones")],
) -> Image:
    """Makes middle tones lighter or darker; black and white stay.

    value ** (1 / gamma), as ImageMagick's ``-gamma``; below black is black. Channels, depth and alpha are
    kept.
    """
    return _mapped(image, lambda x: np.maximum(x, 0) ** (1 / gamma))


@operation(version=1, example="levels:black=5,white=95,gamma=1.2")
def levels(
    image: Image,
    *,
    black: Annotated[float, Range(0, 100), Doc("what becomes black, in percent of white")] = 0.0,
    white: Annotated[float, Range(0, 100), Doc("what becomes white, in percent of white")] = 100.0,
    gamma: Annotated[float, Range(0.1, 10), Doc("above 1 lightens the middle tones")] = 1.0,
) -> Image:
    """Stretches the values between a black point and a white point to the whole range.

    ((value - black) / (white - black)) ** (1 / gamma), clipped, as ImageMagick's ``-level``: with ``white``
    below ``black`` it makes a negative, and with both the same every larger value becomes white. Channels,
    depth and alpha are kept.
    """
    return _mapped(image, lambda x: _stretched(x, black / 100, white / 100) ** (1 / gamma))


@operation(version=1, example="posterize:bits=3")
def posterize(
    image: Image,
    *,
    bits: Annotated[int, Range(1, 8), Doc("bits to keep of every channel")],
) -> Image:
    """Leaves few values in every channel.

    The highest bits are kept and the others become 0, as with Pillow's ``ImageOps.posterize``, in 16 bits
    as in 8; float32 is clipped and becomes k / 2**bits, at most (2**bits - 1) / 2**bits. Channels, depth and
    alpha are kept.
    """
    if depth(image) == "float32":
        count = 2**bits
        few: Image = np.minimum(np.floor(np.clip(image, 0, 1) * count), count - 1) / count
        return few
    lowest = 1 << (8 * image.dtype.itemsize - bits)
    kept: Image = image & image.dtype.type(int(WHITE[depth(image)]) + 1 - lowest)
    return kept


# --- after the histogram of the picture -----------------------------------------------------------


@operation(version=1, example="auto-contrast:cutoff=1")
def auto_contrast(
    image: Image,
    *,
    cutoff: Annotated[
        float, Range(0, 49), Doc("percent of the pixels to leave out at each end of the histogram")
    ] = 0.0,
) -> Image:
    """Stretches every channel until its darkest value is black and its lightest white.

    As Pillow's ``ImageOps.autocontrast``, but rounded to nearest. A channel of one value stays as it is.
    Channels, depth and alpha are kept.
    """
    return each_channel(image, lambda channel: _auto_contrast(channel, cutoff))


def _auto_contrast(channel: Image, cutoff: float) -> Image:
    low, high = _ends(channel, cutoff)
    return _mapped(channel, lambda x: _stretched(x, low, high)) if low < high else channel.copy()


def _ends(channel: Image, cutoff: float) -> tuple[float, float]:
    """The smallest and the largest value, white at 1, with ``cutoff`` percent left out at each end."""
    if depth(channel) == "float32":
        values = channel[np.isfinite(channel)]
        if not values.size:
            return 0.0, 0.0
        first, last = _first_and_last(values.size, cutoff)
        found = np.partition(values, (first, last))[[first, last]]
        return float(found[0]), float(found[1])
    below = np.searchsorted(
        np.cumsum(histogram(channel)), _first_and_last(channel.size, cutoff), side="right"
    )
    white = WHITE[depth(channel)]
    return int(below[0]) / white, int(below[1]) / white


def _first_and_last(count: int, cutoff: float) -> tuple[int, int]:
    left_out = int(count * cutoff // 100)
    return left_out, count - 1 - left_out


@operation(version=1, example="equalize")
def equalize(image: Image) -> Image:
    """Spreads values so that each is as frequent as any other.

    Every channel by itself, as with Pillow and libvips, so that colours change. A value becomes the share of
    pixels that are not above it, counted without those of the lowest value (R. C. Gonzalez and R. E. Woods,
    *Digital image processing*; OpenCV's ``equalizeHist``). A channel of one value stays as it is. Channels,
    depth and alpha are kept; float32 is equalized, and so clipped, in 16 bits.
    """
    if depth(image) == "float32":
        return with_depth(each_channel(with_depth(image, "uint16"), _equalized), "float32")
    return each_channel(image, _equalized)


def _equalized(channel: Image) -> Image:
    total = np.cumsum(histogram(channel))
    lowest = total[np.flatnonzero(total)[0]]
    if lowest == channel.size:
        return channel.copy()
    share = np.maximum(total - lowest, 0) / (channel.size - lowest)
    return _mapped(channel, lambda every: share)  # `every` value in order, and so is `share`


@operation(version=1, example="clahe:clip=2,tiles=8")
def clahe(
    image: Image,
    *,
    clip: Annotated[
        float, Range(1, 100), Doc("most a histogram may rise above an even one, as a factor")
    ] = 2.0,
    tiles: Annotated[int, Range(1, 16), Doc("parts the picture is divided into, along each side")] = 8,
) -> Image:
    """Brings out local contrast: equalizes parts of the picture, with a limit on the gain.

    K. Zuiderveld, *Contrast limited adaptive histogram equalization* (1994), of brightness (BT.601) in 256
    steps, interpolated between parts and between steps; what it adds is added to blue, green and red alike.
    What is clipped is spread evenly, and counting starts above the lowest value: an even histogram, and a
    part of one value, is left nearly as it is. Channels, depth and alpha are kept; the brightness of float32
    is taken in 16 bits.
    """
    before = grey(image)
    if depth(image) == "float32":
        before = with_depth(before, "uint16")
    after = interpolated(before, tile_curves(before, clip, tiles))
    if image.ndim == 2 and depth(image) != "float32":
        return with_depth(after, depth(image))
    return _lifted(image, np.subtract(after, with_depth(before, "float32"), out=after))


def _lifted(image: Image, by: Image) -> Image:
    """``image`` with ``by``, of shape ``(H, W)`` and white at 1, added to each of its channels."""
    return each_channel(image, lambda c: with_depth(with_depth(c, "float32") + by, depth(image)))


# --- what they share ------------------------------------------------------------------------------


def _mapped(image: Image, curve: Callable[[Image], Image]) -> Image:
    """``curve`` of every value, where black is 0 and white is 1."""
    if depth(image) == "float32":
        with np.errstate(invalid="ignore", over="ignore"):  # it may hold infinities, and 0 · inf is NaN
            return curve(image)
    white = WHITE[depth(image)]
    every = np.arange(int(white) + 1) / white
    values = np.clip(np.rint(curve(every) * white), 0, white).astype(image.dtype)
    return cv2.LUT(image, values) if depth(image) == "uint8" else values[image]


def _stretched(x: Image, low: float, high: float) -> Image:
    """0 at ``low``, 1 at ``high``, clipped. Below a millionth, less than a step of 16 bits, it is a jump."""
    distance = high - low
    if abs(distance) < 1e-6:
        distance = 1e-6
    clipped: Image = np.clip((x - low) / distance, 0, 1)
    return clipped
