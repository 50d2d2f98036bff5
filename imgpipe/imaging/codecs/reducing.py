"""How far a JPEG may be reduced while it is decoded, so that nobody sees a difference.

libjpeg decodes at a half, a quarter or an eighth from fewer coefficients of each block, at a fraction of the
time. That is only done where

- both sides are whole multiples of the factor: libjpeg fills up the last column and row, and the step that
  reduces further would then squeeze the picture, by up to half a pixel at its far edge (SSIM falls by 0.1);
- what comes out is what the picture is going to be, or still `MARGIN` times as wide and as high: in between,
  the step averages over one and two pixels by turns, and blurs what the factor left;
- the step then makes exactly the size it would have made of the whole.
"""

from __future__ import annotations

from collections.abc import Callable

from imgpipe.imaging.codecs.containers.header import Header
from imgpipe.imaging.codecs.turning import upright_size

FACTORS = (8, 4, 2)

#: With it tests/test_codecs_reducing.py finds photographs at most 0.0075 below the full path in mean SSIM,
#: where nobody sees a difference. It lets 12 megapixels be decoded at an eighth for a thumbnail of 256.
MARGIN = 1.9


def reduction(header: Header, resampled: Callable[[int, int], tuple[int, int]] | None) -> int:
    """8, 4, 2, or 1 for none."""
    if resampled is None:
        return 1
    width, height = upright_size(header.width, header.height, header.orientation)
    target = resampled(width, height)
    for factor in FACTORS:
        reduced = width // factor, height // factor
        whole = width % factor == height % factor == 0
        if whole and _good(reduced, target) and resampled(*reduced) == target:
            return factor
    return 1


def _good(reduced: tuple[int, int], target: tuple[int, int]) -> bool:
    return reduced == target or (reduced[0] >= MARGIN * target[0] and reduced[1] >= MARGIN * target[1])
