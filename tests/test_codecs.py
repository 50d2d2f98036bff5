"""Bytes ↔ pixels: what is kept, what is refused, and how each kind of damage is told from the others."""

from __future__ import annotations

import contextlib
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.errors import ImageError, Kind, UsageError
from imgpipe.imaging import codecs
from imgpipe.imaging.codecs import (
    READABLE,
    WRITABLE,
    Picture,
    checked_format,
    checked_quality,
    suffix_of,
)
from imgpipe.imaging.codecs.containers import jpeg
from imgpipe.imaging.codecs.containers.metadata import Metadata, orientation
from imgpipe.imaging.codecs.decoding import refusal
from imgpipe.imaging.codecs.turning import upright
from tests.encoders import RGB_ORDER
from tests.readers import opened

SUFFIXES = sorted(WRITABLE)
COLOUR = [suffix for suffix in SUFFIXES if codecs.codec(suffix).colour]
LOSSY = ("jpg", "jpeg", "jpe", "jfif", "webp", "avif")


@pytest.fixture(autouse=True)
def _quiet():
    """OpenCV's decoders print a line or more for each damaged file."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    yield
    cv2.utils.logging.setLogLevel(level)


def smooth(channels, depth="uint8", white=255):
    """A gradient: what a lossy format keeps to within a few levels."""
    y, x = np.mgrid[0:40, 0:56]
    planes = [(x * (number + 1) + y * 2) / (56.0 * (number + 1) + 80) * white for number in range(channels)]
    return np.squeeze(np.stack(planes, axis=2)).astype(depth)


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND")


def exif(turned):
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, turned, 0, 0)


def jpeg_turned(image, turned):
    plain = encode(image, "jpg", 100)
    block = b"Exif\0\0" + exif(turned)
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + plain[2:]


def png_turned(image, turned):
    plain = encode(image, "png")
    return plain[:33] + chunk(b"eXIf", exif(turned)) + plain[33:]


def decode(data, **options):
    """The first frame's pixels."""
    return codecs.decode(data, **options).frames[0]


def encode(image, suffix, quality=90):
    return codecs.encode(Picture([image]), suffix, quality)[0]


def failure(data, **options):
    with pytest.raises(ImageError) as caught:
        decode(data, **options)
    return caught.value


# --- what comes back ----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix != "gif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("depth", "white"), [("uint8", 255), ("uint16", 65535), ("float32", 1.0)])
def test_a_format_keeps_what_it_can_hold_and_reduces_by_value(suffix, channels, depth, white):
    image = smooth(channels, depth=depth, white=white)
    codec = codecs.codec(suffix)
    if channels > 1 and not codec.colour:
        with pytest.raises(ImageError, match="holds no colour"):
            encode(image, suffix)
        return
    found = decode(encode(image, suffix, 100))
    kept = depth if depth in codec.depths else codec.depths[-1]
    assert found.dtype == kept
    wanted = image[:, :, :3] if channels == 4 and not codec.alpha else image
    if channels == 1 and not codec.grey:
        found = found[:, :, 0]
    assert found.shape == wanted.shape
    scale = {"uint8": 255, "uint16": 65535, "float32": 1.0}[kept]
    off = np.abs(found / scale - wanted / white)
    if suffix == "webp" and channels == 4:  # it gives up the colour of what cannot be seen
        off = off[image[:, :, 3] / white > 0.01]
    off = off.max()
    assert off <= (0.06 if suffix in LOSSY else 0.0 if kept == depth else 0.5 / scale + 1e-7)


@pytest.mark.parametrize("suffix", COLOUR)
def test_quality_is_that_of_the_format(suffix):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    low, high = (len(encode(noise, suffix, quality)) for quality in (10, 95))
    assert (low < high) == (suffix in LOSSY)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", ["webp", "avif"])
def test_the_best_quality_is_without_loss(suffix, channels):
    noise = np.random.default_rng(0).integers(1, 256, (20, 30, channels), np.uint8)
    found = np.asarray(opened(encode(noise, suffix, 100)))
    assert np.array_equal(found, noise[:, :, RGB_ORDER[:channels]])


def test_colour8_is_what_opencv_reads_in_colour():
    for image in (*map(smooth, (1, 3, 4)), *(smooth(n, depth="uint16", white=65535) for n in (1, 3, 4))):
        data = encode(image, "png")
        expected: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert np.array_equal(decode(data, colour8=True), expected)


def test_colour8_of_float_pixels_scales_them():
    found = decode(encode(smooth(3, depth="float32", white=1.0), "tif"), colour8=True)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - smooth(3)).max() <= 1


@pytest.mark.parametrize("colour8", [True, False])
@pytest.mark.parametrize("make", [jpeg_turned, png_turned])
@pytest.mark.parametrize("turned", range(1, 9))
def test_orientation_is_applied_once(make, turned, colour8):
    image = np.zeros((16, 24, 3), np.uint8)
    image[:8, :8] = 255  # upper left as stored
    found = decode(make(image, turned), colour8=colour8)
    assert found.shape == ((24, 16, 3) if turned >= 5 else (16, 24, 3))
    # EXIF 2.3, table 4: where row 0 and column 0 of what is stored are to be seen.
    at_top, at_left = [(1, 1), (1, 0), (0, 0), (0, 1), (1, 1), (1, 0), (0, 0), (0, 1)][turned - 1]
    assert found[1 if at_top else -2, 1 if at_left else -2].min() > 250
    assert found[-2 if at_top else 1, -2 if at_left else 1].max() < 5


def test_orientation_keeps_alpha():
    found = decode(png_turned(smooth(4), 6))
    assert found.shape == (56, 40, 4)
    assert np.array_equal(found, np.rot90(smooth(4), -1))


@given(st.binary(max_size=60))
def test_orientation_reads_any_bytes(data):
    assert 1 <= orientation(Metadata(data)) <= 8
    assert 1 <= orientation(Metadata(b"II*\0\x08\0\0\0" + data)) <= 8


def test_upright_of_an_upright_picture_is_that_picture():
    image = smooth(3)
    assert upright(image, 1) is image


# --- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour8", [True, False])
@pytest.mark.parametrize("suffix", COLOUR)
def test_a_file_cut_anywhere_is_truncated(suffix, colour8):
    data = encode(smooth(3), suffix)
    cuts = {*range(16, 64), *range(64, len(data), max(1, len(data) // 60)), *range(len(data) - 8, len(data))}
    cuts -= {len(data) - 1} if suffix == "gif" else set()  # it lacks its trailer, and no pixel
    for cut in sorted(cuts):
        assert failure(data[:cut], colour8=colour8).kind is Kind.TRUNCATED, f"cut at {cut} of {len(data)}"
    assert decode(data, colour8=colour8).shape == (40, 56, 3)


@pytest.mark.parametrize("options", [(cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)])
def test_other_kinds_of_jpeg_cut_anywhere_are_truncated_too(options):
    data = cv2.imencode(".jpg", smooth(3), options)[1].tobytes()
    for cut in range(20, len(data), 37):
        assert failure(data[:cut], colour8=True).kind is Kind.TRUNCATED


def test_the_end_of_a_thumbnail_is_not_the_end_of_a_jpeg():
    data = encode(smooth(3), "jpg")
    thumbnail = b"\xff\xd8\xff\xd9 a picture within a picture \xff\xd9"
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + data[2:]
    assert not jpeg.is_whole(data[:-2])
    assert jpeg.is_whole(data)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", Kind.UNREADABLE),
        (b"\xff", Kind.UNREADABLE),
        (b"This is a text file with the suffix of a picture.\n" * 9, Kind.UNREADABLE),
        (bytes(4096), Kind.UNREADABLE),
        (b"\x89PNG\r\n\x1a\n", Kind.TRUNCATED),
        (b"\x89PN", Kind.TRUNCATED),
        (png(65_535, 65_535, chunk(b"IDAT")), Kind.TOO_LARGE),
        (png(8, 8, chunk(b"IDAT", b"not deflated")), Kind.UNREADABLE),
        (b"RIFF\x04\0\0\0WAVE", Kind.UNREADABLE),
    ],
    ids=["empty", "byte", "text", "zeros", "magic", "half magic", "bomb", "bad data", "sound"],
)
@pytest.mark.parametrize("colour8", [True, False])
def test_what_is_no_image_is_refused_with_its_kind(data, kind, colour8):
    found = failure(data, colour8=colour8)
    assert (found.kind, found.again) == (kind, False)
    assert found.message


@settings(max_examples=200)
@given(st.sampled_from(COLOUR), st.integers(0, 10**6), st.integers(1, 255))
def test_a_flipped_byte_gives_a_picture_or_an_image_error(suffix, where, flip):
    data = bytearray(encode(smooth(3), suffix))
    data[where % len(data)] ^= flip
    with contextlib.suppress(ImageError):
        assert decode(bytes(data)).size


MAGIC = [
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"RIFF\xff\0\0\0WEBP",
    b"II*\0",
    b"MM\0+",
    b"BM",
    b"GIF89a",
    b"P7\n",
    b"P5 ",
]
MAGIC += [b"\0\0\0\x20ftypavif", b"\0\0\0\x0cjP  \r\n\x87\n", b"Pf\n", b""]


@pytest.mark.parametrize("magic", MAGIC)
@given(st.binary(max_size=200))
def test_headers_of_any_bytes_are_read_or_refused(magic, data):
    with contextlib.suppress(ImageError):
        codecs.inspect(magic + data)


def test_out_of_memory_may_be_tried_again():
    error = cv2.error("no")
    error.code, error.err = cv2.Error.STS_NO_MEM, "Failed to allocate 9 bytes"
    found = refusal(error, Kind.OPERATION)
    assert (found.kind, found.again) == (Kind.TOO_LARGE, True)


def test_64_bits_are_reduced_to_32_and_told_once():
    data = cv2.imencode(".tiff", np.ones((4, 4), np.float64))[1].tobytes()
    found = codecs.decode(data)
    assert found.frames[0].dtype == np.float32
    for target, bits in (("tif", 32), ("png", 16)):
        assert found.remarks + codecs.encode(found, target)[1] == [("depth", f"64 to {bits} bits")]


# --- writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "suffix", "message"),
    [
        (np.zeros((1, 70_000), np.uint8), "jpg", "70000×1 pixels: JPEG holds at most 65500 a side"),
        (np.zeros((17_000, 1), np.uint8), "webp", "1×17000 pixels: WebP holds at most 16383"),
        (np.zeros((2, 2), np.int64), "png", "got int64"),
        (np.zeros((2, 0), np.uint8), "png", "no pixels"),
        (np.zeros((2, 2, 2), np.uint8), "png", r"got \(2, 2, 2\)"),
        (None, "png", "expected an image, got NoneType"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(image, suffix, message):
    with pytest.raises(ImageError, match=message) as caught:
        encode(image, suffix)
    assert caught.value.kind is Kind.OPERATION


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        (b"a/b.JPG", "jpg"),
        (b"a.b/c", ""),
        (b".png", ""),
        (b"a/.png", ""),
        (b"x.tar.tiff", "tiff"),
        (b"\xff.png", "png"),
    ],
)
def test_suffix_of(name, suffix):
    assert suffix_of(name) == suffix


def test_every_suffix_that_is_written_is_read():
    assert WRITABLE < READABLE
    assert {"pbm"} == READABLE - WRITABLE


def test_formats_and_qualities_are_checked():
    assert checked_format(".PNG") == "png"
    assert checked_format(None) is None
    assert checked_quality(1) == 1
    with pytest.raises(UsageError, match=r"format: expected one of apng, .*got 'wepb' .did you mean 'webp'"):
        checked_format("wepb")
    for bad in (0, 101, True, 9.5, "90"):
        with pytest.raises(UsageError, match="quality: expected an integer from 1 to 100"):
            checked_quality(bad)
