"""TIFFs of every layout: right, or refused with a reason, never wrong."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from imgpipe.errors import ImageError, Kind
from imgpipe.imaging import codecs
from imgpipe.imaging.processing import process
from imgpipe.imaging.recipe import Recipe
from tests import encoders, readers
from tests.encoders import by_pillow, indices, noise, palette, smooth
from tests.judges import check, refused

GREY, COLOUR, ALPHA = noise(1), noise(3), noise(4)
GREY16 = noise(1, "uint16")
CMYK = smooth(4)


@pytest.mark.parametrize("pixels", [GREY, GREY16, GREY > 128], ids=["8", "16", "1"])
def test_white_is_zero(pixels):
    white = 255 if pixels.dtype == bool else encoders.WHITE[str(pixels.dtype)]
    stored = pixels.astype(float) * (255 if pixels.dtype == bool else 1)
    check(encoders.tiff(pixels, photometric="miniswhite"), white - stored)
    check(encoders.tiff(pixels), stored)


@pytest.mark.parametrize("packing", ["group3", "group4", "tiff_ccitt"])
def test_fax(packing):
    page = Image.fromarray(GREY > 128)
    check(by_pillow(page, "TIFF", compression=packing), (GREY > 128) * 255)


@pytest.mark.parametrize("packing", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR, ALPHA, GREY16], ids=["8", "24", "32", "16"])
def test_packed_tiff(pixels, packing):
    check(by_pillow(pixels, "TIFF", compression=packing), pixels)


LAYOUTS: dict[str, dict[str, Any]] = {
    "tiled": {"tile": (32, 32)},
    "predictor": {"compression": "zlib", "predictor": True},
    "tiled and predicted": {"tile": (16, 16), "compression": "zlib", "predictor": True},
    "BigTIFF": {"bigtiff": True},
    "big-endian": {"byteorder": ">"},
    "big-endian BigTIFF": {"bigtiff": True, "byteorder": ">"},
    "short strips": {"rowsperstrip": 3},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_layouts_of_tiff(channels, depth, layout):
    if depth == "float32" and "predict" in layout:
        layout = "short strips"  # tifffile has no predictor for floating point
    pixels = noise(channels, depth)
    check(encoders.tiff(pixels, **LAYOUTS[layout]), pixels)


@pytest.mark.parametrize("mode", ["RGB", "YCbCr"])
def test_jpeg_in_tiff(mode):
    data = by_pillow(Image.fromarray(smooth(3)).convert(mode), "TIFF", compression="jpeg", quality=95)
    check(data, np.asarray(readers.opened(data).convert("RGB")), bound=2)


def test_tiff_in_ycbcr_cmyk_and_with_a_palette():
    for mode, bound in (("YCbCr", 3), ("P", 0)):
        image = Image.fromarray(smooth(3)).convert(mode)
        check(by_pillow(image, "TIFF"), np.asarray(image.convert("RGB")), bound)
    image = Image.frombytes("CMYK", CMYK.shape[1::-1], CMYK.tobytes())
    check(by_pillow(image, "TIFF"), np.asarray(image.convert("RGB")), bound=2)


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
class TestAlphaOfTiff:
    def test_associated_is_divided_out(self, depth):
        straight, white = noise(4, depth), encoders.WHITE[depth]
        alpha = straight[:, :, 3:] / white
        stored = straight[:, :, :3] * alpha
        stored = (stored if depth == "float32" else np.rint(stored)).astype(depth)
        wanted = (stored / np.where(alpha > 0, alpha, np.inf)).clip(0, white)
        data = encoders.tiff(np.dstack([stored, straight[:, :, 3]]), extrasamples=["assocalpha"])
        check(data, np.dstack([wanted, straight[:, :, 3]]), bound=1e-5 if depth == "float32" else 0.51)

    def test_straight_stays(self, depth):
        check(encoders.tiff(noise(4, depth)), noise(4, depth))

    def test_a_channel_that_is_no_alpha_is_left_out_and_told(self, depth):
        data = encoders.tiff(noise(4, depth), extrasamples=["unspecified"])
        check(data, noise(4, depth)[:, :, :3])
        assert [kind for kind, _ in codecs.decode(data).remarks] == ["alpha"]


def without(data: bytes, tag: int) -> bytes:
    """A little-endian TIFF whose field of this tag is one that nobody knows."""
    field = struct.pack("<HHI", tag, 3, 1)
    assert data.count(field) == 1
    return data.replace(field, struct.pack("<HHI", 65000, 3, 1))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encoders.tiff(GREY.astype(np.int8)), "signed"),
        (encoders.tiff(GREY.astype(np.uint32)), "of 32 bits: integers of more than 16 are not read"),
        (encoders.tiff(GREY.astype(np.float16)), "a TIFF of 16 bits, floating"),
        (by_pillow(Image.fromarray(COLOUR).convert("LAB"), "TIFF"), "Lab (photometric interpretation 8)"),
        (
            by_pillow(COLOUR, "TIFF", compression="zstd"),
            "compressed in Zstandard (50000): save it uncompressed",
        ),
        (by_pillow(COLOUR, "TIFF", compression="lzma"), "compressed in LZMA (34925): save it uncompressed"),
        (encoders.tiff(noise(2) > 128, planarconfig="contig"), "of 1 bit and 2 channels"),
        (without(encoders.tiff(COLOUR), 262), "(photometric interpretation)"),
        (encoders.tiff_of(indices(2), 1, photometric=3, palette=palette(2)), "interpretation 3"),
        (encoders.tiff_of(indices(4), 2), "a TIFF of 2 bits"),
        (encoders.tiff_of(indices(16), 4), "a TIFF of 4 bits"),
    ],
    ids=[
        "signed",
        "32",
        "half",
        "Lab",
        "zstd",
        "LZMA",
        "1 bit and alpha",
        "unsaid",
        "palette of 2",
        "2 bits",
        "4 bits",
    ],
)
def test_a_tiff_that_would_come_out_wrong_is_refused(data, reason):
    message = refused(data)
    assert message.startswith("not supported")
    assert reason in message


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("scale", [1, 257], ids=["colours of 8 bits", "of 16"])
def test_a_tiff_with_a_palette(bits, scale):
    colours, index = palette(2**bits), indices(2**bits)
    data = encoders.tiff_of(index, bits, photometric=3, palette=colours.astype(np.uint16) * scale)
    check(data, colours[index])


@pytest.mark.parametrize("bits", [1, 8])
def test_bits_filled_from_the_other_end(bits):
    index = indices(2**bits)
    check(encoders.tiff_of(index, bits, reverse=True), index * (255 // (2**bits - 1)))


@pytest.mark.parametrize("wide", [False, True], ids=["32 bits", "64 bits in a file of 32"])
def test_tiles_that_lie_nowhere(wide):
    """Where the sizes of tiles are not said, their places alone have to lie in the file."""
    planes = np.stack([noise(1, "uint16"), noise(1, "uint16", seed=1), noise(1, "uint16", seed=2)])
    data = bytearray(encoders.tiff(planes, planarconfig="separate", tile=(16, 16), compression="zlib"))
    starts, sizes = data.index(struct.pack("<HHI", 324, 4, 12)), data.index(struct.pack("<HHI", 325, 3, 12))
    struct.pack_into("<H", data, sizes, 65000)
    (at,) = struct.unpack_from("<I", data, starts + 8)
    if wide:
        struct.pack_into("<HHII", data, starts, 324, 16, 12, len(data))
        data += struct.pack("<12Q", *[2**40] * 12)
    else:
        struct.pack_into("<I", data, at, len(data) + 1)
    with pytest.raises(ImageError) as caught:
        codecs.decode(bytes(data))
    assert caught.value.kind is Kind.TRUNCATED


def test_numbers_beyond_float32_become_infinite_and_warn_of_nothing():
    values = np.array([[1e300, -1e300, 0.5, np.nan]])
    outcome = process(encoders.tiff(values), Recipe.from_options(["identity"], strict=True), "tif")
    assert [kind for kind, _ in outcome.notes] == ["depth"]
    found = tifffile.imread(io.BytesIO(outcome.data or b""))
    assert np.array_equal(found, np.array([[np.inf, -np.inf, 0.5, np.nan]], np.float32), equal_nan=True)
