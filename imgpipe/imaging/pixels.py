"""What an image is while it is in memory, and how it changes depth and channels.

An image is a NumPy array, ``(H, W)`` for grey or ``(H, W, 3)`` or ``(H, W, 4)`` for colour in OpenCV's order:
blue, green, red, alpha. Its depth is one of three, each with its own white:

=========  =======  =======================================================
dtype      white    found in
=========  =======  =======================================================
uint8      255      every format
uint16     65535    PNG, TIFF, JPEG 2000, PNM; from 10 bits on AVIF and BMP
float32    1.0      TIFF, PFM; values outside 0 … 1 are allowed
=========  =======  =======================================================

A change of depth maps white to white and rounds to nearest. Alpha is not weighted into the colours
("straight"); `premultiplied` weights it in while a filter runs, and `over_black` while differences are taken,
so that no hidden colour seeps out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from imgpipe.imaging.lazy import lazy

if TYPE_CHECKING:
    from collections.abc import Callable

    import cv2
    import numpy as np
    import numpy.typing as npt

    Image: TypeAlias = npt.NDArray[Any]
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")
    Image = Any  # annotations are evaluated where operations are declared, without NumPy

#: The value of white, by name of dtype. These are all the depths there are.
WHITE: dict[str, float] = {"uint8": 255, "uint16": 65535, "float32": 1.0}
ALPHA_MIN = 1e-6  # less is what rounding leaves of nothing: a sixteenth of a 16-bit level
BAND = 1 << 16  # pixels in a band of rows: 256 KiB a plane of float32
_DEPTHS = {"B": "uint8", "H": "uint16", "f": "float32"}  # NumPy's one-letter codes


def depth(image: Image) -> str:
    """The name of the dtype of pixels, where it is one of `WHITE`, else nothing."""
    # `dtype.name` is put together anew every time: 8 µs, several times an image.
    return _DEPTHS.get(image.dtype.char, "")


def problem(image: object) -> str:
    """Why this is no image, or nothing."""
    if not isinstance(image, np.ndarray):
        return f"expected an image, got {type(image).__name__}"
    if not depth(image):
        return f"expected uint8, uint16 or float32 pixels, got {image.dtype.name}"
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
        return f"expected shape (H, W), (H, W, 3) or (H, W, 4), got {image.shape}"
    return "" if image.size else f"no pixels: shape {image.shape}"


def has_alpha(image: Image) -> bool:
    return image.ndim == 3 and image.shape[2] == 4


def is_opaque(image: Image) -> bool:
    """Whether every pixel is seen in full."""
    return not has_alpha(image) or bool(cv2.extractChannel(image, 3).min() >= WHITE[depth(image)])


def with_depth(image: Image, wanted: str) -> Image:
    """The same picture with pixels of dtype ``wanted``. Integers clip what is below black or above white.

    NaN becomes black. Where the depth is ``wanted`` already, it is the image itself.
    """
    given = depth(image)
    if given == wanted:
        return image
    with np.errstate(over="ignore"):  # a float picture may hold anything
        scaled: Image = np.multiply(image, np.float32(WHITE[wanted] / WHITE[given]), dtype=np.float32)
    if wanted == "float32":
        return scaled
    if given == "float32":
        np.nan_to_num(scaled, copy=False)
        np.clip(scaled, 0, WHITE[wanted], out=scaled)
    return np.rint(scaled, out=scaled).astype(wanted)


def grey(image: Image) -> Image:
    """``(H, W)`` of the same dtype, with the weights of ITU-R BT.601: 0.299 red, 0.587 green, 0.114 blue."""
    if image.ndim == 2:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGRA2GRAY if has_alpha(image) else cv2.COLOR_BGR2GRAY)


def colour(image: Image) -> Image:
    """``(H, W, 3)`` of the same dtype, without alpha."""
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return cv2.cvtColor(image, cv2.COLOR_BGRA2BGR) if has_alpha(image) else image


def with_alpha(image: Image) -> Image:
    """``(H, W, 4)`` of the same dtype; what had no alpha is seen in full."""
    if has_alpha(image):
        return image
    white = WHITE[depth(image)]
    return joined(image, np.full(image.shape[:2], white, image.dtype))


def colour8(image: Image) -> Image:
    """``(H, W, 3)`` uint8, without alpha: what OpenCV's ``IMREAD_COLOR`` gives."""
    return with_depth(colour(image), "uint8")


def joined(colours: Image, alpha: Image) -> Image:
    """``(H, W, 4)`` from grey or colours and an alpha of the same size and dtype."""
    return cv2.merge([*cv2.split(colour(colours)), alpha])


def beside_alpha(function: Callable[[Image], Image], image: Image) -> Image:
    """``function`` of the colours alone; alpha is put back as it was."""
    if not has_alpha(image):
        return function(image)
    return joined(function(colour(image)), np.ascontiguousarray(image[:, :, 3]))


def each_channel(image: Image, function: Callable[[Image], Image]) -> Image:
    """``function`` of every channel by itself, ``(H, W)``."""
    return function(image) if image.ndim == 2 else cv2.merge([function(c) for c in cv2.split(image)])


def by_bands(function: Callable[..., Image], *images: Image) -> Image:
    """``function`` of bands of rows, put together again: for what is done to each pixel by itself.

    Several images, all of the same height and width, are given to it band by band. What it needs beside its
    result is small then, and stays in a processor's cache.
    """
    height, width = images[0].shape[:2]
    rows = max(1, BAND // width)
    if height <= rows:
        return function(*images)
    first = function(*(image[:rows] for image in images))
    result = np.empty((height, *first.shape[1:]), first.dtype)
    result[:rows] = first
    for top in range(rows, height, rows):
        result[top : top + rows] = function(*(image[top : top + rows] for image in images))
    return result


def over_black(function: Callable[[Image], Image], image: Image) -> Image:
    """``function`` of the colours as they are seen on black; alpha is put back as it was.

    For functions that tell how neighbours differ: there, nothing to be seen is no colour of its own.
    """
    if not has_alpha(image):
        return function(image)
    seen = by_bands(lambda band: with_depth(weighted(band)[:, :, :3], depth(image)), image)
    return joined(function(seen), np.ascontiguousarray(image[:, :, 3]))


def premultiplied(function: Callable[[Image], Image], image: Image) -> Image:
    """``function`` of the colours weighted by alpha, and of alpha: for functions that mix neighbours.

    Porter and Duff, *Compositing digital images* (1984): a transparent pixel's colour has no weight. What
    ``function`` makes of alpha is clipped to 0 … 1; it is given, and gives, ``(H, W, 4)`` float32.
    """
    if not has_alpha(image):
        return function(image)
    filtered = function(by_bands(weighted, image))
    return by_bands(lambda band: with_depth(straight(band), depth(image)), filtered)


def weighed(function: Callable[[Image], Image], image: Image) -> Image:
    """`premultiplied`, but alpha is put back as it was: for functions that mix colours alone."""
    if not has_alpha(image):
        return function(image)
    result = premultiplied(function, image)
    result[:, :, 3] = image[:, :, 3]
    return result


def weighted(image: Image) -> Image:
    """Blue, green, red times alpha, and alpha: float32 with white at 1."""
    *colours, alpha = cv2.split(with_depth(image, "float32"))
    products = [cv2.multiply(plane, alpha) for plane in colours]
    if depth(image) == "float32":  # what is hidden may be NaN or infinite, and 0 · NaN is NaN
        for plane in products:
            plane[alpha == 0] = 0
    return cv2.merge([*products, alpha])


def straight(image: Image) -> Image:
    """Colours that were multiplied by alpha, divided by it again; black where nothing is left of it."""
    *colours, alpha = cv2.split(with_depth(image, "float32"))
    left = alpha > ALPHA_MIN
    divisor = np.maximum(alpha, ALPHA_MIN)
    with np.errstate(invalid="ignore", over="ignore"):  # inf / inf, 1e38 / 1e-6
        divided = [np.divide(plane, divisor) * left for plane in colours]
    return with_depth(cv2.merge([*divided, np.clip(alpha, 0, 1)]), depth(image))
