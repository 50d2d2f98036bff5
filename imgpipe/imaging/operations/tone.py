"""Tone: which values become lighter or darker, of a pixel by itself or after all those of the picture.

A tone curve is written for values from black, 0, to white, 1, so that one formula serves every depth.
Integers go through a table of its values, rounded to nearest and clipped; float32 is given to the curve as
it is, and clipped only where the curve does so. Transparent pixels count like others in every histogram.
"""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING, Annotated

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.declare import Channels, Doc, OneOf, Range, operation
from imgpipe.imaging.pixels import WHITE, Image, depth, grey, with_depth

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
        few: Image = np.clip(np.floor(image * count), 0, count - 1) / count
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
    return _each_channel(image, lambda channel: _auto_contrast(channel, cutoff))


def _auto_contrast(channel: Image, cutoff: float) -> Image:
    left_out = int(channel.size * cutoff // 100)
    if depth(channel) == "float32":
        ends = (left_out, channel.size - 1 - left_out)
        low, high = (float(x) for x in np.partition(channel.ravel(), ends)[list(ends)])
    else:
        total = np.cumsum(_histogram(channel))
        found = np.searchsorted(total, [left_out, channel.size - 1 - left_out], side="right")
        low, high = (int(x) / WHITE[depth(channel)] for x in found)
    return _mapped(channel, lambda x: _stretched(x, low, high)) if low < high else channel.copy()


@operation(version=1, example="equalize")
def equalize(image: Image) -> Image:
    """Spreads values so that each is as frequent as any other.

    Every channel by itself, as with Pillow and libvips, so that colours change. A value becomes the share of
    pixels that are not above it, counted without those of the lowest value (R. C. Gonzalez and R. E. Woods,
    *Digital image processing*; OpenCV's ``equalizeHist``). A channel of one value stays as it is. Channels,
    depth and alpha are kept; float32 is equalized, and so clipped, in 16 bits.
    """
    if depth(image) == "float32":
        return with_depth(_each_channel(with_depth(image, "uint16"), _equalized), "float32")
    return _each_channel(image, _equalized)


def _equalized(channel: Image) -> Image:
    total = np.cumsum(_histogram(channel))
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

    K. Zuiderveld, *Contrast limited adaptive histogram equalization* (1994), by OpenCV, on brightness
    (BT.601); what it adds is added to blue, green and red alike. Channels, depth and alpha are kept; the
    brightness of float32 is taken in 16 bits.
    """
    before = grey(image)
    if depth(image) == "float32":
        before = with_depth(before, "uint16")
    after = cv2.createCLAHE(clip, (tiles, tiles)).apply(before)
    if image.ndim == 2 and depth(image) != "float32":
        return after
    return _lifted(image, with_depth(after, "float32") - with_depth(before, "float32"))


def _lifted(image: Image, by: Image) -> Image:
    """``image`` with ``by``, of shape ``(H, W)`` and white at 1, added to each of its channels."""
    work = with_depth(image, "float32")
    return with_depth(work + (by if image.ndim == 2 else by[:, :, np.newaxis]), depth(image))


# --- black and white ------------------------------------------------------------------------------


@operation(version=1, example="threshold:method=otsu", channels=Channels.GREY)
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
    selection method from gray-level histograms*, 1979; float32 in 16 bits); ``adaptive`` is OpenCV's mean of a
    box, edge pixels repeated. The result has one channel, with alpha four; depth and alpha are kept.
    """
    source = grey(image)
    white = WHITE[depth(image)]
    if method == "adaptive":
        bright = _above_surroundings(source, size, offset / 100 * white)
    elif method == "otsu":
        work = with_depth(source, "uint16") if depth(image) == "float32" else source
        bright = work > int(cv2.threshold(work, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0])
    else:
        bright = source > (level / 100 if depth(image) == "float32" else floor(level / 100 * white))
    return np.multiply(bright, image.dtype.type(white))


def _above_surroundings(source: Image, size: int, offset: float) -> Image:
    """Where a pixel is above the mean of its box less ``offset``: in sums, which are exact for integers."""
    work = source.astype(np.float64)
    total = cv2.boxFilter(work, -1, (size, size), normalize=False, borderType=cv2.BORDER_REPLICATE)
    above: Image = (work + offset) * size**2 > total
    return above


# --- what they share ------------------------------------------------------------------------------


def _mapped(image: Image, curve: Callable[[Image], Image]) -> Image:
    """``curve`` of every value, where black is 0 and white is 1."""
    white = WHITE[depth(image)]
    if depth(image) == "float32":
        return curve(image)
    every = np.arange(int(white) + 1) / white
    values = np.clip(np.rint(curve(every) * white), 0, white).astype(image.dtype)
    return cv2.LUT(image, values) if depth(image) == "uint8" else values[image]


def _stretched(x: Image, low: float, high: float) -> Image:
    """0 at ``low``, 1 at ``high``, clipped. A millionth stands for no distance: less than a step of 16 bits."""
    distance = high - low
    if abs(distance) < 1e-6:
        distance = 1e-6
    clipped: Image = np.clip((x - low) / distance, 0, 1)
    return clipped


def _each_channel(image: Image, function: Callable[[Image], Image]) -> Image:
    """``function`` of every channel by itself."""
    return function(image) if image.ndim == 2 else cv2.merge([function(c) for c in cv2.split(image)])


def _histogram(channel: Image) -> Image:
    """How many pixels have each of the values there are; exact, where OpenCV counts in float32."""
    return np.bincount(channel.ravel(), minlength=int(WHITE[depth(channel)]) + 1)
