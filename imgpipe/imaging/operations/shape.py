"""Shape: mathematical morphology, what becomes of light and dark areas under a structuring element.

J. Serra, *Image analysis and mathematical morphology* (1982), for grey and colour: `dilate` takes the
largest and `erode` the smallest value under the element, in every channel by itself; `open`, `close` and
the hats are made of these two. The element is centred on the pixel, and what lies outside of the picture
does not count. ``iterations`` repeats a dilation or erosion, which is the same as a larger element.

Alpha: the first four order colours weighted by alpha, and alpha, so the visible area grows or shrinks like
any other, and no hidden colour comes forth. (As c · alpha is nowhere above alpha, neither is its maximum,
so colours stay in range.) The hats are differences: they keep alpha, and count colours as seen on black.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.declare import Alpha, Doc, OneOf, Range, operation
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

SizeOfElement: TypeAlias = Annotated[int, Range(1, 51, odd=True), Doc("side of the element in pixels")]
Shape: TypeAlias = Annotated[
    str, OneOf("rectangle", "ellipse", "cross"), Doc("form of the element; an ellipse is a disc here")
]
Iterations: TypeAlias = Annotated[int, Range(1, 10), Doc("how often each dilation or erosion is done")]


@operation(version=1, example="dilate:size=5", alpha=Alpha.FILTERED)
def dilate(
    image: Image, *, size: SizeOfElement = 3, shape: Shape = "rectangle", iterations: Iterations = 1
) -> Image:
    """Makes light areas grow: the largest value around each pixel.

    Channels and depth are kept. The time of an ellipse grows with its area, up to 0.3 s a megapixel at 51;
    that of the other forms is small.
    """
    return cv2.dilate(image, element(size, shape), iterations=iterations)


@operation(version=1, example="erode:size=5", alpha=Alpha.FILTERED)
def erode(
    image: Image, *, size: SizeOfElement = 3, shape: Shape = "rectangle", iterations: Iterations = 1
) -> Image:
    """Makes light areas shrink: the smallest value around each pixel.

    Channels and depth are kept. It takes as long as ``dilate``.
    """
    return cv2.erode(image, element(size, shape), iterations=iterations)


@operation(version=1, example="open:size=5", alpha=Alpha.FILTERED)
def open_(
    image: Image, *, size: SizeOfElement = 3, shape: Shape = "rectangle", iterations: Iterations = 1
) -> Image:
    """Takes away light specks smaller than the element: erodes, then dilates.

    Channels and depth are kept. It takes twice as long as ``dilate``.
    """
    return _opened(image, element(size, shape), iterations)


@operation(version=1, example="close:size=5", alpha=Alpha.FILTERED)
def close_(
    image: Image, *, size: SizeOfElement = 3, shape: Shape = "rectangle", iterations: Iterations = 1
) -> Image:
    """Fills dark specks and gaps smaller than the element: dilates, then erodes.

    Channels and depth are kept. It takes twice as long as ``dilate``.
    """
    return _closed(image, element(size, shape), iterations)


@operation(version=1, example="top-hat:size=15", alpha=Alpha.SEEN)
def top_hat(
    image: Image, *, size: SizeOfElement = 15, shape: Shape = "rectangle", iterations: Iterations = 1
) -> Image:
    """Shows light details smaller than the element: what ``open`` takes away.

    Light on black, of even brightness where the lighting was not. Channels and depth are kept. ImageMagick
    calls it ``TopHat``.
    """
    return cv2.subtract(image, _opened(image, element(size, shape), iterations))


@operation(version=1, example="black-hat:size=15", alpha=Alpha.SEEN)
def black_hat(
    image: Image, *, size: SizeOfElement = 15, shape: Shape = "rectangle", iterations: Iterations = 1
) -> Image:
    """Shows dark details smaller than the element: what ``close`` fills.

    Light on black. Channels and depth are kept. ImageMagick calls it ``BottomHat``.
    """
    return cv2.subtract(_closed(image, element(size, shape), iterations), image)


def element(size: int, shape: str) -> Image:
    """The structuring element, ``(size, size)`` uint8, 1 where it is; ``size`` is odd.

    A disc holds what is at most ``size // 2`` from the centre. OpenCV's own ellipses differ between its
    versions.
    """
    away = np.abs(np.arange(size) - size // 2)
    down, right = away[:, np.newaxis], away[np.newaxis, :]
    if shape == "rectangle":
        inside = np.ones((size, size), bool)
    elif shape == "cross":
        inside = (down == 0) | (right == 0)
    else:
        inside = down**2 + right**2 <= (size // 2) ** 2
    return inside.astype(np.uint8)


def _opened(image: Image, kernel: Image, iterations: int) -> Image:
    return cv2.dilate(cv2.erode(image, kernel, iterations=iterations), kernel, iterations=iterations)


def _closed(image: Image, kernel: Image, iterations: int) -> Image:
    return cv2.erode(cv2.dilate(image, kernel, iterations=iterations), kernel, iterations=iterations)
