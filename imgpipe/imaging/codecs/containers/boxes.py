"""Boxes, of which AVIF and JPEG 2000 files are made. ISO/IEC 14496-12, 4.2; ISO/IEC 15444-1, annex I."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imgpipe.imaging.codecs.containers.header import damaged, parts_max, truncated


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its type, and where its content is."""

    kind: bytes
    start: int
    end: int


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes from ``start`` to ``end``, one after the other.

    Raises
    ------
    ImageError
        ``truncated`` where one ends behind the file, ``unreadable`` where it ends behind the one it is in.
    """
    at, last = start, len(data) if end is None else end
    for _ in range(parts_max(data)):
        if at + 8 > last:
            if at < last and end is None:
                raise truncated(data)
            return
        size, head = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        elif size == 0:
            size = last - at
        kind = data[at + 4 : at + 8]
        if size < head:
            raise damaged(f"a {kind.decode('ascii', 'replace')!r} box of {size} bytes")
        if at + size > len(data):
            raise truncated(data)
        if at + size > last:
            raise damaged(f"a {kind.decode('ascii', 'replace')!r} box is longer than what it is in")
        yield Box(kind, at + head, at + size)
        at += size
    raise damaged("too many boxes")


def within(data: bytes, box: Box, skip: int = 0) -> list[Box]:
    """The boxes in a box, ``skip`` bytes after its content begins (4 where it has a version and flags)."""
    return list(boxes(data, box.start + skip, box.end))


def first(found: list[Box], kind: bytes) -> Box | None:
    return next((box for box in found if box.kind == kind), None)
