"""JPEG: segments up to the first scan. ITU-T T.81 annex B; JFIF; EXIF 2.3; ICC.1 annex B.4; XMP part 3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from imgpipe.errors import ImageError, Kind, Note
from imgpipe.imaging.codecs.containers import mpf, photoshop
from imgpipe.imaging.codecs.containers.header import (
    Header,
    damaged,
    parts_max,
    truncated,
    unsupported,
)
from imgpipe.imaging.codecs.containers.metadata import EXIF_PREFIX, Metadata, orientation

# Not 0 (which stands for FF in pixels), nor markers without a length: TEM, RST, SOI.
_MARKER = re.compile(rb"\xff[^\xff\x00\x01\xd0-\xd8]")
_SOS, _APP1, _APP2, _APP13, _EOI, _PROGRESSIVE = 0xDA, 0xE1, 0xE2, 0xED, 0xD9, 0xC2
_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive: what libjpeg decodes everywhere
_OTHER_FRAMES = {*range(0xC3, 0xD0)} - {0xC4, 0xC8, 0xCC}
_LS = 0xF7  # the frame of JPEG-LS; ITU-T T.87, C.1.1
_XMP, _ICC = b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_XMP_MORE = b"http://ns.adobe.com/xmp/extension/\0"
# A progressive picture has about ten scans. Each is a pass over all its pixels, up to 6 ns for each, and can
# be 50 bytes long.
_SCANS_FREE, _SCANS_MAX, _SCANNED_MAX = 20, 500, 1_000_000_000


def header(data: bytes) -> Header:
    """What the segments before the pixels say.

    Raises
    ------
    ImageError
        ``truncated`` or ``unreadable``.
    """
    (kind, size), blocks, scan = _segments(data)
    if size[0] != 8:
        raise unsupported(f"a JPEG of {size[0]} bits")
    height, width, components = int.from_bytes(size[1:3], "big"), int.from_bytes(size[3:5], "big"), size[5]
    if not width or not height:
        raise unsupported("a JPEG that does not say its size before its pixels")
    if components not in (1, 3, 4):
        raise unsupported(f"a JPEG of {components} components")
    if kind == _PROGRESSIVE or data[scan : scan + 1] != bytes((components,)):
        _bounded(width * height, sum(code == _SOS for code, _, _ in _markers(data, scan)) + 1)
    metadata, losses = _metadata(blocks)
    if components == 4:
        losses.append((str(Note.COLOURS), "converted from CMYK without a colour profile"))
        metadata = replace(metadata, icc=b"")
    return Header(
        width,
        height,
        grey=components == 1,
        orientation=orientation(metadata),
        metadata=metadata,
        losses=tuple(losses),
        details=components,
    )


def _bounded(pixels: int, scans: int) -> None:
    if scans > _SCANS_MAX or (scans > _SCANS_FREE and scans * pixels > _SCANNED_MAX):
        raise ImageError(Kind.TOO_LARGE, f"{scans} passes over {pixels} pixels")


def _markers(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """The code of each marker up to EOI, and where its segment begins and ends; pixels are passed over.

    libjpeg looks for the next marker wherever it does not find one, and so do we.
    """
    for _ in range(parts_max(data)):
        match = _MARKER.search(data, at)
        if match is None:
            return
        code, start = data[match.end() - 1], match.end() + 2
        at = max(start, match.end() + int.from_bytes(data[match.end() : start], "big"))
        yield code, start, at
        if code == _EOI:
            return
    raise damaged("too many segments")


def _segments(data: bytes) -> tuple[tuple[int, bytes], list[tuple[int, bytes]], int]:
    """The frame's header with its kind, the segments of metadata, and where the first scan's header is."""
    frame, blocks = None, []
    for code, start, end in _markers(data, 2):
        if code == _LS:
            raise unsupported("JPEG-LS")
        if code in _OTHER_FRAMES:
            raise unsupported("a lossless, hierarchical or arithmetic JPEG")
        if code in _FRAMES:
            frame = code, data[start:end]
        elif code in (_APP1, _APP2, _APP13):
            blocks.append((code, data[start:end]))
        elif code == _SOS and end <= len(data):
            return _checked(frame), blocks, start
    raise truncated(data)


def _checked(frame: tuple[int, bytes] | None) -> tuple[int, bytes]:
    if frame is None:
        raise damaged("pixels before the frame's header")
    if len(frame[1]) < 6:
        raise damaged("the frame's header is too short")
    return frame


def _metadata(blocks: list[tuple[int, bytes]]) -> tuple[Metadata, list[tuple[str, str]]]:
    exifs, xmps = _of(blocks, _APP1, EXIF_PREFIX), _of(blocks, _APP1, _XMP)
    parts = [part for part in _of(blocks, _APP2, _ICC) if len(part) > 2]
    losses = [
        (str(note), f"of {len(found)} blocks of {note.upper()} the first is carried")
        for note, found in ((Note.EXIF, exifs), (Note.XMP, xmps))
        if len(set(found)) > 1
    ]
    if any(code == _APP1 and b.startswith(_XMP_MORE) for code, b in blocks):
        losses.append((str(Note.XMP), "the part of XMP that is over 64 KB is not carried"))
    if (count := next(map(mpf.pictures, _of(blocks, _APP2, mpf.MARK)), 0)) > 1:
        losses.append((str(Note.PAGES), f"its MPF segment names {count} pictures, the first was read"))
    icc = _icc(parts)
    if parts and not icc:
        losses.append((str(Note.ICC), "its colour profile is not whole"))
    iptc = photoshop.iptc(_of(blocks, _APP13, photoshop.MARK))
    return Metadata(next(iter(exifs), b""), icc, next(iter(xmps), b""), iptc), losses


def _of(blocks: list[tuple[int, bytes]], code: int, mark: bytes) -> list[bytes]:
    """What stands behind this mark in segments of this kind."""
    return [block[len(mark) :] for kind, block in blocks if kind == code and block.startswith(mark)]


def _icc(parts: list[bytes]) -> bytes:
    """A profile out of its numbered parts; nothing if one is missing."""
    by_number = {part[0]: part[2:] for part in parts}
    whole = bool(parts) and set(by_number) == set(range(1, parts[0][1] + 1))
    return b"".join(by_number[number] for number in sorted(by_number)) if whole else b""


def is_whole(data: bytes) -> bool:
    """Whether an EOI marker ends it. (A thumbnail in a segment has its own.)"""
    return any(code == _EOI for code, _, _ in _markers(data, 2))


def with_metadata(data: bytes, metadata: Metadata) -> tuple[bytes, list[str]]:
    """An encoded JPEG with these blocks in it, and the names of those that do not fit into its segments."""
    kept, lost = [], []
    for name, code, block, content in (
        ("exif", _APP1, metadata.exif, EXIF_PREFIX + metadata.exif),
        ("xmp", _APP1, metadata.xmp, _XMP + metadata.xmp),
        ("iptc", _APP13, metadata.iptc, photoshop.segment(metadata.iptc)),
    ):
        if len(content) > _SEGMENT_MAX:
            lost.append(name)
        elif block:
            kept.append(_segment(code, content))
    parts = [metadata.icc[at : at + _ICC_PART] for at in range(0, len(metadata.icc), _ICC_PART)]
    if len(parts) > 255:
        lost.append("icc")
    else:
        counts = ((_ICC + bytes((n, len(parts))), part) for n, part in enumerate(parts, 1))
        kept += [_segment(_APP2, prefix + part) for prefix, part in counts]
    at = _after_jfif(data)
    return b"".join((data[:at], *kept, data[at:])), lost


_SEGMENT_MAX = 65_533  # a segment's length is 16 bits and counts itself
YCC = 3  # components of a picture in colour
_ICC_PART = _SEGMENT_MAX - len(_ICC) - 2


def _segment(code: int, content: bytes) -> bytes:
    return bytes((0xFF, code)) + (len(content) + 2).to_bytes(2, "big") + content


def _after_jfif(data: bytes) -> int:
    """JFIF wants its segment to be the first."""
    return 4 + int.from_bytes(data[4:6], "big") if data[2:4] == b"\xff\xe0" else 2
