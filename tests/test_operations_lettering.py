"""The font: every character has its own shape, drawn as Pillow draws it at sixteen times the size."""

from __future__ import annotations

import string
from math import pi
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw

from imgpipe.imaging.operations.lettering import (
    CHARACTERS,
    FEWEST,
    GAP,
    SPACE,
    WEIGHT,
    covered,
    strokes,
)


def drawn(text: str, scale: float, width: int, height: int) -> Any:
    """The same strokes, each with round ends, by Pillow: sixteen times as large, then reduced."""
    fine = 16
    image = Pillow.new("L", (width * fine, height * fine))
    draw = ImageDraw.Draw(image)
    radius = max(FEWEST, WEIGHT * scale) * fine
    for x0, y0, x1, y1 in ((strokes(text)[0] * scale + 4) * fine).tolist():
        draw.line((x0, y0, x1, y1), fill=255, width=round(2 * radius))
        for x, y in ((x0, y0), (x1, y1)):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(image.reduce(fine)) / 255


# Where a stroke is thinner than a pixel, its distance says less about the share that it covers.
@pytest.mark.parametrize("text", ["Hamburgefonts 8%", "© @gjpq{}", "."])
@pytest.mark.parametrize(("scale", "mean", "ink"), [(0.7, 0.03, 0.2), (2.0, 0.01, 0.06), (5.3, 0.01, 0.03)])
def test_strokes_are_lines_with_round_ends(text, scale, mean, ink):
    width, height = round(strokes(text)[1] * scale) + 8, round(14 * scale) + 8
    letters = covered(strokes(text)[0], scale, -4, -4, width, height)
    expected = drawn(text, scale, width, height)
    assert letters.dtype == np.float32
    assert np.abs(letters - expected).max() < 0.35  # where strokes end or meet: a distance is not an area
    assert np.abs(letters - expected).mean() < mean
    assert letters.sum() == pytest.approx(expected.sum(), rel=ink)


@pytest.mark.parametrize("scale", [1.5, 4.0, 20.0])
def test_a_stroke_has_its_area(scale):
    radius = WEIGHT * scale
    letters = covered(strokes("I")[0], scale, -40, -40, 300, 300)
    assert letters.sum() == pytest.approx(10 * scale * 2 * radius + pi * radius**2, rel=0.02)
    assert 0.9 <= letters.max() <= 1.0


def test_a_window_is_a_part_of_the_whole():
    lines = strokes("Part")[0]
    whole = covered(lines, 3.0, -5, -5, 110, 50)
    assert np.array_equal(covered(lines, 3.0, 10, 2, 40, 20), whole[7:27, 15:55])
    assert covered(lines, 3.0, 0, 0, 0, 5).shape == (5, 0)
    assert not covered(lines, 3.0, 500, 500, 5, 5).any()


def test_every_character_has_a_shape_of_its_own():
    shapes = {covered(strokes(c)[0], 4.0, -8, -8, 80, 80).tobytes() for c in CHARACTERS}
    assert len(shapes) == len(CHARACTERS)
    assert set(string.printable) - set("\t\n\r\x0b\x0c") <= set(CHARACTERS)
    assert not covered(strokes(" ")[0], 4.0, -8, -8, 80, 80).any()


def test_letters_stand_one_after_the_other():
    one, width = strokes("L")
    two, both = strokes("L L")
    assert both == 2 * width + 2 * GAP - GAP + SPACE
    assert np.array_equal(two[len(one) :], one + np.array([1, 0, 1, 0]) * (width + GAP + SPACE))
    ink = covered(one, 4.0, -8, -8, 50, 60) > 0.5
    assert ink[46, 30], "the foot of an L is at its right"
    assert not ink[8, 30], "and nothing is above it"
