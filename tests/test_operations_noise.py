"""Filters that keep edges, each against SciPy or its formula written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from imgpipe.imaging.operations import find
from imgpipe.imaging.pixels import WHITE
from tests.witness import agree, every, per_channel, picture, smooth, unit

depths = pytest.mark.parametrize("depth", WHITE)


@depths
@pytest.mark.parametrize("size", [3, 5, 7, 25])
def test_median_is_scipys(depth, size):
    middle = per_channel(lambda values: ndimage.median_filter(values, size, mode="nearest"))
    agree("median", middle, picture, depth, size=size)


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("size", [5, 7])
def test_a_median_is_one_of_the_values_there_are(depth, size):
    image = picture((13, 11), depth)
    found = find("median")(image, size=size)
    assert np.array_equal(found, ndimage.median_filter(image, size, mode="nearest"))


@pytest.mark.parametrize("size", [3, 7])
def test_for_a_median_nan_is_larger_than_any_number(size):
    image = picture((13, 11), "float32")
    image[4, 5] = np.nan
    larger = np.nan_to_num(image, nan=np.inf)
    assert np.array_equal(find("median")(image, size=size), find("median")(larger, size=size))


def shifted(values, reach):
    """(down, right, the picture seen from there), mirrored at its border."""
    height, width = values.shape[:2]
    rows, columns = (np.arange(-reach, side + reach) for side in (height, width))
    around = values[mirror(rows, height)][:, mirror(columns, width)]
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            top, left = reach + down, reach + right
            yield down, right, around[top : top + height, left : left + width]


def mirror(at, count):
    order = [*range(count), *range(count - 2, 0, -1)]
    return np.array([order[i % len(order)] for i in at])


def planes(values):
    return values if values.ndim == 3 else values[:, :, np.newaxis]


def likeness(size, space, tone):
    def bilateral(values):
        total, norm = np.zeros(1), np.zeros(1)
        for down, right, there in shifted(planes(values), size // 2):
            if down**2 + right**2 > (size // 2) ** 2:
                continue
            unlike = np.abs(there - planes(values)).sum(axis=2, keepdims=True)
            near = (down**2 + right**2) / (2 * space**2)
            weight = np.exp(-near - unlike**2 / (2 * (tone / 100) ** 2))
            total, norm = total + weight * there, norm + weight
        return (total / norm).reshape(values.shape)

    return bilateral


@depths
@pytest.mark.parametrize(("size", "space", "tone"), [(5, 1.5, 20.0), (9, 100.0, 1000.0), (3, 0.1, 0.1)])
def test_bilateral_weighs_by_distance_and_likeness(depth, size, space, tone):
    agree("bilateral", likeness(size, space, tone), smooth, depth, size=size, space=space, tone=tone)


def patches(strength, patch, search):
    def denoise(values):
        height, width = values.shape[:2]
        margin = patch // 2
        total, norm = np.zeros(1), np.zeros(1)
        for down, right, there in shifted(planes(values), search // 2):
            unlike = np.empty((height, width, patch, patch))
            for y, x, (one, other) in pairs(planes(values), down, right, margin):
                unlike[:, :, y, x] = ((one - other) ** 2).mean(axis=2)
            weight = np.exp(-unlike.mean(axis=(2, 3)) / (strength / 100) ** 2)[:, :, np.newaxis]
            total, norm = total + weight * there, norm + weight
        return (total / norm).reshape(values.shape)

    return denoise


def pairs(values, down, right, margin):
    """Every pixel of the patch around each pixel, and that of the patch so far away."""
    height, width = values.shape[:2]
    rows, columns = np.arange(height), np.arange(width)
    for y in range(-margin, margin + 1):
        for x in range(-margin, margin + 1):
            one = values[mirror(rows + y, height)][:, mirror(columns + x, width)]
            other = values[mirror(rows + y + down, height)][:, mirror(columns + x + right, width)]
            yield y + margin, x + margin, (one, other)


@depths
@pytest.mark.parametrize(("strength", "patch", "search"), [(4.0, 3, 5), (40.0, 1, 3), (100.0, 5, 3)])
def test_denoise_weighs_by_likeness_of_patches(depth, strength, patch, search):
    arguments = {"strength": strength, "patch": patch, "search": search}
    agree("denoise", patches(**arguments), smooth, depth, **arguments)


def test_denoise_takes_noise_away_and_leaves_an_edge():
    clean = np.zeros((40, 40), np.uint8)
    clean[:, :20], clean[:, 20:] = 60, 180
    noisy = np.clip(clean + np.random.default_rng(0).normal(0, 8, clean.shape), 0, 255).astype(np.uint8)
    found = find("denoise")(noisy, strength=4.0).astype(float)
    assert np.std(found - clean) < np.std(noisy.astype(float) - clean) / 3
    assert (found[:, 20] - found[:, 19]).min() > 100


@depths
@pytest.mark.parametrize("name", ["median", "bilateral", "denoise"])
def test_an_even_picture_stays_as_it_is(name, depth):
    for image in every(depth):
        image[:, :] = image[0, 0]
        if image.ndim == 3 and image.shape[2] == 4:
            image[:, :, 3] = WHITE[depth] / 3
        assert np.abs(unit(find(name)(image)) - unit(image)).max() < 5e-6
