"""Size and depth in an AV1 bitstream, as encoders have put them there, and in the tracks beside it."""

from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgpipe.errors import ImageError
from imgpipe.imaging.codecs import decode, inspect
from imgpipe.imaging.codecs.containers import av1
from tests.good_files import good_files, saved


def bitstream(data: bytes) -> bytes:
    """What is in the ``mdat`` box, the last one."""
    return data[data.rindex(b"mdat") + 4 :]


def sizes(data: bytes) -> list[tuple[int, int, int]]:
    return [size for size in av1.sizes(data) if size]


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
