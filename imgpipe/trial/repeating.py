"""What an image takes among thousands, in seconds of a slot: the sample is done once more, many times over.

An image of a few milliseconds takes longer in a crowd than among twelve: all slots, the coordinator and the
disk have one machine, and some of that is in no stage. So images that came through are done again, as often
as keeps every slot busy for a second or two, and the time of all slots is divided among them. What is slower
keeps the slots busy for itself.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from imgpipe import limits
from imgpipe.errors import Kind
from imgpipe.facts import Fact, ImageDone, ImageFailed


@dataclass(frozen=True, slots=True)
class Room:
    """What a file system has for results: bytes free, and files; a block is the least that a file takes."""

    free: int
    files: int
    block: int

    @classmethod
    def of(cls, path: bytes) -> Room:
        """A quarter of what is free there: the sample and its results lie there, too."""
        found = os.statvfs(path)
        files = found.f_favail // 4 if found.f_files else limits.REPEATED_MAX  # some say 0 and mean no limit
        return cls(found.f_bavail * found.f_frsize // 4, files, found.f_frsize)


def rounds(done: Sequence[ImageDone], written: int, slots: int, room: Room) -> int:
    """How often these images are to be done again; 0 where that would say nothing new, or there is no room.

    ``written`` is bytes of all their results.
    """
    busy_s = sum(sum(one.times) for one in done) / 1e6
    if not busy_s:
        return 0
    number = int(limits.REPEATED_S * slots / busy_s)
    size = max(1, written + room.block * len(done))
    number = min(number, limits.REPEATED_MAX // len(done), limits.REPEATED_BYTES_MAX // size)
    number = min(number, room.free // size, room.files // (len(done) + 1))
    return number if number * len(done) >= limits.REPEATED_LEAST * slots else 0


def lay_out(source: bytes, target: bytes, names: Iterable[bytes], number: int) -> None:
    """Links to images of one folder in another, a folder for each round.

    Raises
    ------
    OSError
        There is no room for them, or the file system has no links.
    """
    for name in names:
        for folder in (b"%s/%d" % (target, at) for at in range(number)):
            link = os.path.join(folder, name)
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.link(os.path.join(source, name), link)


def costs(facts: Iterable[Fact], took_s: float, slots: int) -> dict[bytes, float]:
    """Seconds of a slot for each image, by name, without those for reading its file.

    ``facts`` are of the rounds, which took ``took_s`` seconds from the first image to the last.
    """
    times = defaultdict(list)
    for fact in facts:
        if isinstance(fact, ImageDone):
            times[fact.name.partition(b"/")[2]].append(fact.times)
    busy_s = sum(sum(stages) for each in times.values() for stages in each) / 1e6
    crowd = slots * took_s / busy_s if busy_s else 1.0
    return {name: crowd * fmean(sum(stages[1:]) for stages in each) / 1e6 for name, each in times.items()}


def of_the_dead(facts: Iterable[Fact], took_s: float, slots: int) -> dict[bytes, float]:
    """Seconds of a slot for each image whose process died, by name: what nobody else has used of ``took_s``
    seconds, such as the start of another process."""
    ends = [fact for fact in facts if isinstance(fact, ImageDone | ImageFailed)]
    dead = [end.name for end in ends if isinstance(end, ImageFailed) and end.kind == Kind.CRASHED]
    used_s = sum(sum(end.times) for end in ends if isinstance(end, ImageDone)) / 1e6
    return dict.fromkeys(dead, max(0.0, slots * took_s - used_s) / max(1, len(dead)))
