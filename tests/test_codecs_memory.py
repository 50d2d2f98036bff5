"""No stale memory: a file gives the same pixels whatever was decoded before it.

OpenCV 5.0.0 fills three quarters of a PAM with alpha, and TIFFs of planes, with what was in memory before. A
test that decodes once cannot see that: fresh memory is often zero.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imgpipe.imaging import codecs
from tests import encoders
from tests.encoders import FILES, chunk, indices, made, noise, palette, png

SIZE = (37, 53)


def animation(suffix: str) -> bytes:
    frames = [Image.fromarray(noise(4, size=SIZE, seed=n)) for n in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, suffix.upper(), save_all=True, append_images=frames[1:], duration=50)
    return buffer.getvalue()


GOOD: dict[str, bytes] = {f"{suffix} {kind}": made(suffix, kind, SIZE) for suffix, kind in FILES}
GOOD |= {f"animated {suffix}": animation(suffix) for suffix in ("gif", "webp", "png", "avif")}
GOOD |= {f"interlaced png {n}": png(noise(n, size=SIZE), interlaced=True) for n in (1, 2, 3, 4)}
GOOD |= {
    "palette with transparency": png(
        indices(16), bits=4, palette=palette(16), between=chunk(b"tRNS", bytes(range(9)))
    ),
    "colour key": png(indices(16), bits=4, between=chunk(b"tRNS", b"\0\3")),
    "tiff of two channels": encoders.tiff(noise(2, size=SIZE), planarconfig="contig"),
    "tiff of pages": encoders.tiff_pages([(noise(3, size=SIZE), {}), (noise(1, size=(5, 90)), {})]),
    "tiff in tiles": encoders.tiff(noise(4, size=SIZE), tile=(32, 32)),
    "tiff of 1 bit": encoders.tiff(noise(1, size=SIZE) > 128),
    "bmp that leaves pixels out": encoders.bmp(
        b"\x05\x02\0\2\x03\x02\x04\x01\0\0\0\1", 30, 20, 8, palette=palette(16), packing=1
    ),
    "jpeg in cmyk": encoders.by_pillow(
        Image.frombytes("CMYK", SIZE[::-1], noise(4, size=SIZE).tobytes()), "JPEG"
    ),
    "jpeg 2000 of 12 bits": encoders.jp2_12(noise(1, "uint16", (64, 64)) >> 4),
}


def plain(white: int, size: tuple[int, int]) -> Any:
    return np.full((*size, 4), white, np.uint8)


def others(size: tuple[int, int]) -> list[bytes]:
    return [png(pixels) for pixels in (plain(0, size), plain(255, size), noise(4, "uint16", size))]


OTHERS = [others(size) for size in (SIZE, (8, 8), (90, 120))]
OTHERS += [
    [GOOD[name] for name in ("jpg colour", "webp alpha", "tif alpha16", "animated gif", "avif colour")]
]


def frames(data: bytes) -> list[Any]:
    return codecs.decode(data, pages="all").frames


@pytest.mark.parametrize("name", GOOD)
def test_decoding_twice_gives_the_same(name):
    first = [frame.copy() for frame in frames(GOOD[name])]
    for group in OTHERS:
        for frame in (frame for data in group for frame in frames(data)):
            frame[:] = 0xA5 if frame.dtype == np.uint8 else 0xA5A5  # what a later picture would show
        for before, after in zip(first, frames(GOOD[name]), strict=True):
            assert np.array_equal(before, after, equal_nan=before.dtype == np.float32)
