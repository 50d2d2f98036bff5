"""What OpenCV is given of a TIFF comes out as tifffile reads it, however its samples are laid out."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import ImageOps

from imgpipe.imaging import codecs
from tests import encoders, readers
from tests.encoders import noise, palette
from tests.judges import rgb

SIZE = (50, 70)
GREY = noise(1, size=SIZE)
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "grey": (GREY, {}),
    "rgb": (noise(3, size=SIZE), {}),
    "rgba": (noise(4, size=SIZE), {}),
    "palette": (GREY, {"photometric": "palette", "colormap": palette(256).T.astype(np.uint16) * 257}),
    "bilevel": (GREY > 128, {}),
}
LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (32, 16), "compression": "zlib"},
    "large tiles": {"tile": (128, 128), "compression": "zlib"},
}
ORIENTATION = 274
TURNED_BY = {  # TIFF 6.0, section 8
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def stored(data: bytes, number: int = 0) -> Any:
    """A page as tifffile reads it, as it is stored: grey of 8 bits for one bit, the colours of a palette."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[number]
        pixels = page.asarray()
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, 2)
        if page.colormap is not None:
            return np.moveaxis(page.colormap[:, pixels] >> 8, 0, 2).astype(np.uint8)
    return pixels * np.uint8(255) if pixels.dtype == bool else pixels


def tagged(pixels: Any, turned: int, **options: Any) -> bytes:
    return encoders.tiff(pixels, extratags=[(ORIENTATION, 3, 1, turned, True)], **options)


@pytest.mark.parametrize(
    ("kind", "apart"), [*((kind, False) for kind in KINDS), ("rgb", True), ("rgba", True)]
)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("turned", TURNED_BY)
def test_orientation_of_8_bits_in_every_layout(turned, kind, layout, apart):
    pixels, options = KINDS[kind]
    given = np.moveaxis(pixels, 2, 0).copy() if apart else pixels
    planes = {"planarconfig": "separate"} if apart else {}
    data = tagged(given, turned, **LAYOUTS[layout], **options, **planes)
    found = rgb(codecs.decode(data).frames[0])
    assert np.array_equal(found, TURNED_BY[turned](stored(data)))
    if not apart:  # Pillow joins no planes of tiles
        mode = "L" if found.ndim == 2 else ("RGB", "RGBA")[found.shape[2] - 3]
        seen = ImageOps.exif_transpose(readers.opened(data)).convert(mode)
        assert np.array_equal(found, np.asarray(seen))


@pytest.mark.parametrize("tile", [(16, 16), (64, 64), (48, 80)])
@pytest.mark.parametrize("turned", [2, 3, 6, 7])
def test_tiles_of_any_size_stay_in_their_places(turned, tile):
    data = tagged(noise(3, size=SIZE), turned, tile=tile, compression="zlib")
    found = rgb(codecs.decode(data).frames[0])
    assert np.array_equal(found, np.asarray(ImageOps.exif_transpose(readers.opened(data))))


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("turned", [0, 9, 255])
def test_an_orientation_that_is_none_is_upright(turned, depth):
    pixels = noise(3, depth)
    assert np.array_equal(rgb(codecs.decode(tagged(pixels, turned)).frames[0]), pixels)


@pytest.mark.parametrize("kind", ["B", "H", "I"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_of_any_width_is_read(order, kind):
    pixels = noise(3)
    data = encoders.tiff(pixels, byteorder=order, extratags=[(ORIENTATION, kind, 1, 6, True)])
    assert np.array_equal(rgb(codecs.decode(data).frames[0]), np.rot90(pixels, -1))


@pytest.mark.parametrize("big", [False, True], ids=["TIFF", "BigTIFF"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_each_page_is_turned_by_its_own_tag(order, big):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=big, byteorder=order) as writer:
        for turned in TURNED_BY:
            tags = [(ORIENTATION, 3, 1, turned, True)]
            writer.write(noise(3, seed=turned), metadata=None, photometric="rgb", extratags=tags)
        writer.write(noise(3, seed=9), metadata=None, photometric="rgb")
    found = codecs.decode(buffer.getvalue(), pages="all").frames
    for number, frame in enumerate(found, 1):
        upright = TURNED_BY[number if number < 9 else 1](noise(3, seed=number))
        assert np.array_equal(rgb(frame), upright), number


def test_a_file_of_an_odd_number_of_bytes_is_read():
    pixels = noise(3)
    data = tagged(pixels, 6) + b"\0"
    data += b"\0" * (1 - len(data) % 2)
    assert np.array_equal(rgb(codecs.decode(data).frames[0]), np.rot90(pixels, -1))
