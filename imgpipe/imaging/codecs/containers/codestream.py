"""The codestream of a JPEG 2000: whether all its tiles are there, and enough bytes for what it announces.

OpenJPEG makes a table of all packets of a tile before it reads one, and 671 bytes can announce 10¹² of them.
A tile that is not there it leaves black. ISO/IEC 15444-1, annexes A and B.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from imgpipe.imaging.codecs.containers.header import damaged, parts_max, truncated

_COD, _COC, _SOT, _SOD = 0xFF52, 0xFF53, 0xFF90, 0xFF93
_OWN_PRECINCTS = 1  # flag: the sizes of precincts are said, else each resolution is one
_WHOLE = 15  # 2 to this is the side of such a precinct


@dataclass(frozen=True, slots=True)
class Grid:
    """How many tiles, how large they are, and how many channels each has."""

    tiles: int
    width: int
    height: int
    components: int


def check(data: bytes, start: int, end: int, grid: Grid) -> None:
    """Go past all tiles of the codestream from ``start`` (behind SOC) to ``end``.

    Raises
    ------
    ImageError
        ``truncated``: it ends early; ``unreadable``: tiles are missing, or it is too small for its packets.
    """
    seen: set[int] = set()
    layers, at = 1, start
    for _ in range(parts_max(data)):
        if at + 4 > end:  # two bytes may be left, for its end marker
            break
        code, length = struct.unpack_from(">HH", data, at)
        if code == _SOT:
            tile, size = struct.unpack_from(">HI", data, at + 4)
            following = at + size if size else end
            if following > end:
                raise truncated(data)
            seen.add(tile)
            for inside, body in _segments(data, at + 2 + length, following):
                layers = _enough(inside, body, layers, grid, 1, end - start)
            at = max(following, at + 12)
        else:
            body = data[at + 4 : at + 2 + length]
            layers = _enough(code, body, layers, grid, grid.tiles, end - start)
            at += 2 + max(2, length)
    if len(seen) < grid.tiles:
        raise damaged(f"{len(seen)} of its {grid.tiles} tiles are there")


def _segments(data: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The segments of a tile's header."""
    while at + 4 <= end:
        code, length = struct.unpack_from(">HH", data, at)
        if code == _SOD:
            return
        yield code, data[at + 4 : at + 2 + length]
        at += 2 + max(2, length)


def _enough(code: int, body: bytes, layers: int, grid: Grid, tiles: int, size: int) -> int:
    """Hold the packets a segment announces against the bytes there are, one for each at least. The layers."""
    if code == _COD:
        layers = int.from_bytes(body[2:4], "big")
        packets = tiles * grid.components * layers * _precincts(body[0], body[5], body[10:], grid)
    elif code == _COC:  # the number of its channel is of one byte: there are at most four
        packets = tiles * layers * _precincts(body[1], body[2], body[7:], grid)
    else:
        return layers
    if packets > size:
        raise damaged(f"{packets} packets in {size} bytes")
    return layers


def _precincts(flags: int, levels: int, sides: bytes, grid: Grid) -> int:
    """In one layer of one channel of a tile: those of all its resolutions, the smallest first."""
    if levels > 32:
        raise damaged(f"{levels} levels")
    total = 0
    for number in range(levels + 1):
        sizes = sides[number] if flags & _OWN_PRECINCTS else _WHOLE << 4 | _WHOLE
        across = -(-grid.width >> levels - number + (sizes & 15))
        down = -(-grid.height >> levels - number + (sizes >> 4))
        total += across * down
    return total
