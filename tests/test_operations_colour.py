"""Colour, each against Pillow, the standard library or a matrix written out."""

from __future__ import annotations

import colorsys
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageOps

from imgpipe.imaging.operations import find
from imgpipe.imaging.pixels import WHITE
from tests.witness import agree, every, grey, picture, unit

depths = pytest.mark.parametrize("depth", WHITE)


def pillow(image):
    return Pillow.fromarray(np.ascontiguousarray(image[:, :, ::-1]))


def from_pillow(picture):
    return np.asarray(picture)[:, :, ::-1].astype(int)


def coloured(values):
    return np.repeat(values[:, :, np.newaxis], 3, axis=2) if values.ndim == 2 else values


@depths
def test_identity_and_invert(depth):
    for image in every(depth):
        assert np.array_equal(find("identity")(image), image)
    agree("invert", lambda values: 1 - values, picture, depth, levels=0.01)


def test_invert_is_pillows():
    image = picture((13, 11, 3))
    assert np.array_equal(find("invert")(image), from_pillow(ImageOps.invert(pillow(image))))


@depths
def test_grayscale_is_bt601(depth):
    agree("grayscale", grey, picture, depth)


def test_grayscale_is_pillows():
    image = picture((13, 11, 3))
    assert np.abs(find("grayscale")(image) - np.asarray(pillow(image).convert("L"), int)).max() <= 1


# --- gains and matrices ---------------------------------------------------------------------------


def saturated(factor):
    return lambda v: v if v.ndim == 2 else grey(v)[:, :, np.newaxis] * (1 - factor) + v * factor


@depths
@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 10.0])
def test_saturation_moves_colours_from_their_grey(depth, factor):
    agree("saturation", saturated(factor), picture, depth, factor=factor)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.5])
def test_saturation_is_pillows(factor):
    image = picture((13, 11, 3))
    theirs = from_pillow(ImageEnhance.Color(pillow(image)).enhance(factor))
    assert np.abs(find("saturation")(image, factor=factor) - theirs).max() <= 2  # Pillow rounds the grey


def balanced(values):
    if values.ndim == 2:
        return values
    means = values.mean(axis=(0, 1))
    return values * (means.mean() / np.where(means > 0, means, np.inf) + (means == 0))


@depths
def test_white_balance_multiplies_channels_to_the_mean_of_their_means(depth):

    def cast(shape, depth):
        image = picture(shape, depth)
        image[..., 0] = image[..., 0] / 3
        return image

    agree("white-balance", balanced, cast, depth)


def test_white_balance_makes_a_cast_grey():
    image = np.full((5, 5, 3), (40, 80, 120), np.uint8)
    assert (find("white-balance")(image) == 80).all()


def test_white_balance_leaves_out_what_is_not_finite():
    image = picture((9, 9, 3), "float32")
    clean = find("white-balance")(image[:4])
    image[4:] = (np.nan, np.inf, -np.inf)
    assert np.allclose(find("white-balance")(image)[:4], clean, rtol=1e-5)


# Rows and columns are red, green, blue, as the specification prints them.
SEPIA = [[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]]


def brown(amount):
    def toned(values):
        red_first = coloured(values)[:, :, ::-1]
        return ((1 - amount) * red_first + amount * red_first @ np.array(SEPIA).T)[:, :, ::-1]

    return toned


@depths
@pytest.mark.parametrize("amount", [0.0, 0.3, 1.0])
def test_sepia_is_the_matrix_of_the_specification(depth, amount):
    agree("sepia", brown(amount), picture, depth, amount=amount)


def helland(kelvin):
    """Blue, green, red, as T. Helland's article has them."""
    t = kelvin / 100
    red = 255 if t <= 66 else 329.698727446 * (t - 60) ** -0.1332047592
    low, high = 99.4708025861 * log(t) - 161.1195681661, 288.1221695283 * max(t - 60, 1) ** -0.0755148492
    green = low if t <= 66 else high
    blue = 255 if t >= 66 else 0 if t <= 19 else 138.5177312231 * log(t - 10) - 305.0447927307
    return np.clip([blue, green, red], 0, 255)


def lit(kelvin):
    gains = helland(kelvin) / helland(6500)
    return lambda values: coloured(values) * (gains / (gains @ [0.114, 0.587, 0.299]))


@depths
@pytest.mark.parametrize("kelvin", [1000, 1900, 4000, 6500, 6601, 40000])
def test_temperature_multiplies_by_the_colour_of_a_black_body(depth, kelvin):
    agree("temperature", lit(kelvin), picture, depth, kelvin=kelvin)


def test_temperature_keeps_the_brightness_of_grey_and_6500_k_all_of_it():
    image = np.full((3, 3), 0.5, np.float32)
    for kelvin in (1000, 3000, 9000, 40000):
        blue, green, red = (float(x) for x in find("temperature")(image, kelvin=kelvin)[0, 0])
        assert 0.114 * blue + 0.587 * green + 0.299 * red == pytest.approx(0.5, abs=1e-6)
        assert (blue < red) == (kelvin < 6500)
    same = picture((9, 9, 3), "uint16")
    assert np.array_equal(find("temperature")(same, kelvin=6500), same)


# --- hue ------------------------------------------------------------------------------------------


def turned(angle):
    def whole(values):
        if values.ndim == 2:
            return values
        found = np.empty_like(values)
        for at in np.ndindex(values.shape[:2]):
            hue, saturation, value = colorsys.rgb_to_hsv(*values[at][::-1])
            found[at] = colorsys.hsv_to_rgb((hue + angle / 360) % 1, saturation, value)[::-1]
        return found

    return whole


@depths
@pytest.mark.parametrize("angle", [-360.0, -77.0, 0.0, 120.0, 359.0])
def test_hue_is_that_of_the_standard_library(depth, angle):
    agree("hue", turned(angle), picture, depth, angle=angle)


@given(st.integers(0, 2**24 - 1), st.sampled_from([120.0, -240.0]))
def test_a_third_of_the_wheel_swaps_channels(number, angle):
    image = np.array([[[number & 255, number >> 8 & 255, number >> 16]]], np.uint8)
    assert np.array_equal(find("hue")(image, angle=angle), np.roll(image, -1, axis=2))


def test_hue_takes_tall_and_wide_pictures():
    for shape in ((70_000, 2, 3), (2, 70_000, 3)):
        image = picture(shape)
        assert np.abs(unit(find("hue")(image, angle=120.0)) - np.roll(unit(image), -1, 2)).max() < 0.001


@pytest.mark.parametrize(
    "name", ["saturation:factor=0.3", "hue:angle=90", "white-balance", "sepia", "invert"]
)
def test_white_and_black_of_sixteen_bits_are_not_clipped_early(name):
    operation, _, words = name.partition(":")
    given_ = {key: float(value) for key, _, value in [words.partition("=")] if key}
    image = np.zeros((2, 2, 3), np.uint16)
    image[0] = WHITE["uint16"]
    found = find(operation)(image, **given_)
    bright = found[1 if operation == "invert" else 0]
    assert bright.max() == 65535
