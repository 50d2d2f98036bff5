"""Durations and sizes for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.commands.amounts import about, duration, size
from imgpipe.sampling.estimate import Range


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.0042, "0.004 s"),
        (0.42, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59, "59 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (598, "10 min"),
        (3000, "50 min"),
        (3580, "1 h"),
        (4800, "1 h 20 min"),
        (40_000, "11 h"),
        (47.9 * 3600, "48 h"),
        (76 * 3600, "3 days 4 h"),
    ],
)
def test_durations(seconds: float, expected: str):
    assert duration(seconds) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (830, "830 bytes"),
        (999.4, "999 bytes"),
        (999.6, "1.0 kB"),
        (5_240_000, "5.2 MB"),
        (14_400_000_000, "14 GB"),
        (999_600_000, "1.0 GB"),
        (123_000_000, "123 MB"),
    ],
)
def test_sizes(count: float, expected: str):
    assert size(count) == expected


@given(st.floats(0, 1e16))
def test_any_amount_has_words(amount: float):
    assert duration(amount)
    assert size(amount)


def test_ranges():
    assert about(Range(4800, 3000, 7800), duration) == "about 1 h 20 min (50 min – 2 h 10 min)"
    assert about(Range(12.0, 12.0, 12.01), duration) == "about 12 s"
    assert about(Range(0.0, 0.0, 0.0), size) == "about 0 bytes"
