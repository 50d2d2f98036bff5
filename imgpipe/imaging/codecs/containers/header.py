"""What a file says of itself before a pixel of it is decoded, and how a reader of it gives up.

Every reader in `containers` gives a `Header`: the size, depth and pages that limits are held against, and the
metadata that is carried over. A reader trusts no length, never walks further than the bytes go, and raises
nothing but `ImageError` and what `reading` turns into one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from imgpipe.errors import ImageError, Kind, Note
from imgpipe.imaging.codecs.containers.metadata import NOTHING, Metadata

_PARTS_FREE = 10_000  # parts of a file of any size: a walk over them takes 10 ms
_PART_MEAN_MIN = 256  # bytes of a part, in larger files: reading them takes longer than the walk


@dataclass(frozen=True, slots=True)
class Header:
    """A picture as its file describes it.

    Attributes
    ----------
    width, height : int
        Pixels of the canvas, as they are stored: before orientation is applied.
    bits : int
        Of one sample as the file has it, 1 … 64.
    floating : bool
        Samples are floating-point numbers.
    grey, alpha : bool
        One channel of colour; a channel, a colour or a mask that says how opaque a pixel is.
    frames : int
        Pages or frames. ``durations`` are those of frames in ms where the format has them, ``loops`` how
        often all are shown (0: for ever).
    orientation : int
        EXIF's, 1 … 8: what is to be applied to the stored pixels.
    metadata : Metadata
        What is carried to the output.
    losses : tuple
        ``(kind, text)`` of what this format says and nobody here reads.
    details : object
        What the format's own reader wants to find again when pixels are read.
    """

    width: int
    height: int
    bits: int = 8
    floating: bool = False
    grey: bool = False
    alpha: bool = False
    frames: int = 1
    durations: tuple[int, ...] = ()
    loops: int = 0
    orientation: int = 1
    metadata: Metadata = NOTHING
    losses: tuple[tuple[str, str], ...] = ()
    details: Any = field(default=None, repr=False)

    @property
    def depth(self) -> str:
        """The name of the dtype its pixels have in memory."""
        return "float32" if self.floating else "uint16" if self.bits > 8 else "uint8"


@dataclass(slots=True)
class Frame:
    """A frame of an animated PNG or GIF: its place on the canvas, and how it is joined to what is there.

    ``duration`` in ms. ``disposal``: 0 leaves it there, 1 clears its place, 2 restores what was there before.
    ``over``: it is laid over what is there, else it replaces that. ``data``: the parts its pixels are in.
    """

    width: int
    height: int
    left: int
    top: int
    duration: int
    disposal: int
    over: bool
    data: list[bytes | memoryview] = field(default_factory=list, repr=False)


class Described(Protocol):
    """What a page says of itself."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def bits(self) -> int: ...
    @property
    def alpha(self) -> bool: ...


def of_pages(found: Header, pages: Sequence[Described]) -> Header:
    """The header for those of its pages that are read, which become its ``details``: the size of the largest,
    the depth of the deepest, and alpha if one has it."""
    largest = max(pages, key=lambda page: page.width * page.height)
    return replace(
        found,
        width=largest.width,
        height=largest.height,
        bits=max(page.bits for page in pages),
        alpha=any(page.alpha for page in pages),
        details=pages,
    )


def damaged(what: str) -> ImageError:
    """It is an image of a known format, and no sound one."""
    return ImageError(Kind.UNREADABLE, f"damaged: {what}")


def unsupported(what: str) -> ImageError:
    """It may be sound, but nobody here can read it right."""
    return ImageError(Kind.UNREADABLE, f"not supported: {what}")


def truncated(data: bytes) -> ImageError:
    """It ends before its pixels do."""
    return ImageError(Kind.TRUNCATED, f"the file ends early, after {len(data)} bytes")


def unread(note: Note, format_: str) -> tuple[str, str]:
    """A loss: the file holds such a block, and it is not carried."""
    return str(note), f"{note.upper()} is not read from this {format_}"


def parts_max(data: bytes) -> int:
    """How many parts (segments, chunks, boxes, blocks) a walk over a file goes past: a walk in Python, so a
    file of 100 MB that is all parts of a few bytes would take a minute."""
    return _PARTS_FREE + len(data) // _PART_MEAN_MIN


@contextmanager
def reading(data: bytes) -> Iterator[None]:
    """Whatever lies beyond the end of ``data`` makes it truncated."""
    try:
        yield
    except (struct.error, IndexError, OverflowError):
        raise truncated(data) from None
