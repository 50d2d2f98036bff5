"""Sound files made hostile by chance: what the fuzzer decodes, and how a part of a file is changed.

Blind changes (bits, bytes, numbers that are known to hurt, pieces moved about) reach little in formats with
checksums and lengths, so each format also has its own: parts (chunks, segments, boxes, fields) are dropped,
doubled, swapped, changed inside or taken from another file, and lengths and checksums mended afterwards.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random

from tests.good_files import chunk

#: Numbers at which code goes wrong.
NUMBERS = (0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 127, 128, 255, 256, 1023, 4095, 32767, 32768, 65535)
NUMBERS_32 = (*NUMBERS, 65536, 1 << 20, (1 << 24) - 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)


def mutated(chance: Random, data: bytes, other: bytes) -> bytes:
    """``data`` with a few changes; ``other`` is a file of the same format to take parts from."""
    aware = next((change for magic, change in _AWARE if data.startswith(magic)), None)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        change = aware if aware and chance.random() < 0.6 else blind
        data = change(chance, data, other)
    return mended(data) if chance.random() < 0.95 else data


def blind(chance: Random, data: bytes, other: bytes) -> bytes:
    """One change that knows no format."""
    if not data or not other:
        return data or other
    at = chance.randrange(len(data))
    if chance.random() < 0.3:  # headers are where it hurts
        at = chance.randrange(min(len(data), 128))
    end = min(len(data), at + chance.choice((1, 2, 4, 8, 32, 200)))
    match chance.randrange(9):
        case 0 | 1:
            return data[:at] + bytes((data[at] ^ 1 << chance.randrange(8),)) + data[at + 1 :]
        case 2 | 3:
            return data[:at] + number(chance) + data[at + 4 :]
        case 4:
            return data[:at] + data[end:]
        case 5:
            return data[:at] + data[at:end] * chance.choice((2, 3, 50)) + data[end:]
        case 6:
            return data[:at] + chance.randbytes(end - at) + data[end:]
        case 7:
            return data[:at] + other[chance.randrange(len(other)) :][: 2 * (end - at)] + data[end:]
        case _:
            return data[:at]


def number(chance: Random) -> bytes:
    """A number that may hurt, in one, two or four bytes of either order."""
    order = chance.choice("<>")
    value = chance.choice(NUMBERS_32)
    code = chance.choice("BHI")
    return struct.pack(order + code, value & (1 << 8 * struct.calcsize(code)) - 1)


def parts_changed(chance: Random, parts: list[bytes], others: list[bytes], inside: int) -> list[bytes]:
    """One part dropped, doubled, moved, replaced, or changed after its first ``inside`` bytes."""
    parts = list(parts)
    if not parts:
        return others
    at = chance.randrange(len(parts))
    part = parts[at]
    match chance.randrange(7):
        case 0:
            del parts[at]
        case 1:
            parts[at:at] = [part] * chance.choice((1, 1, 2, 30))
        case 2:
            parts.insert(chance.randrange(len(parts)), parts.pop(at))
        case 3:
            parts.insert(at, chance.choice(others or parts))
        case _:
            parts[at] = part[:inside] + blind(chance, part[inside:] or b"\0", part)
    return parts


# --- PNG ----------------------------------------------------------------------------------------


def png_parts(data: bytes) -> list[bytes]:
    """Kind and body of each chunk, without length and checksum."""
    found, at = [], 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 8 + length])
        at += 12 + length
    return found


def png_of(parts: list[bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(part[:4], part[4:]) for part in parts)


def _png(chance: Random, data: bytes, other: bytes) -> bytes:
    parts = png_parts(data)
    if chance.random() < 0.2:
        return png_of([_repacked(chance, part) for part in parts])
    return png_of(parts_changed(chance, parts, png_parts(other), 4))


def _repacked(chance: Random, part: bytes) -> bytes:
    """Changed before it is compressed."""
    if part[:4] != b"IDAT":
        return part
    try:
        raw = zlib.decompress(part[4:])
    except zlib.error:
        return part
    return part[:4] + zlib.compress(blind(chance, raw, raw))


# --- JPEG ---------------------------------------------------------------------------------------


def jpeg_parts(data: bytes) -> list[bytes]:
    """Each marker with what follows it up to the next one."""
    found, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == 0xDA:
            while end + 1 < len(data) and not (data[end] == 0xFF and not _within_scan(data[end + 1])):
                end += 1
        found.append(data[at:end])
        at = end
    return [*found, data[at:]]


def _within_scan(code: int) -> bool:
    return code in (0, 0xFF) or 0xD0 <= code <= 0xD7


def _jpeg(chance: Random, data: bytes, other: bytes) -> bytes:
    return data[:2] + b"".join(parts_changed(chance, jpeg_parts(data), jpeg_parts(other), 4))


# --- RIFF, boxes --------------------------------------------------------------------------------


def riff_parts(data: bytes) -> list[bytes]:
    """Name and content of each chunk of a WebP, without its length."""
    found, at = [], 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append(data[at : at + 4] + data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return found


def riff_of(parts: list[bytes]) -> bytes:
    packed = (p[:4] + struct.pack("<I", len(p) - 4) + p[4:] + b"\0" * (len(p) % 2) for p in parts)
    body = b"WEBP" + b"".join(packed)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _webp(chance: Random, data: bytes, other: bytes) -> bytes:
    parts = [part for part in parts_changed(chance, riff_parts(data), riff_parts(other), 4) if len(part) >= 4]
    return riff_of(parts)


_HOLDERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0}


def box_parts(data: bytes) -> list[bytes]:
    """Kind and content of each box, without its length."""
    found, at = [], 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big") or len(data) - at
        found.append(data[at + 4 : at + max(8, size)])
        at += max(8, size)
    return found


def boxes_of(parts: list[bytes]) -> bytes:
    return b"".join(struct.pack(">I", 4 + len(part)) + part for part in parts)


def _boxes(chance: Random, data: bytes, other: bytes) -> bytes:
    """A change at the top, or in a box of boxes; where lengths change, places of pixels are off too."""
    parts = box_parts(data)
    held = [n for n, part in enumerate(parts) if part[:4] in _HOLDERS or part[:4] == b"jp2h"]
    if held and chance.random() < 0.7:
        at = chance.choice(held)
        start = 4 + _HOLDERS.get(parts[at][:4], 0)
        parts[at] = parts[at][:start] + _boxes(chance, parts[at][start:], parts[at][start:])
        return boxes_of(parts)
    return boxes_of([part for part in parts_changed(chance, parts, box_parts(other), 4) if len(part) >= 4])


# --- TIFF ---------------------------------------------------------------------------------------


def _tiff(chance: Random, data: bytes, _: bytes) -> bytes:
    """A number in a field of the first directory."""
    order = "<" if data[:1] == b"I" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    at = int.from_bytes(data[8:16] if big else data[4:8], "little" if order == "<" else "big")
    head, width = (8, 20) if big else (2, 12)
    if at + head > len(data):
        return data
    count = struct.unpack_from(order + ("Q" if big else "H"), data, at)[0]
    field = at + head + width * chance.randrange(max(1, min(count, 30)))
    offset = field + chance.choice((0, 2, 4, 8, 8, 8) if not big else (0, 2, 4, 12, 12, 12))
    code = "H" if offset - field < 4 or chance.random() < 0.5 else "I"
    changed = bytearray(data)
    if offset + 4 <= len(data):
        value = chance.choice(_TAGS) if offset == field else chance.choice(NUMBERS_32)
        struct.pack_into(order + code, changed, offset, value & (1 << 8 * struct.calcsize(code)) - 1)
    return bytes(changed)


_TAGS = (
    *(254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338),
    *(339, 347, 512, 513, 530, 532, 700, 34675),
)

_AWARE: tuple[tuple[bytes, Callable[[Random, bytes, bytes], bytes]], ...] = (
    (b"\x89PNG", _png),
    (b"\xff\xd8", _jpeg),
    (b"RIFF", _webp),
    (b"\0\0\0", _boxes),
    (b"II", _tiff),
    (b"MM", _tiff),
)


def mended(data: bytes) -> bytes:
    """With the checksums of a PNG and the length of a WebP made right again."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return png_of(png_parts(data))
    if data.startswith(b"RIFF"):
        return data[:4] + struct.pack("<I", max(0, len(data) - 8)) + data[8:]
    return data
