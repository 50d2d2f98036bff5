"""BMP and Netpbm, in all their kinds: right, or refused with a reason, never wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from imgpipe.errors import ImageError, Kind
from imgpipe.imaging import codecs
from imgpipe.imaging.codecs import Ceiling
from imgpipe.imaging.processing import process
from imgpipe.imaging.recipe import Recipe
from tests import encoders, readers
from tests.encoders import indices, noise, palette
from tests.judges import check, refused, rgb

COLOUR, ALPHA = noise(3), noise(4)


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


@pytest.mark.parametrize(("bits", "packing", "double"), [(8, 1, 1), (4, 2, 17)])
def test_runs_that_fill_up_words_end_with_the_row(bits, packing, double):
    """As ImageMagick writes them: a row goes on beyond its end, to a whole number of four bytes."""
    index, colours = indices(16)[:, :13], palette(16)
    rows = ([(1, value) for value in row] + [(3, 9)] for row in index[::-1].tolist())
    runs = b"".join(b"".join(bytes((n, value * double)) for n, value in row) + b"\0\0" for row in rows)
    data = encoders.bmp(runs + b"\0\1", 13, 20, bits, palette=colours, packing=packing)
    check(data, colours[index])
    assert np.array_equal(np.asarray(readers.opened(data).convert("RGB")), colours[index])


def test_runs_of_four_bits_and_a_jump():
    colours = palette(16)
    runs = b"\x05\x12\0\2\x03\x02\0\5\x34\x56\x70\0\0\0\0\1"  # 12121, on by 3 and 2, 34567
    wanted = np.zeros((20, 30), int)
    wanted[19, 0:5], wanted[17, 8:13] = [1, 2, 1, 2, 1], [3, 4, 5, 6, 7]
    check(encoders.bmp(runs, 30, 20, 4, palette=colours, packing=2), colours[wanted])


def test_runs_stay_grey_where_the_palette_is():
    index = indices(256)
    greys = np.repeat(np.arange(256)[:, None], 3, axis=1)
    data = encoders.bmp(encoders.run_lengths(index, 8), 30, 20, 8, palette=greys, packing=1)
    check(data, index)


@pytest.mark.parametrize(
    ("rows", "last", "why"),
    [
        (19, b"\x1e\2", ""),  # the last row needs no mark
        (19, b"\x1d\2", "truncated: the file ends early"),
        (19, b"\0\x1e\2", "truncated: the file ends early"),
        (19, b"\0\2\1", "truncated: the file ends early"),
        (0, b"\0\2\0\xff\x1e\2\0\0", ""),  # a jump beyond the last row
        (0, b"\0\2\0\0" * 99_999, "unreadable: damaged: more runs than pixels"),
    ],
)
def test_runs_end_where_they_end(rows, last, why):
    runs = b"\x1e\2\0\0" * rows + last
    data = encoders.bmp(runs, 30, 20, 8, palette=palette(16), packing=1)
    if not why:
        return check(data, np.broadcast_to(palette(16)[2 if rows else 0], (20, 30, 3)))
    with pytest.raises(ImageError, match=why):
        codecs.decode(data)


@pytest.mark.parametrize(("bits", "packing"), [(2, 0), (4, 1), (8, 2), (7, 0)])
def test_a_bmp_of_other_bits_is_refused(bits, packing):
    said = refused(encoders.bmp(bytes(900), 30, 20, bits, palette=palette(4), packing=packing))
    assert f"not supported: a BMP of {bits} bits a pixel, packed in way {packing}" in said


@pytest.mark.parametrize("packing", [0, 1])
@pytest.mark.parametrize("start", [0, 14, 53])
def test_pixels_within_the_header_are_none(start, packing):
    data = bytearray(encoders.bmp(bytes(900), 30, 20, 8, palette=palette(4), packing=packing))
    data[10:14] = start.to_bytes(4, "little")
    assert "begin within its header" in refused(bytes(data))


def test_masks_of_more_bits_than_a_pixel_are_refused():
    rows = bytes(20 * 60)
    said = refused(encoders.bmp(rows, 30, 20, 16, masks=(0xFF0000, 0xFF00, 0xFF), packing=3))
    assert "more bits than a pixel" in said


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


def pam(channels: int, lines: bytes) -> bytes:
    head = b"P7\nWIDTH 30\nHEIGHT 20\nDEPTH %d\nMAXVAL 255\n%sENDHDR\n" % (channels, lines)
    return head + bytes(noise(channels).tobytes())


def shown(channels: int) -> Any:
    pixels = noise(channels)
    return pixels[:, :, [0, 0, 0, 1]] if channels == 2 else pixels


KINDS = {1: "GRAYSCALE", 2: "GRAYSCALE_ALPHA", 3: "RGB", 4: "RGB_ALPHA"}


@pytest.mark.parametrize("channels", KINDS)
@pytest.mark.parametrize("kind", ["CMYK", "XYZ", *KINDS.values()])
def test_a_pam_is_read_as_what_it_says_or_not_at_all(kind, channels):
    data = pam(channels, b"TUPLTYPE %s\n" % kind.encode())
    if KINDS[channels] == kind:
        check(data, shown(channels))
    else:
        assert refused(data) == f"not supported: a PAM of {kind} with {channels} channels"


@pytest.mark.parametrize("channels", KINDS)
def test_a_pam_that_does_not_say_what_it_is_is_read_by_its_channels(channels):
    """Netpbm's page: then the type is empty, and any program has to know."""
    check(pam(channels, b""), shown(channels))


def test_lines_of_a_pam_s_type_are_joined():
    message = refused(pam(4, b"TUPLTYPE RGB_ALPHA\nTUPLTYPE  premultiplied \n"))
    assert message == "not supported: a PAM of RGB_ALPHA premultiplied with 4 channels"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pfm(channels, order):
    pixels = noise(channels, "float32") * 4 - 1
    check(encoders.pfm(pixels, order), pixels)


# --- pictures one behind the other ---------------------------------------------------------------

PICTURES = [noise(3), noise(1, "uint16", (9, 5)), noise(4, size=(50, 7)), noise(1, size=(3, 3))]
SEVERAL = b"".join(encoders.pam(p) if p.ndim == 3 and p.shape[2] == 4 else encoders.pnm(p) for p in PICTURES)


def test_pictures_of_a_netpbm_file_are_pages():
    first = codecs.decode(SEVERAL)
    assert first.remarks == [("pages", "4 pages or frames, the first was read")]
    assert np.array_equal(rgb(first.frames[0]), PICTURES[0])
    every = codecs.decode(SEVERAL, pages="all")
    assert (every.bits, every.remarks) == (16, [])
    for found, wanted in zip(every.frames, PICTURES, strict=True):
        assert found.dtype == wanted.dtype
        assert np.array_equal(rgb(found), wanted)
    with pytest.raises(ImageError, match="4 pages or frames, and the recipe says pages = error"):
        codecs.decode(SEVERAL, pages="error")
    recipe = replace(Recipe.from_options(["identity"], "tif"), pages="all")
    outcome = process(SEVERAL, recipe, "pnm")
    for number, wanted in enumerate(PICTURES):
        assert np.array_equal(readers.tiff(outcome.data or b"", number), wanted), number


def test_bitmaps_one_behind_the_other():
    """Netpbm's page: 1 is black, and a row is filled to whole bytes."""
    data = b"P4 9 2\n\x80\x00\x00\x80P4\n# c\n1 1\n\x80P4 8 1 \x0f"
    wanted = [[[0] + [255] * 8, [255] * 8 + [0]], [[0]], [[255] * 4 + [0] * 4]]
    assert [frame.tolist() for frame in codecs.decode(data, pages="all").frames] == wanted


@pytest.mark.parametrize("pages", ["first", "all"])
@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (SEVERAL[:-1], Kind.TRUNCATED),
        (encoders.pnm(noise(3)) + b"P6 ", Kind.TRUNCATED),
        (encoders.pnm(noise(3)) + b"P6 x", Kind.UNREADABLE),
        (encoders.pnm(noise(3)) + b"P7\n" + b"#\n" * 101 + encoders.pam(noise(3))[3:], Kind.UNREADABLE),
        (b"P4 1 1 \0" * 10_001, Kind.TOO_LARGE),
    ],
)
def test_a_second_picture_that_is_not_whole_is_told(data, kind, pages):
    with pytest.raises(ImageError) as caught:
        codecs.decode(data, pages=pages)
    assert caught.value.kind is kind


@pytest.mark.parametrize("more", [b"\n", b"P", b"P6", b"P8 1 1 255 ", b"\nP4 1 1 \0", b"P2 1 1 255 0"])
def test_what_is_no_picture_behind_one_is_left_alone(more):
    found = codecs.decode(encoders.pnm(noise(3)) + more, pages="all")
    assert (len(found.frames), found.remarks) == (1, [])


def test_the_largest_picture_that_is_read_is_held_against_the_limit():
    data = encoders.pnm(noise(1, size=(2, 2))) + encoders.pnm(noise(1, size=(90, 90)))
    with pytest.raises(ImageError) as caught:
        codecs.decode(data, pages="all", ceiling=Ceiling(pixels=90 * 90))
    assert caught.value.kind is Kind.TOO_LARGE
    assert codecs.decode(data, ceiling=Ceiling(pixels=4)).frames[0].shape == (2, 2)
