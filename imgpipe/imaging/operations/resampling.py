"""Pixels of another grid: the arithmetic below `geometry`.

Sizes change by separable kernels. To enlarge, a kernel interpolates between pixels; to reduce, it is
stretched by the factor, so that every pixel of the input has its share in the output. (OpenCV's own linear,
cubic and Lanczos look at a fixed number of pixels whatever the factor, and so let fine patterns alias.) These
are the kernels of Pillow and libvips:

=========  =======  ====================================================================================
kernel     radius   source
=========  =======  ====================================================================================
linear     1        a triangle
cubic      2        R. Keys, *Cubic convolution interpolation*, 1981, with a = -1/2 (Catmull-Rom)
lanczos    3        C. Duchon, *Lanczos filtering in one and two dimensions*, 1979: sinc(x) sinc(x / 3)
=========  =======  ====================================================================================

Turns and perspective read the picture at places between its pixels (`warped`). That is written out here
because OpenCV 4 rounds those places to 1/32 of a pixel and OpenCV 5 does not: the same recipe would give
other pixels on another machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import WHITE, Image, depth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

BLOCK = 1 << 17  # values worked on at once: as float32 512 KiB, which stay in a cache


# --- kernels ------------------------------------------------------------------------------------


def _triangle(x: Image) -> Image:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _keys(x: Image) -> Image:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: Image) -> Image:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


def _kernel(name: str) -> tuple[int, Callable[[Image], Image]]:
    """Radius in pixels, and the kernel itself."""
    return {"linear": (1, _triangle), "cubic": (2, _keys), "lanczos": (3, _lanczos)}[name]


# --- another size -------------------------------------------------------------------------------


def scaled(image: Image, width: int, height: int, kernel: str = "auto") -> Image:
    """``image`` with ``width`` × ``height`` pixels, of the same depth and channels.

    ``nearest`` takes the pixel below the middle of the new one. ``area`` is the mean of what the new pixel
    covers, where that is less than a pixel linear. ``auto`` is ``area`` to reduce and OpenCV's cubic to
    enlarge (Keys with a = -3/4: a little sharper than ``cubic``), each side by itself.
    """
    if image.shape[:2] == (height, width):
        return image.copy()
    if kernel == "nearest":
        rows, columns = _nearest(image.shape[0], height), _nearest(image.shape[1], width)
        return np.take(image[rows], columns, axis=1)
    if kernel in ("linear", "cubic", "lanczos"):
        return _convolved(image, width, height, kernel)
    image = _reduced(image, width, height)
    if image.shape[:2] == (height, width):
        return image
    if kernel == "area":
        return _convolved(image, width, height, "linear")
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)


def _nearest(given: int, wanted: int) -> Image:
    """Which pixel lies below the middle of each new one. In integers: OpenCV 4 and 5 round differently."""
    return (2 * np.arange(wanted) + 1) * given // (2 * wanted)


def _reduced(image: Image, width: int, height: int) -> Image:
    """By ``area``, on the sides that become shorter."""
    size = min(width, image.shape[1]), min(height, image.shape[0])
    return image if image.shape[1::-1] == size else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _convolved(image: Image, width: int, height: int, kernel: str) -> Image:
    channels = image.reshape(*image.shape[:2], -1)
    down, across = _taps(image.shape[0], height, kernel), _taps(image.shape[1], width, kernel)
    result = np.empty((height, width, channels.shape[2]), image.dtype)
    for rows in _blocks(height, max(image.shape[1], width) * channels.shape[2]):
        with np.errstate(invalid="ignore", over="ignore"):  # a float picture may hold anything
            block = _mixed(channels, down[0][rows], down[1][rows], axis=0)
            result[rows] = rounded(_mixed(block, *across, 1), depth(image))
    return result.reshape(height, width, *image.shape[2:])


def _taps(given: int, wanted: int, kernel: str) -> tuple[Image, Image]:
    """For each of ``wanted`` pixels: which of the ``given`` ones it is made of, and their weights."""
    radius, function = _kernel(kernel)
    factor = given / wanted
    stretch = max(1.0, factor)
    middle = (np.arange(wanted) + 0.5) * factor
    first = np.floor(middle - radius * stretch).astype(int)
    at = first[:, None] + np.arange(int(2 * radius * stretch) + 2)
    weights = function((at + 0.5 - middle[:, None]) / stretch)
    weights[(at < 0) | (at >= given)] = 0.0  # beyond the edge there is nothing: the others weigh more
    weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(at, 0, given - 1), weights.astype(np.float32)


def _mixed(image: Image, at: Image, weights: Image, axis: int) -> Image:
    """float32: the weighted sum of the pixels ``at[:, k]`` along ``axis``."""
    shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    total = np.take(image, at[:, 0], axis) * weights[:, 0].reshape(shape)
    for k in range(1, at.shape[1]):
        total += np.take(image, at[:, k], axis) * weights[:, k].reshape(shape)
    return total


def rounded(values: Image, wanted: str) -> Image:
    """float32 → dtype ``wanted``, of the same scale; what is of that dtype already stays as it is."""
    if depth(values) == wanted:
        return values
    return np.clip(np.rint(values), 0, WHITE[wanted]).astype(wanted)


def _blocks(height: int, width: int) -> Iterator[slice]:
    """Rows of a picture, so many at once that they hold about `BLOCK` values."""
    step = max(1, BLOCK // width)
    return (slice(start, min(height, start + step)) for start in range(0, height, step))


# --- places between pixels ----------------------------------------------------------------------


def warped(
    image: Image, width: int, height: int, matrix: Image, kernel: str, background: Sequence[float]
) -> Image:
    """A picture of ``width`` × ``height`` that shows at (x, y) what ``image`` has at ``matrix`` · (x, y, 1).

    ``matrix`` is 3 × 3. Coordinates are distances from the left and top edge, so that the middle of the first
    pixel is (0.5, 0.5). ``kernel`` is nearest, linear or cubic. Around the picture everything is
    ``background``, a value for each channel. Same depth and channels.
    """
    taps = 1 if kernel == "nearest" else 2 * _kernel(kernel)[0]
    channels = image.reshape(*image.shape[:2], -1)
    result = np.empty((height, width, channels.shape[2]), image.dtype)
    planes = [
        np.pad(channels[:, :, k], taps, constant_values=image.dtype.type(background[k]))
        for k in range(channels.shape[2])
    ]
    for rows in _blocks(height, width):
        first, across, down = _places(matrix, width, rows, kernel, planes[0].shape)
        for k, plane in enumerate(planes):
            with np.errstate(invalid="ignore", over="ignore"):  # a float picture may hold anything
                result[rows, :, k] = rounded(_read(plane, first, across, down), depth(image))
    return result.reshape(height, width, *image.shape[2:])


def _places(
    matrix: Image, width: int, rows: slice, kernel: str, shape: tuple[int, int]
) -> tuple[Image, list[Image], list[Image]]:
    """For the pixels of some rows: which pixel of a padded plane is the first tap, and all taps' weights."""
    x, y = np.arange(width) + 0.5, (np.arange(rows.start, rows.stop) + 0.5)[:, None]
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in matrix)
    with np.errstate(divide="ignore", invalid="ignore"):  # the horizon: it lies outside of every picture
        column, across = _line(u / w, kernel, shape[1])
        row, down = _line(v / w, kernel, shape[0])
    return row * shape[1] + column, across, down


def _line(x: Image, kernel: str, side: int) -> tuple[Image, list[Image]]:
    """Along one axis: the first tap of each place in a padded line of ``side`` pixels, and the weights.

    The padding is as wide as all taps together: where they are shifted back onto the line, all that they meet
    is background, as it would be beyond it.
    """
    # A billionth of a pixel is what rounding makes of places that are meant to be whole or half.
    x = np.round(np.clip(np.nan_to_num(x), -side, 2 * side), 9)
    if kernel == "nearest":
        first, weights = np.floor(x), []
    else:
        radius, function = _kernel(kernel)
        first = np.floor(x - 0.5) + (1 - radius)
        past = x - 0.5 - first
        weights = [function(past - k).astype(np.float32) for k in range(2 * radius)]
    taps = max(1, len(weights))
    return np.clip(first + taps, 0, side - taps).astype(np.intp), weights


def _read(plane: Image, first: Image, across: list[Image], down: list[Image]) -> Image:
    """The weighted sums of the taps from ``first`` on, float32; of a single tap what is there."""
    flat, width = plane.reshape(-1), plane.shape[1]
    if not across:
        return np.take(flat, first)
    total = np.zeros(first.shape, np.float32)
    for row, high in enumerate(down):
        line = np.zeros(first.shape, np.float32)
        for column, wide in enumerate(across):
            line += np.take(flat[row * width + column :], first) * wide
        total += line * high
    return total
