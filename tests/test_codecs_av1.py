"""AVIF: size, depth and range in its bitstream and its tracks, and metadata wherever it lies."""

import io
import struct
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgpipe.errors import ImageError
from imgpipe.imaging.codecs import decode, inspect
from imgpipe.imaging.codecs.containers import av1
from tests import encoders, readers
from tests.good_files import good_files, saved


def bitstream(data: bytes) -> bytes:
    """What is in the ``mdat`` box, the last one."""
    return data[data.rindex(b"mdat") + 4 :]


def sizes(data: bytes) -> list[tuple[int, int, int]]:
    return [(said.width, said.height, said.bits) for said in av1.sequences(data) if said]


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (255, 256), (2000, 3)])
def test_a_still_picture_says_its_size(size):
    data = saved(Image.new("RGB", size, (9, 99, 200)), "AVIF", speed=10)
    assert sizes(bitstream(data)) == [(*size, 8)]


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_a_still_picture_says_its_depth(bits):
    image = np.full((20, 30, 3), 7, np.uint8 if bits == 8 else np.uint16)
    data = cv2.imencode(".avif", image, [cv2.IMWRITE_AVIF_DEPTH, bits])[1].tobytes()
    assert sizes(bitstream(data)) == [(30, 20, bits)]
    assert inspect(data)[1].bits == bits


def moving() -> bytes:
    (found,) = (file.data for file in good_files() if file.name == "moving.avif")
    return found


def test_a_film_says_its_size():
    assert (28, 20, 8) in sizes(bitstream(moving()))
    assert len(decode(moving(), pages="all").frames) == 3


def changed(after: bytes, by: int, value: int) -> bytes:
    """The film with another byte, so far behind the last time these stand in it."""
    data = bytearray(moving())
    data[data.rindex(after) + by] = value
    return bytes(data)


# The fuzzer found both. OpenCV decoded 4685×9748 pixels, and showed memory that nobody had written.
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(b"tkhd", 4 + 88, 18), "a track of"),
        (changed(b"av1C", 4 + 2, 0x2C), "another depth"),
        (changed(b"av1C", 4 + 2, 0x4C), "another depth"),
    ],
)
def test_a_film_whose_track_disagrees_with_its_picture_is_refused(data, message):
    with pytest.raises(ImageError, match=message):
        inspect(data)


@given(st.binary(max_size=40))
def test_any_bytes_end_in_sizes_or_damage(data):
    with suppress(ImageError):
        assert all(width > 0 and height > 0 and bits in (8, 10, 12) for width, height, bits in sizes(data))


def grey(size: tuple[int, int] = (40, 56), **options: Any) -> bytes:
    return saved(
        Image.fromarray(encoders.smooth(1, size=size)), "AVIF", quality=100, subsampling="4:0:0", **options
    )


def without_nclx(data: bytes) -> bytes:
    """Of another type, which no reader knows: then the bitstream alone says the range."""
    return data.replace(b"colrnclx", b"freenclx")


def witness(data: bytes) -> Any:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("L")).astype(int)


@pytest.mark.parametrize("change", [bytes, without_nclx])
@pytest.mark.parametrize("range_", ["limited", "full"])
def test_black_and_white_of_a_grey_avif(range_, change):
    data = change(grey(range=range_))
    (found,) = decode(data).frames
    assert found.ndim == 2
    assert np.abs(found.astype(int) - encoders.smooth(1)).max() <= 2  # limited has fewer levels
    assert np.abs(found.astype(int) - witness(data)).max() <= 1


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_black_and_white_of_limited_range(bits):
    """Every value of so many bits, kept without loss. ITU-T H.273, 8.3: black is 16, white 235 of 8 bits."""
    values: Any = np.arange(2**bits).reshape(-1, 64).astype(np.uint8 if bits == 8 else np.uint16)
    options = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100]
    data = bytearray(cv2.imencode(".avif", values, options)[1].tobytes())
    data[data.index(b"colrnclx") + 8 + 6] = 0  # it was the flag for full range
    (found,) = decode(bytes(data)).frames
    white, unit = (255, 1) if bits == 8 else (65535, 2 ** (bits - 8))
    wanted = (values / unit - 16) / (235 - 16) * white
    assert np.abs(found - wanted.clip(0, white)).max() <= 0.51


@pytest.mark.parametrize("change", [bytes, without_nclx])
def test_black_and_white_of_a_grey_film(change):
    frames = [Image.fromarray(np.roll(encoders.smooth(1), n, axis=1)) for n in (1, 2)]
    data = change(grey(range="limited", save_all=True, append_images=frames))
    found = decode(data, pages="all").frames
    assert len(found) == 3
    for frame, wanted in zip(found[1:], frames, strict=True):
        assert np.abs(frame.astype(int) - wanted).max() <= 3
    assert np.array_equal(decode(data).frames[0], found[0])
    assert np.abs(found[0].astype(int) - witness(data)).max() <= 1


def test_bits_that_no_av1_has_are_refused():
    """Where no configuration tells (a grid), `pixi` does: a version, the number of channels, bits of each."""
    data = bytearray(grey().replace(b"av1C", b"free"))
    assert inspect(bytes(data))[1].bits == data[data.index(b"pixi") + 9] == 8
    data[data.index(b"pixi") + 9] = 1
    with pytest.raises(ImageError, match="samples of 1 bits"):
        inspect(bytes(data))


def test_alpha_of_a_picture_of_limited_range_is_of_full_range():
    data = saved(Image.fromarray(encoders.smooth(4)), "AVIF", quality=100, range="limited")
    (found,) = decode(data).frames
    assert np.abs(found[:, :, 3].astype(int) - encoders.smooth(4)[:, :, 3]).max() <= 1


TRANSLUCENT = encoders.smooth(2)[:, :, [0, 0, 0, 1]]
TRANSLUCENT[:4, :, 3] = 255


def grey_with_alpha(pixels: Any = TRANSLUCENT, **options: Any) -> bytes:
    return saved(Image.fromarray(pixels), "AVIF", quality=100, subsampling="4:0:0", **options)


@pytest.mark.parametrize("range_", ["limited", "full"])
def test_grey_with_alpha(range_):
    (found,) = decode(grey_with_alpha(range=range_)).frames
    assert found.shape == (40, 56, 4)
    assert np.abs(found.astype(int) - TRANSLUCENT).max() <= 2


def test_grey_with_alpha_and_metadata_is_turned_with_it():
    data = grey_with_alpha(exif=encoders.exif(6, camera=b"x" * 499 + b"\0"))
    picture = decode(metadata_behind(data, bytes(3) + b"\6Exif"))
    wanted = np.rot90(TRANSLUCENT, -1).astype(int)
    assert np.abs(picture.frames[0] - wanted).max() <= 2
    assert len(picture.metadata.exif) > 500


def test_grey_that_was_multiplied_by_alpha():
    given = TRANSLUCENT.copy()
    given[:, :, 3] |= 128
    data = grey_with_alpha(given, alpha_premultiplied=True)
    assert b"prem" in data
    (found,) = decode(data).frames
    assert np.abs(found.astype(int) - given).max() <= 3  # at half the alpha, a level that is stored is two
    assert np.abs(found.astype(int) - readers.by_pillow(data)).max() <= 2


def test_a_grey_film_with_alpha_is_refused():
    frames = [Image.fromarray(np.roll(TRANSLUCENT, n, axis=1)) for n in (1, 2)]
    data = grey_with_alpha(save_all=True, append_images=frames)
    with pytest.raises(ImageError, match="not supported: a grey AVIF with alpha that is animated"):
        decode(data)


def metadata_behind(data: bytes, beginning: bytes) -> bytes:
    """The same AVIF with the metadata that begins so in a box at its end, as libheif has it.

    ISO/IEC 14496-12, 8.11.3: where an item is and how long, ``iloc`` says, here in four bytes each.
    """
    start = data.index(beginning)
    place = data.index(struct.pack(">I", start), data.index(b"iloc"))
    (size,) = struct.unpack_from(">I", data, place + 4)
    box = struct.pack(">I4s", 8 + size, b"mdat") + data[start : start + size]
    return data[:place] + struct.pack(">I", len(data) + 8) + data[place + 4 :] + box


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("kind", ["exif", "xmp"])
def test_metadata_may_lie_behind_the_pixels(kind, frames):
    block = encoders.exif(1, camera=b"x" * 499 + b"\0") if kind == "exif" else encoders.xmp(1)
    first, *others = [Image.fromarray(encoders.smooth(n + 3)[:, :, :3]) for n in range(frames)]
    options: dict[str, Any] = {"save_all": True, "append_images": others} if others else {}
    data = saved(first, "AVIF", icc_profile=b"", **{kind: block}, **options)
    behind = metadata_behind(data, bytes(3) + b"\6Exif" if kind == "exif" else block)
    found, wanted = decode(behind, pages="all"), decode(data, pages="all")
    assert len(getattr(found.metadata, kind)) > 250
    assert found.metadata == wanted.metadata
    assert len(found.frames) == frames
    for number, (frame, same) in enumerate(zip(found.frames, wanted.frames, strict=True)):
        assert np.array_equal(frame, same)
        with Image.open(io.BytesIO(behind)) as image:
            image.seek(number)
            assert np.abs(np.asarray(image).astype(int) - frame[:, :, ::-1]).max() <= 2
