"""What became of each image of a sample, and what that says of the whole folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from imgpipe import limits, storage
from imgpipe.errors import ImageError, Kind
from imgpipe.facts import STAGES, Fact, ImageDone, ImageFailed
from imgpipe.imaging.codecs import suffix_of
from imgpipe.imaging.hearing import Hearing
from imgpipe.imaging.recipe import Recipe
from imgpipe.notes import Notes
from imgpipe.sampling.choice import Sample
from imgpipe.sampling.estimate import Layer, Point, Range, total
from imgpipe.sampling.survey import File
from imgpipe.trial.gathering import Copy
from imgpipe.trial.looking import Look, glance, look


@dataclass(frozen=True, slots=True)
class Tried:
    """One image of the sample: what it was chosen for, its times in ms by stage, both sides of it.

    ``failure`` is why it has no ``after``; ``notes`` are those of its end, as a job tells them.
    """

    file: File
    why: Sequence[str]
    before: Look
    after: Look | None = None
    ms: Mapping[str, float] = field(default_factory=dict)
    failure: ImageError | None = None
    seconds: float = 0.0
    notes: Notes = ()


class Reading:
    """Puts together what became of each image of a sample, when its job is over."""

    def __init__(
        self,
        recipe: Recipe,
        source: storage.Folder,
        output: storage.Folder,
        side: int,
        timeout_s: float,
        costs: Mapping[bytes, float],
    ) -> None:
        """``source`` holds the copies, ``output`` the results; ``side`` is that of thumbnails, in pixels;
        ``costs`` are as of `repeating`, by the names of those that have some."""
        self._recipe = recipe
        self._source, self._output = source, output
        self._side = side
        self._timeout_s = timeout_s
        self._costs = costs

    def tried(self, sample: Sample, copies: Mapping[bytes, Copy], facts: Iterable[Fact]) -> list[Tried]:
        """The images of the sample, the largest first."""
        ends = {fact.name: fact for fact in facts if isinstance(fact, ImageDone | ImageFailed)}
        with (
            closing(Hearing()) as hearing,
            hearing.listening(),
        ):  # decoders' warnings are not for the terminal
            return [
                self._tried(file, sample.why[file.name], copies[file.name], ends.get(file.name))
                for file in sample.files
            ]

    def _tried(
        self, file: File, why: Sequence[str], copy: Copy, end: ImageDone | ImageFailed | None
    ) -> Tried:
        match end:
            case ImageDone():
                return self._done(file, why, copy, end)
            case ImageFailed():
                failure = ImageError(Kind(end.kind), end.message)
                timeouts_s = self._timeout_s * end.tries if failure.kind is Kind.TIMEOUT else 0.0
                spent_s = max(timeouts_s, copy.seconds + self._costs.get(file.name, 0.0))
                return Tried(file, why, self._failed(file), failure=failure, seconds=spent_s, notes=end.notes)
        failure = copy.failure or ImageError(Kind.LOST, "the job ended before it")
        return Tried(file, why, Look(file.size, problem="not read"), failure=failure, seconds=copy.seconds)

    def _done(self, file: File, why: Sequence[str], copy: Copy, end: ImageDone) -> Tried:
        ms = dict(zip(STAGES, (us / 1000 for us in end.times), strict=False)) | {"read": copy.seconds * 1000}
        before = self._look(self._source, file.name, safe=end.tries == 1)
        after = self._look(self._output, self._recipe.target(file.name), safe=True)
        seconds = copy.seconds + self._costs.get(file.name, (sum(end.times) - end.times[0]) / 1e6)
        return Tried(file, why, before, after, ms, seconds=seconds, notes=end.notes)

    def _look(self, folder: storage.Folder, name: bytes, *, safe: bool) -> Look:
        """``safe``: a process has decoded it and lived."""
        data = folder.read(name, limits.IMAGE_BYTES_MAX)
        if not safe:
            return Look(len(data), problem="not shown: a process did not survive it at first")
        return look(data, suffix_of(name), self._side, self._recipe.pixels_max)

    def _failed(self, file: File) -> Look:
        """Of an image that did not come through, its header alone."""
        try:
            data = self._source.read(file.name, limits.IMAGE_BYTES_MAX)
        except (ImageError, OSError):
            return Look(file.size, problem="cannot be shown")
        return glance(data, "not shown: it did not come through")


# --- the whole folder ---------------------------------------------------------------------------

#: By which factor one run and the next differ four times in five, on a machine that others use too.
_RUNS = 1.15


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of the whole folder: seconds with so many slots, and bytes of output."""

    seconds: Range
    output: Range
    slots: int


def estimated(sample: Sample, tried: Iterable[Tried], slots: int, startup_s: float) -> Estimate:
    """What the images that were tried say of all; ``startup_s`` passes before the first is begun."""
    by_name = {one.file.name: one for one in tried}
    busy = _total(sample, lambda file: by_name[file.name].seconds)
    output = _total(sample, lambda file: _written(by_name[file.name]))
    longest_s = max(one.seconds for one in by_name.values())
    seconds = busy.scaled(1 / slots).at_least(longest_s).scaled(1, startup_s).widened(_RUNS)
    return Estimate(seconds, output, slots)


def _written(one: Tried) -> int:
    return one.after.size if one.after is not None else 0


def _total(sample: Sample, value: Callable[[File], float]) -> Range:
    def points(files: Iterable[File]) -> tuple[Point, ...]:
        return tuple(Point(file.size, value(file)) for file in files)

    layers = [Layer(stratum.count, stratum.bytes, points(stratum.drawn)) for stratum in sample.strata]
    return total(points(sample.certain), layers)
