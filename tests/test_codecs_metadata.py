"""Orientation is applied once, and EXIF, ICC and XMP go with the pixels: judged by Pillow."""

from __future__ import annotations

import itertools
import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageOps, IptcImagePlugin

from imgpipe.imaging import codecs
from imgpipe.imaging.processing import Outcome, process
from imgpipe.imaging.recipe import Recipe
from tests import encoders, readers
from tests.encoders import by_pillow, chunk, segment, smooth
from tests.judges import rgb

CARRY = ("jpg", "png", "webp")
PICTURE = smooth(3)
_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"


def source(
    suffix: str, exif: bytes = b"", icc: bytes = b"", xmp: bytes = b"", pixels: Any = PICTURE
) -> bytes:
    """A file with these blocks; in a TIFF ``exif`` is a number, its tag of orientation."""
    makers = {"jpg": _jpeg, "png": _png, "tif": _tiff}
    if suffix in makers:
        return makers[suffix](exif, icc, xmp, pixels)
    options = {"lossless": True} if suffix == "webp" else {"quality": 95, "subsampling": "4:4:4"}
    return by_pillow(pixels, suffix.upper(), exif=exif, icc_profile=icc, xmp=xmp, **options)


def _jpeg(exif: bytes, icc: bytes, xmp: bytes, pixels: Any) -> bytes:
    parts = [icc[at : at + 60_000] for at in range(0, len(icc), 60_000)]
    segments = [segment(0xE1, _EXIF + exif)] if exif else []
    segments += [segment(0xE1, _XMP + xmp)] if xmp else []
    segments += [segment(0xE2, _ICC + bytes((n, len(parts))) + part) for n, part in enumerate(parts, 1)]
    return encoders.with_segments(by_pillow(pixels, "JPEG", quality=95, subsampling=0), *segments)


def _png(exif: bytes, icc: bytes, xmp: bytes, pixels: Any) -> bytes:
    chunks = [chunk(b"iCCP", b"a name\0\0" + zlib.compress(icc))] if icc else []
    chunks += [chunk(b"eXIf", exif)] if exif else []
    chunks += [chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)] if xmp else []
    return encoders.png(pixels, before=b"".join(chunks))


def _tiff(exif: Any, icc: bytes, xmp: bytes, pixels: Any) -> bytes:
    tags = [(274, 3, 1, exif, True)] if exif else []
    tags += [
        (tag, kind, len(block), block, True) for tag, kind, block in ((34675, 7, icc), (700, 1, xmp)) if block
    ]
    return encoders.tiff(pixels, extratags=tags)


def done(data: bytes, suffix: str, target: str | None = None, **options: Any) -> Outcome:
    recipe = replace(Recipe.from_options(["identity"], target, 95), **options)
    outcome = process(data, recipe, suffix)
    assert outcome.failure is None
    return outcome


def blocks(data: bytes | None) -> tuple[bytes, bytes, bytes]:
    """EXIF, ICC and XMP, as Pillow finds them."""
    assert data is not None
    info = readers.opened(data).info
    exif, icc, xmp = (info.get(name) or b"" for name in ("exif", "icc_profile", "xmp"))
    return exif.removeprefix(_EXIF), icc, xmp


# --- orientation --------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [*CARRY, "tif"])
@pytest.mark.parametrize("suffix", [*CARRY, "tif", "avif"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_a_picture_comes_out_upright_and_stays_so(turned, suffix, target):
    tag: Any = turned if suffix == "tif" else encoders.exif(turned)
    data = source(suffix, tag)
    wanted = np.asarray(ImageOps.exif_transpose(readers.opened(data)))
    assert (wanted.shape == PICTURE.shape) == (turned < 5)
    out = readers.opened(done(data, suffix, target).data or b"")
    assert out.getexif().get(0x0112, 1) == 1
    assert np.asarray(ImageOps.exif_transpose(out)).shape == wanted.shape
    assert np.abs(np.asarray(out).astype(int) - wanted).max() <= 16


@pytest.mark.parametrize("suffix", [*CARRY, "tif"])
@pytest.mark.parametrize("turned", range(1, 9))
def test_orientation_in_xmp_counts_where_exif_has_none(turned, suffix):
    data = source(suffix, xmp=encoders.xmp(turned))
    wanted = np.asarray(ImageOps.exif_transpose(readers.opened(data)))
    found = codecs.decode(data)
    assert np.array_equal(rgb(found.frames[0]), wanted)
    assert found.metadata.xmp == encoders.xmp(1)


def test_orientation_in_exif_is_stronger_than_in_xmp():
    data = source("jpg", encoders.exif(1), xmp=encoders.xmp(6))
    assert codecs.decode(data).frames[0].shape == PICTURE.shape
    assert codecs.decode(source("tif", 1, xmp=encoders.xmp(6))).frames[0].shape == PICTURE.shape  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("turned", range(1, 9))
def test_orientation_of_tiffs_of_every_kind(turned, channels, depth):
    pixels = encoders.noise(channels, depth)
    wanted = np.swapaxes(pixels, 0, 1) if turned >= 5 else pixels
    wanted = wanted[:, ::-1] if turned in (2, 3, 6, 7) else wanted
    wanted = wanted[::-1] if turned in (3, 4, 7, 8) else wanted
    for options in ({}, {"tile": (32, 32)}, {"rowsperstrip": 3}):
        data = encoders.tiff(pixels, extratags=[(274, 3, 1, turned, True)], **options)
        assert np.array_equal(rgb(codecs.decode(data).frames[0]), wanted)


def test_each_page_of_a_tiff_is_turned_by_its_own_tag():
    pages = [np.asarray(encoders.noise(3, seed=n)) for n in (1, 2)]
    data = encoders.tiff_pages([(pages[0], {"extratags": [(274, 3, 1, 6, True)]}), (pages[1], {})])
    found = codecs.decode(data, pages="all").frames
    assert np.array_equal(rgb(found[0]), np.rot90(pages[0], -1))
    assert np.array_equal(rgb(found[1]), pages[1])


# --- what goes with the pixels ------------------------------------------------------------------


@pytest.mark.parametrize("size", [512, 150_000], ids=["one segment", "several"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["II", "MM"])
@pytest.mark.parametrize(("suffix", "target"), list(itertools.product(CARRY, CARRY)))
def test_blocks_survive_byte_for_byte(suffix, target, order, size):
    for long in (False, True):
        given = encoders.exif(6, order, long=long), encoders.icc(size=size), encoders.xmp(6)
        outcome = done(source(suffix, *given), suffix, target)
        wanted = encoders.exif(1, order, long=long), given[1], encoders.xmp(1)
        assert blocks(outcome.data) == wanted
        assert outcome.notes == ()


def test_only_the_orientation_of_exif_is_changed():
    for order in "<>":
        before = encoders.exif(8, order)
        after = blocks(done(source("png", before), "png").data)[0]
        assert len(before) == len(after)
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


IPTC = b"\x1c\2\x78\0\7Harbour\x1c\2\x50\0\3Ann"  # caption, byline


def with_iptc(*resources: bytes) -> bytes:
    data = by_pillow(PICTURE, "JPEG")
    return encoders.with_segments(data, *(segment(0xED, b"Photoshop 3.0\0" + each) for each in resources))


def resource(number: int, block: bytes, name: bytes = b"\0\0") -> bytes:
    head = b"8BIM" + struct.pack(">H", number) + name + struct.pack(">I", len(block))
    return head + block + b"\0" * (len(block) % 2)


@pytest.mark.parametrize(
    "data",
    [
        with_iptc(resource(0x404, IPTC)),
        with_iptc(resource(0x3ED, bytes(16)) + resource(0x404, IPTC, b"\3abc") + resource(0x40B, b"url")),
        with_iptc(resource(0x3ED, b"odd") + resource(0x404, IPTC)[:20], resource(0x404, IPTC)[20:]),
    ],
    ids=["alone", "among others", "in two segments"],
)
def test_iptc_goes_from_jpeg_to_jpeg(data):
    outcome = done(data, "jpg", "jpg")
    assert outcome.notes == ()
    image: Any = readers.opened(outcome.data or b"")
    assert image.info["photoshop"] == {0x404: IPTC}
    assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): b"Harbour", (2, 80): b"Ann"}
    assert [kind for kind, _ in done(data, "jpg", "png").notes] == ["iptc"]
    stripped = done(data, "jpg", "jpg", metadata="strip")
    assert (stripped.notes, b"Harbour" in (stripped.data or b"")) == ((), False)


@pytest.mark.parametrize(
    "damage", [b"8BIM", b"8BIM\4\4\0\0\0\0\xff\xff" + IPTC, b"8BI" + resource(0x404, IPTC), b""]
)
def test_iptc_that_is_none_is_left(damage):
    assert done(with_iptc(damage), "jpg", "png").notes == ()


@pytest.mark.parametrize("suffix", [*CARRY, "avif"])
def test_stripped_is_stripped(suffix):
    data = source(suffix, encoders.exif(6), encoders.icc(), encoders.xmp(6))
    for target in (*CARRY, "tif"):
        outcome = done(data, suffix, target, metadata="strip")
        assert blocks(outcome.data) == (b"", b"", b"")
        assert outcome.notes == ()
        assert readers.opened(outcome.data or b"").size == PICTURE.shape[:2]  # it is turned all the same


@pytest.mark.parametrize("suffix", [*CARRY, "tif", "avif"])
def test_tiff_carries_icc_and_xmp(suffix):
    exif: Any = 1 if suffix == "tif" else encoders.exif(1)
    outcome = done(source(suffix, exif, encoders.icc(), encoders.xmp(1)), suffix, "tif")
    assert blocks(outcome.data)[1:] == (encoders.icc(), encoders.xmp(1))
    assert [kind for kind, _ in outcome.notes] == ([] if suffix == "tif" else ["exif"])


@pytest.mark.parametrize("target", ["bmp", "avif", "gif", "jp2", "ppm"])
def test_what_a_target_cannot_carry_is_told(target):
    data = source("jpg", encoders.exif(1), encoders.icc(), encoders.xmp(1))
    outcome = done(data, "jpg", target)
    told = [(kind, text) for kind, text in outcome.notes if kind != "depth"]  # of colours, for GIF
    assert [kind for kind, _ in told] == ["exif", "icc", "xmp"]
    assert all("is lost" in text for _, text in told)


@pytest.mark.parametrize("target", ["jpg", "png", "tif"])
@pytest.mark.parametrize(("channels", "space"), [(1, b"RGB "), (3, b"GRAY"), (3, b"CMYK"), (3, b"Lab ")])
def test_a_profile_for_other_channels_is_dropped_and_told(channels, space, target):
    data = source("png", icc=encoders.icc(space), pixels=smooth(channels))
    outcome = done(data, "png", target)
    assert blocks(outcome.data)[1] == b""
    assert outcome.notes == (("icc", "its colour profile is for another number of channels"),)


def test_a_profile_for_grey_stays_with_grey_and_goes_with_its_colours():
    data = source("png", icc=encoders.icc(b"GRAY"), pixels=smooth(1))
    assert blocks(done(data, "png", "jpg").data)[1] == encoders.icc(b"GRAY")
    assert [kind for kind, _ in done(data, "png", "webp").notes] == ["icc"]  # WebP has no grey


def test_what_is_too_large_for_jpeg_is_told():
    data = source("png", encoders.exif(1, camera=b"x" * 70_000))
    assert done(data, "png", "jpg").notes == (("exif", "EXIF is lost: too large for JPEG"),)
    assert len(blocks(done(data, "png", "webp").data)[0]) > 70_000


def test_a_profile_that_lacks_a_part_is_told():
    data = encoders.with_segments(by_pillow(PICTURE, "JPEG"), segment(0xE2, _ICC + b"\1\2" + bytes(99)))
    assert done(data, "jpg").notes == (("icc", "its colour profile is not whole"),)


@pytest.mark.parametrize("turned", [1, 6])
def test_the_words_before_exif_in_a_jpeg_may_stand_in_a_png_too(turned):
    data = source("png", _EXIF + encoders.exif(turned))
    wanted = np.asarray(ImageOps.exif_transpose(readers.opened(data)))
    assert np.array_equal(rgb(codecs.decode(data).frames[0]), wanted)
    outcome = done(data, "png")
    assert outcome.data is not None
    assert dict(readers.chunks(outcome.data))[b"eXIf"] == encoders.exif(1)


# --- what is no EXIF ----------------------------------------------------------------------------

WHOLE = encoders.exif(6)
ODD = {
    "garbage": b"garbage, not EXIF at all",
    "cut": WHOLE[:20],
    "a directory far away": WHOLE[:4] + b"\xff\xff\xff\xf0" + WHOLE[8:],
    "a directory in a circle": WHOLE[:4] + b"\0\0\0\0" + WHOLE[8:],
    "65535 fields": WHOLE[:8] + b"\xff\xff" + WHOLE[10:22],
    "orientation 0": encoders.exif(0),
    "orientation 9": encoders.exif(9),
    "orientation 300": encoders.exif(300),
}


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("name", ODD)
def test_exif_that_is_none_turns_nothing_and_is_carried_as_it_is(name, suffix):
    found = codecs.decode(source(suffix, ODD[name]))
    assert found.frames[0].shape == PICTURE.shape
    assert len(found.metadata.exif) == len(ODD[name])
    if "orientation" not in name:
        assert found.metadata.exif == ODD[name]


@given(st.data())
def test_damaged_exif_never_fails_a_picture(data):
    block = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    found = codecs.decode(source("png", bytes(block), pixels=smooth(1, size=(4, 6))))
    assert found.frames[0].size == 24
    changed = sum(a != b for a, b in zip(block, found.metadata.exif, strict=True))
    assert changed <= 2


# --- what is not carried is told ----------------------------------------------------------------

_RAW = b"Raw profile type %s\0\nexif\n       2\n4949\n"
_DAMAGED = chunk(b"iCCP", b"a name\0\0" + zlib.compress(encoders.icc()))[:-1] + b"\0"
_XMP_NUMBER = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def _gif(name: bytes) -> bytes:
    data = by_pillow(PICTURE, "GIF")
    at = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    return data[:at] + b"!\xff\x0b" + name + b"\5block\0" + data[at:]


def _jp2(number: bytes) -> bytes:
    box = (24 + 5).to_bytes(4, "big") + b"uuid" + number + b"block"
    return by_pillow(PICTURE, "JPEG2000") + box


def _bmp(space: bytes) -> bytes:
    """With the newest header, whose colour space is this."""
    old = by_pillow(PICTURE, "BMP")
    start = (138).to_bytes(4, "little") + (124).to_bytes(4, "little")
    return old[:10] + start + old[18:54] + bytes(16) + space + bytes(64) + old[54:]


def _nclx(*code: int) -> bytes:
    """An AVIF without profile, with these code points of H.273."""
    data = by_pillow(PICTURE, "AVIF", icc_profile=b"")
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", *code) + data[at + 4 :]


def _measured(gamma: int, *places: float) -> bytes:
    colours = chunk(b"cHRM", struct.pack(">8I", *(round(place * 100_000) for place in places)))
    return encoders.png(PICTURE, before=chunk(b"gAMA", struct.pack(">I", gamma)) + colours)


_ADOBE_RGB = 0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06
_SRGB = 0.31271, 0.32902, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06

UNREAD = {
    "HDR by code points in a PNG": (encoders.png(PICTURE, before=chunk(b"cICP", b"\x09\x10\0\1")), "icc"),
    "HDR by code points in an AVIF": (_nclx(9, 16), "icc"),
    "primaries of Adobe RGB": (_measured(45_455, *_ADOBE_RGB), "icc"),
    "linear light": (_measured(100_000, *_SRGB), "icc"),
    "a profile that cannot be inflated": (
        encoders.png(PICTURE, before=chunk(b"iCCP", b"a\0\0rubbish")),
        "icc",
    ),
    "a profile with a wrong checksum": (encoders.png(PICTURE, before=_DAMAGED), "icc"),
    "XMP that cannot be inflated": (
        encoders.png(PICTURE, before=chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0rubbish")),
        "xmp",
    ),
    "EXIF of ImageMagick": (encoders.png(PICTURE, before=chunk(b"zTXt", _RAW % b"exif")), "exif"),
    "a profile of ImageMagick": (encoders.png(PICTURE, before=chunk(b"tEXt", _RAW % b"icc")), "icc"),
    "XMP of a GIF": (_gif(b"XMP DataXMP"), "xmp"),
    "a profile of a GIF": (_gif(b"ICCRGBG1012"), "icc"),
    "XMP of a JPEG 2000": (_jp2(_XMP_NUMBER), "xmp"),
    "EXIF of a JPEG 2000": (_jp2(b"JpgTiffExif->JP2"), "exif"),
    "a profile of a BMP": (_bmp(b"DEBM"), "icc"),
    "IPTC of a TIFF": (encoders.tiff(PICTURE, extratags=[(33723, 7, len(IPTC), IPTC, True)]), "iptc"),
    "IPTC of ImageMagick": (encoders.png(PICTURE, before=chunk(b"zTXt", _RAW % b"iptc")), "iptc"),
    "a second EXIF": (
        encoders.with_segments(
            by_pillow(PICTURE, "JPEG"),
            segment(0xE1, _EXIF + encoders.exif(1)),
            segment(0xE1, _EXIF + encoders.exif(6)),
        ),
        "exif",
    ),
}


@pytest.mark.parametrize("name", UNREAD)
def test_metadata_that_is_not_read_is_told_as_lost(name):
    data, kind = UNREAD[name]
    told = [note for note, _ in codecs.decode(data).remarks]
    assert [note for note in told if note != "warning"] == [kind]


@pytest.mark.parametrize("name", UNREAD)
def test_and_is_no_loss_where_it_was_to_be_stripped(name):
    data, kind = UNREAD[name]
    recipe = Recipe.from_options(["flip"], "png", metadata="strip")
    assert kind not in dict(process(data, recipe, "png").notes)


@pytest.mark.parametrize(
    "data",
    [
        encoders.png(PICTURE, before=chunk(b"eXIf", encoders.exif(1)) + chunk(b"zTXt", _RAW % b"exif")),
        _gif(b"NETSCAPE2.1"),
        _jp2(bytes(16)),
        _bmp(b"BGRs"),
        _nclx(1, 13),
        _measured(45_455, *_SRGB),
        _measured(0, *_SRGB),
        encoders.png(PICTURE, before=chunk(b"sRGB", b"\0") + chunk(b"gAMA", b"\0\1\x86\xa0")),
        encoders.png(PICTURE, before=chunk(b"cICP", b"\1\x0d\0\1") + chunk(b"gAMA", b"\0\1\x86\xa0")),
        encoders.png(
            PICTURE,
            before=chunk(b"cICP", b"\x09\x10\0\1") + chunk(b"iCCP", b"a\0\0" + zlib.compress(encoders.icc())),
        ),
        encoders.png(
            PICTURE, before=chunk(b"gAMA", b"\0") + chunk(b"cHRM", b"\0" * 31) + chunk(b"cICP", b"")
        ),
    ],
)
def test_what_is_carried_or_is_no_metadata_is_not_told(data):
    assert codecs.decode(data).remarks == []


def test_a_crop_that_an_avif_asks_for_is_told():
    data = by_pillow(PICTURE, "AVIF").replace(b"pixi", b"clap")
    (loss,) = codecs.inspect(data)[1].losses
    assert loss == ("warning", "what it says to cut off (clap) was not cut off")
