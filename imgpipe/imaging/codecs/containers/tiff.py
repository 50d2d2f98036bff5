"""TIFF and BigTIFF: the directories of all pages. Adobe, *TIFF Revision 6.0*; *BigTIFF*, AWare Systems.

Everything in a TIFF is found by an offset, so the same bytes can be used any number of times: ten thousand
directories in 100 KB, or a thousand strips that are all the file's largest one. A sound file uses its bytes
about once, and no other is read (`Reader`, `_within_reason`).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import add

from imgpipe import limits
from imgpipe.errors import ImageError, Kind
from imgpipe.imaging.codecs.containers.header import Header, damaged, reading, truncated, unsupported
from imgpipe.imaging.codecs.containers.metadata import Metadata, orientation

_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
_VALUES_MAX = 1 << 20  # strips or tiles of a page: 1 << 20 rows is the most there can be
SUBFILE, WIDTH, HEIGHT, BITS, PACKING, PHOTOMETRIC, ORIENTATION = 254, 256, 257, 258, 259, 262, 274
SAMPLES, ROWS, PLANAR, PREDICTOR, COLOURS, EXTRA, FORMAT = 277, 278, 284, 317, 320, 338, 339
XMP, ICC = 700, 34675
IPTC, EXIF, GPS, _SUB_DIRECTORIES = 33723, 34665, 34853, 330
# Values of FORMAT: signed numbers and complex ones are the others.
UNSIGNED, FLOATING, NOT_SAID, DIFFERING = 1, 3, 4, -1
TILE_WIDTH, TILE_HEIGHT = 322, 323
STRIPS, TILES = (273, 279), (324, 325)  # starts and sizes
# How many times smaller than pixels strips can be: of LZW, 3,837 codes of 12 bits make 7 MB before the table
# is full; of JPEG, a block of 64 pixels takes a bit at the least. OpenCV makes what is not there black, as a
# success, and takes memory for it.
_PACKED_MAX = {1: 1, 5: 2048, 7: 1024, 8: 1032, 32946: 1032, 32773: 64}
_FAX = (2, 3, 4)
_TILES_FREE, _TILE_BYTES = 10_000, 32  # 16 × 16 pixels of a bit: TIFF 6.0 has none smaller
_APART = 2  # value of PLANAR: each channel has strips of its own
_USES_MAX = 4  # times a file's bytes may be used: some tags are asked for twice, and blank tiles are shared
_USES_FREE = 64 << 20  # bytes that may be used beyond that: even decompressing them takes no second
_TILE_SIDE_FREE = 4096  # pixels: no larger tile than this in a smaller picture
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, UNSAID = 0, 1, 2, 3, 5, 6, -1
ASSOCIATED, UNASSOCIATED = 1, 2
UNPACKED, _PREDICTED = 1, (5, 8, 32946)  # LZW, deflate


@dataclass(frozen=True, slots=True)
class Entry:
    """One field of a directory: its type, how many values, where the field and its values stand."""

    kind: int
    count: int
    field: int
    at: int

    @property
    def numbers(self) -> bool:
        """Its values are whole numbers."""
        return self.kind in _CODES


@dataclass(frozen=True, slots=True)
class Page:
    """One directory, where it is, and the numbers in it that matter here."""

    at: int
    entries: Mapping[int, Entry]
    width: int
    height: int
    bits: int
    format: int
    samples: int
    photometric: int
    extra: tuple[int, ...]
    reduced: bool
    packing: int
    predictor: int
    apart: bool
    tile: tuple[int, int]  # width and height, 0 for none
    turned: int  # 0 where its tag does not say

    @property
    def floating(self) -> bool:
        return self.format == FLOATING

    @property
    def grey(self) -> bool:
        return self.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO)

    @property
    def colours(self) -> int:
        """How many channels its colours are in."""
        return 1 if self.grey or self.photometric == PALETTE else 4 if self.photometric == CMYK else 3

    @property
    def alpha(self) -> bool:
        """The first channel behind the colours is alpha. Where nothing says what it is, that of RGB is, as
        for Pillow; where it is "unspecified", it is not."""
        if self.samples == self.colours or self.photometric in (CMYK, YCBCR):
            return False
        unsaid = self.photometric == RGB and not self.extra
        return unsaid or self.extra[:1] in ((ASSOCIATED,), (UNASSOCIATED,))

    @property
    def associated(self) -> bool:
        """Colours have been multiplied by alpha."""
        return self.alpha and self.extra[:1] == (ASSOCIATED,)

    @property
    def predicted(self) -> bool:
        """Its samples are differences: TIFF 6.0, section 14. Others than these packings have no predictor."""
        return self.predictor > 1 and self.packing in _PREDICTED

    @property
    def tiled(self) -> bool:
        return TILE_WIDTH in self.entries

    @property
    def row(self) -> int:
        """Bytes of a row of pixels, or of a row of one channel where each is stored apart."""
        return self._bytes(self.width)

    @property
    def tile_row(self) -> int:
        """Bytes of a row of a tile."""
        return self._bytes(self.tile[0])

    def _bytes(self, width: int) -> int:
        return -(-width * self.bits * (1 if self.apart else self.samples) // 8)

    def places(self, reader: Reader) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Where its strips or tiles are, and of how many bytes each is; the latter may be missing."""
        starts, sizes = TILES if self.tiled else STRIPS
        return reader.values(self.entries.get(starts)), reader.values(self.entries.get(sizes))


class Reader:
    """Numbers out of a TIFF, in its byte order and its width; in all not many more than it has bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._left = _USES_MAX * len(data)
        self.order = "<" if data[:2] == b"II" else ">"
        (version,) = struct.unpack_from(self.order + "H", data, 2)
        self.big = version == 43
        self.link = 8 if self.big else 4
        self.first: int = self.one("Q" if self.big else "I", self.link)

    def one(self, code: str, at: int) -> int:
        (value,) = struct.unpack_from(self.order + code, self.data, at)
        return int(value)

    def _fields(self, at: int) -> tuple[int, int, int]:
        """Where the fields of the directory there begin, how many there are, how long each is."""
        head, code, width = (8, "Q", 20) if self.big else (2, "H", 12)
        count = self.one(code, at)
        if count > 4096:
            raise damaged(f"a directory of {count} fields")
        return at + head, count, width

    def following(self, at: int) -> int:
        """Where the next directory is."""
        start, count, width = self._fields(at)
        return self.one("Q" if self.big else "I", start + width * count)

    def directory(self, at: int) -> dict[int, Entry]:
        """The fields of the directory there, by tag."""
        start, count, width = self._fields(at)
        word = "Q" if self.big else "I"
        self._use(_USES_MAX * width * count)  # these are never shared
        entries: dict[int, Entry] = {}
        for field in range(start, start + width * count, width):
            tag, kind = struct.unpack_from(self.order + "HH", self.data, field)
            number = self.one(word, field + 4)
            value = field + (12 if self.big else 8)
            inside = number * _SIZES.get(kind, 1) <= (8 if self.big else 4)
            entries.setdefault(tag, Entry(kind, number, field, value if inside else self.one(word, value)))
        return entries

    def values(self, entry: Entry | None, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """All values of a field of whole numbers."""
        if entry is None:
            return default
        if entry.count > _VALUES_MAX or not entry.numbers:
            raise damaged("a field of an impossible type or length")
        self._use(entry.count)
        return struct.unpack_from(f"{self.order}{entry.count}{_CODES[entry.kind]}", self.data, entry.at)

    def _use(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise damaged("its directories or their fields lie on top of each other")

    def field(self, entry: Entry) -> bytes:
        """A field as it stands in the directory; its values may be elsewhere."""
        return self.data[entry.field : entry.field + (20 if self.big else 12)]

    def octets(self, entry: Entry | None) -> bytes:
        if entry is None or entry.count > limits.METADATA_MAX:
            return b""
        return self.data[entry.at : entry.at + entry.count * _SIZES.get(entry.kind, 1)]


def header(data: bytes) -> Header:
    """What the directories say; ``details`` are those of all pages. `tiff_support.supported` is to follow.

    Raises
    ------
    ImageError
        ``truncated`` or ``unreadable``.
    """
    with reading(data):
        reader = Reader(data)
        pages = _shown(_pages(reader))
        _within_reason(data, sum(_there(reader, page) for page in pages))
        first = pages[0]
        entries = first.entries
        metadata = Metadata(b"", reader.octets(entries.get(ICC)), reader.octets(entries.get(XMP)))
        if first.photometric == CMYK:
            metadata = Metadata(b"", b"", metadata.xmp)
    return Header(
        first.width,
        first.height,
        floating=first.floating,
        grey=first.grey,
        frames=len(pages),
        orientation=first.turned or orientation(metadata),
        metadata=metadata,
        details=pages,
    )


def _pages(reader: Reader) -> list[Page]:
    at = reader.first
    seen: dict[int, None] = {}
    while at:  # first only from one to the next: a page takes 30 µs to read
        if at in seen:
            raise damaged("its directories go round in a circle")
        if len(seen) >= limits.PAGES_MAX:
            raise ImageError(Kind.TOO_LARGE, f"more than {limits.PAGES_MAX} pages")
        seen[at] = None
        at = reader.following(at)
    if not seen:
        raise damaged("no directory")
    return [_page(reader, at, reader.directory(at)) for at in seen]


def _shown(pages: list[Page]) -> list[Page]:
    """Those that are no smaller copies of others."""
    shown = [page for page in pages if not page.reduced]
    if not shown and any(_SUB_DIRECTORIES in page.entries for page in pages):
        raise unsupported("a TIFF whose picture is in a sub-directory of a smaller copy, as in DNG")
    return shown or pages[:1]


def _page(reader: Reader, at: int, entries: Mapping[int, Entry]) -> Page:
    def values(tag: int, default: int) -> tuple[int, ...]:
        return reader.values(entries.get(tag), (default,)) or (default,)

    bits, formats, samples = values(BITS, 1), values(FORMAT, 1), values(SAMPLES, 1)[0]
    apart = values(PLANAR, 1)[0] == _APART and samples > 1
    alike = len(set(bits)) == 1 == len(set(formats))
    return Page(
        at,
        entries,
        values(WIDTH, 0)[0],
        values(HEIGHT, 0)[0],
        bits[0],
        formats[0] if alike else DIFFERING,
        samples,
        values(PHOTOMETRIC, UNSAID)[0],
        reader.values(entries.get(EXTRA)),
        bool(values(SUBFILE, 0)[0] & 1),
        values(PACKING, UNPACKED)[0],
        values(PREDICTOR, 1)[0],
        apart,
        (values(TILE_WIDTH, 0)[0], values(TILE_HEIGHT, 0)[0]),
        _turned(values(ORIENTATION, 0)[0]) if ORIENTATION in entries else 0,
    )


def _turned(said: int) -> int:
    """An orientation that is none of TIFF 6.0, section 8, is upright: Pillow and libvips do the same."""
    return said if 1 <= said <= 8 else 1


def _there(reader: Reader, page: Page) -> int:
    """Refuse a page whose fields or pixels are not all there. The bytes of its strips or tiles together."""
    for entry in page.entries.values():
        if entry.at + entry.count * _SIZES.get(entry.kind, 1) > len(reader.data):
            raise truncated(reader.data)
    starts, sizes = page.places(reader)
    ends = map(add, starts, sizes) if sizes else starts
    if max(ends, default=0) > len(reader.data):
        raise truncated(reader.data)
    return sum(sizes)


def sound(reader: Reader, page: Page) -> None:
    """Refuse a page whose pixels cannot be that many, or for which OpenCV would take absurd memory."""
    if not page.width or not page.height:
        raise damaged("a page without size")
    number = places(reader, page) * (page.samples if page.apart else 1)
    starts, sizes = page.places(reader)
    if len(starts) < number or (sizes and len(sizes) < number):
        raise damaged(f"{len(starts)} strips or tiles where there should be {number}")
    there = sum(sizes) if sizes else len(reader.data)
    if there * 8 < _bits_min(page):
        raise damaged(f"{there} bytes for {page.width}×{page.height} pixels")
    if page.tiled and number > _TILES_FREE + len(reader.data) // _TILE_BYTES:
        raise damaged(f"{number} tiles in {len(reader.data)} bytes")
    if page.tiled and page.packing == UNPACKED and page.photometric != YCBCR:
        tile = page.tile_row * page.tile[1]
        if sizes and min(sizes[:number]) < tile:
            raise damaged(f"a tile of {min(sizes[:number])} bytes where there should be {tile}")
        if max(starts[:number]) + tile > len(reader.data):
            raise truncated(reader.data)


def _bits_min(page: Page) -> int:
    """In how many bits its pixels can be at the least, all together."""
    if page.packing in _FAX:
        return page.height  # ITU-T T.4 and T.6: of a row that is like the one before, one
    raw = page.height * ((page.width * page.samples * page.bits + 7) // 8) * 8
    if page.photometric == YCBCR:  # a third of it where two of three channels are hardly there
        raw //= 3
    return raw // _PACKED_MAX.get(page.packing, raw or 1)


def places(reader: Reader, page: Page) -> int:
    """How many strips or tiles each channel has, or all together."""
    return (_tiles if page.tiled else _strips)(reader, page)


def _strips(reader: Reader, page: Page) -> int:
    rows = min(reader.values(page.entries.get(ROWS), (page.height,))[:1] or (0,))
    if not rows:
        raise damaged("strips without rows")
    return -(-page.height // rows)


def _tiles(reader: Reader, page: Page) -> int:
    """Tiles are of one size: those at the edges reach beyond the picture."""
    number, area = 1, 1
    for tag, side in ((TILE_WIDTH, page.width), (TILE_HEIGHT, page.height)):
        tile = min(reader.values(page.entries.get(tag))[:1] or (0,))
        if not 0 < tile <= max(_TILE_SIDE_FREE, 2 * side):
            raise damaged(f"tiles of {tile} pixels in a picture of {page.width}×{page.height}")
        number *= -(-side // tile)
        area *= -(-side // tile) * tile
    if area > _USES_MAX * page.width * page.height + _TILE_SIDE_FREE**2:
        raise damaged(f"tiles of {area} pixels in a picture of {page.width}×{page.height}")
    return number


def _within_reason(data: bytes, size: int) -> None:
    """Refuse strips that lie on top of each other: each costs time as if it were alone."""
    if size > _USES_MAX * len(data) + _USES_FREE:
        raise damaged(f"{size} bytes of pixels in a file of {len(data)}")


# --- what OpenCV wrote ---------------------------------------------------------------------------


def with_fields(data: bytes, alphas: Sequence[bool], metadata: Metadata) -> bytes:
    """A TIFF as OpenCV writes it, with these blocks in page one.

    ``alphas`` says of each page whether its fourth channel is to be declared as alpha. New directories are
    put behind everything else, as any editor of TIFF does.
    """
    reader = Reader(data)
    result = bytearray(data)
    link, at = 4, reader.first
    for number, alpha in enumerate(alphas):
        entries, following = reader.directory(at), reader.following(at)
        fields: list[bytes] = [data[entry.field : entry.field + 12] for entry in entries.values()]
        blocks = {XMP: (1, metadata.xmp), ICC: (7, metadata.icc)} if number == 0 else {}
        if alpha:
            blocks[EXTRA] = (3, struct.pack("<H", UNASSOCIATED))
        for tag, (kind, block) in blocks.items():
            if block:
                fields.append(_field(result, tag, kind, block))
        result += b"\0" * (len(result) % 2)
        struct.pack_into("<I", result, link, len(result))
        ordered = sorted(fields, key=lambda field: int.from_bytes(field[:2], "little"))  # by tag
        result += struct.pack("<H", len(fields)) + b"".join(ordered)
        link = len(result)
        result += bytes(4)
        at = following
    return bytes(result)


def _field(result: bytearray, tag: int, kind: int, block: bytes) -> bytes:
    """A directory's field; a block that does not fit into it is put behind the file."""
    count = len(block) // _SIZES[kind]
    if len(block) <= 4:
        return struct.pack("<HHI", tag, kind, count) + block.ljust(4, b"\0")
    result += b"\0" * (len(result) % 2)
    at = len(result)
    result += block
    return struct.pack("<HHII", tag, kind, count, at)
