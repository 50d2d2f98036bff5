"""Tone, each against Pillow, a curve or a histogram written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageOps

from imgpipe.imaging.operations import find
from imgpipe.imaging.pixels import WHITE
from tests.witness import agree, grey, per_channel, picture, smooth, unit

depths = pytest.mark.parametrize("depth", WHITE)

PHOTOGRAPHIC = smooth((40, 33, 3))


def theirs(picture):
    return np.asarray(picture).astype(int)


# --- curves ---------------------------------------------------------------------------------------


@depths
@pytest.mark.parametrize("factor", [0.0, 0.7, 1.0, 10.0])
def test_brightness_multiplies(depth, factor):
    agree("brightness", lambda v: v * factor, picture, depth, levels=0.51, factor=factor)


def test_brightness_is_pillows():
    expected = theirs(ImageEnhance.Brightness(Pillow.fromarray(PHOTOGRAPHIC)).enhance(1.4))
    assert np.abs(find("brightness")(PHOTOGRAPHIC, factor=1.4) - expected).max() <= 1


@depths
@pytest.mark.parametrize("factor", [0.0, 0.7, 1.0, 10.0])
def test_contrast_moves_values_from_middle_grey(depth, factor):
    agree("contrast", lambda v: 0.5 + (v - 0.5) * factor, picture, depth, levels=0.51, factor=factor)


@depths
@pytest.mark.parametrize("gamma", [0.1, 1.0, 2.2, 10.0])
def test_gamma_is_a_power(depth, gamma):
    agree("gamma", lambda v: v ** (1 / gamma), picture, depth, levels=0.51, gamma=gamma)


@depths
@pytest.mark.parametrize(
    ("black", "white", "gamma"), [(0, 100, 1), (10, 80, 1.5), (90, 20, 1), (0, 0.1, 0.5)]
)
def test_levels_stretch(depth, black, white, gamma):
    def stretched(values):
        return np.clip((values - black / 100) / (white / 100 - black / 100), 0, 1) ** (1 / gamma)

    levels = {"black": float(black), "white": float(white), "gamma": float(gamma)}
    agree("levels", stretched, picture, depth, levels=0.51, clipped=True, **levels)


@pytest.mark.parametrize("depth", WHITE)
def test_levels_without_a_distance_are_a_threshold(depth):
    image = picture((13, 11), depth)
    found = find("levels")(image, black=50.0, white=50.0)
    assert np.array_equal(found, (unit(image) > 0.5) * WHITE[depth])


@depths
@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_keeps_the_highest_bits(depth, bits):
    few = 2**bits
    whole = {"uint8": 256 / 255, "uint16": 65536 / 65535, "float32": 1.0}[depth]

    def kept(values):
        return np.minimum(np.floor(values / whole * few + 1e-9), few - 1) / few * whole

    agree("posterize", kept, picture, depth, levels=0.01, bits=bits)


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pillows(bits):
    expected = theirs(ImageOps.posterize(Pillow.fromarray(PHOTOGRAPHIC), bits))
    assert np.array_equal(find("posterize")(PHOTOGRAPHIC, bits=bits), expected)


@settings(max_examples=30)
@given(
    st.sampled_from(["brightness", "contrast", "gamma"]),
    st.floats(0.1, 10),
    st.sampled_from(["uint8", "uint16"]),
)
def test_a_curve_never_turns_back(name, value, depth):
    every = np.arange(int(WHITE[depth]) + 1, dtype=depth).reshape(16, -1)
    key = "gamma" if name == "gamma" else "factor"
    found = find(name)(every, **{key: value}).ravel().astype(int)
    assert (np.diff(found) >= 0).all()


# --- histograms -----------------------------------------------------------------------------------


def contrasted(cutoff):
    def stretched(channel):
        order = np.sort(channel.ravel())
        left_out = int(channel.size * cutoff // 100)
        low, high = order[left_out], order[channel.size - 1 - left_out]
        return channel if low >= high else np.clip((channel - low) / (high - low), 0, 1)

    return per_channel(stretched)


@depths
@pytest.mark.parametrize("cutoff", [0.0, 1.5, 49.0])
def test_auto_contrast_goes_from_the_darkest_to_the_lightest(depth, cutoff):
    agree("auto-contrast", contrasted(cutoff), picture, depth, levels=0.51, cutoff=cutoff)


@pytest.mark.parametrize("cutoff", [0, 2, 20])
def test_auto_contrast_is_pillows(cutoff):
    expected = theirs(ImageOps.autocontrast(Pillow.fromarray(PHOTOGRAPHIC), cutoff))
    assert np.abs(find("auto-contrast")(PHOTOGRAPHIC, cutoff=float(cutoff)) - expected).max() <= 1


def test_auto_contrast_leaves_out_what_is_not_finite():
    image = np.array([[0.25, 0.5, 0.75, np.nan, np.inf, -np.inf]], np.float32)
    found = find("auto-contrast")(image)[0]
    assert found[:3].tolist() == [0, 0.5, 1]
    assert np.isnan(found[3])
    assert found[4:].tolist() == [1, 0]
    nothing = np.full((2, 2), np.nan, np.float32)
    assert np.isnan(find("auto-contrast")(nothing)).all()


def equalized(channel):
    """The share of pixels that are not above each, without those of the lowest value."""
    channel = np.rint(channel * 65535)  # float32 is taken in 16 bits; the others do not mind
    order = np.sort(channel.ravel())
    not_above = np.searchsorted(order, channel, side="right")
    lowest = np.searchsorted(order, order[0], side="right")
    return channel / 65535 if lowest == channel.size else (not_above - lowest) / (channel.size - lowest)


@depths
def test_equalize_spreads_values(depth):
    agree("equalize", per_channel(equalized), picture, depth, levels=0.51)


def test_equalizing_makes_a_histogram_even():
    image = (picture((200, 200), "uint16") // 3 + 1000).astype(np.uint16)
    count, _ = np.histogram(find("equalize")(image), 16, (0, 65536))
    assert np.abs(count - 2500).max() < 60


# --- CLAHE ----------------------------------------------------------------------------------------


def curve(values, clip):
    """From a part's values to the equalizing curve at every 255th of white."""
    count = np.zeros(256)
    for value in np.rint(values * 255).astype(int).ravel():
        count[value] += 1
    share = count / values.size
    limited = np.minimum(share, clip / 256)
    limited += (1 - limited.sum()) / 256
    total = np.cumsum(limited)
    return (total - total[0]) / (1 - total[0])


def local(clip, tiles):
    """Pixel by pixel, as Zuiderveld describes it."""

    def lifted(values):
        bright = grey(values)
        sides = [min(tiles, side) for side in bright.shape]
        edges = [
            [n * side // count for n in range(count + 1)]
            for side, count in zip(bright.shape, sides, strict=True)
        ]
        curves = {
            (j, i): curve(bright[edges[0][j] : edges[0][j + 1], edges[1][i] : edges[1][i + 1]], clip)
            for j in range(sides[0])
            for i in range(sides[1])
        }
        after = np.zeros_like(bright)
        for at in np.ndindex(bright.shape):
            for j, down in corners(at[0], bright.shape[0], sides[0]):
                for i, across in corners(at[1], bright.shape[1], sides[1]):
                    steps = np.interp(bright[at] * 255, np.arange(256), curves[j, i])
                    after[at] += down * across * steps
        by = after - bright
        return values + (by if values.ndim == 2 else by[:, :, np.newaxis])

    return lifted


def corners(at, side, count):
    """The two parts whose centres lie around a pixel, with their weights."""
    place = min(max((at + 0.5) * count / side - 0.5, 0), count - 1)
    first = int(place)
    return [(first, first + 1 - place), (min(first + 1, count - 1), place - first)]


@depths
@pytest.mark.parametrize(("clip", "tiles"), [(2.0, 3), (1.0, 8), (100.0, 1)])
def test_clahe_is_zuidervelds_written_out(depth, clip, tiles):
    # Brightness is rounded: to be at the next step of the curve is worth `clip` levels and more.
    agree("clahe", local(clip, tiles), smooth, depth, levels=1.6 + clip * 1.1, clip=clip, tiles=tiles)


def test_clahe_does_the_same_in_every_depth():
    image = smooth((120, 90))
    found = find("clahe")(image)
    assert np.std(found) > 1.05 * np.std(image)
    for deep in (image.astype(np.uint16) * 257, image.astype(np.float32) / 255):
        assert np.abs(unit(find("clahe")(deep)) - unit(found)).max() < 0.6 / 255


def test_clahe_limits_how_much_contrast_is_gained_in_sixteen_bits_too():
    image = (30000 + 300 * np.random.default_rng(0).random((64, 64))).astype(np.uint16)
    found = find("clahe")(image, clip=2.0, tiles=2).astype(int)
    assert np.ptp(found) < 4 * np.ptp(image.astype(int))


@pytest.mark.parametrize("shape", [(64, 64), (33, 47, 3), (1, 1), (1, 5, 3)])
def test_clahe_leaves_an_even_picture_nearly_as_it_is(shape):
    image = np.full(shape, 100, np.uint8)
    assert np.abs(find("clahe")(image).astype(int) - 100).max() <= 2
