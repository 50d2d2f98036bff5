"""Black and white, against every level tried and means added up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from imgpipe.imaging.operations import find
from imgpipe.imaging.operations.threshold import otsu
from imgpipe.imaging.pixels import WHITE
from tests.witness import every, picture, smooth

depths = pytest.mark.parametrize("depth", WHITE)


def brightness(image):
    """`grayscale` has its own witness; a threshold is too sharp for one that may be off by a level."""
    return np.asarray(find("grayscale")(np.ascontiguousarray(image[:, :, :3])) if image.ndim == 3 else image)


def taken(image):
    """Brightness in the depth it is looked at: floats in 16 bits."""
    values = brightness(image).astype(float)
    return np.rint(values * 65535) if image.dtype == np.float32 else values


def check(image, bright, **arguments):
    found = find("threshold")(image, **arguments)
    assert found.dtype == image.dtype
    white = WHITE[image.dtype.name]
    if image.ndim == 3 and image.shape[2] == 4:
        assert np.array_equal(found[:, :, 3], image[:, :, 3])
        assert (found[:, :, :1] == found[:, :, :3]).all()
        found = found[:, :, 0]
    assert np.array_equal(found, bright * white)


@depths
@pytest.mark.parametrize("level", [0.0, 20.0, 50.0, 60.0, 100.0])
def test_fixed_is_above_a_level(depth, level):
    for image in every(depth):
        check(image, brightness(image).astype(float) * 100 > level * WHITE[depth], level=level)


@pytest.mark.parametrize("percent", range(0, 101, 5))
def test_a_pixel_just_at_the_level_is_black(percent):
    at = percent * 255 // 100
    image = np.array([[at, min(at + 1, 255)]], np.uint8)
    expected = [[0, 255 * (at < 255)]]
    assert find("threshold")(image, level=float(percent)).tolist() == expected


def separated(values):
    """The level of largest variance between classes, every one tried."""
    best, level = 0.0, 0
    for tried in np.unique(values)[:-1]:
        dark, light = values[values <= tried], values[values > tried]
        variance = dark.size * light.size * (dark.mean() - light.mean()) ** 2
        if variance > best * (1 + 1e-12):
            best, level = variance, tried
    return level


@depths
@pytest.mark.parametrize("make", [picture, smooth])
def test_otsu_separates_best(depth, make):
    for image in every(depth, make):
        values = taken(image)
        check(image, values > separated(values), method="otsu")


@settings(max_examples=50)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=40))
def test_otsu_finds_its_level_in_any_histogram(count):
    values = np.repeat(np.arange(len(count)), count).astype(float)
    if values.size:
        expected = separated(values)
        found = otsu(np.array(count))
        between = [((values <= at).sum(), (values > at).sum(), at) for at in (expected, found)]
        spread = [
            n * m * (values[values <= at].mean() - values[values > at].mean()) ** 2 if n and m else 0.0
            for n, m, at in between
        ]
        assert spread[0] == pytest.approx(spread[1])


@depths
@pytest.mark.parametrize(("size", "offset"), [(3, 2.0), (11, -5.0), (151, 0.0)])
def test_adaptive_compares_with_the_mean_around(depth, size, offset):
    white = 65535 if depth == "float32" else WHITE[depth]
    for image in every(depth, smooth):
        values = taken(image)
        margin = values - means(values, size) + offset / 100 * white
        margin[np.abs(margin) < 1e-3] = 0  # a mean of equals need not be equal to them
        check(image, margin > 0, method="adaptive", size=size, offset=offset)


def means(values, size):
    """Of boxes, by sums of sums, which are exact for integers."""
    sums = np.pad(np.pad(values, size // 2, mode="edge").cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    return (sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]) / size**2


@pytest.mark.parametrize("depth", WHITE)
def test_an_even_picture_is_not_above_its_own_mean(depth):
    image = np.full((40, 30), {"uint8": 77, "uint16": 54321, "float32": 0.3}[depth], depth)
    for size in (3, 31, 255, 999):
        assert not find("threshold")(image, method="adaptive", size=size, offset=0.0).any()


def test_adaptive_reads_ink_where_paper_is_shaded():
    paper = np.linspace(60, 240, 80) * np.ones((60, 1))
    ink = np.zeros((60, 80), bool)
    ink[::12] = True
    page = np.rint(np.where(ink, paper * 0.6, paper)).astype(np.uint8)
    found = find("threshold")(page, method="adaptive", size=11)
    assert np.array_equal(found == 0, ink)
    assert not np.array_equal(find("threshold")(page) == 0, ink)
    assert ndimage.label(ink)[1] == 5
