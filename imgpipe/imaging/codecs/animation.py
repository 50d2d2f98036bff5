"""Frames of an animated PNG or GIF, joined to whole pictures.

W3C, *PNG (Third Edition)*, section 11.3.6.2. GIF says less; as everywhere, its canvas is transparent at first
and where a frame is disposed of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from imgpipe.imaging.codecs.containers.header import Frame
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import WHITE, Image, by_bands, depth, with_alpha

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

_CLEAR, _RESTORE = 1, 2


def joined(frames: Sequence[Frame], decoded: Callable[[int], Image], width: int, height: int) -> list[Image]:
    """What is to be seen at each frame, ``(H, W, 4)``; ``decoded`` gives one's pixels, in its own size."""
    canvas, shown = None, []
    for number, frame in enumerate(frames):
        pixels = with_alpha(decoded(number))
        if canvas is None:
            canvas = np.zeros((height, width, 4), pixels.dtype)
        place = np.s_[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]
        before = canvas[place].copy()
        canvas[place] = by_bands(over, pixels, before) if frame.over else pixels
        shown.append(canvas.copy())
        if frame.disposal == _RESTORE and number:
            canvas[place] = before
        elif frame.disposal in (_CLEAR, _RESTORE):  # before the first there was nothing: browsers clear, too
            canvas[place] = 0
    return shown


def over(top: Image, below: Image) -> Image:
    """Porter and Duff, *Compositing digital images* (1984): ``top`` over ``below``, both straight BGRA."""
    white = WHITE[depth(top)]
    opaque = top[:, :, 3:] == white
    if (opaque | (top[:, :, 3:] == 0)).all():  # as in every GIF: no arithmetic
        return np.where(opaque, top, below)
    alpha, under = top[:, :, 3:] / white, below[:, :, 3:] / white
    covered = alpha + under * (1 - alpha)
    weight = np.divide(alpha, covered, out=np.zeros_like(alpha), where=covered > 0)
    colours = top[:, :, :3] * weight + below[:, :, :3] * (1 - weight)
    joined: Image = np.rint(np.concatenate([colours, covered * white], axis=2)).astype(top.dtype)
    return joined
