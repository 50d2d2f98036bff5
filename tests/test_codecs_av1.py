"""The size in an AV1 bitstream, as Pillow's encoder has put it there."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgpipe.errors import ImageError
from imgpipe.imaging.codecs.containers import av1
from tests.good_files import good_files, saved


def bitstream(data: bytes) -> bytes:
    """What is in the ``mdat`` box, the last one."""
    return data[data.rindex(b"mdat") + 4 :]


def sizes(data: bytes) -> list[tuple[int, int]]:
    return [size for size in av1.sizes(data) if size]


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (255, 256), (2000, 3)])
def test_a_still_picture_says_its_size(size):
    data = saved(Image.new("RGB", size, (9, 99, 200)), "AVIF", speed=10)
    assert sizes(bitstream(data)) == [size]


def test_a_film_says_its_size():
    (moving,) = (file.data for file in good_files() if file.name == "moving.avif")
    assert (28, 20) in sizes(bitstream(moving))


@given(st.binary(max_size=40))
def test_any_bytes_end_in_sizes_or_damage(data):
    with suppress(ImageError):
        assert all(width > 0 and height > 0 for width, height in sizes(data))
