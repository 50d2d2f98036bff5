"""Colour: hues, and how much of them; `tone` has what makes lighter and darker.

Gains and matrices work on the values as they are stored, as Pillow, OpenCV and the filters of CSS do: the
transfer curve of sRGB is not undone first. Integers are rounded and clipped; float32 is not clipped.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Annotated

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.declare import Alpha, Channels, Doc, Range, operation
from imgpipe.imaging.pixels import WHITE, Image, by_bands, depth, grey, with_depth
from imgpipe.imaging.pixels import colour as coloured

if TYPE_CHECKING:
    from collections.abc import Sequence

    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

#: Blue, green, red in grey: ITU-R BT.601, as `grey` has them.
BT601 = (0.114, 0.587, 0.299)

#: W3C, *Filter Effects Module Level 1*, feColorMatrix of sepia(1): to and from blue, green, red.
SEPIA = ((0.131, 0.534, 0.272), (0.168, 0.686, 0.349), (0.189, 0.769, 0.393))

TINY = 1e-30  # a difference of colours that is none: it divides 0

DAYLIGHT = 6500  # kelvin: what sRGB calls white


@operation(version=1, example="identity", alpha=Alpha.MOVED)
def identity(image: Image) -> Image:
    """Leaves every pixel as it is: for a change of format."""
    return image.copy()


@operation(version=1, example="grayscale", channels=Channels.GREY, luma=True)
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


@operation(version=1, example="saturation:factor=1.5")
def saturation(
    image: Image,
    *,
    factor: Annotated[float, Range(0, 10), Doc("0 is grey, 1 changes nothing, above 1 is more vivid")],
) -> Image:
    """Makes colours paler or more vivid.

    Every pixel moves away from its own grey (BT.601) or towards it, as with Pillow's ``ImageEnhance.Color``:
    grey + factor · (value - grey). Channels, depth and alpha are kept; a grey picture stays as it is.
    """
    if image.ndim == 2:
        return image.copy()
    return _mixed(image, factor * np.eye(3) + (1 - factor) * np.tile(BT601, (3, 1)))


@operation(version=1, example="hue:angle=90")
def hue(
    image: Image,
    *,
    angle: Annotated[float, Range(-360, 360), Doc("degrees; 120 turns red into green")],
) -> Image:
    """Turns every hue around the colour wheel.

    The hue is that of HSV and HSL (A. R. Smith, *Color gamut transform pairs*, 1978); saturation and value
    stay, and so do depth and alpha. A grey picture stays as it is.
    """
    if image.ndim == 2:
        return image.copy()
    sixths = angle / 60

    def turned(band: Image) -> Image:
        return with_depth(_hue_turned(with_depth(band, "float32"), sixths), depth(image))

    return by_bands(turned, image)


def _hue_turned(image: Image, sixths: float) -> Image:
    """``(H, W, 3)`` of float32 with hues moved by so many sixths of the wheel.

    Written out, since OpenCV's versions differ in the last bits of its HSV. The largest value stays, and so
    does the smallest; a channel has the one for two sixths of the wheel (red around 0, green around 2, blue
    around 4), the other for two, and changes evenly between.
    """
    blue, green, red = cv2.split(image)
    most, least = np.maximum(np.maximum(blue, green), red), np.minimum(np.minimum(blue, green), red)
    with np.errstate(invalid="ignore", over="ignore"):  # a float picture may hold anything
        chroma = most - least
        divisor = np.maximum(chroma, TINY)
        hue = 4 + (red - green) / divisor
        # By OpenCV, which chooses in a hundredth of the time that np.where takes.
        cv2.copyTo(2 + (blue - red) / divisor, cv2.compare(most, green, cv2.CMP_EQ), hue)
        cv2.copyTo((green - blue) / divisor, cv2.compare(most, red, cv2.CMP_EQ), hue)
        turned: list[Image] = [most - chroma * _fallen(hue, (sixths + start) % 6) for start in (1, 3, 5)]
    return cv2.merge(turned)


def _fallen(hue: Image, start: float) -> Image:
    """How far, 0 to 1, a channel that begins to fall at ``-start`` is below the lightest one.

    It is all the way down from 1 to 3 behind that, and again from 7 to 9: ``hue`` is from -1 to 5, ``start``
    from 0 to 6. NumPy's remainder would take as long as all the rest.
    """
    along = np.add(hue, np.float32(start - 5))
    for middle in (3, 2):  # fold at 5, then at 2 and 8
        np.subtract(middle, np.abs(along, out=along), out=along)
    return np.clip(along, 0, 1, out=along)


@operation(version=1, example="white-balance")
def white_balance(image: Image) -> Image:
    """Takes a colour cast away: makes the mean of the picture grey.

    The grey world (G. Buchsbaum, *A spatial processor model for object colour perception*, 1980): every
    channel is multiplied so that its mean becomes the mean of all three; a black channel stays black. Depth
    and alpha are kept; transparent pixels count like others, ones that are not finite do not. A grey picture
    stays as it is.
    """
    if image.ndim == 2:
        return image.copy()
    means = cv2.mean(image, _finite(image))[:3]
    middle = sum(means) / 3
    return _multiplied(image, [middle / mean if mean > 0 else 1.0 for mean in means])


def _finite(image: Image) -> Image | None:
    """A mask, ``(H, W)`` uint8, of the pixels that are finite in every channel; None where all must be."""
    if depth(image) != "float32":
        return None
    finite: Image = np.isfinite(image)
    return (finite[:, :, 0] & finite[:, :, 1] & finite[:, :, 2]).astype(np.uint8)


@operation(version=1, example="sepia:amount=0.8", channels=Channels.COLOUR)
def sepia(
    image: Image,
    *,
    amount: Annotated[float, Range(0, 1), Doc("0 leaves colours as they are, 1 is all brown")] = 1.0,
) -> Image:
    """Tones the picture brown like an old photograph.

    The matrix is that of W3C, *Filter Effects Module Level 1*, ``sepia()``, blended with the picture by
    ``amount``. A grey picture becomes colour; depth and alpha are kept.
    """
    return _mixed(coloured(image), (1 - amount) * np.eye(3) + amount * np.array(SEPIA))


@operation(version=1, example="temperature:kelvin=5000", channels=Channels.COLOUR)
def temperature(
    image: Image,
    *,
    kelvin: Annotated[int, Range(1000, 40000), Doc("below 6500 is warmer, above is colder")],
) -> Image:
    """Makes colours warmer or colder, as if lit by light of another colour temperature.

    Channels are multiplied by the colour of a black body against that at 6500 K, after T. Helland, *How to
    convert temperature (K) to RGB* (2012), and by what leaves the brightness of grey (BT.601) as it was. A
    grey picture becomes colour; depth and alpha are kept.
    """
    gains = np.array(_black_body(kelvin)) / np.array(_black_body(DAYLIGHT))
    return _multiplied(coloured(image), gains / (gains @ np.array(BT601)))


def _black_body(kelvin: int) -> tuple[float, float, float]:
    """Blue, green, red from 0 to 255 of a black body this hot, in sRGB: Helland's fit, 1000 to 40000 K."""
    t = kelvin / 100
    if t > 66:
        red = 329.698727446 * (t - 60) ** -0.1332047592
        return 255.0, 288.1221695283 * (t - 60) ** -0.0755148492, min(red, 255.0)
    blue = 138.5177312231 * log(t - 10) - 305.0447927307 if t > 19 else 0.0
    green = 99.4708025861 * log(t) - 161.1195681661
    return max(blue, 0.0), min(green, 255.0), 255.0


def _multiplied(image: Image, gains: Sequence[float] | Image) -> Image:
    """Blue, green, red times one gain each."""
    return _mixed(image, np.diag(gains))


def _mixed(image: Image, matrix: Image) -> Image:
    """``matrix @ (blue, green, red)`` of every pixel, in the same depth."""
    return cv2.transform(image, matrix)
