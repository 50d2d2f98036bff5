"""Bands of rows: no filter shows where one ends, and histograms count every pixel once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.imaging import pixels
from imgpipe.imaging.operations import bands, find, histograms, noise
from imgpipe.imaging.operations.bands import in_bands, inner, mirrored
from imgpipe.imaging.pixels import WHITE
from tests.witness import picture

#: What is done in bands, or past alpha in bands.
BANDED: dict[str, dict[str, Any]] = {
    "hue": {"angle": 70.0},
    "motion-blur": {},
    "sharpen": {},
    "median": {"size": 7},
    "bilateral": {"size": 5},
    "denoise": {"search": 5, "patch": 3},
    "sobel": {},
}


@pytest.mark.parametrize("name", BANDED)
@pytest.mark.parametrize("shape", [(61, 7, 3), (61, 7, 4), (61, 1), (3, 40)])
def test_no_filter_shows_where_a_band_ends(name, shape, monkeypatch):
    image = picture(shape, "uint16")
    whole = find(name)(image, **BANDED[name])
    for module in (bands, pixels):
        monkeypatch.setattr(module, "BAND", 20)
    monkeypatch.setattr(noise, "WINDOWS_MAX", 20 * 7**2)
    assert np.array_equal(find(name)(image, **BANDED[name]), whole)


@given(st.integers(2, 9), st.integers(0, 40))
def test_positions_are_mirrored_as_numpy_pads(count, reach):
    padded = np.pad(np.arange(count), reach, mode="reflect")
    assert np.array_equal(mirrored(np.arange(-reach, count + reach), count), padded)


def test_a_single_row_is_its_own_mirror():
    assert mirrored(np.arange(-3, 4), 1).tolist() == [0] * 7


@settings(max_examples=40)
@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 12), st.integers(-1, 1), st.integers(-1, 1))
def test_a_band_is_given_what_lies_around_it(height, width, reach, down, right):
    down, right = down * reach, right * reach
    image = picture((height, width), "float32")
    around = np.pad(image, ((reach, reach), (0, 0)), mode="reflect" if height > 1 else "edge")
    around = np.pad(around, ((0, 0), (reach, reach)), mode="reflect" if width > 1 else "edge")
    found = in_bands(lambda band: inner(band, reach, down, right), image, reach)
    top, left = reach + down, reach + right
    assert np.array_equal(found, around[top : top + height, left : left + width])


@pytest.mark.parametrize("depth", ["uint8", "uint16"])
def test_a_histogram_counts_every_pixel_once(depth, monkeypatch):
    image = picture((37, 29), depth)
    monkeypatch.setattr(histograms, "COUNTED", 100)
    count = histograms.histogram(image)
    assert len(count) == WHITE[depth] + 1
    values, expected = np.unique(image, return_counts=True)
    assert np.array_equal(np.flatnonzero(count), values)
    assert np.array_equal(count[values], expected)
