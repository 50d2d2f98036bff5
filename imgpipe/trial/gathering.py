"""A folder listed, a sample of it chosen and copied into a directory of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from imgpipe import limits, storage
from imgpipe.errors import ImageError, Kind
from imgpipe.imaging.codecs import inspect, suffix_of
from imgpipe.jobs.intake import SUFFIXES, Plan
from imgpipe.sampling.choice import Sample, candidates, choose
from imgpipe.sampling.survey import File, Survey
from imgpipe.schema import shown
from imgpipe.trial.looking import traits


@dataclass(slots=True)
class Listed:
    """A folder as a job would list it. ``lost`` says what could not be looked at, and may hold images."""

    survey: Survey
    ignored: int = 0
    lost: list[str] = field(default_factory=list)
    lost_count: int = 0


def listed(plan: Plan, room: int, rng: Random, told: Callable[[Listed], None]) -> Listed:
    """List the folder of a plan. ``told`` is called at every entry.

    Raises
    ------
    OSError
        The folder itself cannot be read.
    """
    found, request = Listed(Survey(room, rng)), plan.request
    with plan.source.open() as folder:
        entries = storage.walk(
            folder,
            suffixes=SUFFIXES,
            include=request.include,
            exclude=request.exclude,
            skip=plan.nesting.output,
        )
        for entry in entries:
            if isinstance(entry, storage.Entry):
                found.survey.add(File(entry.name, entry.size))
            else:
                _pass(entry, found)
            told(found)
    return found


def _pass(entry: storage.Passed, found: Listed) -> None:
    found.ignored += 1
    if entry.lost:
        found.lost_count += 1
        if len(found.lost) < limits.FAILED_SHOWN:
            found.lost.append(f"{shown(entry.name)}: {entry.why}")


def chosen(folder: storage.Folder, survey: Survey, number: int, rng: Random) -> Sample:
    """The sample; headers of `candidates` are read for it, as far as `limits.CANDIDATES_BYTES_MAX` goes."""
    modes, room = {}, limits.CANDIDATES_BYTES_MAX
    for file in candidates(survey):
        if file.size <= room:
            room -= file.size
            modes[file.name] = _oddities(folder, file)
    return choose(survey, number, modes, rng)


def _oddities(folder: storage.Folder, file: File) -> Sequence[str]:
    """What is odd about an image, in words that are alike for images that are odd in the same way."""
    try:
        codec, header = inspect(_read(folder, file))
    except ImageError as error:
        return (str(error.kind),)
    named = suffix_of(file.name)
    return (*traits(header), *(() if named in codec.suffixes else (f".{named} that is {codec.name}",)))


# --- the copy -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Copy:
    """How reading one image from the folder went: the seconds it took, or why there is no copy of it."""

    seconds: float
    failure: ImageError | None = None


def copied(source: storage.Folder, target: storage.Folder, files: Iterable[File]) -> dict[bytes, Copy]:
    """Copy images from one folder to the other, each under its name.

    Raises
    ------
    OSError
        The target cannot be written to.
    """
    return {file.name: _copied(source, target, file) for file in files}


def _copied(source: storage.Folder, target: storage.Folder, file: File) -> Copy:
    begun = time.perf_counter()
    try:
        data = _read(source, file)
    except ImageError as error:
        return Copy(time.perf_counter() - begun, error)
    seconds = time.perf_counter() - begun
    target.commit(file.name, b".imgpipe-copy.tmp", data, lambda: True)
    return Copy(seconds)


def _read(source: storage.Folder, file: File) -> bytes:
    try:
        return source.read(file.name, limits.IMAGE_BYTES_MAX)
    except MemoryError:
        raise ImageError(Kind.TOO_LARGE, "out of memory") from None
    except OSError as error:
        kind = Kind.MISSING if isinstance(error, FileNotFoundError) else Kind.UNREADABLE
        raise ImageError(kind, f"cannot be read: {storage.reason(error)}") from None
