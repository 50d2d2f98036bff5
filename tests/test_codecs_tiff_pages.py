"""What OpenCV is given of a TIFF comes out as tifffile reads it, however its samples are laid out."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from imgpipe.errors import ImageError, Kind
from imgpipe.imaging import codecs
from tests import encoders, readers
from tests.encoders import noise, palette, smooth
from tests.judges import check, refused, rgb

SIZE = (50, 70)
GREY = noise(1, size=SIZE)
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "grey": (GREY, {}),
    "rgb": (noise(3, size=SIZE), {}),
    "rgba": (noise(4, size=SIZE), {}),
    "palette": (GREY, {"photometric": "palette", "colormap": palette(256).T.astype(np.uint16) * 257}),
    "bilevel": (GREY > 128, {}),
}
LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (32, 16), "compression": "zlib"},
    "large tiles": {"tile": (128, 128), "compression": "zlib"},
}
PACKING, PHOTOMETRIC, ORIENTATION, PREDICTOR, PALETTE = 259, 262, 274, 317, 320
TILE_WIDTH, TILE_STARTS, TILE_SIZES = 322, 324, 325
TURNED_BY = {  # TIFF 6.0, section 8
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def stored(data: bytes, number: int = 0) -> Any:
    """A page as tifffile reads it, as it is stored: grey of 8 bits for one bit, the colours of a palette."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[number]
        pixels = page.asarray()
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, 2)
        if page.colormap is not None:
            return np.moveaxis(page.colormap[:, pixels] >> 8, 0, 2).astype(np.uint8)
    return pixels * np.uint8(255) if pixels.dtype == bool else pixels


def tagged(pixels: Any, turned: int, **options: Any) -> bytes:
    return encoders.tiff(pixels, extratags=[(ORIENTATION, 3, 1, turned, True)], **options)


@pytest.mark.parametrize(
    ("kind", "apart"), [*((kind, False) for kind in KINDS), ("rgb", True), ("rgba", True)]
)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("turned", TURNED_BY)
def test_orientation_of_8_bits_in_every_layout(turned, kind, layout, apart):
    pixels, options = KINDS[kind]
    given = np.moveaxis(pixels, 2, 0).copy() if apart else pixels
    planes = {"planarconfig": "separate"} if apart else {}
    data = tagged(given, turned, **LAYOUTS[layout], **options, **planes)
    found = rgb(codecs.decode(data).frames[0])
    assert np.array_equal(found, TURNED_BY[turned](stored(data)))
    if not apart:  # Pillow joins no planes of tiles
        mode = "L" if found.ndim == 2 else ("RGB", "RGBA")[found.shape[2] - 3]
        seen = ImageOps.exif_transpose(readers.opened(data)).convert(mode)
        assert np.array_equal(found, np.asarray(seen))


@pytest.mark.parametrize("tile", [(16, 16), (64, 64), (48, 80)])
@pytest.mark.parametrize("turned", [2, 3, 6, 7])
def test_tiles_of_any_size_stay_in_their_places(turned, tile):
    data = tagged(noise(3, size=SIZE), turned, tile=tile, compression="zlib")
    found = rgb(codecs.decode(data).frames[0])
    assert np.array_equal(found, np.asarray(ImageOps.exif_transpose(readers.opened(data))))


@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("turned", [0, 9, 255])
def test_an_orientation_that_is_none_is_upright(turned, depth):
    pixels = noise(3, depth)
    assert np.array_equal(rgb(codecs.decode(tagged(pixels, turned)).frames[0]), pixels)


@pytest.mark.parametrize("kind", ["B", "H", "I"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_of_any_width_is_read(order, kind):
    pixels = noise(3)
    data = encoders.tiff(pixels, byteorder=order, extratags=[(ORIENTATION, kind, 1, 6, True)])
    assert np.array_equal(rgb(codecs.decode(data).frames[0]), np.rot90(pixels, -1))


@pytest.mark.parametrize("big", [False, True], ids=["TIFF", "BigTIFF"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_each_page_is_turned_by_its_own_tag(order, big):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=big, byteorder=order) as writer:
        for turned in TURNED_BY:
            tags = [(ORIENTATION, 3, 1, turned, True)]
            writer.write(noise(3, seed=turned), metadata=None, photometric="rgb", extratags=tags)
        writer.write(noise(3, seed=9), metadata=None, photometric="rgb")
    found = codecs.decode(buffer.getvalue(), pages="all").frames
    for number, frame in enumerate(found, 1):
        upright = TURNED_BY[number if number < 9 else 1](noise(3, seed=number))
        assert np.array_equal(rgb(frame), upright), number


def test_a_file_of_an_odd_number_of_bytes_is_read():
    pixels = noise(3)
    data = tagged(pixels, 6) + b"\0"
    data += b"\0" * (1 - len(data) % 2)
    assert np.array_equal(rgb(codecs.decode(data).frames[0]), np.rot90(pixels, -1))


# --- tiles that are not packed ------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tile", [(16, 16), (48, 32), (48, 48), (64, 64), (80, 80)])
@pytest.mark.parametrize("kind", KINDS)
def test_tiles_that_are_not_packed_may_have_any_size(kind, tile, order):
    pixels, options = KINDS[kind]
    data = tagged(pixels, 6, tile=tile, byteorder=order, **options)
    found = rgb(codecs.decode(data).frames[0])
    mode = "L" if found.ndim == 2 else ("RGB", "RGBA")[found.shape[2] - 3]
    seen = ImageOps.exif_transpose(readers.opened(data)).convert(mode)
    assert np.array_equal(found, np.asarray(seen))
    big = tagged(pixels, 6, tile=tile, byteorder=order, bigtiff=True, **options)
    check(big, np.rot90(stored(big), -1))


@pytest.mark.parametrize("tile", [(16, 16), (48, 32), (128, 128)])
@pytest.mark.parametrize("channels", [3, 4])
def test_tiles_of_planes_that_are_not_packed(channels, tile):
    pixels = noise(channels, size=SIZE)
    check(encoders.tiff(np.moveaxis(pixels, 2, 0).copy(), planarconfig="separate", tile=tile), pixels)


def test_tiles_that_are_not_packed_of_each_page():
    given = [noise(3, size=(20, 30 + 7 * n), seed=n) for n in range(3)]
    data = encoders.tiff_pages([(pixels, {"tile": (16, 16)}) for pixels in given])
    for frame, wanted in zip(codecs.decode(data, pages="all").frames, given, strict=True):
        assert np.array_equal(rgb(frame), wanted)


def patched(data: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF with another value in the only field of this tag."""
    (at,) = (at for at in range(len(data)) if data[at : at + 8] in _heads(tag))
    return data[: at + 8] + struct.pack("<I", value) + data[at + 12 :]


def _heads(tag: int) -> list[bytes]:
    return [struct.pack("<HHI", tag, kind, 1) for kind in (3, 4)]


def test_a_tile_that_is_not_packed_must_be_whole():
    data = encoders.tiff(noise(1, size=(12, 12)), tile=(16, 16))
    assert "a tile of 200 bytes where there should be 256" in refused(patched(data, TILE_SIZES, 200))
    unsized = data.replace(_heads(TILE_SIZES)[1], struct.pack("<HHI", 65000, 4, 1))
    check(unsized, noise(1, size=(12, 12)))
    with pytest.raises(ImageError) as caught:
        codecs.decode(patched(unsized, TILE_STARTS, len(data) - 255))
    assert caught.value.kind is Kind.TRUNCATED


def test_bits_in_tiles_of_broken_bytes_are_refused():
    data = encoders.tiff(noise(1) > 128, tile=(16, 16))
    check(data, (noise(1) > 128) * 255)
    assert "of 1 bit in tiles 15 wide" in refused(patched(data, TILE_WIDTH, 15))


def test_fields_that_tiles_of_this_kind_do_not_need_are_no_hindrance():
    black_and_white = (532, 5, 6, (0, 1, 255, 1) * 3, True)  # fractions
    pixels = noise(3, size=SIZE)
    data = encoders.tiff(pixels, tile=(16, 16), extratags=[black_and_white])
    check(data, pixels)
    empty = data.replace(struct.pack("<HHI", 284, 3, 1), struct.pack("<HHI", 284, 3, 0))
    assert empty != data
    check(empty, pixels)


def test_ycbcr_in_tiles_that_are_not_packed_is_read_or_refused():
    options: dict[str, Any] = {"photometric": "ycbcr", "subsampling": (1, 1)}
    pixels = smooth(3)
    assert "of YCbCr in tiles of 16×16" in refused(encoders.tiff(pixels, tile=(16, 16), **options))
    data = encoders.tiff(pixels, tile=(64, 32), **options)
    seen = Image.fromarray(pixels, "YCbCr").convert("RGB")
    check(data, np.asarray(seen), bound=3)


# --- grey and alpha -----------------------------------------------------------------------------

GREY_LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 7},
    "packed strips": {"rowsperstrip": 7, "compression": "zlib"},
    "tiles": {"tile": (32, 16)},
    "packed tiles": {"tile": (32, 16), "compression": "zlib"},
    "predicted strips": {"rowsperstrip": 7, "compression": "zlib", "predictor": True},
    "predicted tiles": {"tile": (32, 16), "compression": "zlib", "predictor": True},
}


def laid(pixels: Any, apart: bool, **options: Any) -> bytes:
    given = np.moveaxis(pixels, 2, 0).copy() if apart else pixels
    return encoders.tiff(given, planarconfig="separate" if apart else "contig", **options)


def spread(grey: Any, alpha: Any) -> Any:
    """As our codec has grey and alpha: RGBA."""
    return np.dstack([grey, grey, grey, alpha])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("apart", [False, True], ids=["contiguous", "apart"])
@pytest.mark.parametrize("layout", GREY_LAYOUTS)
@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
def test_grey_and_alpha_in_every_layout(depth, layout, apart, order):
    if depth == "float32" and "predict" in layout:
        layout = "strips"  # tifffile has no predictor for floating point
    for channels in (2, 3, 4):
        pixels = noise(channels, depth, SIZE)
        options: dict[str, Any] = {
            "extrasamples": ["unassalpha", "unspecified", "unspecified"][: channels - 1]
        }
        options |= {"photometric": "minisblack", "byteorder": order, **GREY_LAYOUTS[layout]}
        data = laid(pixels, apart, **options)
        assert np.array_equal(stored(data), pixels)
        check(data, spread(pixels[:, :, 0], pixels[:, :, 1]))
        lost = [kind for kind, _ in codecs.decode(data).remarks]
        assert lost == (["alpha"] if channels > 2 else [])


@pytest.mark.parametrize("packing", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_grey_and_alpha_as_pillow_writes_them(packing):
    data = encoders.by_pillow(noise(2, size=SIZE), "TIFF", compression=packing)
    image = readers.opened(data)
    assert image.mode == "LA"
    check(data, np.asarray(image.convert("RGBA")))


@pytest.mark.parametrize("apart", [False, True], ids=["contiguous", "apart"])
@pytest.mark.parametrize("depth", ["uint8", "uint16"])
def test_grey_where_0_is_white_and_alpha(depth, apart):
    pixels = noise(2, depth)
    data = laid(pixels, apart, photometric="miniswhite")
    check(data, spread(int(encoders.WHITE[depth]) - pixels[:, :, 0], pixels[:, :, 1]))


@pytest.mark.parametrize("apart", [False, True], ids=["contiguous", "apart"])
@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32"])
def test_associated_alpha_of_grey_is_divided_out(depth, apart):
    straight, white = noise(2, depth), encoders.WHITE[depth]
    alpha = straight[:, :, 1] / white
    multiplied = straight[:, :, 0] * alpha
    multiplied = (multiplied if depth == "float32" else np.rint(multiplied)).astype(depth)
    wanted = (multiplied / np.where(alpha > 0, alpha, np.inf)).clip(0, white)
    data = laid(np.dstack([multiplied, straight[:, :, 1]]), apart, extrasamples=["assocalpha"])
    check(data, spread(wanted, straight[:, :, 1]), bound=1e-5 if depth == "float32" else 0.51)


@pytest.mark.parametrize("apart", [False, True], ids=["contiguous", "apart"])
def test_a_channel_beside_grey_that_is_no_alpha_is_left_out_and_told(apart):
    data = laid(noise(2), apart, extrasamples=["unspecified"])
    check(data, noise(2)[:, :, 0])
    assert codecs.decode(data).remarks == [("alpha", "a channel beside its colours was not read")]


def indexed(colours: Any, pixels: Any, apart: bool, **options: Any) -> bytes:
    """Grey and alpha become an index and alpha: tifffile writes no palette with a second channel."""
    table = (PALETTE, 3, colours.size, colours.T.astype(np.uint16).ravel().tolist(), True)
    return patched(laid(pixels, apart, extratags=[table], **options), PHOTOMETRIC, 3)


@pytest.mark.parametrize("scale", [1, 257], ids=["colours of 8 bits", "of 16"])
@pytest.mark.parametrize("apart", [False, True], ids=["contiguous", "apart"])
@pytest.mark.parametrize("layout", GREY_LAYOUTS)
def test_a_palette_and_alpha(layout, apart, scale):
    colours, pixels = palette(256), noise(2, size=SIZE)
    data = indexed(colours.astype(np.uint16) * scale, pixels, apart, **GREY_LAYOUTS[layout])
    check(data, np.dstack([colours[pixels[:, :, 0]], pixels[:, :, 1]]))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", GREY_LAYOUTS)
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("depth", ["uint8", "uint16", "float32", "float64"])
def test_colours_that_are_stored_apart(depth, channels, layout, order):
    if "float" in depth and "predict" in layout:
        layout = "strips"
    pixels = noise(channels, "float32" if depth == "float64" else depth, SIZE)
    data = laid(pixels.astype(depth), True, byteorder=order, **GREY_LAYOUTS[layout])
    check(data, pixels)


def test_each_page_of_grey_and_alpha_is_read():
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for seed in (1, 2):
            for kind, options in ((2, {"extrasamples": ["unassalpha"]}), (3, {"photometric": "rgb"})):
                pixels = noise(kind, seed=seed)
                writer.write(pixels, metadata=None, planarconfig="contig", **options)
    frames = codecs.decode(buffer.getvalue(), pages="all").frames
    for number, seed in enumerate((1, 2)):
        pixels = noise(2, seed=seed)
        assert np.array_equal(rgb(frames[2 * number]), spread(pixels[:, :, 0], pixels[:, :, 1]))
        assert np.array_equal(rgb(frames[2 * number + 1]), noise(3, seed=seed))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (patched(laid(noise(2), False), PACKING, 7), "as JPEG"),
        (laid(noise(2, "float32").astype(np.float64), False), "of 64 bits, floating, with a channel beside"),
        (
            patched(laid(noise(2, "uint16"), False, compression="zlib", predictor=True), PREDICTOR, 3),
            "with predictor 3",
        ),
        (indexed(palette(256), noise(2), False, extrasamples=["assocalpha"]), "was multiplied by alpha"),
    ],
    ids=["JPEG", "64", "predictor", "palette"],
)
def test_what_cannot_be_told_apart_is_refused(data, reason):
    message = refused(data)
    assert message.startswith("not supported")
    assert reason in message
