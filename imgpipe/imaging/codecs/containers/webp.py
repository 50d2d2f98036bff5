"""WebP: the chunks of its RIFF container. Google, *WebP Container Specification*; RFC 6386 section 9.1."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from imgpipe import limits
from imgpipe.imaging.codecs.containers.header import Header, damaged, parts_max, reading, truncated
from imgpipe.imaging.codecs.containers.metadata import EXIF_PREFIX, Metadata, orientation

_ICC, _ALPHA, _EXIF, _XMP = 0x20, 0x10, 0x08, 0x04  # flags of VP8X


def header(data: bytes) -> Header:
    """What the chunks say.

    Raises
    ------
    ImageError
        ``truncated`` or ``unreadable``.
    """
    with reading(data):
        return _header(data)


def _header(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 4)
    if 8 + size > len(data):
        raise truncated(data)
    chunks = list(_chunks(data, 12, 8 + size))
    by_name = {name: data[start:end] for name, start, end in reversed(chunks)}
    width, height, alpha = _picture(data, chunks, by_name)
    exif = by_name.get(b"EXIF", b"").removeprefix(EXIF_PREFIX)
    metadata = Metadata(exif, by_name.get(b"ICCP", b""), by_name.get(b"XMP ", b""))
    frames = [(start, end) for name, start, end in chunks if name == b"ANMF"]
    loops = int.from_bytes(by_name[b"ANIM"][4:6], "little") if len(by_name.get(b"ANIM", b"")) >= 6 else 0
    return Header(
        width,
        height,
        alpha=alpha,
        frames=max(1, len(frames)),
        durations=tuple(_duration(data, *frame) for frame in frames),
        loops=loops,
        orientation=orientation(metadata),
        metadata=metadata,
    )


def _chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk's content."""
    for _ in range(limits.PAGES_MAX + parts_max(data)):
        if at + 8 > end:
            return
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + size > end:
            raise damaged(f"its {name.decode('ascii', 'replace')!r} chunk is longer than the file")
        yield name, at + 8, at + 8 + size
        at += 8 + size + size % 2
    raise damaged("too many chunks")


def _picture(
    data: bytes, chunks: list[tuple[bytes, int, int]], by_name: dict[bytes, bytes]
) -> tuple[int, int, bool]:
    """Width, height, and whether there is alpha."""
    if not chunks:
        raise damaged("no chunk in it")
    name, start, end = chunks[0]
    body = data[start:end]
    if name == b"VP8X":
        if len(body) < 10:
            raise damaged("its VP8X chunk is too short")
        if not {b"VP8 ", b"VP8L", b"ANMF"} & by_name.keys():
            raise damaged("no picture in it")
        sides = (1 + int.from_bytes(body[at : at + 3], "little") for at in (4, 7))
        return *sides, bool(body[0] & _ALPHA)  # type: ignore[return-value]  # two sides
    return _bitstream(name, body)


def _bitstream(name: bytes, body: bytes) -> tuple[int, int, bool]:
    if name == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF, False
    if name == b"VP8L" and body[:1] == b"\x2f":
        (packed,) = struct.unpack_from("<I", body, 1)
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF), bool(packed >> 28 & 1)
    raise damaged("no picture where one should begin")


def _duration(data: bytes, start: int, end: int) -> int:
    if end - start < 16:
        raise damaged("a frame without pixels")
    return int.from_bytes(data[start + 12 : start + 15], "little")


def with_metadata(data: bytes, metadata: Metadata) -> bytes:
    """An encoded WebP with these blocks in it."""
    flags = (_ICC if metadata.icc else 0) | (_EXIF if metadata.exif else 0) | (_XMP if metadata.xmp else 0)
    if not flags:
        return data
    chunks = [(name, data[start:end]) for name, start, end in _chunks(data, 12, len(data))]
    if chunks[0][0] == b"VP8X":
        body = chunks.pop(0)[1]
        first = bytes((body[0] | flags,)) + body[1:]
    else:
        first = _extended(*_bitstream(*chunks[0]), flags)
    before = [(b"ICCP", metadata.icc)] if metadata.icc else []
    after = [(name, block) for name, block in ((b"EXIF", metadata.exif), (b"XMP ", metadata.xmp)) if block]
    body = b"".join(_packed(name, block) for name, block in [(b"VP8X", first), *before, *chunks, *after])
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _extended(width: int, height: int, alpha: bool, flags: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes((flags | (_ALPHA if alpha else 0), 0, 0, 0)) + sides


def _packed(name: bytes, block: bytes) -> bytes:
    return name + struct.pack("<I", len(block)) + block + b"\0" * (len(block) % 2)
