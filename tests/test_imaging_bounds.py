"""What a machine allows: its words, its environment, the formats it has, and who may raise or lower it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe import limits, memory
from imgpipe.errors import UsageError
from imgpipe.imaging.bounds import USUAL, WORDS, Bounds, switched_off
from imgpipe.imaging.codecs import CODECS, WRITABLE
from imgpipe.imaging.codecs.ceiling import Ceiling

NAMES = sorted({codec.key for codec in CODECS.values()})
COUNTS = st.integers(1, 1 << 40)
CEILINGS = st.builds(
    Ceiling, pixels=COUNTS, side=COUNTS, pages=COUNTS, bytes=COUNTS, off=st.frozensets(st.sampled_from(NAMES))
)


@given(st.builds(Bounds, CEILINGS, st.integers(0, 1 << 50)))
def test_words_are_the_same_again(bounds: Bounds):
    words = bounds.words()
    assert len(words) == WORDS
    assert all(words[:5])
    assert Bounds.from_words([*words, "root=/somewhere"]) == bounds


def test_formats_by_name_and_by_suffix():
    assert switched_off(["JPEG"]) == switched_off(["jpg"]) == switched_off([".JPG"]) == {"jpeg"}
    assert switched_off(["tif", "webp", "tiff"]) == {"tiff", "webp"}
    assert switched_off([]) == frozenset()
    with pytest.raises(UsageError, match=r"expected one of .*, got 'wepb' \(did you mean 'webp'\?\)"):
        switched_off(["jpeg", "wepb"])


@pytest.mark.parametrize("name", NAMES)
def test_a_format_that_is_off_is_not_offered_under_any_suffix(name: str):
    offered = Bounds(Ceiling(off=frozenset({name}))).suffixes
    assert WRITABLE - set(offered) == {s for s in WRITABLE if CODECS[s].key == name}
    assert set(USUAL.suffixes) == WRITABLE


def test_opencv_is_told_the_ceiling():
    bounds = Bounds(Ceiling(pixels=1234, side=99)).among(1)
    environment = bounds.environment
    assert environment["OPENCV_IO_MAX_IMAGE_PIXELS"] == "1234"
    assert environment["OPENCV_IO_MAX_IMAGE_WIDTH"] == environment["OPENCV_IO_MAX_IMAGE_HEIGHT"] == "99"


def test_what_a_process_keeps_leaves_room_for_large_blocks():
    usual = Bounds(memory=limits.MEMORY_MIN).environment
    assert usual["MALLOC_MMAP_THRESHOLD_"] == str(limits.MALLOC_MMAP_MIN)
    assert usual["MALLOC_TRIM_THRESHOLD_"] == str(limits.MALLOC_KEPT_MAX)
    least = Bounds(memory=limits.MEMORY_LEAST).environment
    assert int(least["MALLOC_TRIM_THRESHOLD_"]) * 4 == limits.MEMORY_LEAST
    assert int(least["MALLOC_MMAP_THRESHOLD_"]) * 16 == limits.MEMORY_LEAST


def test_memory_is_shared_out_where_nothing_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "physical", lambda: 24 << 30)
    assert USUAL.among(3).memory == 8 << 30
    assert Bounds(memory=5).among(3).memory == 5


def test_the_ceiling_is_raised_and_never_lowered_by_it():
    assert USUAL.raised(0) == USUAL.raised(1000) == USUAL
    assert USUAL.raised(limits.PIXELS_MAX + 1).ceiling.pixels == limits.PIXELS_MAX + 1
    assert USUAL.limited(1000).ceiling.pixels == 1000
