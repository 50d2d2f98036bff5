"""JPEG: segments up to the first scan. ITU-T T.81 annex B; JFIF; EXIF 2.3; ICC.1 annex B.4; XMP part 3."""

from __future__ import annotations

from imgpipe.errors import ImageError, Kind, Note
from imgpipe.imaging.codecs.containers.header import Header, damaged, truncated, unsupported
from imgpipe.imaging.codecs.containers.metadata import Metadata, orientation

_EOI = b"\xff\xd9"
_SOS, _APP1, _APP2, _EOI_CODE = 0xDA, 0xE1, 0xE2, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive: what libjpeg decodes everywhere
_OTHER_FRAMES = {*range(0xC3, 0xD0)} - {0xC4, 0xC8, 0xCC}
_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_XMP_MORE = b"http://ns.adobe.com/xmp/extension/\0"
_SCANS_MAX = 500  # a progressive picture has about ten; each costs a pass over all its pixels


def header(data: bytes) -> Header:
    """What the segments before the pixels say.

    Raises
    ------
    ImageError
        ``truncated`` or ``unreadable``.
    """
    frame, blocks = _segments(data)
    kind, size = frame
    if size[0] != 8:
        raise unsupported(f"a JPEG of {size[0]} bits")
    height, width, components = int.from_bytes(size[1:3], "big"), int.from_bytes(size[3:5], "big"), size[5]
    if not width or not height:
        raise unsupported("a JPEG that does not say its size before its pixels")
    if components not in (1, 3, 4):
        raise unsupported(f"a JPEG of {components} components")
    if kind == 0xC2 and data.count(b"\xff\xda") > _SCANS_MAX:
        raise ImageError(Kind.TOO_LARGE, f"more than {_SCANS_MAX} scans")
    metadata, losses = _metadata(blocks)
    if components == 4:
        losses.append((str(Note.COLOURS), "converted from CMYK without a colour profile"))
        metadata = Metadata(metadata.exif, b"", metadata.xmp)
    return Header(
        width,
        height,
        grey=components == 1,
        orientation=orientation(metadata),
        metadata=metadata,
        losses=tuple(losses),
    )


def _segments(data: bytes) -> tuple[tuple[int, bytes], list[tuple[int, bytes]]]:
    """The frame's header with its kind, and the APP1 and APP2 segments before the first scan."""
    at, frame, blocks = 2, None, []
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # libjpeg looks for the next marker, and so do we
            at = data.find(b"\xff", at)
            if at < 0:
                break
            continue
        code = data[at + 1]
        if code in (0xFF, 0x00) or code in _ALONE:
            at += 1 if code == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if code == _EOI_CODE:
            break
        if code in _OTHER_FRAMES:
            raise unsupported("a lossless, hierarchical or arithmetic JPEG")
        if code in _FRAMES:
            frame = code, data[at + 4 : end]
        elif code in (_APP1, _APP2):
            blocks.append((code, data[at + 4 : end]))
        elif code == _SOS:
            return _checked(frame, data), blocks
        at = max(end, at + 4)
    raise truncated(data)


def _checked(frame: tuple[int, bytes] | None, data: bytes) -> tuple[int, bytes]:
    if frame is None:
        raise damaged("pixels before the frame's header")
    if len(frame[1]) < 6:
        raise damaged("the frame's header is too short")
    return frame


def _metadata(blocks: list[tuple[int, bytes]]) -> tuple[Metadata, list[tuple[str, str]]]:
    exif = next((b[len(_EXIF) :] for code, b in blocks if code == _APP1 and b.startswith(_EXIF)), b"")
    xmp = next((b[len(_XMP) :] for code, b in blocks if code == _APP1 and b.startswith(_XMP)), b"")
    parts = [b[len(_ICC) :] for code, b in blocks if code == _APP2 and b.startswith(_ICC) and len(b) > 14]
    losses = []
    if any(code == _APP1 and b.startswith(_XMP_MORE) for code, b in blocks):
        losses.append((str(Note.XMP), "the part of XMP that is over 64 KB is not carried"))
    icc = _icc(parts)
    if parts and not icc:
        losses.append((str(Note.ICC), "its colour profile is not whole"))
    return Metadata(exif, icc, xmp), losses


def _icc(parts: list[bytes]) -> bytes:
    """A profile out of its numbered parts; nothing if one is missing."""
    by_number = {part[0]: part[2:] for part in parts}
    whole = bool(parts) and set(by_number) == set(range(1, parts[0][1] + 1))
    return b"".join(by_number[number] for number in sorted(by_number)) if whole else b""


def is_whole(data: bytes) -> bool:
    """Whether an EOI marker follows the first scan. (A thumbnail in a segment has its own.)"""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SOS:
        at += 1 if data[at + 1] == 0xFF else 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return data.find(_EOI, at) > 0


def with_metadata(data: bytes, metadata: Metadata) -> tuple[bytes, list[str]]:
    """An encoded JPEG with these blocks in it, and the names of those that do not fit into its segments."""
    kept, lost = [], []
    for name, code, prefix, block in (
        ("exif", _APP1, _EXIF, metadata.exif),
        ("xmp", _APP1, _XMP, metadata.xmp),
    ):
        if len(prefix) + len(block) > _SEGMENT_MAX:
            lost.append(name)
        elif block:
            kept.append(_segment(code, prefix + block))
    parts = [metadata.icc[at : at + _ICC_PART] for at in range(0, len(metadata.icc), _ICC_PART)]
    if len(parts) > 255:
        lost.append("icc")
    else:
        counts = ((_ICC + bytes((n, len(parts))), part) for n, part in enumerate(parts, 1))
        kept += [_segment(_APP2, prefix + part) for prefix, part in counts]
    at = _after_jfif(data)
    return b"".join((data[:at], *kept, data[at:])), lost


_SEGMENT_MAX = 65_533  # a segment's length is 16 bits and counts itself
_ICC_PART = _SEGMENT_MAX - len(_ICC) - 2


def _segment(code: int, content: bytes) -> bytes:
    return bytes((0xFF, code)) + (len(content) + 2).to_bytes(2, "big") + content


def _after_jfif(data: bytes) -> int:
    """JFIF wants its segment to be the first."""
    return 4 + int.from_bytes(data[4:6], "big") if data[2:4] == b"\xff\xe0" else 2
