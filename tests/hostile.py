"""Two thousand files that a decoder should fear, and sound ones among them: the same ones from the same seed.

cut        every sound file, ending early after each sixteenth
flip       every sound file with one bit changed; for PNG also with the checksum mended, or that stops all
bomb       what `tests.bombs` makes by hand; what `benchmarks.fuzz` finds becomes one, as small as it can be
disguised  what is no image, and sound files under another format's suffix
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from tests.bombs import DONE, LARGE, TRUNCATED, UNREADABLE, bombs, disguised, renamed
from tests.good_files import Good, good_files
from tests.mutations import mended

PARTS = 16  # a file is cut after each of so many parts
FLIPS = 20  # bits changed in each sound file, one at a time
ANY = (DONE, UNREADABLE, TRUNCATED, LARGE)


@dataclass(frozen=True)
class Case:
    """A file: its name (no two have one stem), its bytes, and what may become of it: ``done`` or a kind of
    failure. ``good``: the sound file it is, whose pixels have to come out."""

    name: str
    data: bytes
    ends: tuple[str, ...]
    good: Good | None = None


def hostile(seed: int = 1) -> list[Case]:
    """All of them."""
    return [*_sound(), *_cut(), *_flipped(Random(seed)), *_by_hand()]


def _stem(prefix: str, file: Good) -> str:
    stem, _, suffix = file.name.rpartition(".")
    return f"{prefix}-{stem}-{suffix}.{suffix}"


def _sound() -> Iterator[Case]:
    for file in good_files():
        yield Case(_stem("good", file), file.data, (DONE,), file)
    for name, file in renamed(good_files()):
        yield Case(name, file.data, (DONE,), file)


def _cut() -> Iterator[Case]:
    for file in good_files():
        for part in range(1, PARTS):
            data = file.data[: len(file.data) * part // PARTS]
            yield Case(_stem(f"cut{part:02}", file), data, (TRUNCATED,))


def _flipped(chance: Random) -> Iterator[Case]:
    for file in good_files():
        for number in range(FLIPS):
            at = chance.randrange(len(file.data))
            data = file.data[:at] + bytes((file.data[at] ^ 1 << chance.randrange(8),)) + file.data[at + 1 :]
            yield Case(_stem(f"flip{number:02}", file), data, ANY)
            if file.name.endswith("png"):
                yield Case(_stem(f"mended{number:02}", file), mended(data), ANY)


def _by_hand() -> Iterator[Case]:
    for bomb in bombs():
        stem, _, suffix = bomb.name.rpartition(".")
        yield Case(f"bomb-{stem}.{suffix}", bomb.data, bomb.ends)
    for bomb in disguised():
        stem, _, suffix = bomb.name.rpartition(".")
        yield Case(f"disguised-{stem}-{suffix}.{suffix}", bomb.data, bomb.ends)
