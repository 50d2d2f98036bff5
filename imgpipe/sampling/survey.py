"""A listing folded as it streams by: sums, extremes, and a few names of every size and format.

What is held does not grow with the listing. Sizes fall into *bins*, four to an octave; of each bin count and
bytes are known exactly, and a uniform sample of its files is kept (`Reservoir`). `choice` joins bins to
strata.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple, TypeVar

from imgpipe.imaging.codecs import CODECS, suffix_of

_BINS_PER_OCTAVE = 4  # sizes in one bin differ by less than a fifth
_OF_FORMAT = 4  # files of a format that are kept: one of them may be broken

Key = TypeVar("Key")


class File(NamedTuple):
    """An image: its name relative to the folder, and bytes."""

    name: bytes
    size: int


class Reservoir:
    """A uniform sample of at most so many files of a stream (algorithm R: Vitter, *Random sampling with a
    reservoir*, 1985), and the sums of all of them."""

    def __init__(self, room: int) -> None:
        self.count = self.bytes = 0
        self.kept: list[File] = []
        self._room = room

    def add(self, file: File, rng: Random) -> None:
        self.count += 1
        self.bytes += file.size
        if len(self.kept) < self._room:
            self.kept.append(file)
        elif (place := rng.randrange(self.count)) < self._room:
            self.kept[place] = file


class Survey:
    """What is known of a folder.

    Attributes
    ----------
    count, bytes : int
        Images, and the bytes of all of them.
    largest, smallest : File or None
        The first listed of that size.
    bins : dict
        `Reservoir` by bin; a higher number holds larger files.
    formats : dict
        `Reservoir` by the name of a format (``"JPEG"``), as suffixes have it.
    """

    def __init__(self, room: int, rng: Random) -> None:
        """``room`` is how many images are going to be chosen: that many are kept of each bin."""
        self.room = room
        self.count = self.bytes = 0
        self.largest: File | None = None
        self.smallest: File | None = None
        self.bins: dict[int, Reservoir] = {}
        self.formats: dict[str, Reservoir] = {}
        self._rng = rng

    def add(self, file: File) -> None:
        """The next image of the listing."""
        self.count += 1
        self.bytes += file.size
        if self.largest is None or file.size > self.largest.size:
            self.largest = file
        if self.smallest is None or file.size < self.smallest.size:
            self.smallest = file
        self._into(self.bins, bin_of(file.size), self.room, file)
        self._into(self.formats, format_of(file.name), _OF_FORMAT, file)

    def _into(self, reservoirs: dict[Key, Reservoir], key: Key, room: int, file: File) -> None:
        reservoir = reservoirs.get(key)
        if reservoir is None:
            reservoir = reservoirs[key] = Reservoir(room)
        reservoir.add(file, self._rng)


def bin_of(size: int) -> int:
    """The number of a size's bin: the octave, and the quarter of it.

    >>> [bin_of(size) for size in (0, 1, 2, 1023, 1024, 1280)]
    [0, 4, 8, 43, 44, 45]
    """
    octave = size.bit_length()
    if octave <= 2:
        return _BINS_PER_OCTAVE * octave
    return _BINS_PER_OCTAVE * octave + (size >> (octave - 3) & _BINS_PER_OCTAVE - 1)


def format_of(name: bytes) -> str:
    """The format a file's suffix names: ``jpg`` and ``JPEG`` are one."""
    suffix = suffix_of(name)
    return CODECS[suffix].name if suffix in CODECS else suffix
