"""JPEG 2000: boxes of a JP2 file, the SIZ segment of its codestream. ISO/IEC 15444-1, annexes A and I."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from imgpipe.errors import ImageError, Kind, Note
from imgpipe.imaging.codecs.containers.boxes import Box, boxes, first, within
from imgpipe.imaging.codecs.containers.codestream import Grid, check
from imgpipe.imaging.codecs.containers.header import (
    Header,
    damaged,
    reading,
    truncated,
    unread,
    unsupported,
)
from imgpipe.imaging.codecs.containers.metadata import Metadata, icc_channels

MAGIC = b"\0\0\0\x0cjP  \r\n\x87\n"
_SOC_SIZ = b"\xff\x4f\xff\x51"
_EOC = b"\xff\xd9"
_TILES_MAX = 65_535  # the most the format can number
_ENUMERATED, _PROFILE = 1, 2  # methods of a colr box: a number, a restricted ICC profile
#: What boxes of a type of one's own hold, by the number they begin with: Adobe's, and that of JPEG's makers.
_HOLDING = {
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): Note.XMP,
    b"JpgTiffExif->JP2": Note.EXIF,
}
_SRGB, _GREY = 16, 17  # OpenCV gives sYCC (18) the colours of another YUV
_NUMBERED = 15  # bytes of a colr box with a number


@dataclass(frozen=True, slots=True)
class Details:
    """Where the codestream is, and the box with the profile of its colours."""

    stream: Box
    profile: Box | None


def header(data: bytes) -> Header:
    """What the boxes and the codestream's first segment say.

    Raises
    ------
    ImageError
        ``truncated`` or ``unreadable``.
    """
    with reading(data):
        top = list(boxes(data, len(MAGIC)))
        stream, head = first(top, b"jp2c"), first(top, b"jp2h")
        if stream is None or head is None:
            raise truncated(data)
        inside = within(data, head)
        if first(inside, b"pclr"):
            raise unsupported("a JPEG 2000 with a palette")
        _colours(data, inside)
        losses = tuple(unread(note, "JPEG 2000") for note in _held(data, top))
        profile = _profile(data, inside)
        metadata = Metadata(icc=data[profile.start + 3 : profile.end] if profile else b"")
        return replace(
            _codestream(data, stream), metadata=metadata, losses=losses, details=Details(stream, profile)
        )


def clean(data: bytes, found: Header) -> bytes:
    """The file, with the number of a colour space in place of a profile for as many channels: OpenCV would
    warn that it does not know the space. Annex I.5.3.3; the rest of the box becomes one that is skipped."""
    box: Box | None = found.details.profile
    if box is None or icc_channels(found.metadata.icc) != (1 if found.grey else 3):
        return data
    at = box.start - 8
    if data[at + 4 : box.start] != b"colr":  # a length of 64 bits stands there
        return data
    space = _GREY if found.grey else _SRGB
    packed = struct.pack(">I4sBxxI", _NUMBERED, b"colr", _ENUMERATED, space)
    packed += struct.pack(">I4s", box.end - at - _NUMBERED, b"free")
    return data[:at] + packed + data[at + len(packed) :]


def _codestream(data: bytes, stream: Box) -> Header:
    at = stream.start
    if data[at : at + 4] != _SOC_SIZ:
        raise damaged("its codestream does not begin as one")
    right, bottom, left, top, tile_width, tile_height, *first_tile = struct.unpack_from(">8I", data, at + 8)
    (components,) = struct.unpack_from(">H", data, at + 40)
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0 or not tile_width or not tile_height:
        raise damaged("a picture without size")
    if left or top:
        raise unsupported(f"a JPEG 2000 that begins at {left}, {top} of its grid")
    if any(first_tile):
        raise damaged("tiles that begin behind the picture")
    tiles = -(-width // tile_width) * -(-height // tile_height)
    if tiles > _TILES_MAX:
        raise ImageError(Kind.TOO_LARGE, f"more than {_TILES_MAX} tiles")
    if components not in (1, 3, 4):
        raise unsupported(f"a JPEG 2000 of {components} channels")
    sizes = [data[at + 42 + 3 * number :][:3] for number in range(components)]
    if len({size[0] for size in sizes}) > 1 or any(size[1:] != b"\1\1" for size in sizes):
        raise unsupported("a JPEG 2000 whose channels differ in depth or size")
    bits = (sizes[0][0] & 0x7F) + 1
    if sizes[0][0] & 0x80 or not 8 <= bits <= 16:
        raise unsupported(f"a JPEG 2000 of {bits} bits, or of negative values")
    grid = Grid(tiles, min(width, tile_width), min(height, tile_height), components)
    check(data, at + 2, stream.end, grid)
    return Header(width, height, bits=bits, grey=components == 1, alpha=components == 4)


def _colours(data: bytes, inside: list[Box]) -> None:
    for box in inside:
        if box.kind == b"colr" and data[box.start] == _ENUMERATED:
            space = int.from_bytes(data[box.start + 3 : box.start + 7], "big")
            if space not in (_SRGB, _GREY):
                raise unsupported(f"a JPEG 2000 in colour space {space}")


def _held(data: bytes, top: list[Box]) -> dict[Note, None]:
    """The blocks of metadata that are in boxes of their own."""
    numbers = (data[box.start : box.start + 16] for box in top if box.kind == b"uuid")
    return {_HOLDING[number]: None for number in numbers if number in _HOLDING}


def _profile(data: bytes, inside: list[Box]) -> Box | None:
    return next((box for box in inside if box.kind == b"colr" and data[box.start] == _PROFILE), None)


def is_whole(data: bytes, found: Header) -> bool:
    """Whether the codestream has its end."""
    stream: Box = found.details.stream
    return data[stream.end - 2 : stream.end] == _EOC
