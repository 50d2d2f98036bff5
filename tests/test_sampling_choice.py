"""Which images are tried: the extremes, the odd, and a draw that stands for all others."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from imgpipe import limits
from imgpipe.sampling.choice import DRAWN, LARGEST, SMALLEST, Modes, Sample, candidates, choose
from imgpipe.sampling.survey import File, Survey


def surveyed(files: list[File], room: int) -> Survey:
    survey = Survey(room, Random(1))
    for file in files:
        survey.add(file)
    return survey


def jpegs(sizes: list[int]) -> list[File]:
    return [File(b"%d.jpg" % number, size) for number, size in enumerate(sizes)]


def chosen(files: list[File], number: int, modes: Modes | None = None) -> Sample:
    return choose(surveyed(files, number), number, modes or {}, Random(2))


IMAGES = st.tuples(
    st.integers(0, 10**9), st.sampled_from(["jpg", "jpg", "png", "tif"]), st.sets(st.sampled_from("abcd"))
)


@given(st.lists(IMAGES, min_size=1, max_size=120), st.integers(4, 20))
def test_every_image_is_stood_for_once(images: list[tuple[int, str, set[str]]], number: int):
    files = [File(f"{n}.{suffix}".encode(), size) for n, (size, suffix, _) in enumerate(images)]
    sizes = [file.size for file in files]
    modes = {file.name: odd for file, (*_, odd) in zip(files, images, strict=True)}
    sample = chosen(files, number, modes)
    assert len(set(sample.files)) == len(sample.files) == min(number, len(files))
    assert set(sample.files) <= set(files)
    assert len(sample.certain) + sum(stratum.count for stratum in sample.strata) == len(files)
    certain = sum(file.size for file in sample.certain)
    assert certain + sum(stratum.bytes for stratum in sample.strata) == sum(sizes)
    assert set(sample.why) == {file.name for file in sample.files}
    assert all(len(stratum.drawn) >= min(2, stratum.count) for stratum in sample.strata)


@given(st.lists(st.integers(0, 10**9), min_size=20, max_size=120))
def test_strata_do_not_overlap(sizes: list[int]):
    strata = chosen(jpegs(sizes), 12).strata
    drawn = [[file.size for file in stratum.drawn] for stratum in strata]
    for small, large in pairwise(drawn):
        assert max(small) <= min(large)


def test_largest_first_and_the_extremes_are_there():
    sample = chosen(jpegs(list(range(1000, 2000))), 8)
    sizes = [file.size for file in sample.files]
    assert sizes == sorted(sizes, reverse=True)
    assert (sample.why[b"999.jpg"], sample.why[b"0.jpg"]) == ((LARGEST,), (SMALLEST,))
    assert sum(words == (DRAWN,) for words in sample.why.values()) == 6


def test_the_same_seed_gives_the_same_sample():
    files = jpegs([number * number for number in range(500)])
    assert chosen(files, 12) == chosen(files, 12)
    other = choose(surveyed(files, 12), 12, {}, Random(3))
    assert other.files != chosen(files, 12).files


def test_each_format_and_each_oddity_once():
    files = [*jpegs([1000 + number for number in range(300)]), File(b"a.png", 1100), File(b"b.tif", 1101)]
    modes = {b"5.jpg": ("grey",), b"6.jpg": ("grey",), b"7.jpg": ("alpha", "16 bit")}
    found = {file for file in candidates(surveyed(files, 16)) if file.name in modes}
    sample = chosen(files, 16, modes)
    why = sample.why
    assert (why[b"a.png"], why[b"b.tif"]) == (("PNG",), ("TIFF",))
    oddities = [words for words in why.values() if "grey" in words or "alpha" in words]
    assert len(oddities) == len({tuple(modes[file.name]) for file in found})


def test_odd_ones_leave_room_for_the_draw():
    files = jpegs([1000 + number for number in range(300)])
    modes = {file.name: (f"odd {number}",) for number, file in enumerate(files)}
    sample = chosen(files, 12, modes)
    assert sum(words == (DRAWN,) for words in sample.why.values()) == 5
    assert len(sample.certain) == 7


def test_all_of_a_small_folder():
    sample = chosen(jpegs([5, 9, 7]), 12)
    assert (len(sample.certain), sample.strata) == (3, ())
    assert [sample.why[b"%d.jpg" % number] for number in range(3)] == [(SMALLEST,), (LARGEST,), ()]


def test_every_image_of_a_stratum_has_the_same_chance():
    files = jpegs([1000 + number for number in range(40)])
    survey = surveyed(files, 42)  # every file is kept, so only the draw is at random here
    survey.room = 6
    drawn: Counter[File] = Counter()
    for seed in range(2000):
        sample = choose(survey, 6, {}, Random(seed))
        weights = {file: one.count / len(one.drawn) for one in sample.strata for file in one.drawn}
        for file, weight in weights.items():
            drawn[file] += round(weight * 1000)
    inner = [drawn[file] / 2_000_000 for file in files[1:-1]]  # 1 on average: each stands for itself
    assert abs(sum(inner) / len(inner) - 1) < 0.01
    assert all(0.6 < share < 1.4 for share in inner)


def test_candidates_are_bounded_and_of_every_format():
    suffixes = ("jpg", "png", "webp", "tif", "bmp")
    files = [File(f"{number}.{suffixes[number % 5]}".encode(), number**3) for number in range(2000)]
    found = candidates(surveyed(files, 60))
    assert len(found) == len(set(found)) == limits.CANDIDATES_MAX
    assert {file.name.rpartition(b".")[2].decode() for file in found} == set(suffixes)
