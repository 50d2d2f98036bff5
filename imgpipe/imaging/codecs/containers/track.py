"""The tracks of a film in boxes: its samples, one for each frame. ISO/IEC 14496-12, sections 8.4 to 8.7."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from imgpipe import limits
from imgpipe.errors import ImageError, Kind
from imgpipe.imaging.codecs.containers.boxes import Box, first, within
from imgpipe.imaging.codecs.containers.header import damaged, truncated

_TRACKS_MAX = 16  # colours, alpha, and what nobody here reads


@dataclass(frozen=True, slots=True)
class Track:
    """How long each frame is shown, in ms, and where its bytes are: start and size.

    ``size`` is width and height as the track has them, ``entries`` the boxes that say how samples are coded.
    """

    durations: tuple[int, ...]
    samples: tuple[tuple[int, int], ...]
    size: tuple[int, int]
    entries: tuple[Box, ...]


def tracks(data: bytes, movie: Box) -> list[Track]:
    """Those that have samples.

    Raises
    ------
    ImageError
        ``too_large``: over `limits.PAGES_MAX` frames; ``unreadable``: tables that contradict each other.
    """
    found: list[Track] = []
    for box in within(data, movie):
        parts = within(data, box) if box.kind == b"trak" else []
        media, about = first(parts, b"mdia"), first(parts, b"tkhd")
        if media is None or about is None:
            continue
        if len(found) >= _TRACKS_MAX:
            raise damaged("too many tracks")
        inside = within(data, media)
        head, info = first(inside, b"mdhd"), first(inside, b"minf")
        table = first(within(data, info), b"stbl") if info else None
        if head and table:
            scale = int.from_bytes(data[head.start + (20 if data[head.start] else 12) :][:4], "big")
            found.append(_track(data, within(data, table), max(1, scale), _size(data, about)))
    return found


def _size(data: bytes, about: Box) -> tuple[int, int]:
    """Numbers of 16 bits before and 16 behind the point, at the end of a track's header."""
    width, height = struct.unpack_from(">II", data, about.start + (88 if data[about.start] else 76))
    return width >> 16, height >> 16


def _track(data: bytes, table: list[Box], scale: int, size: tuple[int, int]) -> Track:
    times, sizes, runs, coded = (first(table, kind) for kind in (b"stts", b"stsz", b"stsc", b"stsd"))
    places = first(table, b"stco") or first(table, b"co64")
    if not (times and sizes and runs and places):
        raise damaged("a track without frames")
    durations = _durations(data, times, scale)
    samples = tuple(_samples(data, _sizes(data, sizes), places, list(_rows(data, runs, 3))))
    if len(samples) != len(durations):
        raise damaged(f"{len(samples)} frames, and times for {len(durations)}")
    if any(start + size > len(data) for start, size in samples):
        raise truncated(data)
    return Track(durations, samples, size, tuple(within(data, coded, 8) if coded else ()))


def _bounded(count: int) -> int:
    if count > limits.PAGES_MAX:
        raise ImageError(Kind.TOO_LARGE, f"{count} frames, at most {limits.PAGES_MAX}")
    return count


def _rows(data: bytes, box: Box, width: int, code: str = "I", skip: int = 0) -> Iterator[tuple[int, ...]]:
    """The rows of a table: after a version, flags and ``skip`` bytes their number, then themselves."""
    (count,) = struct.unpack_from(">I", data, box.start + 4 + skip)
    row = struct.Struct(f">{width}{code}")
    for number in range(_bounded(count)):
        yield row.unpack_from(data, box.start + 8 + skip + row.size * number)


def _durations(data: bytes, times: Box, scale: int) -> tuple[int, ...]:
    found: list[int] = []
    for frames, ticks in _rows(data, times, 2):
        _bounded(len(found) + frames)
        found += [round(1000 * ticks / scale)] * frames
    return tuple(found)


def _sizes(data: bytes, box: Box) -> list[int]:
    """Of every sample: one size for all, or a table."""
    size, count = struct.unpack_from(">II", data, box.start + 4)
    return [size] * _bounded(count) if size else [size for (size,) in _rows(data, box, 1, skip=4)]


def _samples(
    data: bytes, sizes: list[int], places: Box, runs: list[tuple[int, ...]]
) -> Iterator[tuple[int, int]]:
    """Samples lie in chunks, one behind the other. A run says from which chunk on each holds how many."""
    code = "Q" if places.kind == b"co64" else "I"
    left = iter(sizes)
    run = -1
    for number, (at,) in enumerate(_rows(data, places, 1, code), 1):
        while run + 1 < len(runs) and runs[run + 1][0] <= number:
            run += 1
        for _ in range(runs[run][1] if run >= 0 else 0):
            size = next(left, None)
            if size is None:
                return
            yield at, size
            at += size
