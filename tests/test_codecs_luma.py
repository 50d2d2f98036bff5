"""Brightness alone: the option, and how far it is from the brightness of the decoded colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imgpipe.imaging.codecs import decode
from imgpipe.imaging.operations.table import BUILT_IN
from imgpipe.imaging.pixels import grey
from imgpipe.imaging.processing import process
from imgpipe.imaging.recipe import Recipe

PHOTOGRAPHS = sorted((Path(__file__).parent.parent / "data" / "input").glob("*.jpg"))
COLOUR = [path for path in PHOTOGRAPHS if decode(path.read_bytes()).frames[0].ndim == 3]
GREY = [path for path in PHOTOGRAPHS if path not in COLOUR]


@pytest.mark.parametrize("path", COLOUR, ids=lambda path: path.name)
def test_luma_is_within_one_of_the_brightness_of_the_colours(path):
    """But where a colour was clipped: the brightness of what it was is not that of what can be shown."""
    colours = decode(path.read_bytes()).frames[0]
    luma = decode(path.read_bytes(), luma=True).frames[0]
    assert luma.shape == colours.shape[:2]
    unclipped = (colours > 0).all(axis=2) & (colours < 255).all(axis=2)
    assert np.abs(luma.astype(int) - grey(colours))[unclipped].max() <= 1


@pytest.mark.parametrize("path", GREY, ids=lambda path: path.name)
def test_luma_of_a_grey_picture_is_that_picture(path):
    data = path.read_bytes()
    assert np.array_equal(decode(data, luma=True).frames[0], decode(data).frames[0])


def test_only_what_needs_brightness_alone_is_given_it():
    for name, known in BUILT_IN.items():
        if known.luma:
            assert Recipe.from_options([known.example], luma=True).bind().luma, name
            assert not Recipe.from_options([known.example]).bind().luma
    assert not Recipe.from_options(["edges"], luma=True).bind().luma
    assert not Recipe.from_options(["sepia", "grayscale"], luma=True).bind().luma


@pytest.mark.parametrize("name", sorted(name for name, known in BUILT_IN.items() if known.luma))
def test_an_operation_of_brightness_makes_the_same_of_grey(name):
    """What `luma` promises: the operation sees colours only as `grey` has them."""
    known = BUILT_IN[name]
    image = decode((PHOTOGRAPHS[0].parent / "coffee.jpg").read_bytes()).frames[0]
    arguments = known.arguments(known.step(dict(Recipe.from_options([known.example]).steps[0].parameters)))
    assert np.array_equal(known(image, **arguments), known(grey(image), **arguments))


def test_luma_goes_all_the_way():
    data = COLOUR[0].read_bytes()
    found = process(data, Recipe.from_options(["grayscale"], "pgm", luma=True), "jpg")
    luma = decode(data, luma=True).frames[0]
    assert found.data is not None
    assert np.array_equal(decode(found.data).frames[0], luma)
