"""Colours that OpenCV or a hasty reader gets wrong: right, or refused with a reason, never wrong.

TIFF and BMP, of which there are most kinds, have files of their own.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from imgpipe.imaging import codecs
from imgpipe.imaging.processing import process
from imgpipe.imaging.recipe import Recipe
from tests import encoders, readers
from tests.encoders import by_pillow, chunk, indices, noise, palette, png, smooth
from tests.judges import check, decoded, refused

GREY, COLOUR, ALPHA = noise(1), noise(3), noise(4)
GREY16 = noise(1, "uint16")


def with_alpha(pixels: Any, hidden: Any) -> Any:
    """As a colour key has it: what is ``hidden`` cannot be seen at all."""
    colours = np.atleast_3d(pixels)
    colours = colours.repeat(3, axis=2) if colours.shape[2] == 1 else colours
    return np.dstack([colours, np.where(hidden, 0, encoders.WHITE[str(pixels.dtype)])])


# --- JPEG ---------------------------------------------------------------------------------------

CMYK = smooth(4)
_ADOBE = by_pillow(Image.frombytes("CMYK", CMYK.shape[1::-1], CMYK.tobytes()), "JPEG", quality=100)


def test_cmyk_is_converted_and_told():
    colours, black = 255.0 - CMYK[:, :, :3], 255.0 - CMYK[:, :, 3:]
    check(_ADOBE, np.rint(colours * black / 255), bound=4)
    assert codecs.decode(_ADOBE).remarks == [("colours", "converted from CMYK without a colour profile")]


def test_cmyk_without_adobe_s_marker_is_read_as_pillow_reads_it():
    data = encoders.without_segment(_ADOBE, 0xEE)
    assert b"Adobe" not in data
    check(data, np.asarray(readers.opened(data).convert("RGB")), bound=2)


def test_ycck():
    data = bytearray(_ADOBE)
    data[data.index(b"Adobe") + 11] = 2  # the marker's last byte: these four are YCCK
    check(bytes(data), np.asarray(readers.opened(bytes(data)).convert("RGB")), bound=2)


def test_a_profile_for_cmyk_is_not_carried_to_other_colours():
    data = encoders.with_segments(
        _ADOBE, encoders.segment(0xE2, b"ICC_PROFILE\0\1\1" + encoders.icc(b"CMYK"))
    )
    assert codecs.decode(data).metadata.icc == b""


@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"subsampling": "4:1:1"},
        {"subsampling": "4:2:2"},
        {"subsampling": "4:2:0"},
        {"restart_marker_rows": 1},
    ],
    ids=str,
)
def test_other_kinds_of_jpeg(options):
    data = by_pillow(smooth(3), "JPEG", **options)
    check(data, np.asarray(readers.opened(data)), bound=1)


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (1, 0xC3, "lossless"),
        (1, 0xC9, "arithmetic"),
        (1, 0xF7, "JPEG-LS"),
        (4, 12, "12 bits"),
        (6, 0, "does not say its size"),
        (9, 2, "2 components"),
    ],
)
def test_a_jpeg_that_nobody_here_reads_is_refused(place, value, reason):
    data = bytearray(by_pillow(smooth(3, size=(40, 56)), "JPEG"))
    data[data.index(b"\xff\xc0") + place] = value
    message = refused(bytes(data))
    assert message.startswith("not supported")
    assert reason in message


def test_rgb_jpeg():
    data = by_pillow(COLOUR, "JPEG", keep_rgb=True, quality=100)
    check(data, np.asarray(readers.opened(data)), bound=1)


# --- PNG ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
class TestPngOfFewBits:
    def test_palette(self, bits, interlaced):
        colours, index = palette(2**bits), indices(2**bits)
        check(png(index, bits=bits, palette=colours, interlaced=interlaced), colours[index])

    def test_palette_with_transparency(self, bits, interlaced):
        colours, index = palette(2**bits), indices(2**bits)
        alpha = np.linspace(0, 250, 2**bits).astype(np.uint8)
        alpha[-1] = 255  # which may be left out
        trns = chunk(b"tRNS", alpha[:-1].tobytes())
        data = png(index, bits=bits, palette=colours, between=trns, interlaced=interlaced)
        check(data, np.dstack([colours[index], alpha[index]]))
        assert np.array_equal(np.asarray(readers.opened(data).convert("RGBA")), decoded(data))

    def test_more_transparency_than_colours_is_left_out(self, bits, interlaced):
        colours, index = palette(2**bits), indices(2**bits)
        alpha = np.arange(2**bits + 3).astype(np.uint8)
        trns = chunk(b"tRNS", alpha.tobytes())
        data = png(index, bits=bits, palette=colours, between=trns, interlaced=interlaced)
        check(data, np.dstack([colours[index], alpha[index]]))

    def test_grey(self, bits, interlaced):
        index = indices(2**bits)
        check(png(index, bits=bits, interlaced=interlaced), index * (255 // (2**bits - 1)))

    def test_colour_key(self, bits, interlaced):
        index = indices(2**bits)
        data = png(index, bits=bits, between=chunk(b"tRNS", b"\0\1"), interlaced=interlaced)
        check(data, with_alpha(index * np.uint8(255 // (2**bits - 1)), index == 1))


@pytest.mark.parametrize("alpha", [65535, 65534])
def test_alpha_of_16_bits_is_lost_only_where_something_is_transparent(alpha):
    """Even where a step wants colours of 8 bits: they are what OpenCV reads."""
    pixels = noise(4, "uint16")
    pixels[:, :, 3] = alpha
    notes = dict(process(png(pixels), Recipe.from_options(["edges"]), "png").notes)
    assert ("alpha" in notes) == (alpha < 65535)


@pytest.mark.parametrize(("bits", "key"), [(1, b"\xff\xff"), (4, b"\x01\x0f"), (8, b"\x01\xff")])
def test_bits_of_a_transparent_colour_above_those_of_a_sample_mean_nothing(bits, key):
    """PNG, section 11.3.1.1; libpng reads it so, Pillow only 1 and 8 bits."""
    index = np.array([[0, 2**bits - 1]], np.uint8)
    found = codecs.decode(png(index, bits=bits, between=chunk(b"tRNS", key))).frames[0]
    assert found[0, :, 3].tolist() == [255, 0]


@pytest.mark.parametrize("pixels", [GREY, GREY16, COLOUR, noise(3, "uint16")], ids=["8", "16", "24", "48"])
def test_colour_key_of_whole_samples(pixels):
    pixels = pixels.copy()
    pixels[3:5, 7] = pixels[0, 0]
    trns = chunk(
        b"tRNS", struct.pack(">3H", *map(int, np.resize(pixels[0, 0], 3)))[: 2 * np.size(pixels[0, 0])]
    )
    hidden = (np.atleast_3d(pixels) == pixels[0, 0]).all(axis=2)
    check(png(pixels, between=trns), with_alpha(pixels, hidden))


def test_a_key_of_16_bits_is_compared_in_all_of_them():
    pixels = np.array([[0x1234, 0x1235, 0x12FF]], np.uint16)
    data = png(pixels, between=chunk(b"tRNS", b"\x12\x34"))
    assert decoded(data)[0, :, 3].tolist() == [0, 65535, 65535]


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(20, 30), (1, 1), (3, 5), (8, 8)])
def test_interlaced(size, channels, depth):
    pixels = noise(channels, depth, size)
    wanted = pixels if channels != 2 else np.dstack([pixels[:, :, :1].repeat(3, axis=2), pixels[:, :, 1]])
    check(png(pixels, interlaced=True), wanted)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"gAMA", struct.pack(">I", 100_000)),
        chunk(b"sBIT", bytes((5, 6, 5))),
        chunk(b"PLTE", bytes(range(30))),
        chunk(b"cHRM", struct.pack(">8I", *range(1, 9))),
        chunk(b"sRGB", b"\0"),
    ],
    ids=lambda data: data[4:8].decode(),
)
def test_what_stands_beside_the_pixels_does_not_change_them(extra):
    check(png(COLOUR, before=extra), COLOUR)


def test_a_background_is_not_painted():
    check(png(ALPHA, between=chunk(b"bKGD", struct.pack(">3H", 255, 0, 0))), ALPHA)


# --- AVIF and JPEG 2000 -------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_avif_of_more_than_8_bits(channels, bits):
    """Pillow writes none, so OpenCV does; Pillow reads it, in 8 bits."""
    values = smooth(channels, "uint16") >> (16 - bits)
    stored = values if channels == 1 else values[:, :, encoders.RGB_ORDER[:channels]].copy()
    options = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100]
    data = cv2.imencode(".avif", stored, options)[1].tobytes()
    check(data, values * (65535 / (2**bits - 1)), bound=0.51)
    witness = np.asarray(readers.opened(data))
    assert np.abs(decoded(data) / 257.0 - witness).max() <= 1


def test_jpeg_2000_of_12_bits():
    values = smooth(1, "uint16") >> 4
    check(encoders.jp2_12(values), np.rint(values * (65535 / 4095)))


def test_jpeg_2000_in_tiles_and_with_loss():
    check(by_pillow(COLOUR, "JPEG2000", tile_size=(16, 16)), COLOUR)
    data = by_pillow(smooth(3), "JPEG2000", irreversible=True, quality_layers=[4])
    check(data, np.asarray(readers.opened(data)), bound=1)


@pytest.mark.parametrize("offset", [(7, 5), (1, 0), (0, 64)])
def test_a_jpeg_2000_with_an_offset_is_refused(offset):
    """ISO/IEC 15444-1, A.5.1: the far and the near corner of the picture on a grid. Pillow writes none."""
    data = bytearray(by_pillow(COLOUR, "JPEG2000"))
    at = data.index(b"\xff\x4f\xff\x51") + 8
    struct.pack_into(">4I", data, at, 30 + offset[0], 20 + offset[1], *offset)
    struct.pack_into(">2I", data, at + 16, 64, 128)  # a tile that holds it all
    said = refused(bytes(data))
    assert said == f"not supported: a JPEG 2000 that begins at {offset[0]}, {offset[1]} of its grid"


@pytest.mark.parametrize("bits", [1, 7])
def test_a_jpeg_2000_of_few_bits_is_refused(bits):
    """Pillow writes none; whether its samples fit does not matter before they are decoded."""
    data = bytearray(by_pillow(GREY, "JPEG2000"))
    data[data.index(b"ihdr") + 4 + 10] = data[data.index(b"\xff\x4f\xff\x51") + 42] = bits - 1
    assert refused(bytes(data)).startswith(f"not supported: a JPEG 2000 of {bits} bits")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image.fromarray(COLOUR).convert("YCbCr"), "colour space 18"),
        (Image.fromarray(ALPHA).convert("LA"), "2 channels"),
    ],
    ids=["sYCC", "grey with alpha"],
)
def test_a_jpeg_2000_that_would_come_out_wrong_is_refused(image, reason):
    assert reason in refused(by_pillow(image, "JPEG2000"))


# --- GIF and WebP -------------------------------------------------------------------------------


def quantized() -> Image.Image:
    return Image.fromarray(smooth(3)).quantize(64)


@pytest.mark.parametrize("interlace", [0, 1])
def test_gif(interlace):
    data = by_pillow(quantized(), "GIF", interlace=interlace)
    check(data, np.asarray(readers.opened(data).convert("RGB")))


def test_a_transparent_colour_of_gif():
    data = by_pillow(quantized(), "GIF", transparency=5)
    wanted = np.asarray(readers.opened(data).convert("RGBA"))
    assert 0 < (wanted[:, :, 3] == 0).mean() < 1
    found = decoded(data)
    assert np.array_equal(found[:, :, 3], wanted[:, :, 3])
    assert np.array_equal(found[wanted[:, :, 3] > 0], wanted[wanted[:, :, 3] > 0])


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(
    "make",
    [
        lambda pixels: by_pillow(pixels, "WEBP", lossless=True, exact=True),
        lambda pixels: by_pillow(pixels, "WEBP", quality=80),
    ],
    ids=["lossless", "lossy"],
)
def test_webp(make: Callable[[Any], bytes], channels):
    data = make(smooth(channels))
    check(data, np.asarray(readers.opened(data)))
