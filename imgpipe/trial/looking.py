"""One picture: what it is, and a thumbnail of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from imgpipe import limits
from imgpipe.errors import ImageError, Note
from imgpipe.imaging import pixels, sheet
from imgpipe.imaging.codecs import Ceiling, Codec, decode, inspect
from imgpipe.imaging.codecs.containers.header import Header
from imgpipe.imaging.pixels import Image


@dataclass(frozen=True, slots=True)
class Look:
    """One picture, looked at: upright width and height, bytes, format and traits.

    ``image`` is its thumbnail, or else ``problem`` says why there is none; ``notes`` are about the thumbnail.
    """

    size: int
    width: int = 0
    height: int = 0
    format: str = ""
    traits: Sequence[str] = ()
    notes: Sequence[str] = ()
    image: Image | None = field(default=None, repr=False)
    problem: str = ""


def traits(header: Header) -> list[str]:
    """What a picture is other than 8 bits, in colour, opaque, one page, and stored upright."""
    found = {
        "float": header.floating,
        f"{header.bits} bit": header.bits != 8 and not header.floating,
        "grey": header.grey,
        "alpha": header.alpha,
        "CMYK": any(kind == Note.COLOURS for kind, _ in header.losses),
        "several frames": header.frames > 1,
        f"orientation {header.orientation}": header.orientation != 1,
    }
    return [words for words, so in found.items() if so]


def look(data: bytes, suffix: str, side: int, pixels_max: int = 0) -> Look:
    """What these bytes are and a thumbnail of them, or why there is none; ``pixels_max`` as in a recipe."""
    ceiling = Ceiling(pixels=max(limits.PIXELS_MAX, pixels_max))
    try:
        codec, header = inspect(data, ceiling=ceiling)
        picture = decode(data, suffix=suffix, ceiling=ceiling, resampled=partial(_fitted, side=side))
        first = picture.frames[0]
        image = sheet.thumbnail(first, side)
    except (ImageError, MemoryError) as error:
        return Look(len(data), problem=f"cannot be shown: {error}")
    return _described(len(data), codec, header, image=image, notes=_stretched(first))


def _stretched(image: Image) -> list[str]:
    """What a thumbnail of float pixels cannot show as it is."""
    if pixels.depth(image) != "float32":
        return []
    low, high = sheet.value_range(image)
    return [] if (low, high) == (0, 1) else [f"values from {low:.3g} to {high:.3g}, shown as black to white"]


def glance(data: bytes, problem: str) -> Look:
    """What these bytes say they are, without a pixel of them; ``problem`` is why."""
    try:
        codec, header = inspect(data)
    except ImageError:
        return Look(len(data), problem="cannot be shown")
    return _described(len(data), codec, header, problem)


def _fitted(width: int, height: int, side: int) -> tuple[int, int]:
    ratio = min(1.0, side / max(width, height))
    return max(1, round(width * ratio)), max(1, round(height * ratio))


def _described(
    size: int,
    codec: Codec,
    header: Header,
    problem: str = "",
    *,
    image: Image | None = None,
    notes: Sequence[str] = (),
) -> Look:
    width, height = header.width, header.height
    if header.orientation > 4:  # EXIF: 5 … 8 lie on their side
        width, height = height, width
    return Look(size, width, height, codec.name, traits(header), notes, image, problem)
