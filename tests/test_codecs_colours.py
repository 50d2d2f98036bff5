"""Colours that OpenCV or a hasty reader gets wrong: right, or refused with a reason, never wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from imgpipe.errors import ImageError, Kind
from imgpipe.imaging import codecs
from tests import encoders, readers
from tests.encoders import by_pillow, chunk, noise, png, smooth

GREY, COLOUR, ALPHA = noise(1), noise(3), noise(4)
GREY16 = noise(1, "uint16")


@pytest.fixture(autouse=True)
def _quiet():
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    yield
    cv2.utils.logging.setLogLevel(level)


def decoded(data: bytes) -> Any:
    """In Pillow's order of channels."""
    image = codecs.decode(data).frames[0]
    return image if image.ndim == 2 else image[:, :, encoders.RGB_ORDER[: image.shape[2]]]


def check(data: bytes, wanted: Any, bound: float = 0.0) -> None:
    found = decoded(data)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(float) - wanted.astype(float)).max() <= bound


def refused(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        codecs.decode(data)
    assert caught.value.kind is Kind.UNREADABLE
    return caught.value.message


def indices(count: int) -> Any:
    return (np.arange(600).reshape(20, 30) * 7 % count).astype(np.uint8)


def palette(count: int) -> Any:
    return noise(3, size=(1, count), seed=3)[0]


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

    def test_grey(self, bits, interlaced):
        index = indices(2**bits)
        check(png(index, bits=bits, interlaced=interlaced), index * (255 // (2**bits - 1)))

    def test_colour_key(self, bits, interlaced):
        index = indices(2**bits)
        data = png(index, bits=bits, between=chunk(b"tRNS", b"\0\1"), interlaced=interlaced)
        check(data, with_alpha(index * np.uint8(255 // (2**bits - 1)), index == 1))


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


# --- TIFF ---------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("channels", [3, 4])
def test_planes_of_8_bits_are_joined_and_others_refused(channels):
    def planes(depth: str) -> bytes:
        apart = np.moveaxis(noise(channels, depth), 2, 0).copy()
        return encoders.tiff(apart, planarconfig="separate")

    check(planes("uint8"), noise(channels))
    for depth in ("uint16", "float32"):
        assert "whose channels are stored apart" in refused(planes(depth))


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


def test_alpha_of_grey_tiffs_is_told():
    pixels = noise(2)
    data = encoders.tiff(pixels, planarconfig="contig")
    check(data, pixels[:, :, 0])
    assert [kind for kind, _ in codecs.decode(data).remarks] == ["alpha"]
    assert "a channel beside grey" in refused(encoders.tiff(noise(2, "float32"), planarconfig="contig"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encoders.tiff(GREY.astype(np.int8)), "signed"),
        (encoders.tiff(GREY.astype(np.uint32)), "a TIFF of 32 bits"),
        (encoders.tiff(GREY.astype(np.float16)), "a TIFF of 16 bits, floating"),
        (by_pillow(Image.fromarray(COLOUR).convert("LAB"), "TIFF"), "photometric interpretation 8"),
        (by_pillow(COLOUR, "TIFF", compression="zstd"), "compressed in way 50000"),
        (encoders.tiff(GREY, tile=(16, 16)), "tiles of 256 bytes"),
        (encoders.tiff_of(indices(2), 1, photometric=3, palette=palette(2)), "interpretation 3"),
        (encoders.tiff_of(indices(4), 2), "a TIFF of 2 bits"),
        (encoders.tiff_of(indices(16), 4), "a TIFF of 4 bits"),
    ],
    ids=["signed", "32", "half", "Lab", "zstd", "tiles", "palette of 2", "2 bits", "4 bits"],
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


# --- BMP ----------------------------------------------------------------------------------------

USUAL, OTHER = (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF, 0xFF00, 0xFF0000, 0xFF000000)


def bmp32(order: list[int], masks: tuple[int, ...], **options: Any) -> bytes:
    rows = encoders.bmp_rows(np.ascontiguousarray(ALPHA[:, :, order]).reshape(20, -1))
    return encoders.bmp(rows, 30, 20, 32, masks=masks, packing=options.pop("packing", 3), **options)


@pytest.mark.parametrize(("order", "masks"), [([2, 1, 0, 3], USUAL), ([0, 1, 2, 3], OTHER)])
def test_masks_of_bmp(order, masks):
    check(bmp32(order, masks), ALPHA)
    check(bmp32(order, masks, packing=6), ALPHA)
    check(bmp32(order, masks[:3]), ALPHA[:, :, :3])  # what no mask takes is no alpha
    assert np.array_equal(np.asarray(readers.opened(bmp32(order, masks))), ALPHA)


def test_the_fourth_byte_of_a_plain_bmp_is_no_alpha():
    check(bmp32([2, 1, 0, 3], (), packing=0), ALPHA[:, :, :3])


def words(values: Any, shifts: tuple[int, ...], dtype: str) -> bytes:
    packed = sum(values[:, :, n].astype(np.uint32) << shift for n, shift in enumerate(shifts))
    return encoders.bmp_rows(np.ascontiguousarray(packed.astype(dtype)).view(np.uint8).reshape(20, -1))


@pytest.mark.parametrize(
    ("bits", "shifts", "masks", "depth"),
    [
        ((5, 5, 5), (10, 5, 0), (), "<u2"),
        ((5, 6, 5), (11, 5, 0), (0xF800, 0x7E0, 0x1F), "<u2"),
        ((4, 4, 4), (8, 4, 0), (0xF00, 0xF0, 0xF), "<u2"),
        ((10, 10, 10), (20, 10, 0), (0x3FF00000, 0xFFC00, 0x3FF), "<u4"),
    ],
    ids=["555", "565", "444", "10 bits"],
)
def test_white_of_few_bits_is_white(bits, shifts, masks, depth):
    values = np.dstack([noise(1, "uint16", seed=n) >> (16 - width) for n, width in enumerate(bits)])
    values[0, 0] = [2**width - 1 for width in bits]
    white = 65535 if max(bits) > 8 else 255
    data = encoders.bmp(
        words(values, shifts, depth), 30, 20, 8 * int(depth[2]), masks=masks, packing=3 if masks else 0
    )
    check(data, np.rint(values * (white / (2.0 ** np.array(bits) - 1))))


@pytest.mark.parametrize("os2", [False, True])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_palettes_of_bmp(bits, os2):
    colours, index = palette(2**bits), indices(2**bits)
    rows = encoders.bmp_rows(encoders.packed(index, bits).astype(np.uint8))
    data = encoders.bmp(rows, 30, 20, bits, palette=colours, os2=os2)
    check(data, colours[index])
    assert np.array_equal(np.asarray(readers.opened(data).convert("RGB")), colours[index])


def test_24_bits_of_os2_and_rows_from_the_top():
    rows = np.ascontiguousarray(COLOUR[:, :, ::-1]).reshape(20, -1)
    check(encoders.bmp(encoders.bmp_rows(rows), 30, 20, 24, os2=True), COLOUR)
    check(encoders.bmp(encoders.bmp_rows(rows[::-1]), 30, -20, 24), COLOUR)


def test_rows_of_words_from_the_top():
    values = noise(3) >> 3
    data = encoders.bmp(words(values[::-1], (10, 5, 0), "<u2"), 30, -20, 16)
    check(data, np.rint(values * (255 / 31)))


def test_run_lengths():
    index = indices(16)
    index[3:9] = 5
    colours = palette(16)
    for bits, packing in ((8, 1), (4, 2)):
        data = encoders.bmp(encoders.run_lengths(index, bits), 30, 20, bits, palette=colours, packing=packing)
        check(data, colours[index])
        assert np.array_equal(np.asarray(readers.opened(data).convert("RGB")), colours[index])


def test_run_lengths_that_leave_pixels_out():
    colours = palette(16)
    data = encoders.bmp(b"\x05\x02\0\2\x03\x02\x04\x01\0\0\0\1", 30, 20, 8, palette=colours, packing=1)
    wanted = np.zeros((20, 30), int)
    wanted[19, 0:5], wanted[17, 8:12] = 2, 1
    check(data, colours[wanted])


@pytest.mark.parametrize("packing", [4, 5, 11])
def test_a_bmp_packed_in_other_ways_is_refused(packing):
    assert f"packed in way {packing}" in refused(encoders.bmp(bytes(900), 30, 20, 8, packing=packing))


# --- Netpbm -------------------------------------------------------------------------------------


@pytest.mark.parametrize("white", [1, 15, 100, 255, 256, 4095, 65535])
@pytest.mark.parametrize("make", [encoders.pnm, encoders.pam])
def test_white_is_what_the_file_says(make, white):
    values = noise(3, "uint16").astype(int) % (white + 1)
    depth = 65535 if white > 255 else 255
    check(make(values.astype(np.uint16), white), np.rint(values * (depth / white)))


NETPBM: dict[str, tuple[bytes, Any]] = {
    "comments": (b"P6# c\n30#x\n #y 9\n 20\n# a comment\n255\n" + COLOUR.tobytes(), COLOUR),
    "comment last": (b"P6\n30 20\n255# last\n" + COLOUR.tobytes(), COLOUR),
    "no comment": (b"P5\n3 1\n255\n#ab", np.array([[35, 97, 98]])),
    "CRLF": (b"P5\r\n3 2\r\n255\n\0\1\2\3\4\5", np.arange(6).reshape(2, 3)),
    "P1": (b"P1\n# c\n3 2\n10 1\n0 1 0\n", np.array([[0, 255, 0], [255, 0, 255]])),
    "P1 without blanks": (b"P1 3 2 101010", np.array([[0, 255, 0], [255, 0, 255]])),
    "P2": (b"P2\n3 2\n15\n0 1 2\n# in\n3 15 5", np.array([[0, 17, 34], [51, 255, 85]])),
    "P3": (b"P3\n1 2\n255\n0 1 2 3 4 5\n", np.array([[[0, 1, 2]], [[3, 4, 5]]])),
    "P4": (b"P4\n9 2\n\x80\x00\x00\x80", np.array([[0] + [255] * 8, [255] * 8 + [0]])),
    "PAM": (
        b"P7\n# c\nWIDTH 3\nHEIGHT 1\nDEPTH 1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n\0\1\0",
        np.array([[0, 255, 0]]),
    ),
}


@pytest.mark.parametrize("name", NETPBM)
def test_netpbm_with_odd_headers(name):
    check(*NETPBM[name])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pfm(channels, order):
    pixels = noise(channels, "float32") * 4 - 1
    check(encoders.pfm(pixels, order), pixels)


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
