"""What a survey keeps of a listing: its sums are exact, and what it keeps is a fair draw."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from imgpipe.sampling.survey import File, Reservoir, Survey, bin_of, format_of

SIZES = st.lists(st.integers(0, 2**40), min_size=1, max_size=200)


def surveyed(sizes: list[int], room: int = 8) -> Survey:
    survey = Survey(room, Random(1))
    for number, size in enumerate(sizes):
        survey.add(File(b"%d.jpg" % number, size))
    return survey


@given(SIZES)
def test_sums_and_extremes_are_those_of_the_listing(sizes: list[int]):
    survey = surveyed(sizes)
    assert (survey.count, survey.bytes) == (len(sizes), sum(sizes))
    assert survey.largest is not None
    assert survey.smallest is not None
    assert (survey.largest.size, survey.smallest.size) == (max(sizes), min(sizes))
    assert sum(one.count for one in survey.bins.values()) == len(sizes)
    assert sum(one.bytes for one in survey.bins.values()) == sum(sizes)


@given(SIZES)
def test_it_does_not_grow_with_the_listing(sizes: list[int]):
    survey = surveyed(sizes, room=3)
    for key, reservoir in survey.bins.items():
        assert len(reservoir.kept) == min(3, reservoir.count)
        assert {bin_of(file.size) for file in reservoir.kept} == {key}


def test_every_file_is_kept_with_the_same_chance():
    files = [File(b"%d" % number, 1) for number in range(20)]
    kept: Counter[File] = Counter()
    for seed in range(2000):
        rng, reservoir = Random(seed), Reservoir(5)
        for file in files:
            reservoir.add(file, rng)
        kept.update(reservoir.kept)
    expected, sigma = 500, (2000 * 0.25 * 0.75) ** 0.5
    assert all(abs(kept[file] - expected) < 5 * sigma for file in files)


@given(st.integers(0, 2**60), st.integers(0, 2**60))
def test_bins_are_in_the_order_of_sizes_and_narrow(one: int, other: int):
    low, high = sorted((one, other))
    assert bin_of(low) <= bin_of(high)
    if bin_of(low) == bin_of(high) and low:
        assert high < low * 1.5 + 1


def test_bins_by_hand():
    assert [bin_of(size) for size in (0, 1, 2, 1023, 1024, 1280)] == [0, 4, 8, 43, 44, 45]


def test_formats_are_those_of_suffixes():
    assert {format_of(name) for name in (b"a.jpg", b"b/c.JPEG", b"d.jpe")} == {"JPEG"}
    assert format_of(b"a.tif") == "TIFF"
    assert format_of(b"a.xyz") == "xyz"
