"""How far a scanned page of text is turned: the differential projection profile.

W. Postl, *Detection of linear oblique structures and skew scan in digitized documents* (8th International
Conference on Pattern Recognition, 1986): the ink of a page is counted along lines of a candidate angle. At
the angle of the text, lines full of ink are next to lines without any, so the sum of squared differences of
neighbouring counts has its highest peak.
"""

from __future__ import annotations

from itertools import pairwise
from math import cos, radians, sin
from typing import TYPE_CHECKING

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations.resampling import scaled
from imgpipe.imaging.pixels import Image, colour8

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

SIDE = 1200  # pixels: enough for the lines of text of a page, and a pixel along it is 0.05 degrees
STEPS = (0.25, 0.05, 0.01)  # degrees, each within one step of the best before
PEAK = 8.0  # pages of text have some 50 times the median at their angle; most photographs under 4
FINEST = 0.05  # degrees: less is not told from none


def skew(image: Image, limit: float) -> float:
    """Degrees, clockwise, by which the lines of a page are turned, from -``limit`` to ``limit``.

    0 where it is less than `FINEST`, or where there are no lines to be seen. ``image`` is of any kind.
    """
    x, y = _ink(image)
    if not len(x):
        return 0.0
    angles = np.arange(-limit, limit + STEPS[0] / 2, STEPS[0])
    scores = [_contrast(x, y, angle) for angle in angles]
    best = float(angles[np.argmax(scores)])
    if max(scores) < PEAK * float(np.median(scores)):
        return 0.0
    for wide, step in pairwise(STEPS):
        nearby = best + np.arange(-wide, wide + step / 2, step)
        best = float(nearby[np.argmax([_contrast(x, y, angle) for angle in nearby])])
    return round(max(-limit, min(limit, best)), 2) if abs(best) >= FINEST else 0.0


def _ink(image: Image) -> tuple[Image, Image]:
    """Where the ink is, x and y, in a picture of at most `SIDE`: the rarer side of Otsu's threshold."""
    factor = min(1.0, SIDE / max(image.shape[:2]))
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    page = cv2.cvtColor(scaled(colour8(image), width, height, "area"), cv2.COLOR_BGR2GRAY)
    _, white = cv2.threshold(page, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    ink = white if 2 * cv2.countNonZero(white) < white.size else 1 - white
    y, x = np.nonzero(ink)
    # Pixels stand in rows, so at 0 degrees even noise has sharper counts than at other angles: spread within
    # its row, by multiples of the golden ratio, none is special.
    return x, y + x * 0.6180339887 % 1


def _contrast(x: Image, y: Image, angle: float) -> float:
    """The sum of squared differences of neighbouring counts along lines of this angle."""
    rows = y * cos(radians(angle)) - x * sin(radians(angle))
    counts = np.bincount((rows - rows.min()).astype(np.intp))
    return float(np.square(np.diff(counts)).sum())
