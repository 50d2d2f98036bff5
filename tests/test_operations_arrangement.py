"""Arrangement against NumPy: every pixel of a result is one of the picture's, or background."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.errors import ImageError, Kind, UsageError
from imgpipe.imaging.operations import Colour, Length, Size, find, parse
from imgpipe.imaging.operations.arrangement import _span
from imgpipe.imaging.operations.canvas import GRAVITIES, placed
from imgpipe.imaging.pixels import WHITE
from tests import witness
from tests.test_operations_geometry import done, picture

SHAPES = [(1, 1), (9, 7), (9, 7, 3), (8, 11, 4)]


# --- parts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("end", [(), (3,), (4,)])
@pytest.mark.parametrize(
    ("words", "rows", "columns"),
    [
        ("x=2,y=1,width=5,height=3", slice(1, 4), slice(2, 7)),
        ("width=1", slice(0, 9), slice(0, 1)),
        ("x=-3,y=-2", slice(7, 9), slice(5, 8)),
        ("x=-3,width=2", slice(0, 9), slice(5, 7)),
        ("x=25%,width=50%,height=33.3%", slice(0, 3), slice(2, 6)),
        ("x=-25%,y=100%,y=-1", None, None),
    ],
)
def test_crop_is_a_slice(words, rows, columns, end, depth):
    image = picture((9, 8, *end), depth)
    if rows is None:
        with pytest.raises(UsageError, match="y is given twice"):
            parse(f"crop:{words}")
    else:
        assert np.array_equal(done(f"crop:{words}", image), image[rows, columns])


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("crop:width=9", "9x5 at 0,0"),
        ("crop:x=7,width=2", "2x5 at 7,0"),
        ("crop:x=8", "0x5 at 8,0"),
        ("crop:y=-6", "8x6 at 0,-1"),
        ("crop:height=1%", "8x0 at 0,0"),
        ("centre-crop:size=9x2", "9x2"),
        ("centre-crop:size=x6", "8x6"),
        ("pad:size=7x9", "7x9"),
        ("pad:size=9x4", "9x4"),
    ],
)
def test_what_a_picture_cannot_give_is_its_failure(words, asked):
    name = words.partition(":")[0]
    message = f"{name}: {asked} is asked for, and the picture has 8x5 pixels"
    with pytest.raises(ImageError, match=message) as caught:
        done(words, picture((5, 8)))
    assert caught.value.kind is Kind.OPERATION


@given(st.integers(1, 500), st.integers(0, 1000))
def test_shares_that_make_a_whole_meet_without_a_gap(side, tenths):
    first = _span(side, Length(0), Length(tenths / 10, True))
    second = _span(side, Length(tenths / 10, True), None)
    both = _span(side, Length(tenths / 10, True), Length((1000 - tenths) / 10, True))
    assert sum(first) == second[0]
    assert sum(second) == side
    assert second == both


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("end", [(), (3,), (4,)])
@pytest.mark.parametrize(("size", "rows", "columns"), [("4x3", (3, 6), (2, 6)), ("3x", (0, 9), (2, 5))])
def test_centre_crop_takes_the_middle(size, rows, columns, end, depth):
    image = picture((9, 8, *end), depth)
    assert np.array_equal(done(f"centre-crop:size={size}", image), image[slice(*rows), slice(*columns)])


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ratio", [(16, 9), (1, 1), (1, 3), (239, 100), (1000, 1)])
def test_aspect_crop_is_the_largest_part_of_that_ratio(ratio, shape, depth):
    image = picture(shape, depth)
    result = done(f"aspect-crop:ratio={ratio[0]}:{ratio[1]},gravity=north-west", image)
    height, width = result.shape[:2]
    assert np.array_equal(result, image[:height, :width])
    assert height == shape[0] or width == shape[1]
    exact_width, exact_height = shape[0] * ratio[0] / ratio[1], shape[1] * ratio[1] / ratio[0]
    assert abs(width - min(shape[1], exact_width)) <= 0.5 or width == 1
    assert abs(height - min(shape[0], exact_height)) <= 0.5 or height == 1


# --- trim ---------------------------------------------------------------------------------------


def trimmed(image: Any, target: Any, distance: float) -> Any:
    """Row by row and column by column, in plain Python."""
    seen = np.atleast_3d(image).astype(float)
    keep = [
        (row, column)
        for row in range(seen.shape[0])
        for column in range(seen.shape[1])
        if max(abs(seen[row, column] - target)) > distance
    ]
    if not keep:
        return image
    rows, columns = zip(*keep, strict=True)
    return image[min(rows) : max(rows) + 1, min(columns) : max(columns) + 1]


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("end", [(), (3,)])
@pytest.mark.parametrize("seed", range(4))
def test_trim_cuts_borders_off(seed, end, depth):
    rng = np.random.default_rng(seed)
    image = np.full((12, 9, *end), 0.5) + rng.uniform(-0.02, 0.02, (12, 9, *end))
    top, left = rng.integers(1, 5, 2)
    image[top : top + 3, left : left + 4] = rng.random((3, 4, *end))
    image = (image * WHITE[depth]).astype(depth)
    corner = np.atleast_3d(image)[0, 0].astype(float)
    result = find("trim")(image, tolerance=5.0)
    assert np.array_equal(result, trimmed(image, corner, 0.05 * WHITE[depth]))
    assert result.shape[:2] != (12, 9)
    assert np.array_equal(find("trim")(image, tolerance=100.0), image), "all is border: as it is"


def test_the_tolerance_of_trim_counts():
    image = np.full((5, 5), 100, np.uint8)
    image[2, 2], image[1, 3] = 120, 110
    assert done("trim:tolerance=7.8", image).shape == (1, 1)  # 19.9
    assert done("trim:tolerance=3.9", image).shape == (2, 2)  # 9.9
    assert done("trim:tolerance=4", image).shape == (1, 1)  # 10.2
    assert done("trim:tolerance=0,colour=white", image).shape == (5, 5)


def test_trim_of_a_given_colour():
    image = np.full((6, 6, 3), (50, 100, 200), np.uint8)
    image[2:4, 1:3] = 7
    assert np.array_equal(done("trim:colour=#c86432", image), image[2:4, 1:3])
    assert np.array_equal(done("trim:colour=white", image), image)
    assert np.array_equal(done("trim:colour=white", np.full((1, 1), 255, np.uint8)), [[255]])


@pytest.mark.parametrize("depth", WHITE)
def test_transparent_pixels_are_border_whatever_their_colour(depth):
    image = picture((9, 7, 4), depth)
    image[:, :, 3] = 0
    image[3:6, 2:4, 3] = WHITE[depth]
    assert np.array_equal(find("trim")(image), image[3:6, 2:4])


@pytest.mark.parametrize("depth", WHITE)
def test_trim_sees_colours_weighted_by_alpha(depth):
    for seed in range(4):
        image = witness.picture((13, 11, 4), depth, seed)
        image[:3], image[:, 8:] = image[0, 0], image[0, 0]
        seen = witness.unit(image)
        seen[:, :, :3] *= seen[:, :, 3:]
        kept = np.abs(seen - seen[0, 0]).max(axis=2) > 0.3
        rows, columns = (np.flatnonzero(kept.any(axis=axis)) for axis in (1, 0))
        expected = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert np.array_equal(find("trim")(image, tolerance=30.0), expected)
        assert expected.shape[0] < 13


# --- pad ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("shape", SHAPES)
def test_pad_by_margins(shape, depth):
    image = picture(shape, depth)
    result = done("pad:left=1,right=2,top=3,bottom=200%,background=#336699cc", image)
    margins = ((3, 2 * shape[0]), (1, 2))
    grey = round(
        (0.299 * 0x33 + 0.587 * 0x66 + 0.114 * 0x99) * WHITE[depth] / 255, 0 if depth != "float32" else 9
    )
    colours = [grey] if len(shape) == 2 else [v / 255 * WHITE[depth] for v in (0x99, 0x66, 0x33, 0xCC)]
    expected = [
        np.pad(plane, margins, constant_values=colours[k])
        for k, plane in enumerate(np.moveaxis(np.atleast_3d(image), 2, 0))
    ]
    assert np.allclose(np.atleast_3d(result), np.dstack(expected), rtol=1e-6)
    assert result.dtype == image.dtype


@pytest.mark.parametrize(
    ("gravity", "top", "left"),
    [("north-west", 0, 0), ("centre", 1, 2), ("south-east", 3, 5), ("east", 1, 5), ("north", 0, 2)],
)
def test_pad_to_a_size(gravity, top, left):
    image = picture((4, 5, 3))
    result = done(f"pad:size=10x7,gravity={gravity},background=white", image)
    expected = np.full((7, 10, 3), 255, np.uint8)
    expected[top : top + 4, left : left + 5] = image
    assert np.array_equal(result, expected)
    assert np.array_equal(find("pad")(image, size=Size(0, 4)), image)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("pad", "pad: either size or some of left, right, top, bottom must be given, as in pad:size=400x400"),
        ("pad:size=9x,top=1", "pad: size and top exclude each other"),
        ("pad:left=-1", "pad: left: expected pixels from 0 to 65535, .*, got '-1'"),
        ("crop:x=0", "crop: x, y, width or height must be given, as in crop:x=10"),
        ("crop:width=0", "crop: width: expected pixels from 1 to 65535, .*, got '0'"),
        ("crop:width=0%", "crop: width: expected .* got '0%'"),
    ],
)
def test_what_says_nothing_or_too_much_is_refused_when_the_recipe_is_made(words, message):
    with pytest.raises(UsageError, match=message):
        parse(words)


@given(
    st.sampled_from(sorted(GRAVITIES)),
    st.integers(0, 99),
    st.integers(0, 99),
    st.integers(-9, 9),
    st.integers(-9, 9),
)
def test_gravity_names_the_edges_that_offsets_are_from(gravity, wide, high, x, y):
    left, top = placed((wide + 10, high + 20), (10, 20), gravity, x, y)
    right, below = wide - left, high - top
    ends = {"west": left, "east": right} if "west" in gravity or "east" in gravity else {}
    assert all(distance == x for name, distance in ends.items() if name in gravity)
    assert ends or left == wide // 2 + x
    ends = {"north": top, "south": below} if "north" in gravity or "south" in gravity else {}
    assert all(distance == y for name, distance in ends.items() if name in gravity)
    assert ends or top == high // 2 + y


# --- which way up -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("depth", WHITE)
def test_mirrors(shape, depth):
    image = picture(shape, depth)
    assert np.array_equal(done("flip", image), image[:, ::-1])
    assert np.array_equal(done("flip:axis=vertical", image), image[::-1])
    assert np.array_equal(done("flip:axis=both", image), image[::-1, ::-1])
    swapped = np.swapaxes(image, 0, 1)
    assert np.array_equal(done("transpose", image), swapped)
    assert np.array_equal(done("transverse", image), swapped[::-1, ::-1])


def test_the_background_has_the_colour_that_was_asked_for():
    for depth, white in WHITE.items():
        result = find("pad")(np.zeros((1, 1, 4), depth), right=Length(1), background=Colour(255, 0, 51, 102))
        assert np.allclose(result[0, 1], np.array([51, 0, 255, 102]) / 255 * white)
