"""What a file says of itself, read without decoding, against what Pillow and tifffile say of it."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from imgpipe.imaging import codecs
from imgpipe.imaging.processing import process
from imgpipe.imaging.recipe import Recipe
from tests import encoders, readers
from tests.encoders import FILES, by_pillow, made, pixels_of

SIZE = (40, 56)
BITS = {"uint8": 8, "uint16": 16, "float32": 32}


def exif_for(suffix: str, turned: int) -> bytes:
    """As Pillow takes it: for JPEG with the words that stand before the block there."""
    return (b"Exif\0\0" if suffix == "jpg" else b"") + encoders.exif(turned)


def inspected(data: bytes) -> Any:
    return codecs.inspect(data)[1]


@pytest.mark.parametrize(("suffix", "kind"), FILES)
def test_the_header_says_what_is_in_it(suffix, kind):
    codec, header = codecs.inspect(made(suffix, kind, SIZE))
    pixels = pixels_of(kind, SIZE)
    assert codec is codecs.FORMATS[[f.key for f in codecs.FORMATS].index(codecs.codec(suffix).key)]
    assert (header.width, header.height) == SIZE[::-1]
    assert header.depth == str(pixels.dtype)
    assert header.bits == BITS[str(pixels.dtype)]
    assert (header.frames, header.durations, header.orientation) == (1, (), 1)
    if suffix not in ("gif", "bmp"):  # only the pixels of a GIF tell; Pillow declares no alpha in a BMP
        assert header.alpha == ("alpha" in kind)
    if suffix not in ("gif", "bmp", "avif", "webp"):  # palettes; Pillow's AVIF; there is no grey WebP
        assert header.grey == ("grey" in kind)


@pytest.mark.parametrize(("suffix", "kind"), [file for file in FILES if file[0] not in ("pam", "pfm")])
def test_size_and_frames_are_those_pillow_finds(suffix, kind):
    data = made(suffix, kind, SIZE)
    try:
        image: Any = Image.open(io.BytesIO(data))
        size, frames = image.size, getattr(image, "n_frames", 1)
    except OSError:  # colours of 16 bits: tifffile knows them
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            size, frames = (page.imagewidth, page.imagelength), len(file.pages)
    header = inspected(data)
    assert ((header.width, header.height), header.frames) == (size, frames)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif", "tif"])
@pytest.mark.parametrize("count", [2, 5])
def test_frames_and_durations_are_those_pillow_finds(suffix, count):
    frames = [Image.fromarray(encoders.noise(3, seed=n)) for n in range(count)]
    buffer, format_ = io.BytesIO(), {"tif": "TIFF"}.get(suffix, suffix.upper())
    frames[0].save(buffer, format_, save_all=True, append_images=frames[1:], duration=80, loop=2)
    image: Any = Image.open(buffer)
    header = inspected(buffer.getvalue())
    assert header.frames == image.n_frames == count
    assert header.durations == (() if suffix == "tif" else (80,) * count)
    if suffix in ("webp", "png"):
        assert header.loops == image.info["loop"]
    if suffix == "gif":
        assert header.loops == image.info["loop"] + 1  # a GIF says how often it is repeated


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif"])
def test_orientation_is_the_one_pillow_finds(suffix, turned):
    format_ = {"jpg": "JPEG"}.get(suffix, suffix.upper())
    data = by_pillow(encoders.smooth(3), format_, exif=exif_for(suffix, turned))
    image: Any = Image.open(io.BytesIO(data))
    assert inspected(data).orientation == image.getexif().get(0x0112, 1) == turned


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tif", "jp2"])
def test_metadata_is_what_pillow_wrote(suffix):
    format_ = {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}.get(suffix, suffix.upper())
    profile = encoders.icc()
    options: dict[str, Any] = {"icc_profile": profile}
    if suffix not in ("tif", "jp2"):
        options |= {"exif": exif_for(suffix, 1), "xmp": encoders.xmp(1)}
    data = by_pillow(encoders.smooth(3), format_, **options)
    found = inspected(data).metadata
    image: Any = Image.open(io.BytesIO(data))
    assert found.icc == (image.info.get("icc_profile") or b"")
    assert found.exif == (image.info.get("exif") or b"").removeprefix(b"Exif\0\0")
    if suffix in ("jpg", "png", "webp", "avif"):
        assert len(found.exif) > 40
    if suffix in ("jpg", "webp", "avif"):
        assert found.xmp == encoders.xmp(1)
    if suffix != "jp2":  # Pillow writes none there
        assert found.icc == profile


@pytest.mark.parametrize(("channels", "space"), [(1, b"GRAY"), (3, b"RGB "), (4, b"RGB ")])
def test_a_profile_in_jpeg_2000_is_read_without_a_warning(channels, space):
    data = by_pillow(encoders.smooth(channels), "JPEG2000")
    profile = encoders.icc(space)
    changed = with_profile(data, profile)
    assert inspected(changed).metadata.icc == profile
    assert np.array_equal(codecs.decode(changed).frames[0], codecs.decode(data).frames[0])
    outcome = process(changed, replace(Recipe.from_options(["identity"], "png"), strict=True), "jp2")
    assert (outcome.failure, outcome.notes) == (None, ())
    assert outcome.data is not None
    assert readers.opened(outcome.data).info["icc_profile"] == profile


def test_a_profile_for_other_channels_is_no_colour_space():
    changed = with_profile(by_pillow(encoders.smooth(3), "JPEG2000"), encoders.icc(b"Lab "))
    notes = process(changed, Recipe.from_options(["identity"], "png"), "jp2").notes
    assert "unknown or unspecified color space" in dict(notes)["warning"]


def with_profile(data: bytes, profile: bytes) -> bytes:
    """A JPEG 2000 of Pillow's with a restricted profile in place of the number of a colour space."""
    box = (len(profile) + 11).to_bytes(4, "big") + b"colr\2\0\0" + profile
    start = data.index(b"colr") - 4
    size = int.from_bytes(data[start : start + 4], "big")
    head = data.index(b"jp2h") - 4
    whole = int.from_bytes(data[head : head + 4], "big") + len(box) - size
    return data[:head] + whole.to_bytes(4, "big") + data[head + 4 : start] + box + data[start + size :]


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_bits_of_a_png(bits):
    pixels = np.zeros((3, 3), np.uint16 if bits == 16 else np.uint8)
    assert inspected(encoders.png(pixels, bits=bits)).bits == bits


@pytest.mark.parametrize("bits", [10, 12])
def test_bits_of_an_avif(bits):
    import cv2

    pixels = encoders.smooth(3, "uint16") >> (16 - bits)
    data = cv2.imencode(".avif", pixels, [cv2.IMWRITE_AVIF_DEPTH, bits])[1].tobytes()
    header = inspected(data)
    assert (header.bits, header.depth, header.grey) == (bits, "uint16", False)


def test_bits_of_a_jpeg_2000():
    header = inspected(encoders.jp2_12(encoders.smooth(1, "uint16") >> 4))
    assert (header.bits, header.depth, header.grey) == (12, "uint16", True)
