"""Text in pictures: made ASCII visibly, shortened in its middle, wrapped, and never wider than its room."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.imaging.lettering import ascii_of, shortened, width_of, wrapped, write


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("photo_1.jpg", "photo_1.jpg"),
        ("straße café", "stra\\xdfe cafe"),
        ("日本.jpg", "\\u65e5\\u672c.jpg"),
        ("4 × 3 – 5 … → 6", "4 x 3 - 5 ... -> 6"),
    ],
)
def test_ascii(text: str, expected: str):
    assert ascii_of(text) == expected


@given(st.text(max_size=40))
def test_any_text_becomes_ascii(text: str):
    assert ascii_of(text).isascii()


@settings(max_examples=25)
@given(st.text("abcWi. ", min_size=1, max_size=80), st.integers(60, 300))
def test_shortened_text_fits(text: str, width: int):
    short = shortened(text, width, 0.6)
    assert width_of(short, 0.6) <= width
    assert short == text or "..." in short


def test_beginning_and_suffix_are_kept():
    short = shortened("a_long_name_of_a_photograph_of_the_mountains.jpeg", 200, 0.6)
    assert short.startswith("a_long")
    assert short.endswith(".jpeg")
    left, right = short.split("...")
    assert abs(len(left) - len(right)) <= 1


@settings(max_examples=25)
@given(st.lists(st.text("abcWi", min_size=1, max_size=30), max_size=20), st.integers(1, 6))
def test_wrapped_lines_fit(words: list[str], lines_max: int):
    lines = wrapped(" ".join(words), 200, 0.6, lines_max)
    assert len(lines) <= lines_max
    assert all(width_of(line, 0.6) <= 200 for line in lines)


def test_wrapping_leaves_nothing_out_where_there_is_room():
    text = "the file ends early, after 50686 bytes"
    assert " ".join(wrapped(text, 150, 0.6, 9)) == text
    assert wrapped("", 150, 0.6, 9) == []


def test_written_text_stays_where_it_was_measured():
    canvas = np.zeros((40, 400, 3), np.uint8)
    write(canvas, "Wide gap", 10, 28, 0.7, (255, 255, 255))
    columns = np.nonzero(canvas.any(axis=(0, 2)))[0]
    assert columns.min() >= 8
    assert 0.7 * width_of("Wide gap", 0.7) < columns.max() - 10 <= width_of("Wide gap", 0.7) + 2
