"""AVIF: what its boxes say of the primary item, or of the track of a sequence.

AOM, *AV1 Image File Format (AVIF)*; ISO/IEC 23008-12 (HEIF), sections 6.5 and 9; ISO/IEC 14496-12, sections
8.6 and 8.11.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from imgpipe import limits
from imgpipe.errors import Note
from imgpipe.imaging.codecs.containers import av1, colours
from imgpipe.imaging.codecs.containers.boxes import Box, boxes, first, within
from imgpipe.imaging.codecs.containers.header import (
    Header,
    damaged,
    parts_max,
    reading,
    truncated,
    unsupported,
)
from imgpipe.imaging.codecs.containers.metadata import Metadata
from imgpipe.imaging.codecs.containers.track import Track, tracks

#: (quarter turns anticlockwise, mirror: none, top and bottom, left and right) → orientation as EXIF has it.
_TURNS = {
    (0, -1): 1,
    (0, 0): 4,
    (0, 1): 2,
    (1, -1): 8,
    (1, 0): 5,
    (1, 1): 7,
    (2, -1): 3,
    (2, 0): 2,
    (2, 1): 4,
    (3, -1): 6,
    (3, 0): 7,
    (3, 1): 5,
}
_VISUAL = 78  # bytes of what a coded picture's entry says before the boxes in it: ISO/IEC 14496-12, 12.1.3
_RANGE = 6  # byte of an nclx: after primaries, transfer and matrix, the flag for full range
_DECODED = (b"av01", b"grid")
_BITS = (8, 10, 12)
_METADATA = (b"Exif", b"mime")
_IGNORED = b"skip"  # a type of item that nobody has given a meaning
_LARGER_MAX = 2  # times: some encoders pad
_LARGER_FREE = 512 * 512  # pixels: tiles of a grid may be larger than what is shown of them
_UNITS_FREE = 100_000  # units of AV1 in a file of any size: `limits.PAGES_MAX` frames of a few
_USES_MAX = 2  # times a file's bytes may be decoded
_REFERENCE_MAX = 1024  # bytes of one: an alpha is that of one picture
_EXTENTS_MAX = 32_768  # pieces of all items together: a sound item has one; a piece can take no byte to say


@dataclass(frozen=True, slots=True)
class Details:
    """What pixels are read by.

    ``hidden``: where types stand that a decoder must not find. ``limited``: black and white of a grey picture
    are 16 and 235 of 8 bits (ITU-T H.273, 8.3), as in video. ``alpha``: that of a grey picture.
    """

    hidden: tuple[int, ...]
    limited: bool = False
    alpha: Alpha | None = None


@dataclass(frozen=True, slots=True)
class Alpha:
    """The alpha of a picture: where the type of the reference to it stands, where the bytes of the numbers of
    picture and alpha do in the list of places, and whether colours have been multiplied by it."""

    reference: int
    numbers: tuple[slice, slice]
    associated: bool


@dataclass(slots=True)
class _Item:
    """An item of the file: its type and where that stands, where its bytes are and where that is told by its
    number, and its properties."""

    kind: bytes = b""
    kind_at: int = 0
    place: slice = field(default_factory=lambda: slice(0))
    content_type: bytes = b""
    extents: list[tuple[int, int]] = field(default_factory=list)
    properties: list[Box] = field(default_factory=list)


def header(data: bytes) -> Header:
    """What the boxes say.

    Raises
    ------
    ImageError
        ``truncated`` or ``unreadable``.
    """
    with reading(data):
        top = list(boxes(data))
        major = data[top[0].start : top[0].start + 4]
        meta = first(top, b"meta")
        if meta is None:
            raise truncated(data)
        items = _Items(data, within(data, meta, 4))
        found = _picture(data, items)
        movie = first(top, b"moov") if major == b"avis" else None
        film = tracks(data, movie) if movie else []
        _agreed(data, film, found)
        _sized(data, items, film, found)
        if found.grey:
            found = replace(found, details=_grey(data, items, film, found))
    durations = film[0].durations if film else ()
    return found if len(durations) < 2 else _moving(found, durations)


def clean(data: bytes, found: Header, alpha: Alpha | None = None) -> bytes:
    """The file, without metadata that a decoder would find; or with ``alpha`` for its picture.

    Whether it is an AVIF, OpenCV decides by its first 500 bytes, and takes it for none where all boxes lie in
    them, and EXIF or XMP does not. Grey with alpha it cannot read at all, but each of them alone.
    """
    details: Details = found.details
    if not details.hidden:
        return data
    changed = bytearray(data)
    for at in details.hidden:
        changed[at : at + 4] = _IGNORED
    if alpha:  # what is of the same kind lies in each other's place
        picture, other = alpha.numbers
        changed[picture], changed[other] = changed[other], changed[picture]
    return bytes(changed)


def _agreed(data: bytes, film: list[Track], found: Header) -> None:
    """Refuse a film whose tracks say another size or depth than its picture: OpenCV believes the tracks, and
    shows memory that nobody has written where the bitstream says otherwise."""
    for track in film:
        if track.size != (found.width, found.height):
            raise damaged(f"a track of {track.size[0]}×{track.size[1]} pixels")
        for entry in track.entries:
            properties = {box.kind: box for box in within(data, entry, _VISUAL)}
            if entry.kind == b"av01" and _samples(data, properties)[0] != found.bits:
                raise damaged("a track of another depth than its picture")


def _sized(data: bytes, items: _Items, film: list[Track], found: Header) -> None:
    """Refuse a bitstream whose frames are much larger than its file says they are."""
    pieces = [*items.coded(), *((sample,) for track in film for sample in track.samples)]
    if sum(size for extents in pieces for _, size in extents) > _USES_MAX * len(data):
        raise damaged("its pictures lie on top of each other")
    whole, units = found.width * found.height, _UNITS_FREE + parts_max(data)
    for extents in pieces:
        for sequence in av1.sequences(_joined(data, extents)):
            units -= 1
            if units < 0:
                raise damaged("too many units of AV1")
            if sequence and sequence.width * sequence.height > _LARGER_MAX * whole + _LARGER_FREE:
                said = f"{found.width}×{found.height} were said"
                raise damaged(f"{sequence.width}×{sequence.height} pixels where {said}")
            if sequence and sequence.bits != found.bits:
                raise damaged(f"samples of {sequence.bits} bits where {found.bits} were said")


def _grey(data: bytes, items: _Items, film: list[Track], found: Header) -> Details:
    """What a grey picture is read by."""
    details: Details = found.details
    alpha = items.alpha() if found.alpha and not film else None
    if found.alpha and not alpha:
        raise unsupported("a grey AVIF with alpha that is animated or in tiles")
    hidden = (*details.hidden, alpha.reference) if alpha else details.hidden
    return Details(hidden, _limited(data, items, film), alpha)


def _limited(data: bytes, items: _Items, film: list[Track]) -> bool:
    """Whether the range of a grey picture is limited: as its boxes say, or else its bitstream."""
    entry = next((entry for track in film for entry in track.entries), None)
    code = _colr(data, within(data, entry, _VISUAL) if entry else items.primary.properties, b"nclx")
    if len(code) > _RANGE:
        return not code[_RANGE] & 0x80
    pieces = [film[0].samples[:1]] if film else [items.primary.extents, *items.coded()]  # a grid's are apart
    for extents in pieces:
        for sequence in av1.sequences(_joined(data, extents)):
            if sequence:
                return sequence.limited
    return False


def _joined(data: bytes, extents: Sequence[tuple[int, int]]) -> bytes:
    return b"".join(data[start : start + size] for start, size in extents)


def _moving(still: Header, durations: tuple[int, ...]) -> Header:
    return Header(
        still.width,
        still.height,
        bits=still.bits,
        grey=still.grey,
        alpha=still.alpha,
        frames=len(durations),
        durations=durations,
        orientation=still.orientation,
        metadata=still.metadata,
        losses=still.losses,
        details=still.details,
    )


def _picture(data: bytes, items: _Items) -> Header:
    primary = items.primary
    if primary.kind not in _DECODED:
        raise unsupported(f"a picture coded as {primary.kind.decode('ascii', 'replace')!r}, not AV1")
    properties = {box.kind: box for box in reversed(primary.properties)}
    size = properties.get(b"ispe")
    if size is None:
        raise damaged("a picture without size")
    width, height = struct.unpack_from(">II", data, size.start + 4)
    bits, grey = _samples(data, properties)
    if bits not in _BITS:
        raise damaged(f"samples of {bits} bits")
    return Header(
        width,
        height,
        bits=bits,
        grey=grey,
        alpha=any(_is_alpha(data, box) for box in items.all_properties),
        orientation=_orientation(data, properties),
        metadata=Metadata(items.exif(), _icc(data, primary), items.xmp()),
        losses=_losses(data, primary),
        details=Details(items.metadata()),
    )


def _samples(data: bytes, properties: dict[bytes, Box]) -> tuple[int, bool]:
    """Bits of a sample, and whether there is one channel: as the AV1 configuration says, or else `pixi`."""
    if (box := properties.get(b"av1C")) is not None:
        flags = data[box.start + 2]
        return 12 if flags & 0x20 else 10 if flags & 0x40 else 8, bool(flags & 0x10)
    if (box := properties.get(b"pixi")) is not None:
        return data[box.start + 5], data[box.start + 4] == 1
    return 8, False


def _orientation(data: bytes, properties: dict[bytes, Box]) -> int:
    turn, mirror = properties.get(b"irot"), properties.get(b"imir")
    turns = data[turn.start] & 3 if turn else 0
    return _TURNS[turns, data[mirror.start] & 1 if mirror else -1]


def _is_alpha(data: bytes, box: Box) -> bool:
    return box.kind == b"auxC" and b"alpha" in data[box.start : min(box.end, box.start + 80)]


def _icc(data: bytes, item: _Item) -> bytes:
    return _colr(data, item.properties, b"prof") or _colr(data, item.properties, b"rICC")


def _losses(data: bytes, item: _Item) -> tuple[tuple[str, str], ...]:
    losses = []
    if any(box.kind == b"clap" for box in item.properties):
        losses.append((str(Note.WARNING), "what it says to cut off (clap) was not cut off"))
    code = _colr(data, item.properties, b"nclx")
    if len(code) >= 4 and not _icc(data, item):
        losses += colours.coded(*struct.unpack_from(">HH", code))
    return tuple(losses)


def _colr(data: bytes, properties: list[Box], kind: bytes) -> bytes:
    """How colours are described in this way; nothing if they are not."""
    for box in properties:
        if box.kind == b"colr" and data[box.start : box.start + 4] == kind:
            return data[box.start + 4 : box.end]
    return b""


class _Items:
    """The items of a file."""

    def __init__(self, data: bytes, meta: list[Box]) -> None:
        self._data = data
        self._items: dict[int, _Item] = {}
        self._idat = first(meta, b"idat")
        self._extents = 0
        self._references: list[tuple[Box, list[int]]] = []
        self.all_properties: list[Box] = []
        readers = {
            b"iinf": self._kinds,
            b"iloc": self._places,
            b"iprp": self._properties,
            b"iref": self._refer,
        }
        for box in meta:
            if box.kind in readers:
                readers[box.kind](box)
        primary = first(meta, b"pitm")
        if primary is None:
            raise damaged("no primary picture")
        wide = data[primary.start] > 0
        self._number = int.from_bytes(data[primary.start + 4 : primary.start + (8 if wide else 6)], "big")
        self.primary = self._items.get(self._number, _Item())
        for item in self._items.values():
            if any(start + size > len(data) for start, size in item.extents):
                raise truncated(data)

    def _item(self, number: int) -> _Item:
        return self._items.setdefault(number, _Item())

    def _kinds(self, box: Box) -> None:
        data = self._data
        for entry in within(data, box, 8 if data[box.start] else 6):
            if entry.kind != b"infe":
                continue
            wide = data[entry.start] >= 3
            at = entry.start + 4
            number = int.from_bytes(data[at : at + (4 if wide else 2)], "big")
            at += 6 if wide else 4
            item = self._item(number)
            item.kind, item.kind_at = data[at : at + 4], at
            item.content_type = data[at + 4 : entry.end].split(b"\0")[1:2][0] if item.kind == b"mime" else b""

    def _places(self, box: Box) -> None:
        data, at = self._data, box.start
        version = data[at]
        widths = data[at + 4] >> 4, data[at + 4] & 15, data[at + 5] >> 4, data[at + 5] & 15
        offset_size, length_size, base_size, index_size = widths
        wide = 4 if version == 2 else 2
        number_of = int.from_bytes(data[at + 6 : at + 6 + wide], "big")
        at += 6 + wide
        for _ in range(number_of):
            if at >= box.end:
                raise damaged("a list of places ends early")
            item = self._item(int.from_bytes(data[at : at + wide], "big"))
            item.place = slice(at, at + wide)
            at += wide
            inside = False
            if version:
                inside = data[at + 1] & 15 == 1
                at += 2
            base = int.from_bytes(data[at + 2 : at + 2 + base_size], "big")
            at += 2 + base_size
            count = int.from_bytes(data[at : at + 2], "big")
            at += 2
            self._extents += count
            if self._extents > _EXTENTS_MAX:
                raise damaged("too many pieces")
            if inside:
                base += self._idat.start if self._idat else 0
            for _ in range(count):
                if at >= box.end:
                    raise damaged("a list of places ends early")
                at += index_size if version else 0
                offset = int.from_bytes(data[at : at + offset_size], "big")
                length = int.from_bytes(data[at + offset_size : at + offset_size + length_size], "big")
                at += offset_size + length_size
                item.extents.append((base + offset, length))

    def _properties(self, box: Box) -> None:
        inside = within(self._data, box)
        held = first(inside, b"ipco")
        self.all_properties = within(self._data, held) if held else []
        for link in inside:
            if link.kind == b"ipma":
                self._links(link)

    def _links(self, box: Box) -> None:
        data, at = self._data, box.start
        wide, long = (4 if data[at] else 2), data[at + 3] & 1
        count = int.from_bytes(data[at + 4 : at + 8], "big")
        at += 8
        for _ in range(count):
            if at >= box.end:
                raise damaged("a list of properties ends early")
            item = self._item(int.from_bytes(data[at : at + wide], "big"))
            links = data[at + wide]
            at += wide + 1
            for _ in range(links):
                number = (int.from_bytes(data[at : at + 2], "big") & 0x7FFF) if long else data[at] & 0x7F
                at += 2 if long else 1
                if 0 < number <= len(self.all_properties):
                    item.properties.append(self.all_properties[number - 1])

    def _refer(self, box: Box) -> None:
        """References of alpha with the numbers of the item each is from, and of those it is to."""
        data = self._data
        wide = 4 if data[box.start] else 2
        for reference in within(data, box, 4):
            if reference.kind not in (b"auxl", b"prem") or reference.end - reference.start > _REFERENCE_MAX:
                continue
            places = (reference.start, *range(reference.start + wide + 2, reference.end, wide))
            numbers = [int.from_bytes(data[at : at + wide], "big") for at in places]
            self._references.append((reference, numbers))

    def alpha(self) -> Alpha | None:
        """Of the primary picture, where it can be read in its place: where both are one piece of AV1."""
        alone = {number for number, item in self._items.items() if item.kind == b"av01" and item.extents}
        alphas = {n for n in alone if any(_is_alpha(self._data, box) for box in self._items[n].properties)}
        for reference, (number, *others) in self._references:
            at = reference.start - 4
            if self._data[at : at + 4] != b"auxl" or number not in alphas or self._number not in others:
                continue
            pair = [self._number, number]
            associated = any(r.kind == b"prem" and numbers == pair for r, numbers in self._references)
            places = self.primary.place, self._items[number].place
            return Alpha(at, places, associated) if self._number in alone else None
        return None

    def coded(self) -> list[list[tuple[int, int]]]:
        """Where the pictures are, and parts of pictures: all that a decoder may be given."""
        return [item.extents for item in self._items.values() if item.kind == b"av01"]

    def metadata(self) -> tuple[int, ...]:
        """Where the types of its items stand."""
        return tuple(item.kind_at for item in self._items.values() if item.kind in _METADATA)

    def exif(self) -> bytes:
        """The block itself: before it stands where in it the TIFF header begins."""
        block = self._bytes(next((i for i in self._items.values() if i.kind == b"Exif"), None))
        return block[4 + int.from_bytes(block[:4], "big") :] if len(block) > 4 else b""

    def xmp(self) -> bytes:
        wanted = (i for i in self._items.values() if i.content_type == b"application/rdf+xml")
        return self._bytes(next(wanted, None))

    def _bytes(self, item: _Item | None) -> bytes:
        if item is None or sum(size for _, size in item.extents) > limits.METADATA_MAX:
            return b""
        return _joined(self._data, item.extents)
