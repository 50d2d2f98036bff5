"""A page of a TIFF as a file of its own: what OpenCV is given. Adobe, *TIFF Revision 6.0*, section 2.

OpenCV would decode all pages of a file to get at one behind the first, those too that nobody has asked about.
So each page becomes the first: a directory of it is put behind the file's bytes, with the fields that pixels
are read by and no others, some of them with other values than in the file (`_changes`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from imgpipe.imaging.codecs.containers.tiff import (
    ASSOCIATED,
    EXTRA,
    ORIENTATION,
    ROWS,
    UNASSOCIATED,
    Page,
    Reader,
)

#: Other values of fields by tag; None: the field is left out.
Changes: TypeAlias = Mapping[int, Sequence[int] | None]

# Fields that libtiff reads pixels by: sizes, depth, colours, strips, tiles, fax, predictor; CMYK, alpha,
# JPEG, YCbCr.
_READ_BY = frozenset(
    (256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325)
).union((332, 338, 339, 347, 529, 530, 531, 532))


def alone(data: bytes, wanted: Sequence[Page]) -> Iterator[tuple[Page, bytes | bytearray]]:
    """Each of these pages as the first of a file, good until the next one is asked for."""
    reader = Reader(data)
    end = len(data) + len(data) % 2  # directories begin at even bytes
    changed = bytearray()
    for page in wanted:
        changes = dict(_changes(reader, page))
        if not changes and page.at == reader.first:
            yield page, data
            continue
        changed = changed or bytearray(data.ljust(end, b"\0"))
        struct.pack_into(reader.order + ("Q" if reader.big else "I"), changed, reader.link, end)
        changed[end:] = _directory(reader, page, changes, end)
        yield page, changed


def _changes(reader: Reader, page: Page) -> Iterator[tuple[int, Sequence[int] | None]]:
    """What a page's directory is to say otherwise.

    It is upright: of an 8-bit picture in tiles, libtiff turns each tile in its own place. Every alpha is
    associated: libtiff multiplies any other into 8-bit colours. A strip has no more rows than the picture:
    OpenCV takes memory for as many as are said.
    """
    if ORIENTATION in page.entries and reader.values(page.entries[ORIENTATION]) != (1,):
        yield ORIENTATION, None
    if page.alpha and page.extra[:1] == (UNASSOCIATED,):
        yield EXTRA, (ASSOCIATED,)
    if reader.values(page.entries.get(ROWS))[:1] > (page.height,):
        yield ROWS, (page.height,)


def _directory(reader: Reader, page: Page, changes: Changes, at: int) -> bytes:
    """The directory of this page that is to stand at this byte."""
    fields: dict[int, bytes | Sequence[int] | None] = {
        tag: reader.field(entry) for tag, entry in page.entries.items() if tag in _READ_BY
    }
    fields |= changes
    said = [(tag, fields[tag]) for tag in sorted(fields)]
    return packed(reader, {tag: field for tag, field in said if field is not None}, at)


def packed(reader: Reader, fields: Mapping[int, bytes | Sequence[int]], at: int) -> bytes:
    """A directory that is to stand at this byte, of fields in the order of their tags, and no other follows.

    A field is as it is in a file, or whole numbers: those become LONG, or LONG8 in a BigTIFF.
    """
    head, word, kind, width = ("Q", "Q", 16, 20) if reader.big else ("H", "I", 4, 12)
    begin = struct.pack(reader.order + head, len(fields))
    behind = at + len(begin) + width * len(fields) + reader.link
    table, values = bytearray(begin), bytearray()
    for tag, field in fields.items():
        if isinstance(field, bytes):
            table += field
            continue
        block = struct.pack(f"{reader.order}{len(field)}{word}", *field)
        table += struct.pack(reader.order + "HH" + word, tag, kind, len(field))
        if len(field) > 1:
            block, values = struct.pack(reader.order + word, behind + len(values)), values + block
        table += block
    return bytes(table) + bytes(reader.link) + bytes(values)
