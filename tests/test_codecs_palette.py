"""Palettes: exact where the colours are few enough, and near what they stand for where they are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgpipe.imaging.codecs.palette import SIZE_MAX, _nearest, indexed
from tests.colours import colours, decibels

FOLDER = Path(__file__).parent.parent / "data" / "input"
PHOTOGRAPHS = ("astronaut.jpg", "chelsea.png", "coffee.jpg")


def shown_as(image):
    """The picture that ``indexed`` makes of one without transparency."""
    found = indexed(image, transparent=False)
    return found.colours[found.indices]


pictures = st.tuples(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 6), st.integers(0, 2**32 - 1)
)  # height, width, colours, seed


@given(pictures, st.booleans())
def test_few_colours_are_kept_exactly(shape, transparent):
    height, width, count, seed = shape
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (count, 3), np.uint8)[rng.integers(0, count, (height, width))]
    seen = rng.random((height, width)) < 0.5 if transparent else np.ones((height, width), bool)
    found = indexed(np.dstack([image, np.where(seen, 255, 0).astype(np.uint8)]), transparent=transparent)
    assert not found.reduced
    assert np.array_equal(found.colours[found.indices[seen]], image[seen])
    assert (found.indices[~seen] == len(found.colours)).all()
    assert len(found.colours) == len(np.unique(image[seen], axis=0))  # what is not seen needs no colour


@pytest.mark.parametrize("count", [1, 2, 3, 4, 254, 255, 256, 257, 300])
@pytest.mark.parametrize("transparent", [False, True])
def test_as_many_colours_as_there_is_room_for(count, transparent):
    image = np.dstack([colours(count), np.full((count, 1), 255, np.uint8)])
    found = indexed(image, transparent=transparent)
    room = SIZE_MAX - transparent
    assert len(found.colours) == min(count, room)
    assert found.reduced == (count > room)
    if not found.reduced:
        assert np.array_equal(found.colours[found.indices], image[:, :, :3])


@pytest.mark.parametrize(("alpha", "seen"), [(0, False), (127, False), (128, True), (255, True)])
def test_half_is_where_a_pixel_begins_to_be_seen(alpha, seen):
    image = np.array([[[9, 8, 7, alpha], [1, 2, 3, 255]]], np.uint8)
    found = indexed(image, transparent=True)
    assert (found.indices[0, 0] < len(found.colours)) == seen


def test_what_is_not_seen_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 4), np.uint8)
    other = image.copy()
    other[image[:, :, 3] < 128, :3] = 200
    one, two = indexed(image, transparent=True), indexed(other, transparent=True)
    assert one.reduced
    assert np.array_equal(one.colours, two.colours)
    assert np.array_equal(one.indices, two.indices)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_are_nearer_than_those_of_pillow(name):
    image = cv2.imread(str(FOLDER / name), cv2.IMREAD_COLOR)
    assert image is not None
    before = image.copy()
    ours = decibels(image, shown_as(image))
    assert np.array_equal(image, before)
    picture = Image.fromarray(image[:, :, ::-1].copy())
    adaptive = picture.convert("P", palette=Image.Palette.ADAPTIVE, dither=Image.Dither.NONE)
    theirs = decibels(image, np.array(adaptive.convert("RGB"))[:, :, ::-1])
    assert ours > theirs + 1, f"{ours:.1f} dB, Pillow {theirs:.1f} dB"
    assert ours > 37


def test_a_large_picture_has_the_palette_of_a_small_one():
    image = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)  # 256 × 256 pixels are many
    small, large = indexed(image, transparent=False), indexed(np.tile(image, (9, 9, 1)), transparent=False)
    assert np.array_equal(small.colours, large.colours)
    assert np.array_equal(np.tile(small.indices, (9, 9)), large.indices)


def test_noise_has_the_finest_palette_that_it_can_have():
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    # 256 cubes as large as 256³ / 256 have a side of 40.3, and a mean square error of side² / 12 a channel.
    assert decibels(noise, shown_as(noise)) > 10 * np.log10(255**2 / (40.3**2 / 12)) - 1


def test_a_gradient_of_many_near_colours_has_256():
    ramp = np.dstack([np.tile(np.arange(40, dtype=np.uint8), (40, 1)), np.zeros((40, 40), np.uint8)])
    image = np.dstack([ramp, np.tile(np.arange(40, dtype=np.uint8)[:, None], (1, 40))])
    found = indexed(image, transparent=False)
    assert len(np.unique(found.colours, axis=0)) == SIZE_MAX
    assert np.abs(found.colours[found.indices].astype(int) - image).max() <= 4


def test_a_rare_colour_is_not_given_up_for_a_common_one():
    image = np.zeros((200, 200, 3), np.uint8)
    image[:16, :17] = colours(272).reshape(16, 17, 3) // 8  # 272 dark ones, and far from them …
    image[199, 199] = 255
    assert np.array_equal(shown_as(image)[199, 199], [255, 255, 255])


@pytest.mark.parametrize("seed", range(3))
def test_the_nearest_is_the_first_of_the_nearest(seed):
    rng = np.random.default_rng(seed)
    samples, palette = rng.integers(0, 256, (5000, 3)), rng.integers(0, 256, (70, 3)).astype(float)
    palette[69] = palette[0]
    distances = ((samples[:, None] - palette.astype(int)[None]) ** 2).sum(axis=2)
    assert np.array_equal(_nearest(samples, palette), distances.argmin(axis=1))


def test_nothing_to_be_seen_has_no_colours():
    found = indexed(np.zeros((3, 4, 4), np.uint8), transparent=True)
    assert found.colours.shape == (0, 3)
    assert not found.indices.any()
