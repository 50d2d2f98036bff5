"""Pictures behind a JPEG: they are not read, and that is told."""

import io
import struct
from dataclasses import replace

import pytest
from PIL import Image

from imgpipe.imaging import codecs
from imgpipe.imaging.processing import process
from imgpipe.imaging.recipe import Recipe
from tests import encoders, readers
from tests.encoders import smooth


def mpf(types: list[int], order: str = "<") -> bytes:
    """An MP index with pictures of these types; CIPA DC-007, 5.2.3: version, number, 16 bytes of each."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 3)
    fields = struct.pack(order + "HHI4s", 0xB000, 7, 4, b"0100")
    fields += struct.pack(order + "HHII", 0xB001, 4, 1, len(types))
    fields += struct.pack(order + "HHIII", 0xB002, 7, 16 * len(types), 8 + 2 + 3 * 12 + 4, 0)
    entries = (struct.pack(order + "IIIHH", kind, 1000, 1000 * n, 0, 0) for n, kind in enumerate(types))
    return b"MPF\0" + head + fields + b"".join(entries)


def with_mpf(block: bytes) -> bytes:
    return encoders.with_segments(encoders.by_pillow(smooth(3), "JPEG"), encoders.segment(0xE2, block))


FIRST, UNDEFINED, DISPARITY, PREVIEWS = 0x20030000, 0, 0x020002, [0x010001, 0x010002]


@pytest.mark.parametrize("pages", ["first", "all", "error"])
def test_a_second_picture_behind_a_jpeg_is_told(pages):
    """Pillow writes both, and finds them."""
    buffer = io.BytesIO()
    image = Image.fromarray(smooth(3))
    image.save(buffer, "MPO", save_all=True, append_images=[image])
    assert readers.opened(buffer.getvalue()).n_frames == 2  # type: ignore[attr-defined]
    found = codecs.decode(buffer.getvalue(), pages=pages)
    assert found.remarks == [("pages", "its MPF segment names 2 pictures, the first was read")]
    assert len(found.frames) == 1
    strict = replace(Recipe.from_options(["identity"], "png"), strict=True, pages=pages)
    assert process(buffer.getvalue(), strict, "jpg").failure is None


@pytest.mark.parametrize("order", ["<", ">"])
def test_pictures_are_counted_without_previews(order):
    types = [FIRST, DISPARITY, *PREVIEWS, UNDEFINED]
    (remark,) = codecs.decode(with_mpf(mpf(types, order))).remarks
    assert remark == ("pages", "its MPF segment names 3 pictures, the first was read")


WHOLE_MPF = mpf([FIRST, UNDEFINED])


@pytest.mark.parametrize(
    "block",
    [
        mpf([FIRST]),
        mpf([FIRST, *PREVIEWS]),
        mpf([]),
        *(WHOLE_MPF[:cut] for cut in (4, 9, 13, 40, -1)),
        WHOLE_MPF[:8] + b"\xff\xff\xff\xff" + WHOLE_MPF[12:],
    ],
)
def test_a_jpeg_with_one_picture_or_without_a_sound_list_is_not_remarked_on(block):
    assert codecs.decode(with_mpf(block)).remarks == []
