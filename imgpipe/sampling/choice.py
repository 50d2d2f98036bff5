"""Which images of a folder are tried.

Two kinds, and the difference matters to `estimate`:

=========  ===============================================================================================
*certain*  chosen for what they are: the largest, the smallest, one of each format, odd ones. They stand
           for themselves alone, so no odd image is taken for a thousand others.
*drawn*    at random, in strata of similar size. They stand for all that was not chosen for what it is.
=========  ===============================================================================================

At most half of what is not an extreme is chosen for its oddness, so that enough are drawn, never fewer than
two. Strata are cut so that each holds an equal share of the folder, measured half in images and half in
bytes: what is constant an image and what grows with its size are then both met (after the rule of equal
aggregates, Cochran, *Sampling Techniques*, 3rd edition, section 5A.8).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, zip_longest
from random import Random

from imgpipe import limits
from imgpipe.sampling.survey import File, Reservoir, Survey, bin_of, format_of

LARGEST, SMALLEST, DRAWN = "largest file", "smallest file", "drawn at random"

#: What a header says of an image, in words: ``16 bit``, ``alpha``, …
Modes = Mapping[bytes, Collection[str]]


@dataclass(frozen=True, slots=True)
class Stratum:
    """Images of similar size: how many there are, their bytes, and those that were drawn from them."""

    count: int
    bytes: int
    drawn: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """The images to be tried; ``why`` says for each, by name, what it was chosen for."""

    certain: tuple[File, ...]
    strata: tuple[Stratum, ...]
    why: Mapping[bytes, tuple[str, ...]]

    @property
    def files(self) -> list[File]:
        """All of them, the largest first."""
        drawn = [file for stratum in self.strata for file in stratum.drawn]
        return sorted((*self.certain, *drawn), key=lambda file: (-file.size, file.name))


def candidates(survey: Survey) -> list[File]:
    """The images among which odd ones are looked for: some of each format and each size."""
    kept = (*survey.formats.values(), *(survey.bins[key] for key in sorted(survey.bins, reverse=True)))
    turns = (file for turn in zip_longest(*(reservoir.kept for reservoir in kept)) for file in turn)
    extremes = (survey.largest, survey.smallest)
    found = dict.fromkeys(file for file in (*extremes, *turns) if file is not None)
    return list(found)[: limits.CANDIDATES_MAX]


def choose(survey: Survey, number: int, modes: Modes, rng: Random) -> Sample:
    """``number`` images of the folder, or all where there are no more.

    ``modes`` says what is odd about the `candidates`; ``number`` is at most the room of the survey.
    """
    if survey.count <= number:
        return _all_of(survey)
    why = _extremes(survey)
    left = number - len(why)
    _add_odd(why, survey, modes, min(left // 2, left - 2))
    strata = tuple(_strata(survey, set(why), number - len(why), rng))
    for stratum in strata:
        why |= dict.fromkeys(stratum.drawn, (DRAWN,))
    drawn = {file for stratum in strata for file in stratum.drawn}
    certain = tuple(file for file in why if file not in drawn)
    return Sample(certain, strata, {file.name: words for file, words in why.items()})


def _all_of(survey: Survey) -> Sample:
    why = _extremes(survey)
    for reservoir in survey.bins.values():  # each has room for them all
        why |= {file: () for file in reservoir.kept if file not in why}
    return Sample(tuple(why), (), {file.name: words for file, words in why.items()})


def _extremes(survey: Survey) -> dict[File, tuple[str, ...]]:
    assert survey.largest is not None
    assert survey.smallest is not None
    if survey.largest.size == survey.smallest.size:
        return {survey.largest: ()}
    return {survey.largest: (LARGEST,), survey.smallest: (SMALLEST,)}


# --- odd ones -----------------------------------------------------------------------------------


def _add_odd(why: dict[File, tuple[str, ...]], survey: Survey, modes: Modes, most: int) -> None:
    """The images that show most of what is not shown yet, one after the other (the greedy cover)."""
    known = {file: _labels(file, modes) for file in candidates(survey)}
    shown = {label for file in why for label in _labels(file, modes)}
    for _ in range(most):
        best = max(known, key=lambda file: len(known[file] - shown))
        new = known[best] - shown
        if not new:
            return
        why[best] = tuple(sorted(new))
        shown |= new


def _labels(file: File, modes: Modes) -> set[str]:
    return {format_of(file.name), *modes.get(file.name, ())}


# --- the draw -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bin:
    """A bin without the images that are certain; ``kept`` is a uniform sample of the others."""

    count: int
    bytes: int
    kept: tuple[File, ...]


def _strata(survey: Survey, certain: set[File], number: int, rng: Random) -> Iterator[Stratum]:
    bins = [_without(certain, key, survey.bins[key]) for key in sorted(survey.bins)]
    groups = _cut([one for one in bins if one.count], max(1, number // 2))
    for group, share in zip(groups, _allotted(groups, number), strict=True):
        count, size = _sums(group)
        yield Stratum(count, size, tuple(_drawn(group, share, rng)))


def _without(certain: set[File], key: int, reservoir: Reservoir) -> _Bin:
    out = [file.size for file in certain if bin_of(file.size) == key]
    kept = tuple(file for file in reservoir.kept if file not in certain)
    return _Bin(reservoir.count - len(out), reservoir.bytes - sum(out), kept)


def _sums(bins: Iterable[_Bin]) -> tuple[int, int]:
    counts, sizes = zip(*((one.count, one.bytes) for one in bins), strict=True)
    return sum(counts), sum(sizes)


def _shares(groups: Sequence[Sequence[_Bin]]) -> list[float]:
    """How much of the folder each is: half by images, half by bytes."""
    sums = [_sums(group) for group in groups]
    count, size = (sum(column) for column in zip(*sums, strict=True))
    return [(one[0] / count + (one[1] / size if size else one[0] / count)) / 2 for one in sums]


def _cut(bins: Sequence[_Bin], most: int) -> list[list[_Bin]]:
    """At most so many groups of neighbours, as near to equal shares as bins allow, none with one image."""
    groups: list[list[_Bin]] = [[]]
    reached = 0.0
    for one, share in zip(bins, _shares([[one] for one in bins]), strict=True):
        middle = reached + share / 2
        if groups[-1] and middle >= len(groups) / most and _sums(groups[-1])[0] > 1:
            groups.append([])
        groups[-1].append(one)
        reached += share
    if len(groups) > 1 and _sums(groups[-1])[0] == 1:
        groups[-2:] = [groups[-2] + groups[-1]]
    return groups


def _allotted(groups: Sequence[Sequence[_Bin]], number: int) -> list[int]:
    """How many are drawn of each: two, or all there are; then one by one where the share is largest."""
    counts, shares = [_sums(group)[0] for group in groups], _shares(groups)
    allotted = [min(2, count) for count in counts]
    while sum(allotted) < min(number, sum(counts)):
        open_ = [at for at, count in enumerate(counts) if allotted[at] < count]
        allotted[max(open_, key=lambda at: shares[at] / (allotted[at] + 1))] += 1
    return allotted


def _drawn(bins: Sequence[_Bin], number: int, rng: Random) -> Iterator[File]:
    """So many of all images in these bins, each with the same chance, none twice."""
    starts = list(accumulate((one.count for one in bins), initial=0))
    places = Counter(bisect_right(starts, place) - 1 for place in rng.sample(range(starts[-1]), number))
    for at, count in sorted(places.items()):
        yield from rng.sample(bins[at].kept, count)
