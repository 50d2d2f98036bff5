"""The table of formats, by suffix: what each can hold.

A suffix is lower-case text without its dot. The listing chooses images by it, and the output's suffix chooses
how it is encoded. A new format is a new `Codec` here (and, to tell truncated from unreadable, a reader in
`structure`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgpipe.errors import UsageError, nearest
from imgpipe.schema import elided

QUALITY = 90  # contract


@dataclass(frozen=True, slots=True)
class Codec:
    """A format. ``depths`` are the dtypes it keeps, best last; ``side_max`` is in pixels."""

    name: str
    suffixes: tuple[str, ...]
    depths: tuple[str, ...] = ("uint8",)
    alpha: bool = True
    side_max: int = 2**31 - 1
    quality: str = ""  # the name of OpenCV's constant for it, where the format has one


# Sides: libjpeg's JPEG_MAX_DIMENSION, libwebp's WEBP_MAX_DIMENSION.
_ALL = (
    Codec("JPEG", ("jpg", "jpeg"), alpha=False, side_max=65_500, quality="IMWRITE_JPEG_QUALITY"),
    Codec("PNG", ("png",), depths=("uint8", "uint16")),
    Codec("WebP", ("webp",), side_max=16_383, quality="IMWRITE_WEBP_QUALITY"),
    Codec("TIFF", ("tif", "tiff"), depths=("uint8", "uint16", "float32")),
    Codec("BMP", ("bmp",)),
)

#: Every format by every suffix of its own.
CODECS: Mapping[str, Codec] = {suffix: codec for codec in _ALL for suffix in codec.suffixes}

#: Suffixes of files that are read …
READABLE: frozenset[str] = frozenset(CODECS)
#: … and written.
WRITABLE: frozenset[str] = frozenset(CODECS)


def suffix_of(name: bytes) -> str:
    """What follows the last dot of a file name, in lower case; nothing for ``name`` and ``.name``."""
    stem, dot, suffix = name.rpartition(b"/")[2].rpartition(b".")
    return suffix.decode("ascii", "replace").lower() if dot and stem else ""


def codec(suffix: str) -> Codec:
    """The format of files with this suffix.

    Raises
    ------
    KeyError
        There is none. `READABLE` is asked before an image gets here.
    """
    return CODECS[suffix]


def checked_format(format: Any) -> str | None:
    """A format as asked for (``png``, ``.PNG``), as a suffix that can be written.

    Raises
    ------
    UsageError
        There is no such format.
    """
    if format is None:
        return None
    suffix = format.lower().removeprefix(".") if isinstance(format, str) else ""
    if suffix not in WRITABLE:
        known = sorted(WRITABLE)
        hint = nearest(suffix, known)
        raise UsageError(f"format: expected one of {', '.join(known)}, got {elided(format)}{hint}")
    return suffix


def checked_quality(quality: Any) -> int:
    """A quality, 1 … 100.

    Raises
    ------
    UsageError
        It is something else.
    """
    if type(quality) is not int or not 1 <= quality <= 100:
        raise UsageError(f"quality: expected an integer from 1 to 100, got {elided(quality)}")
    return quality
