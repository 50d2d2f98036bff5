"""Files that say they are more than they are: each refused before it costs anything, or done within reason.

Every bomb is made by hand here, or by one change to a file of `good_files`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from PIL import Image

from tests.good_files import Good, chunk, good_files, png, rle8, saved
from tests.mutations import box_parts, boxes_of, jpeg_parts, riff_of, riff_parts

#: What may become of it: ``done``, or one of `errors.Kind`.
LARGE, UNREADABLE, TRUNCATED, DONE = "too_large", "unreadable", "truncated", "done"


@dataclass(frozen=True)
class Bomb:
    """A file, and what may become of it."""

    name: str
    data: bytes
    ends: tuple[str, ...]


@cache
def bombs() -> tuple[Bomb, ...]:
    """All of them."""
    makers = (_jpegs, _pngs, _apngs, _gifs, _bmps, _tiffs, _webps, _avifs, _jp2s, _pnms)
    return tuple(bomb for maker in makers for bomb in maker())


def good(name: str) -> bytes:
    return next(file.data for file in good_files() if file.name == name)


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


# --- JPEG ---------------------------------------------------------------------------------------


def _jpegs() -> Iterator[Bomb]:
    colour, progressive = good("colour.jpg"), good("progressive.jpg")
    sizes = {"jpeg-huge": (65500, 65500), "jpeg-wide": (65535, 1), "jpeg-empty": (0, 28)}
    for name, (height, width) in sizes.items():
        at = colour.index(b"\xff\xc0") + 5
        ends = (LARGE,) if height * width > 10**8 else (UNREADABLE, TRUNCATED)
        yield Bomb(f"{name}.jpg", _patched(colour, at, struct.pack(">HH", height, width)), ends)
    *parts, end = jpeg_parts(progressive)
    scan = next(part for part in reversed(parts) if part[1] == 0xDA)
    yield Bomb("jpeg-scans.jpg", b"\xff\xd8" + b"".join(parts) + scan * 5000 + end, (LARGE,))
    tall = _patched(progressive, progressive.index(b"\xff\xc2") + 5, struct.pack(">HH", 9000, 9000))
    *parts, end = jpeg_parts(tall)
    yield Bomb("jpeg-passes.jpg", b"\xff\xd8" + b"".join(parts) + scan * 100 + end, (LARGE,))
    base, *_ = [part for part in jpeg_parts(colour) if part[1] == 0xDA]
    single = base[:4] + b"\1" + base[5:7] + base[-3:]
    *parts, end = [part for part in jpeg_parts(colour) if part[1] != 0xDA]
    repeated = b"\xff\xd8" + b"".join(parts) + single * 5000 + end
    yield Bomb("jpeg-scans-baseline.jpg", repeated, (LARGE, UNREADABLE))
    fill = b"\xff" * 1_000_000
    yield Bomb("jpeg-fill.jpg", b"\xff\xd8" + fill + colour[2:], (DONE,))
    yield Bomb("jpeg-segments.jpg", b"\xff\xd8" + b"\xff\xfe\0\2" * 100_000 + colour[2:], (UNREADABLE,))
    yield Bomb("jpeg-short-length.jpg", b"\xff\xd8\xff\xe1\0\0" + colour[2:], (UNREADABLE, DONE))
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + b"\xff\xff" + b"\1\x12\0\3\0\0\0\1\0\6\0\0" * 5000
    block = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    yield Bomb("jpeg-exif-count.jpg", b"\xff\xd8" + block + colour[2:], (DONE,))
    loop = b"Exif\0\0II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\x08\0\0\0"
    block = b"\xff\xe1" + struct.pack(">H", len(loop) + 2) + loop
    yield Bomb("jpeg-exif-loop.jpg", b"\xff\xd8" + block + colour[2:], (DONE,))


# --- PNG ----------------------------------------------------------------------------------------


def _ihdr(width: int, height: int, bits: int = 8, kind: int = 0, interlaced: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced))


def _pngs() -> Iterator[Bomb]:
    grey = good("grey.png")
    few = chunk(b"IDAT", zlib.compress(b"\0"))
    for name, (width, height, bits, kind) in {
        "png-bits": (32768, 32768, 1, 0),
        "png-huge": (2**31 - 1, 2**31 - 1, 16, 6),
        "png-wide": (2**31 - 1, 1, 8, 2),
        "png-negative": (2**31, 1, 8, 2),
    }.items():
        ends = (UNREADABLE,) if name == "png-negative" else (LARGE,)
        yield Bomb(f"{name}.png", png(_ihdr(width, height, bits, kind), few), ends)
    yield Bomb("png-few.png", png(_ihdr(9999, 9999, 16, 6), few), (UNREADABLE,))
    yield Bomb("png-few-interlaced.png", png(_ihdr(9999, 9999, 16, 6, 1), few), (UNREADABLE,))
    yield Bomb("png-46-bytes.png", png(_ihdr(9999, 9999))[:46], (TRUNCATED, UNREADABLE))
    yield Bomb("png-length.png", _patched(grey, 33, struct.pack(">I", 2**31)), (UNREADABLE,))
    yield Bomb("png-length-31.png", _patched(grey, 33, struct.pack(">I", 2**31 - 1)), (TRUNCATED,))
    bomb = zlib.compress(bytes(64 << 20), 1)
    for text in (b"iCCP", b"zTXt", b"iTXt"):
        keyword = b"XML:com.adobe.xmp\0\1\0\0\0" if text == b"iTXt" else b"name\0\0"
        data = grey[:33] + chunk(text, keyword + bomb) + grey[33:]
        yield Bomb(f"png-{text.decode()}.png", data, (DONE,))
    packed = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(15 << 20), 9))
    yield Bomb("png-iTXt-many.png", grey[:33] + packed * 50 + grey[33:], (DONE,))
    yield Bomb("png-chunks.png", grey[:33] + chunk(b"tEXt") * 100_000 + grey[33:], (UNREADABLE,))
    yield Bomb("png-IDATs.png", grey[:33] + chunk(b"IDAT") * 100_000 + grey[33:], (UNREADABLE,))
    yield Bomb("png-critical.png", grey[:33] + chunk(b"EVIL", b"1") + grey[33:], (UNREADABLE,))
    yield Bomb("png-long-pixels.png", png(_ihdr(8, 8), chunk(b"IDAT", bomb)), (UNREADABLE,))
    huge = _patched(good("palette.png"), 8, _ihdr(28, 20, 8, 3))
    yield Bomb("png-no-palette.png", huge.replace(b"PLTE", b"plTe"), (UNREADABLE,))


def _fctl(number: int, width: int = 28, height: int = 20, left: int = 0, top: int = 0) -> bytes:
    return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, left, top, 1, 10, 0, 0))


def _apngs() -> Iterator[Bomb]:
    grey = good("grey.png")
    head, pixels = grey[:33], grey[33:-12]
    packed = zlib.compress(bytes(29 * 20))
    data = chunk(b"fdAT", struct.pack(">I", 2) + packed)
    for name, frames, middle in (
        ("no-frames", 0, b""),
        ("many", 2**31 - 1, b""),
        ("missing", 3, _fctl(0)),
        ("order", 2, _fctl(0) + data + _fctl(1)),
        ("doubled", 2, _fctl(0) + _fctl(0)),
        ("outside", 1, _fctl(0, 29, 20)),
        ("overflow", 1, _fctl(0, 28, 20, 2**32 - 1, 0)),
        ("empty", 1, _fctl(0, 0, 0)),
    ):
        animation = chunk(b"acTL", struct.pack(">II", frames, 0))
        ends = (LARGE,) if name == "many" else (UNREADABLE,)
        yield Bomb(f"apng-{name}.png", head + animation + middle + pixels + grey[-12:], ends)
    more = b"".join(
        _fctl(2 * n + 1) + chunk(b"fdAT", struct.pack(">I", 2 * n + 2) + packed) for n in range(9999)
    )
    animation = chunk(b"acTL", struct.pack(">II", 10_000, 0))
    yield Bomb("apng-long.png", head + animation + _fctl(0) + pixels + more + grey[-12:], (DONE, UNREADABLE))


# --- GIF, BMP -----------------------------------------------------------------------------------


def _gifs() -> Iterator[Bomb]:
    screen = b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6)
    image = b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0)
    yield Bomb("gif-35-bytes.gif", screen + image + b"\2\0;", (LARGE,))
    small = b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0x80, 0, 0) + bytes(6)
    yield Bomb("gif-outside.gif", small + image + b"\2\0;", (UNREADABLE,))
    one = b"," + struct.pack("<HHHHB", 0, 0, 9, 9, 0)
    yield Bomb("gif-no-pixels.gif", small + one + b"\2\0;", (UNREADABLE, TRUNCATED))
    yield Bomb("gif-wide-codes.gif", small + one + b"\x0c\1\0\0;", (UNREADABLE,))
    frame = one + b"\2\2\x4c\1\0"
    yield Bomb("gif-frames.gif", small + frame * 20_000 + b";", (LARGE,))
    comments = b"!\xfe\0" * 100_000
    yield Bomb("gif-comments.gif", small + comments + frame + b";", (UNREADABLE, DONE))
    pieces = b"\2" + b"\1\0" * 200_000 + b"\0"
    yield Bomb("gif-pieces.gif", small + one + pieces + b";", (UNREADABLE, DONE))


def _bmps() -> Iterator[Bomb]:
    colour = good("colour.bmp")
    huge = struct.pack("<ii", 60_000, 60_000)
    yield Bomb("bmp-huge.bmp", _patched(colour, 18, huge), (TRUNCATED, LARGE))
    yield Bomb("bmp-negative.bmp", _patched(colour, 18, struct.pack("<ii", 28, -(2**31))), (TRUNCATED, LARGE))
    yield Bomb("bmp-minus.bmp", _patched(colour, 18, struct.pack("<ii", -28, 20)), (UNREADABLE,))
    yield Bomb("bmp-start.bmp", _patched(colour, 10, struct.pack("<I", 2**32 - 1)), (TRUNCATED,))
    yield Bomb(
        "bmp-colours.bmp", _patched(good("grey.bmp"), 46, struct.pack("<I", 2**31)), (UNREADABLE, DONE)
    )
    yield Bomb("rle-huge.bmp", rle8(b"\0\1", 60_000, 60_000), (LARGE,))
    for name, runs, ends in (
        ("early", b"\x1c\7\0\0" * 4, (TRUNCATED,)),
        ("early-run", b"\x1c\7\0\0" * 4 + b"\5", (TRUNCATED,)),
        ("early-pixels", b"\0\x10\1\2\3", (TRUNCATED,)),
        ("over-row", b"\xff\7" * 20 + b"\0\1", (UNREADABLE, DONE)),
        ("over-end", b"\x1c\7\0\0" * 100 + b"\0\1", (UNREADABLE, DONE)),
        ("jump", b"\0\2\xff\xff\x1c\7\0\1", (UNREADABLE, DONE)),
        ("jumps", b"\0\2\xff\xff" * 5000 + b"\x1c\7\0\1", (UNREADABLE, DONE)),
        ("nothing", b"", (TRUNCATED,)),
    ):
        yield Bomb(f"rle8-{name}.bmp", rle8(runs), ends)
        yield Bomb(f"rle4-{name}.bmp", rle8(runs, packing=2, bits=4), ends)


# --- TIFF ---------------------------------------------------------------------------------------


def tiff(*pages: dict[int, tuple[int, int, int]], tail: bytes = b"", following: int | None = None) -> bytes:
    """A little-endian TIFF: of each page its fields by tag, as type, count and value; ``tail`` stands behind
    the header, at byte 8."""
    found = bytearray(b"II*\0" + struct.pack("<I", 8 + len(tail)) + tail)
    packed = {id(fields): _directory(fields) for fields in pages}  # many pages may be one
    for number, fields in enumerate(pages, 1):
        found += packed[id(fields)]
        link = len(found) + 4 if number < len(pages) else following or 0
        found += struct.pack("<I", link)
    return bytes(found)


def _directory(fields: dict[int, tuple[int, int, int]]) -> bytes:
    rows = (struct.pack("<HHII", tag, *fields[tag]) for tag in sorted(fields))
    return struct.pack("<H", len(fields)) + b"".join(rows)


def _grey(width: int, height: int, **more: tuple[int, int, int]) -> dict[int, tuple[int, int, int]]:
    """The fields of a grey page whose pixels stand at byte 8; ``more`` are fields by ``t`` and their tag."""
    plain = {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, 8),
        259: (3, 1, 1),
        262: (3, 1, 1),
        273: (4, 1, 8),
        277: (3, 1, 1),
        278: (4, 1, height),
        279: (4, 1, width * height),
    }
    return plain | {int(tag[1:]): field for tag, field in more.items()}


def _tiffs() -> Iterator[Bomb]:
    pixels = bytes(range(64))
    page = _grey(8, 8)
    yield Bomb("tiff-huge.tif", tiff(_grey(2**31, 2**31, t279=(4, 1, 64)), tail=pixels), (LARGE, UNREADABLE))
    yield Bomb("tiff-wide.tif", tiff(_grey(10**7, 1, t279=(4, 1, 64)), tail=pixels), (LARGE, UNREADABLE))
    yield Bomb("tiff-loop.tif", tiff(page, tail=pixels, following=72), (UNREADABLE,))
    yield Bomb("tiff-itself.tif", b"II*\0\4\0\0\0" + pixels, (UNREADABLE, TRUNCATED))
    yield Bomb("tiff-no-directory.tif", b"II*\0\0\0\0\0", (UNREADABLE,))
    yield Bomb("tiff-fields.tif", b"II*\0\x08\0\0\0\xff\xff" + bytes(12 * 65535 + 4), (UNREADABLE,))
    yield Bomb("tiff-pages.tif", tiff(*[page] * 100_000, tail=pixels), (LARGE,))
    yield Bomb("tiff-on-top.tif", _directories_on_top(), (UNREADABLE,))
    reduced = tiff(_grey(8, 8, t254=(4, 1, 1)), page, *[_grey(9000, 9000)] * 500, tail=pixels)
    yield Bomb("tiff-pages-unasked.tif", reduced, (DONE, TRUNCATED))
    for name, fields, ends in (
        ("count", {"t273": (4, 2**31, 8)}, (TRUNCATED, UNREADABLE)),
        ("count-overflow", {"t273": (4, 2**30 + 1, 8)}, (TRUNCATED, UNREADABLE)),
        ("size-overflow", {"t279": (4, 1, 2**32 - 1)}, (TRUNCATED,)),
        ("start", {"t273": (4, 1, 2**32 - 1)}, (TRUNCATED,)),
        ("no-strips", {"t273": (4, 0, 0)}, (UNREADABLE,)),
        ("rows", {"t278": (4, 1, 2**31)}, (DONE,)),
        ("rows-none", {"t278": (4, 1, 0)}, (UNREADABLE,)),
        ("samples", {"t277": (3, 1, 65535)}, (UNREADABLE,)),
        ("bits", {"t258": (3, 1, 65535)}, (UNREADABLE,)),
        ("tiles", {"t322": (4, 1, 2**31), "t323": (4, 1, 2**31), "t324": (4, 1, 8)}, (UNREADABLE,)),
        ("tiles-none", {"t322": (4, 1, 0), "t323": (4, 1, 0), "t324": (4, 1, 8)}, (UNREADABLE,)),
        ("type", {"t256": (99, 1, 8)}, (UNREADABLE,)),
        ("apart", {"t277": (3, 1, 3), "t262": (3, 1, 2), "t284": (3, 1, 2)}, (UNREADABLE,)),
    ):
        yield Bomb(f"tiff-{name}.tif", tiff(_grey(8, 8, **fields), tail=pixels), ends)
    yield Bomb("tiff-overlap.tif", _strips_on_top(), (UNREADABLE,))
    small = saved(Image.new("L", (8, 8)), "JPEG")
    others = (("fax", 2), ("fax3", 3), ("fax4", 4), ("jpeg", 7))
    for name, packing in (("lzw", 5), ("deflate", 8), ("packbits", 32773), *others):
        packed = {8: zlib.compress(bytes(1 << 20)), 7: small}.get(packing, b"\x80\0\1" * 8)
        bits = 1 if packing < 5 else 8
        large = _grey(9999, 9999, t258=(3, 1, bits), t259=(3, 1, packing), t279=(4, 1, len(packed)))
        yield Bomb(f"tiff-{name}.tif", tiff(large, tail=packed), (UNREADABLE, TRUNCATED))
        unsaid = {tag: field for tag, field in large.items() if tag != 279}
        yield Bomb(f"tiff-{name}-unsaid.tif", tiff(unsaid, tail=packed), (UNREADABLE, TRUNCATED))
    yield Bomb("tiff-small-tiles.tif", _small_tiles(), (UNREADABLE,))
    big = b"II+\0\x08\0\0\0" + struct.pack("<Q", 16)
    yield Bomb("bigtiff-fields.tif", big + struct.pack("<Q", 2**63) + bytes(64), (UNREADABLE, TRUNCATED))


def _small_tiles() -> bytes:
    """A million tiles of one pixel, which is the same one."""
    count = 1_000_000
    places = {"t324": (4, count, 16), "t322": (4, 1, 1), "t323": (4, 1, 1)}
    page = {tag: field for tag, field in _grey(1000, 1000, **places).items() if tag not in (273, 278, 279)}
    return tiff(page, tail=struct.pack("<I", 8) * (count + 2))


def _directories_on_top() -> bytes:
    """9,000 directories of 4,000 fields in 84 KB: each begins four bytes behind the one before."""
    fields, count = 4000, 9_000
    links = 2 + 12 * fields
    data = bytearray(b"II*\0" + struct.pack("<I", 8))
    data += struct.pack("<HH", fields, fields) * (links // 4)
    data += bytes(4 * count + 8)
    for number in range(count - 1):  # the last one links to nothing
        struct.pack_into("<I", data, 8 + links + 4 * number, 12 + 4 * number)
    return bytes(data)


def _strips_on_top() -> bytes:
    """2,000 rows, each of them a strip that is 1 MB long: the same one."""
    count, size = 2000, 1 << 20
    tail = bytes(size) + struct.pack("<I", 8) * count + struct.pack("<I", size) * count
    places = {"t273": (4, count, 8 + size), "t279": (4, count, 8 + size + 4 * count), "t278": (4, 1, 1)}
    return tiff(_grey(100, count, **places), tail=tail)


# --- WebP, AVIF, JPEG 2000, PNM -----------------------------------------------------------------


def _webps() -> Iterator[Bomb]:
    lossy, lossless, moving = good("lossy.webp"), good("lossless.webp"), good("moving.webp")
    canvas = b"VP8X" + bytes((2, 0, 0, 0)) + b"\xff" * 6
    yield Bomb("webp-canvas.webp", riff_of([canvas, *riff_parts(moving)[1:]]), (LARGE,))
    still = b"VP8X" + bytes(4) + b"\xff" * 6
    yield Bomb("webp-canvas-still.webp", riff_of([still, *riff_parts(lossy)]), (LARGE,))
    yield Bomb("webp-lossy-huge.webp", _patched(lossy, 26, b"\xff\x3f\xff\x3f"), (LARGE,))
    yield Bomb("webp-lossless-huge.webp", _patched(lossless, 21, b"\xff\xff\xff\x0f"), (LARGE,))
    yield Bomb("webp-size.webp", _patched(lossy, 4, b"\xff\xff\xff\xff"), (TRUNCATED,))
    yield Bomb("webp-chunk.webp", _patched(lossy, 16, b"\xff\xff\xff\x7f"), (UNREADABLE, TRUNCATED))
    frame = next(part for part in riff_parts(moving) if part[:4] == b"ANMF")
    before = [part for part in riff_parts(moving) if part[:4] != b"ANMF"]
    yield Bomb("webp-frames.webp", riff_of([*before, *[frame] * 12_000]), (DONE, LARGE))
    yield Bomb("webp-chunks.webp", riff_of([*riff_parts(lossy), *[b"junk"] * 100_000]), (UNREADABLE, DONE))


def _avifs() -> Iterator[Bomb]:
    colour, moving = good("colour.avif"), good("moving.avif")
    at = colour.index(b"ispe") + 8
    for name, sides in (("huge", (2**32 - 1, 2**32 - 1)), ("wide", (2**20 + 1, 1)), ("none", (0, 20))):
        ends = (UNREADABLE,) if name == "none" else (LARGE,)
        yield Bomb(f"avif-{name}.avif", _patched(colour, at, struct.pack(">II", *sides)), ends)
    at = moving.index(b"stts") + 12
    yield Bomb("avif-times.avif", _patched(moving, at, struct.pack(">I", 2**32 - 1)), (LARGE,))
    at = moving.index(b"stsz") + 12
    yield Bomb("avif-samples.avif", _patched(moving, at, struct.pack(">I", 2**32 - 1)), (LARGE,))
    at = colour.index(b"iloc")
    places = bytes((1, 0, 0, 0, 0, 0)) + struct.pack(">H", 5000) + (b"\0\1\0\0\0\0\xff\xff") * 5000
    box = struct.pack(">I", 8 + len(places)) + b"iloc" + places
    inside = colour[: at - 4] + box + colour[at - 4 + int.from_bytes(colour[at - 4 : at], "big") :]
    meta = inside.index(b"meta") - 4
    grown = int.from_bytes(inside[meta : meta + 4], "big") + len(inside) - len(colour)
    yield Bomb("avif-pieces.avif", _patched(inside, meta, struct.pack(">I", grown)), (UNREADABLE,))
    yield Bomb("avif-box.avif", _patched(colour, 0, struct.pack(">I", 2**31)), (TRUNCATED, UNREADABLE))
    parts = box_parts(colour)
    boxes = boxes_of([parts[0], *[b"free"] * 200_000, *parts[1:]])
    yield Bomb("avif-boxes.avif", boxes, (UNREADABLE,))
    yield Bomb("avif-bitstream.avif", _bitstream(), (UNREADABLE,))


def _bitstream() -> bytes:
    """2,000×2,000 pixels that are said to be 16×16."""
    data = saved(Image.new("RGB", (2000, 2000)), "AVIF", speed=10, quality=10)
    return _patched(data, data.index(b"ispe") + 8, struct.pack(">II", 16, 16))


def _jp2s() -> Iterator[Bomb]:
    colour = good("colour.jp2")
    size, coding = colour.index(b"\xff\x51"), colour.index(b"\xff\x52")

    def sized(*sides: int) -> bytes:
        return _patched(colour, size + 6, struct.pack(">6I", *sides))

    yield Bomb("jp2-huge.jp2", sized(2**31, 2**31, 0, 0, 2**31, 2**31), (LARGE, UNREADABLE))
    yield Bomb("jp2-large.jp2", sized(9999, 9999, 0, 0, 9999, 9999), (UNREADABLE, DONE))
    yield Bomb("jp2-tiles.jp2", sized(9999, 9999, 0, 0, 1, 1), (LARGE,))
    yield Bomb("jp2-tiles-missing.jp2", sized(9999, 6000, 0, 0, 100, 10), (UNREADABLE,))
    yield Bomb("jp2-no-tile.jp2", sized(28, 20, 0, 0, 0, 0), (UNREADABLE,))
    yield Bomb("jp2-outside.jp2", sized(28, 20, 29, 21, 28, 20), (UNREADABLE,))
    yield Bomb("jp2-layers.jp2", _patched(colour, coding + 6, b"\xff\xff"), (UNREADABLE,))
    yield Bomb("jp2-channels.jp2", _patched(colour, size + 38, b"\xff\xff"), (UNREADABLE,))
    precincts = bytearray(sized(9999, 9999, 0, 0, 9999, 9999))
    levels = precincts[coding + 9]
    precincts[coding + 4] |= 1
    precincts[coding + 14 : coding + 14] = b"\x11" * (levels + 1)
    struct.pack_into(">H", precincts, coding + 2, 13 + levels)
    box = precincts.index(b"jp2c") - 4
    struct.pack_into(">I", precincts, box, len(precincts) - box)
    yield Bomb("jp2-precincts.jp2", bytes(precincts), (UNREADABLE,))


def _pnms() -> Iterator[Bomb]:
    yield Bomb("pnm-huge.ppm", b"P6 9999999999 9999999999 255\n" + bytes(99), (TRUNCATED, LARGE))
    yield Bomb("pnm-digits.pgm", b"P5 " + b"9" * 100_000 + b" 1 255\n", (UNREADABLE,))
    yield Bomb("pnm-blanks.pgm", b"P5" + b" " * 2_000_000, (TRUNCATED, UNREADABLE))
    yield Bomb("pnm-comments.pgm", b"P5" + b"#\n" * 1_000_000, (TRUNCATED, UNREADABLE))
    yield Bomb("pnm-text.pgm", b"P2 1000 1000 255\n" + b"0 " * 999_999 + b"x ", (UNREADABLE,))
    yield Bomb("pnm-number.pgm", b"P2 1 1 255\n" + b"9" * 1_000_000, (UNREADABLE,))
    yield Bomb("pnm-minus.pgm", b"P2 1 1 255\n-1\n", (UNREADABLE,))
    yield Bomb("pnm-white.pgm", b"P5 1 1 65536\n\0\0", (UNREADABLE,))
    yield Bomb("pam-header.pam", b"P7\n" + b"A B\n" * 500_000, (UNREADABLE, TRUNCATED))
    yield Bomb("pfm-scale.pfm", b"PF 1 1 " + b"9" * 5000 + b"\n", (UNREADABLE,))
    yield Bomb("pfm-nan.pfm", b"Pf\n1 1\n-1.0\n" + struct.pack("<f", float("nan")), (DONE,))


def disguised() -> Iterator[Bomb]:
    """Files that are no image, or not the one their suffix says."""
    zipped = b"PK\3\4\x14\0\0\0\x08\0" + bytes(200)
    elf = b"\x7fELF\2\1\1" + bytes(500)
    html = b"<!DOCTYPE html><html><body>404</body></html>"
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="99999" height="99999"/>'
    exr, hdr = b"v/1\1" + bytes(300), b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 9999 +X 9999\n"
    sun, icon = b"\x59\xa6\x6a\x95" + bytes(60), b"\0\0\1\0" + bytes(60)
    files = {
        "zip": zipped,
        "elf": elf,
        "html": html,
        "svg": svg,
        "exr": exr,
        "hdr": hdr,
        "sun": sun,
        "ico": icon,
    }
    files |= {"empty": b"", "one": b"\xff", "text": b"no picture\n" * 50, "zeros": bytes(5000)}
    for suffix in ("jpg", "png", "webp", "tif", "bmp", "gif", "avif", "jp2", "ppm"):
        for name, data in files.items():
            yield Bomb(f"{name}.{suffix}", data, (UNREADABLE,))


def renamed(files: tuple[Good, ...]) -> Iterator[tuple[str, Good]]:
    """Sound files under the suffix of another format, which is the format of the output then."""
    for number, file in enumerate(files):
        suffix = ("png", "tif", "bmp")[number % 3]
        yield f"renamed-{file.name.replace('.', '-')}.{suffix}", file
