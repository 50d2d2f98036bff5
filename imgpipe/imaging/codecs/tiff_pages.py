"""The pixels of each page of a TIFF, by OpenCV. Adobe, *TIFF Revision 6.0*, sections 2 and 15.

OpenCV would decode all pages of a file to get at one behind the first, those too that nobody has asked about.
So each page becomes the first: a directory of it is put behind the file's bytes, with the fields that pixels
are read by and no others. Some say something else than in the file:

- It is upright. Of an 8-bit picture in tiles, libtiff turns each tile in its own place.
- Every alpha is associated. libtiff multiplies any other into 8-bit colours.
- A strip has no more rows than the picture. OpenCV takes memory for as many as are said.
- Channels beside grey or the index of a palette, of which libtiff loses some and places others wrong, are
  given as what it reads right: each for itself where it is stored apart; a pair of samples as one sample of
  twice the bits; three or four as colours. So are channels of more than 8 bits that are stored apart.
- Tiles of at most 8 bits that are not packed become strips. libtiff 4.7.1 reads only such as are a multiple
  of 1 KiB.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from imgpipe.imaging import pixels
from imgpipe.imaging.codecs.containers.header import damaged
from imgpipe.imaging.codecs.containers.tiff import (
    ASSOCIATED,
    BITS,
    BLACK_IS_ZERO,
    COLOURS,
    EXTRA,
    FLOATING,
    FORMAT,
    ORIENTATION,
    PALETTE,
    PHOTOMETRIC,
    PLANAR,
    PREDICTOR,
    RGB,
    ROWS,
    SAMPLES,
    STRIPS,
    TILE_HEIGHT,
    TILE_WIDTH,
    TILES,
    UNASSOCIATED,
    UNPACKED,
    UNSIGNED,
    WHITE_IS_ZERO,
    YCBCR,
    Page,
    Reader,
    places,
)
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

#: Other values of fields by tag; None: the field is left out.
Changes: TypeAlias = Mapping[int, Sequence[int] | None]

# Fields that libtiff reads pixels by: sizes, depth, colours, strips, tiles, fax, predictor; CMYK, alpha,
# JPEG, YCbCr.
_READ_BY = frozenset(
    (256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325)
).union((332, 338, 339, 347, 529, 530, 531, 532))
_HALVES = {16: "uint8", 32: "uint16", 64: "float32"}  # by bits of a pair


def decode(data: bytes, wanted: Sequence[Page]) -> Iterator[Image]:
    """These pages as they are stored, not turned.

    Raises
    ------
    ImageError
        ``unreadable``: OpenCV cannot decode one.
    """
    files = _Files(data)
    for page in wanted:
        image = _joined(files, page) if _by_channels(page) else _whole(files, page)
        yield pixels.by_bands(pixels.straight, image) if page.associated else image


def _whole(files: _Files, page: Page) -> Image:
    image = _single(_decoded(files.of(page, _changes(files.reader, page)), page))
    if page.photometric == WHITE_IS_ZERO and page.bits == 16:  # of fewer, libtiff does that
        image = _inverted(image)
    return pixels.colour(image) if pixels.has_alpha(image) and not page.alpha else image


def _decoded(file: bytes | bytearray, page: Page) -> Image:
    image: Image | None = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise damaged("its TIFF data cannot be decoded")
    if image.shape[:2] != (page.height, page.width):
        raise damaged("a page that is not as large as it says")
    return image


def _single(image: Image) -> Image:
    if image.dtype != np.float64:
        return image
    with np.errstate(over="ignore", invalid="ignore"):  # what is beyond float32 becomes infinite
        return image.astype(np.float32)


def _inverted(image: Image) -> Image:
    return np.iinfo(image.dtype).max - image


def _changes(reader: Reader, page: Page) -> dict[int, Sequence[int] | None]:
    """What the directory of any page is to say otherwise."""
    changes: dict[int, Sequence[int] | None] = {}
    if ORIENTATION in page.entries and reader.values(page.entries[ORIENTATION]) != (1,):
        changes[ORIENTATION] = None
    if page.alpha and page.extra[:1] == (UNASSOCIATED,):
        changes[EXTRA] = (ASSOCIATED,)
    if reader.values(page.entries.get(ROWS))[:1] > (page.height,):
        changes[ROWS] = (page.height,)
    return changes


# --- channel by channel -------------------------------------------------------------------------


def _by_channels(page: Page) -> bool:
    """libtiff or OpenCV would read it wrong as a whole."""
    return page.samples > page.colours == 1 or (page.apart and page.bits > 8)


def _joined(files: _Files, page: Page) -> Image:
    channels = [_single(channel) for channel in _channels(files, page)]
    image = channels[0] if page.colours == 1 else cv2.merge(channels[page.colours - 1 :: -1])
    if page.photometric == PALETTE:
        image = _palette(files.reader, page)[image]
    if page.photometric == WHITE_IS_ZERO and not page.floating:
        image = _inverted(image)
    return pixels.joined(image, channels[-1]) if page.alpha else image


def _palette(reader: Reader, page: Page) -> Image:
    """Blue, green and red of each index. They are of 16 bits, but some writers give 8, as libtiff knows."""
    values = reader.values(page.entries.get(COLOURS))
    if len(values) != 3 << page.bits:
        raise damaged(f"a palette of {len(values)} values")
    table = np.array(values).reshape(3, -1)[::-1].T
    return (table >> 8 if table.max() > 255 else table).astype(np.uint8)


def _channels(files: _Files, page: Page) -> list[Image]:
    """Those of its colours in the order of the file, and of its alpha if it has one."""
    number = page.colours + page.alpha
    if page.apart:
        return [_plane(files, page, channel) for channel in range(number)]
    return (_pair if page.samples == 2 else _three_or_four)(files, page)[:number]


def _plane(files: _Files, page: Page, channel: int) -> Image:
    """A channel that is stored apart, as a grey picture."""
    return _decoded(files.of(page, _as_grey(files.reader, page, page.bits), channel), page)


def _as_grey(reader: Reader, page: Page, bits: int) -> dict[int, Sequence[int] | None]:
    """Of one channel, of so many bits."""
    grey = {SAMPLES: (1,), BITS: (bits,), PHOTOMETRIC: (BLACK_IS_ZERO,)}
    format_ = {FORMAT: (FLOATING if page.floating or bits > 16 else UNSIGNED,)}
    return _changes(reader, page) | grey | format_ | {PLANAR: None, EXTRA: None, COLOURS: None}


def _pair(files: _Files, page: Page) -> list[Image]:
    """Two channels that alternate, read as one of twice the bits: libtiff copies those as they are."""
    as_one = _as_grey(files.reader, page, 2 * page.bits) | {PREDICTOR: None}
    image = np.ascontiguousarray(_decoded(files.of(page, as_one), page))
    both = image.view(_HALVES[2 * page.bits]).reshape(*image.shape, 2)
    if files.swapped:  # the pair was, and its halves with it
        both = both[:, :, ::-1]
    if page.predicted:
        both = _summed(both, page.tile[0] or page.width)
    return [np.ascontiguousarray(both[:, :, channel]) for channel in (0, 1)]


def _summed(samples: Image, width: int) -> Image:
    """Samples out of their differences from the left, which begin anew every so many pixels: TIFF 6.0, 14."""
    bands = [samples[:, left : left + width] for left in range(0, samples.shape[1], width)]
    summed: Image = np.concatenate([np.cumsum(band, axis=1, dtype=band.dtype) for band in bands], axis=1)
    return summed


def _three_or_four(files: _Files, page: Page) -> list[Image]:
    """Channels that alternate, read as red, green, blue and alpha."""
    colours = {PHOTOMETRIC: (RGB,), COLOURS: None, EXTRA: (ASSOCIATED,) if page.samples == 4 else None}
    image = _decoded(files.of(page, _changes(files.reader, page) | colours), page)
    return [cv2.extractChannel(image, channel) for channel in (2, 1, 0, 3)[: page.samples]]


# --- files of one page --------------------------------------------------------------------------


class _Files:
    """Makes files of one page each out of one file. Each is good until the next is made."""

    def __init__(self, data: bytes) -> None:
        self.reader = Reader(data)
        self._changed = bytearray()
        self._end = len(data) + len(data) % 2  # directories begin at even bytes

    @property
    def swapped(self) -> bool:
        """Whether samples have another byte order in memory than in the file."""
        return (self.reader.order == "<") != (sys.byteorder == "little")

    def of(self, page: Page, changes: Changes, plane: int | None = None) -> bytes | bytearray:
        """A page, or of its channels that are stored apart one, with ``changes`` in its directory."""
        if page.tiled and page.packing == UNPACKED and page.bits <= 8 and page.photometric != YCBCR:
            return _untiled(self.reader, page, changes, plane)
        if plane is not None:
            tags = TILES if page.tiled else STRIPS
            changes = {**changes, **dict(zip(tags, _places(self.reader, page, plane), strict=True))}
        if not changes and page.at == self.reader.first:
            return self.reader.data
        self._changed = self._changed or bytearray(self.reader.data.ljust(self._end, b"\0"))
        fields = {t: self.reader.field(e) for t, e in page.entries.items() if t in _READ_BY}
        self._changed[self._end :] = _directory(self.reader, {**fields, **changes}, self._end)
        struct.pack_into(_link(self.reader), self._changed, self.reader.link, self._end)
        return self._changed


def _link(reader: Reader) -> str:
    return reader.order + ("Q" if reader.big else "I")


def _places(reader: Reader, page: Page, plane: int | None) -> list[tuple[int, ...]]:
    """Starts and sizes of the strips or tiles of a page, or of one of its channels that are stored apart."""
    number = places(reader, page)
    first, planes = (0, page.samples if page.apart else 1) if plane is None else (plane, 1)
    return [every[first * number : (first + planes) * number] for every in page.places(reader)]


def _untiled(reader: Reader, page: Page, changes: Changes, plane: int | None) -> bytearray:
    """A file whose strips are rows of tiles, without what tiles have beyond the right edge."""
    found, _ = _places(reader, page, plane)
    down, size = len(found) // -(-page.width // page.tile[0]), page.tile[1] * page.row
    begin = 2 * reader.link
    end = begin + down * size + down * size % 2
    kept = {t: reader.values(e) for t, e in page.entries.items() if t in _READ_BY and e.numbers}
    tiles = dict.fromkeys((*TILES, TILE_WIDTH, TILE_HEIGHT))
    starts, sizes = [begin + row * size for row in range(down)], [size] * down
    strips = {STRIPS[0]: starts, STRIPS[1]: sizes, ROWS: [min(page.tile[1], page.height)]}
    file = bytearray(end) + _directory(reader, {**kept, **changes, **tiles, **strips}, end)
    file[:begin] = reader.data[: reader.link] + struct.pack(_link(reader), end)
    _lay(np.frombuffer(file, np.uint8, down * size, begin).reshape(down, -1, page.row), reader, page, found)
    return file


def _lay(rows: Image, reader: Reader, page: Page, starts: Sequence[int]) -> None:
    """Put the bytes of tiles into rows of strips."""
    across, size = -(-page.width // page.tile[0]), page.tile[1] * page.tile_row
    for number, start in enumerate(starts):
        row, column = divmod(number, across)
        own = rows[row, :, column * page.tile_row : (column + 1) * page.tile_row]
        tile = np.frombuffer(reader.data, np.uint8, size, start).reshape(-1, page.tile_row)
        own[:] = tile[:, : own.shape[1]]


def _directory(reader: Reader, fields: Mapping[int, bytes | Sequence[int] | None], at: int) -> bytes:
    """A directory that is to stand at this byte, and no other follows.

    A field is as it is in a file, or whole numbers: those become LONG, or LONG8 in a BigTIFF.
    """
    said = [(tag, field) for tag in sorted(fields) if (field := fields[tag])]
    head, word, kind, width = ("Q", "Q", 16, 20) if reader.big else ("H", "I", 4, 12)
    table, values = bytearray(struct.pack(reader.order + head, len(said))), bytearray()
    behind = at + len(table) + width * len(said) + reader.link
    for tag, field in said:
        if isinstance(field, bytes):
            table += field
            continue
        if max(field) >> 8 * reader.link:
            raise damaged("a number of 64 bits in a file of 32")
        block = struct.pack(f"{reader.order}{len(field)}{word}", *field)
        table += struct.pack(reader.order + "HH" + word, tag, kind, len(field))
        if len(field) > 1:
            block, values = struct.pack(reader.order + word, behind + len(values)), values + block
        table += block
    return bytes(table) + bytes(reader.link) + bytes(values)
