"""Histograms, and contrast-limited equalization in tiles: a curve for each part of a picture.

OpenCV's own CLAHE counts 16-bit pictures in 65,536 steps, where the parts of most pictures have less than one
pixel a step, and so no contrast is limited. Here every depth is counted in 256 steps.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import WHITE, Image, depth, with_depth

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
else:
    np = lazy("numpy")

COUNTED = 1 << 20  # pixels counted at once for a histogram
STEPS = 256  # of a histogram of a tile


def histogram(channel: Image) -> Image:
    """How many pixels have each of the values there are; exact, where OpenCV counts in float32."""
    flat = channel.ravel()
    total = np.zeros(int(WHITE[depth(channel)]) + 1, np.int64)
    for start in range(0, flat.size, COUNTED):  # NumPy counts in copies of 8 bytes a pixel
        total += np.bincount(flat[start : start + COUNTED], minlength=len(total))
    return total


def tile_curves(grey: Image, clip: float, tiles: int) -> Image:
    """What becomes of every value of ``grey``, ``(H, W)`` of integers, in each of its parts.

    ``(down, across, values)`` of float32, white at 1: at most ``tiles`` parts along each side, no empty ones.
    """
    steps = with_depth(grey, "uint8")
    rows, columns = (_parts(side, tiles) for side in grey.shape)
    known = np.arange(STEPS) / (STEPS - 1)
    values = np.arange(int(WHITE[depth(grey)]) + 1) / WHITE[depth(grey)]
    curves = np.empty((len(rows), len(columns), len(values)), np.float32)
    for down, (top, bottom) in enumerate(rows):
        for across, (left, right) in enumerate(columns):
            count = np.bincount(steps[top:bottom, left:right].ravel(), minlength=STEPS)
            curves[down, across] = np.interp(values, known, limited(count, clip))
    return curves


def limited(count: Image, clip: float) -> Image:
    """The equalizing curve of a histogram, from 0 to 1, as steep as ``clip`` times an even one's or less.

    What lies above the limit is spread over all steps, and may lift the steepness a little above it.
    """
    share = count / count.sum()
    kept = np.minimum(share, clip / STEPS)
    total = np.cumsum(kept + (1 - kept.sum()) / STEPS)
    curve: Image = (total - total[0]) / (total[-1] - total[0])
    return curve


def interpolated(grey: Image, curves: Image) -> Image:
    """``(H, W)`` float32: every pixel by the curves of the four parts whose centres lie around it."""
    result = np.empty(grey.shape, np.float32)
    for rows, down, lower in _between_centres(grey.shape[0], curves.shape[0]):
        for columns, across, right in _between_centres(grey.shape[1], curves.shape[1]):
            block = grey[rows, columns]
            upper, under = (
                (1 - right) * curves[y, across[0]][block] + right * curves[y, across[1]][block] for y in down
            )
            weight = lower[:, np.newaxis]
            result[rows, columns] = (1 - weight) * upper + weight * under
    return result


def _parts(side: int, tiles: int) -> list[tuple[int, int]]:
    """First pixel, and the one behind the last, of each part."""
    count = min(side, tiles)
    edges = [number * side // count for number in range(count + 1)]
    return list(pairwise(edges))


def _between_centres(side: int, count: int) -> Iterator[tuple[slice, tuple[int, int], Image]]:
    """Runs of pixels, the two parts whose centres lie around each, and the weights of the second, float32."""
    at = np.clip((np.arange(side) + 0.5) * count / side - 0.5, 0, count - 1)
    first = np.minimum(at.astype(int), max(count - 2, 0))
    for part in range(max(count - 1, 1)):
        start, end = np.searchsorted(first, [part, part + 1])
        if start < end:
            weights = (at[start:end] - part).astype(np.float32)
            yield slice(start, end), (part, min(part + 1, count - 1)), weights
