"""Linear filters, each against SciPy or a sum written out."""

from __future__ import annotations

from math import cos, radians, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from imgpipe.imaging.operations import find
from imgpipe.imaging.operations.filters import line
from imgpipe.imaging.pixels import WHITE
from tests.witness import agree, per_channel, picture, smooth, unit

depths = pytest.mark.parametrize("depth", WHITE)


def gaussian(sigma):
    return per_channel(lambda values: ndimage.gaussian_filter(values, sigma, mode="mirror", truncate=4))


@depths
@pytest.mark.parametrize("size", [1, 3, 5, 25])
def test_blur_is_scipys_uniform_filter(depth, size):
    box = per_channel(lambda values: ndimage.uniform_filter(values, size, mode="mirror"))
    agree("blur", box, picture, depth, size=size)


@depths
@pytest.mark.parametrize("sigma", [0.1, 1.3, 7.0])
def test_gaussian_blur_is_scipys(depth, sigma):
    agree("gaussian-blur", gaussian(sigma), picture, depth, sigma=sigma)


@depths
def test_a_wide_gaussian_is_as_exact_as_a_narrow_one(depth):
    def larger(shape, depth):
        return picture((7 * shape[0], 5 * shape[1], *shape[2:]), depth)

    agree("gaussian-blur", gaussian(20.0), larger, depth, levels=0.51, sigma=20.0)


def moved(length, angle):
    """The mean of points along a line, each interpolated by SciPy."""

    def mean(values):
        rows, columns = np.mgrid[: values.shape[0], : values.shape[1]]
        total = np.zeros_like(values)
        for along in np.arange(length) - (length - 1) / 2:
            at = rows + along * sin(radians(angle)), columns + along * cos(radians(angle))
            total += ndimage.map_coordinates(values, at, order=1, mode="mirror")
        return total / length

    return per_channel(mean)


@depths
@pytest.mark.parametrize(("length", "angle"), [(1, 70), (5, 0), (4, 90), (7, 30), (21, -200)])
def test_motion_blur_is_the_mean_along_a_line(depth, length, angle):
    agree("motion-blur", moved(length, angle), picture, depth, length=length, angle=float(angle))


@given(st.integers(1, 255), st.floats(-360, 360))
def test_a_line_has_its_length_its_weight_and_its_middle(length, angle):
    taps = line(length, angle)
    weights = np.array(list(taps.values()))
    places = np.array(list(taps))
    assert weights.sum() == pytest.approx(1)
    assert weights @ places == pytest.approx(np.zeros(2), abs=1e-6)
    assert np.abs(places).max() <= length // 2 + 1
    assert len(taps) <= 4 * length


def test_a_line_turns_clockwise():
    assert set(line(3, 45)) >= {(0, 0), (1, 1), (-1, -1)}
    assert set(line(3, 90)) == {(0, 0), (1, 0), (-1, 0)}


def unsharp(sigma, amount, threshold):
    def sharpened(values):
        smooth = gaussian(sigma)(values)
        if values.ndim == 3 and values.shape[2] == 4:  # weighted by alpha: so is the blur, by the same one
            smooth = smooth * values[:, :, 3:] / np.maximum(smooth[:, :, 3:], 1e-12)
        detail = values - smooth
        return values + amount * np.where(np.abs(detail) > threshold / 100, detail, 0)

    return sharpened


@depths
@pytest.mark.parametrize(("sigma", "amount"), [(1.0, 1.0), (0.5, 20.0), (3.0, 0.0)])
def test_sharpen_is_an_unsharp_mask(depth, sigma, amount):
    agree("sharpen", unsharp(sigma, amount, 0), picture, depth, sigma=sigma, amount=amount)


def test_sharpen_keeps_alpha_and_an_even_colour_under_it():
    image = picture((13, 11, 4))
    image[:, :, :3] = (10, 200, 90)
    found = find("sharpen")(image, sigma=2.0, amount=3.0)
    assert np.array_equal(found[:, :, 3], image[:, :, 3])
    assert (found[image[:, :, 3] > 0][:, :3] == (10, 200, 90)).all()


@pytest.mark.parametrize("depth", ["uint16", "float32"])
def test_sharpen_leaves_detail_below_the_threshold(depth):
    image = smooth((40, 30, 3), depth)
    detail = np.abs(unit(image) - gaussian(2.0)(unit(image)))
    clear = np.abs(detail - 0.03) > 1e-6  # not by chance just at the threshold
    found = find("sharpen")(image, sigma=2.0, amount=2.0, threshold=3.0)
    changed = found != image
    assert 0 < np.count_nonzero(detail > 0.03) < detail.size
    assert not (changed & (detail < 0.03) & clear).any()
    expected = unsharp(2.0, 2.0, 3.0)(unit(image))
    expected = expected if depth == "float32" else np.clip(expected, 0, 1)
    assert np.abs(unit(found) - expected)[clear].max() <= 1e-4


def relief(azimuth, amount, middle):
    """Sobel's differences over two pixels, by SciPy."""

    def lit(values):
        across, down = (ndimage.sobel(values, axis, mode="mirror") / 4 for axis in (1, 0))
        return middle + amount * (sin(radians(azimuth)) * down - cos(radians(azimuth)) * across)

    return per_channel(lit)


@depths
@pytest.mark.parametrize(("azimuth", "amount"), [(135.0, 1.0), (0.0, 0.3), (-20.0, 4.0)])
def test_emboss_is_the_slope_away_from_the_light(depth, azimuth, amount):
    middle = {"uint8": 128 / 255, "uint16": 32768 / 65535, "float32": 0.5}[depth]
    agree("emboss", relief(azimuth, amount, middle), picture, depth, azimuth=azimuth, amount=amount)
