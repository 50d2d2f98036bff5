"""What one machine does with one image at most: set where a worker is started, never by a job.

A `Bounds` goes from the command line to every pool process: as words of its command line, and, so that
OpenCV holds to them too, as the environment it is started in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from imgpipe import limits
from imgpipe.errors import UsageError, nearest
from imgpipe.imaging.codecs import CODECS, FORMATS, WRITABLE
from imgpipe.imaging.codecs.ceiling import Ceiling
from imgpipe.memory import share

#: Names of formats as they are switched off, and every other word for each.
_FORMATS = {codec.key: codec.key for codec in FORMATS}
_WORDS = _FORMATS | {suffix: codec.key for suffix, codec in CODECS.items()}


def switched_off(words: Iterable[str]) -> frozenset[str]:
    """Formats by name or suffix, in any case, as `Ceiling.off` has them.

    Raises
    ------
    UsageError
        There is no such format; the message has the nearest name.
    """
    return frozenset(map(_format, words))


def _format(word: str) -> str:
    known = _WORDS.get(word.strip().lower().removeprefix("."))
    if known is None:
        hint = nearest(word.lower(), _WORDS)
        raise UsageError(f"expected one of {', '.join(sorted(_FORMATS))}, got {word!r:.40}{hint}")
    return known


@dataclass(frozen=True, slots=True)
class Bounds:
    """``ceiling`` is of what is decoded. ``memory`` is what a process may take beyond what it starts with, in
    bytes; 0: its share of the machine, which `among` works out."""

    ceiling: Ceiling = field(default_factory=Ceiling)
    memory: int = 0

    def among(self, slots: int) -> Bounds:
        """The same for each of so many processes."""
        return self if self.memory else replace(self, memory=share(slots))

    def limited(self, pixels: int) -> Bounds:
        """The same with a ceiling of so many pixels."""
        return replace(self, ceiling=replace(self.ceiling, pixels=pixels))

    def raised(self, pixels: int) -> Bounds:
        """The same with at least so many pixels."""
        return self.limited(max(self.ceiling.pixels, pixels))

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Those that are written here: of the formats that are not switched off."""
        return tuple(s for s, codec in CODECS.items() if s in WRITABLE and codec.key not in self.ceiling.off)

    @property
    def environment(self) -> dict[str, str]:
        """What OpenCV and the C library read when a process loads them.

        glibc keeps the memory of one image for the next instead of giving it back and having every page of
        it faulted in again (116 faults an image of 256×256 before, 12 now); but never so much that a large
        block would find no room beside it.
        """
        sides = str(self.ceiling.side)
        return {
            "OPENCV_IO_MAX_IMAGE_PIXELS": str(self.ceiling.pixels),
            "OPENCV_IO_MAX_IMAGE_WIDTH": sides,
            "OPENCV_IO_MAX_IMAGE_HEIGHT": sides,
            "MALLOC_MMAP_THRESHOLD_": str(min(limits.MALLOC_MMAP_MIN, self.memory // 16)),
            "MALLOC_TRIM_THRESHOLD_": str(min(limits.MALLOC_KEPT_MAX, self.memory // 4)),
        }

    def words(self) -> list[str]:
        """For a command line; `from_words` reads them."""
        ceiling = self.ceiling
        numbers = (ceiling.pixels, ceiling.side, ceiling.pages, ceiling.bytes, self.memory)
        return [*map(str, numbers), ",".join(sorted(ceiling.off))]

    @classmethod
    def from_words(cls, words: Sequence[str]) -> Bounds:
        pixels, side, pages, size, allowance = map(int, words[:5])
        return cls(
            Ceiling(pixels, side, pages, size, frozenset(filter(None, words[5].split(",")))), allowance
        )


#: How many words those are.
WORDS = 6

#: Where nothing is said.
USUAL = Bounds()
