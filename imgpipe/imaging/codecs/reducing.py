"""How far a JPEG may be reduced while it is decoded, so that nobody sees a difference.

libjpeg decodes at a half, a quarter or an eighth from fewer coefficients of each block, at a fraction of the
time. That is only done if what comes out is still `MARGIN` times as wide and as high as the picture is going
to be, and if the step that reduces it further then makes exactly the size it would have made of the whole.
"""

from __future__ import annotations

from collections.abc import Callable

from imgpipe.imaging.codecs.containers.header import Header
from imgpipe.imaging.codecs.turning import upright_size

FACTORS = (8, 4, 2)

#: tests/test_codecs_reducing.py holds the bound this was chosen for; benchmarks/thumbnails.py prints it.
MARGIN = 1.5


def reduction(header: Header, resampled: Callable[[int, int], tuple[int, int]] | None) -> int:
    """8, 4, 2, or 1 for none."""
    if resampled is None:
        return 1
    width, height = upright_size(header.width, header.height, header.orientation)
    target = resampled(width, height)
    for factor in FACTORS:
        reduced = -(-width // factor), -(-height // factor)
        wide_enough = reduced[0] >= MARGIN * target[0] and reduced[1] >= MARGIN * target[1]
        if wide_enough and resampled(*reduced) == target:
            return factor
    return 1
