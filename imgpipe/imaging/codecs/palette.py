"""A palette for a picture: its own colours where they are few enough, else the best few found for it.

Choosing them works on a histogram. Its points are the colours of the picture, or, where there are too many,
colours without their lowest bits. The points are divided into boxes, step by step (Heckbert, *Color image
quantization for frame buffer display*, 1982): a box with a large error is cut at the mean of the channel in
which it varies most (Wan, Prusinkiewicz, Wong, *Variance-based color image quantization for frame buffer
display*, 1990). Rounds of Lloyd's algorithm (*Least squares quantization in PCM*, 1982) then move each colour
of the palette to the mean of the points nearest to it.

Everything is exact in the numbers it is done with, so every machine finds the same palette: `_nearest` says
how.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image, has_alpha

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

SIZE_MAX = 256  # an index is one byte
_SHOWN = 128  # alpha from here on is seen
_POINTS_MAX = 1 << 16  # of a histogram: a point's number is 16 bits
_DROPPED = (0, 1, 2, 3)  # lowest bits of a channel; without three there are never more than 2¹⁵ points
# Pixels that are sorted. For more, a flag for each colour there is takes less time: a tenth for 12 million.
_SORTED_MAX = _POINTS_MAX
_ROUNDS = 3  # of Lloyd's algorithm; ten more gain less than 0.1 dB on a photograph
_BLOCK = 4096  # points compared at once with the whole palette: 4 MB of distances


@dataclass(frozen=True, slots=True)
class Indexed:
    """A picture of few colours.

    Attributes
    ----------
    colours : Image
        ``(N, 3)`` uint8 BGR, N at most 256, or 255 where transparency is one of them.
    indices : Image
        ``(H, W)`` uint8; N itself is a pixel that is not seen.
    transparent : bool
        Whether there may be such pixels.
    reduced : bool
        Whether the picture had more colours.
    """

    colours: Image
    indices: Image
    transparent: bool
    reduced: bool


def indexed(image: Image, *, transparent: bool) -> Indexed:
    """``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA, uint8, with as many colours as a palette holds.

    With ``transparent``, pixels whose alpha is less than half are not seen. All others are seen in full.
    """
    seen = shown(image) if transparent else np.ones(image.shape[:2], bool)
    colours, numbers, reduced = _reduced(_keys(image)[seen], SIZE_MAX - transparent)
    indices = np.full(image.shape[:2], len(colours) if transparent else 0, np.uint8)
    indices[seen] = numbers
    return Indexed(colours, indices, transparent, reduced)


def shown(image: Image) -> Image:
    """``(H, W)`` bool: the pixels whose alpha is at least half."""
    if has_alpha(image):
        seen: Image = image[:, :, 3] >= _SHOWN
        return seen
    return np.ones(image.shape[:2], bool)


def _reduced(keys: Image, room: int) -> tuple[Image, Image, bool]:
    """At most ``room`` colours, the number of its own for each key, and whether there were more."""
    points, numbers, dropped = _histogram(keys)
    if not dropped and len(points) <= room:
        return _colours(points), numbers.astype(np.uint8), False
    samples = _colours(points) + (1 << dropped >> 1)  # the middle of what has become one
    counts = np.bincount(numbers, minlength=len(points))
    palette, own = _chosen(samples.astype(np.int64), counts, room)
    return palette.astype(np.uint8), own.astype(np.uint8)[numbers], True


# --- colours as numbers -------------------------------------------------------------------------


def _keys(image: Image) -> Image:
    """``(H, W)`` uint32: a colour as one number of 24 bits, 0xRRGGBB."""
    blue, green, red = (image[:, :, channel].astype(np.uint32) for channel in range(3))
    keys: Image = blue | green << 8 | red << 16
    return keys


def _colours(keys: Image) -> Image:
    return np.stack([keys & 255, keys >> 8 & 255, keys >> 16], axis=1).astype(np.uint8)


def _histogram(keys: Image) -> tuple[Image, Image, int]:
    """The different keys, in order; the number of its own for each key; and how many bits were dropped."""
    for dropped in _DROPPED:
        kept = keys & np.uint32(0x010101 * (0xFF >> dropped << dropped))
        if kept.size <= _SORTED_MAX:
            return *np.unique(kept, return_inverse=True), dropped
        there = np.zeros(1 << 24, bool)
        there[kept] = True
        points = np.flatnonzero(there)
        if len(points) <= _POINTS_MAX:
            break
    numbers = np.zeros(1 << 24, np.uint16)
    numbers[points] = np.arange(len(points))
    return points, numbers[kept], dropped


# --- choosing -----------------------------------------------------------------------------------


def _chosen(samples: Image, counts: Image, room: int) -> tuple[Image, Image]:
    """A palette ``(room, 3)`` for samples ``(N, 3)`` that occur so often, and the number of its own for each.

    Whole numbers 0 … 255, in float64; N is more than ``room``, and no two samples are the same.
    """
    palette, own = np.zeros((room, 3)), _boxes(samples, counts, room)
    for _ in range(_ROUNDS):
        palette = np.rint(_means(samples, counts, own, palette))
        own = _nearest(samples, palette)
    return palette, own


def _boxes(samples: Image, counts: Image, room: int) -> Image:
    """The number of its box, 0 … ``room - 1``, for each sample; no box is empty."""
    box, boxes = np.zeros(len(samples), np.intp), 1
    while boxes < room:
        means = _means(samples, counts, box, np.zeros((boxes, 3)))
        errors = _sums(samples**2, counts, box, boxes) - means**2 * np.bincount(box, counts)[:, None]
        channel, error = errors.argmax(axis=1), errors.max(axis=1)
        # Half of the boxes at once. A box of one sample is left alone: any other has an error of 0.5 or more.
        worst = np.argsort(-error, kind="stable")[: min(max(1, boxes // 2), room - boxes)]
        worst = worst[error[worst] > 0.25]
        cut = np.full(boxes, -1)
        cut[worst] = np.arange(boxes, boxes + len(worst))
        own = channel[box]
        above = samples[np.arange(len(samples)), own] > means[box, own]
        box = np.where(above & (cut[box] >= 0), cut[box], box)
        boxes += len(worst)
    return box


def _means(samples: Image, counts: Image, own: Image, otherwise: Image) -> Image:
    """The mean of the samples of each number; ``otherwise`` where there are none."""
    weights = np.bincount(own, counts, len(otherwise))[:, None]
    sums = _sums(samples, counts, own, len(otherwise))
    means: Image = np.where(weights > 0, sums / np.maximum(weights, 1), otherwise)
    return means


def _sums(values: Image, counts: Image, own: Image, size: int) -> Image:
    return np.stack([np.bincount(own, counts * values[:, channel], size) for channel in range(3)], axis=1)


def _nearest(samples: Image, palette: Image) -> Image:
    """The number of the palette's colour that is nearest to each sample, the first of equal ones.

    ``|s - p|² = |s|² - (2 s·p - |p|²)``, and the bracket stays below 2²⁴ for whole numbers up to 255: it is
    exact in float32, in whatever order a machine's matrix product adds.
    """
    colours, squares = palette.astype(np.float32).T, (palette**2).sum(axis=1).astype(np.float32)
    own = np.empty(len(samples), np.intp)
    for at in range(0, len(samples), _BLOCK):
        doubled = 2 * samples[at : at + _BLOCK].astype(np.float32)
        own[at : at + _BLOCK] = (doubled @ colours - squares).argmax(axis=1)
    return own
