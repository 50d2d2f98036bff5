"""Geometry against witnesses without OpenCV: Pillow, SciPy, and closed forms."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from imgpipe.errors import ImageError, Kind
from imgpipe.imaging.operations import Size, find, parse
from imgpipe.imaging.pixels import WHITE

KERNELS = {
    "nearest": Pillow.Resampling.NEAREST,
    "linear": Pillow.Resampling.BILINEAR,
    "cubic": Pillow.Resampling.BICUBIC,
    "lanczos": Pillow.Resampling.LANCZOS,
}
SHAPES = [(1, 1), (1, 9), (5, 4, 3), (33, 47), (24, 17, 3), (13, 8, 4)]


def picture(shape: tuple[int, ...], depth: str = "uint8", seed: int = 0) -> Any:
    return (np.random.default_rng(seed).random(shape) * WHITE[depth]).astype(depth)


def done(words: str, image: Any) -> Any:
    """What the operation of these words makes of an image."""
    step = parse(words)
    known = find(step.name)
    return known(image, **known.arguments(step))


def planes(image: Any) -> list[Any]:
    return list(np.moveaxis(np.atleast_3d(image), 2, 0))


def by_plane(function: Any, image: Any) -> Any:
    """A function of one plane of float64, done to each, colours weighted by alpha; in the image's scale."""
    seen = planes(image.astype(float))
    if len(seen) < 4:
        found = [function(plane) for plane in seen]
        return found[0] if image.ndim == 2 else np.dstack(found)
    alpha = seen[3] / WHITE[image.dtype.name]
    weight = function(alpha)
    safe = np.where(weight > 1e-6, weight, np.inf)
    colours = [function(plane * alpha) / safe for plane in seen[:3]]
    return np.dstack([*colours, np.clip(weight, 0, 1) * WHITE[image.dtype.name]])


def close(result: Any, expected: Any) -> bool:
    """Whether the result is the exact values: within rounding for integers, clipped."""
    white = WHITE[result.dtype.name]
    if result.dtype == np.float32:
        return bool(np.allclose(result, expected, atol=2e-5))
    return bool(np.abs(result - np.clip(expected, 0, white)).max() <= 0.51 + white / 1e6)


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("shape", SHAPES)
# With these sizes no middle of a new pixel lies between two old ones, where Pillow's floats choose by chance.
@pytest.mark.parametrize("size", [(3, 2), (88, 72), (24, 3), (1, 1)])
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_are_those_of_pillow(kernel, size, shape, depth):
    image = picture(shape, depth)
    if kernel == "nearest" and len(shape) == 3 and shape[2] == 4:
        image[:, :, 3] = WHITE[depth]  # colours that are divided by a small alpha are not exact

    def resized(plane):
        return np.asarray(Pillow.fromarray(plane.astype(np.float32)).resize(size, KERNELS[kernel]), float)

    result = find("resize")(image, size=Size(*size), kernel=kernel)
    expected = by_plane(resized, image)
    if result.ndim == 3 and result.shape[2] == 4:
        clear = expected[:, :, 3] > 0.05 * WHITE[depth]
        result, expected = result * clear[:, :, None].astype(result.dtype), expected * clear[:, :, None]
        if depth == "float32":
            assert np.allclose(result, expected, atol=1e-3)
            return
    assert close(result, expected)


def coverage(given: int, wanted: int) -> Any:
    """How much of each given pixel lies in each wanted one, as shares."""
    edges = np.arange(wanted + 1) * given / wanted
    pixels = np.arange(given)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(overlap, 0, None) * wanted / given


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("shape", [(33, 47), (24, 17, 3), (20, 20, 3)])
@pytest.mark.parametrize("kernel", ["auto", "area"])
def test_area_is_the_mean_of_what_a_pixel_covers(kernel, shape, depth):
    image = picture(shape, depth)
    result = find("resize")(image, size=Size(10, 7), kernel=kernel)
    down, across = coverage(shape[0], 7), coverage(shape[1], 10)
    assert close(result, by_plane(lambda plane: down @ plane @ across.T, image))


def seen_close(result: Any, expected: Any) -> bool:
    """`close`, where there is little of alpha by what can be seen of the colours."""
    white = WHITE[result.dtype.name]
    off = np.abs(result - np.clip(expected, 0, white)) / white
    if result.shape[2:] == (4,):
        off[:, :, :3] *= expected[:, :, 3:] / white
    return bool(off.max() <= (2e-5 if result.dtype == np.float32 else 1.02 / white + 1e-6))


KINDS = [(1, 1), (1, 1, 3), (1, 1, 4), (33, 47), (47, 33, 3), (33, 47, 4), (1, 40, 4)]


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("shape", KINDS)
def test_a_thumbnail_is_the_mean_of_what_a_pixel_covers(shape, depth):
    image = picture(shape, depth)
    factor = min(1.0, 13 / max(shape[:2]))
    height, width = (max(1, round(side * factor)) for side in shape[:2])
    down, across = coverage(shape[0], height), coverage(shape[1], width)
    result = find("thumbnail")(image, size=13)
    assert result.shape == (height, width, *shape[2:])
    assert seen_close(result, by_plane(lambda plane: down @ plane @ across.T, image))


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("shape", [(33, 47), (47, 33, 3), (33, 47, 4), (28, 40, 4)])
@pytest.mark.parametrize(("gravity", "share"), [("north-west", 0.0), ("centre", 0.5), ("south-east", 1.0)])
def test_fill_is_the_mean_of_a_part(gravity, share, shape, depth):
    image = picture(shape, depth)
    factor = min(shape[0] / 7, shape[1] / 10)
    high, wide = round(7 * factor), round(10 * factor)
    top, left = floor((shape[0] - high) * share), floor((shape[1] - wide) * share)
    down, across = coverage(high, 7), coverage(wide, 10)
    part = image[top : top + high, left : left + wide]
    result = find("fill")(image, size=Size(10, 7), gravity=gravity)
    assert seen_close(result, by_plane(lambda plane: down @ plane @ across.T, part))


def test_one_side_is_reduced_by_area_and_the_other_enlarged():
    image = picture((40, 6), "float32")
    result = find("resize")(image, size=Size(6, 10))
    assert np.allclose(result, image.reshape(10, 4, 6).mean(axis=1), atol=1e-6)
    for kernel in ("auto", "area"):
        wide = find("resize")(image, size=Size(9, 10), kernel=kernel)
        again = find("resize")(result, size=Size(9, 10), kernel=kernel)
        assert np.allclose(wide, again, atol=1e-6)


def test_auto_enlarges_with_the_cubic_of_keys():
    image = picture((1, 8), "float32")
    result = find("resize")(image, size=Size(16, 1))
    t, a = 0.75, -0.75  # a place a quarter of a pixel left of pixel 3, between pixels 2 and 3
    far = [a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a for d in (1 + t, 2 - t)]
    near = [(a + 2) * d**3 - (a + 3) * d**2 + 1 for d in (t, 1 - t)]
    weights = np.array([far[0], near[0], near[1], far[1]])
    assert result[0, 6] == pytest.approx(weights @ image[0, 1:5], abs=1e-5)


@given(st.integers(1, 300), st.integers(1, 300))
def test_nearest_is_the_pixel_below_the_middle(had, wanted):
    image = np.arange(had, dtype=np.uint16)[None]
    result = find("resize")(image, size=Size(wanted, 1), kernel="nearest")
    middles = [Fraction(2 * i + 1, 2) * had / wanted for i in range(wanted)]
    assert result[0].tolist() == [floor(middle) for middle in middles]


def test_a_fine_pattern_becomes_grey_and_not_another_pattern():
    stripes = np.tile(np.array([0, 255], np.uint8), (8, 200))
    for kernel in ("auto", "area", "linear", "cubic", "lanczos"):
        small = find("resize")(stripes, size=Size(70, 8), kernel=kernel)
        assert np.abs(small[:, 6:-6].astype(int) - 127).max() <= 50, kernel
    assert set(np.unique(find("resize")(stripes, size=Size(70, 8), kernel="nearest"))) == {0, 255}


@pytest.mark.parametrize(
    ("words", "shape", "expected"),
    [
        ("size=8x6", (24, 17), (6, 8)),
        ("size=34x", (24, 17), (48, 34)),
        ("size=x12", (24, 17), (12, 8)),
        ("size=1x", (24, 17), (1, 1)),
        ("fit=40x40", (24, 12), (40, 20)),
        ("fit=40x10", (24, 12), (10, 5)),
        ("fit=6x", (24, 12), (12, 6)),
        ("fit=x12", (24, 12), (12, 6)),
        ("fit=10x10", (1000, 1), (10, 1)),
        ("long=8", (24, 12), (8, 4)),
        ("long=8", (12, 24), (4, 8)),
        ("short=6", (24, 12), (12, 6)),
        ("short=1", (1, 1), (1, 1)),
        ("long=3", (1, 1), (3, 3)),
    ],
)
def test_sizes_are_those_that_were_asked_for(words, shape, expected):
    assert done(f"resize:{words}", picture((*shape, 3))).shape == (*expected, 3)


@pytest.mark.parametrize(("shape", "expected"), [((40, 20), (10, 5)), ((3, 4), (3, 4)), ((1000, 1), (10, 1))])
def test_thumbnail_reduces_and_never_enlarges(shape, expected):
    assert find("thumbnail")(picture(shape), size=10).shape == expected


def test_fill_covers_the_box_from_the_middle():
    image = picture((20, 40), "float32")
    assert np.array_equal(done("fill:size=20x", image), image[:, 10:30])
    assert np.array_equal(done("fill:size=x20,gravity=east", image), image[:, 20:])
    half = image[:, 10:30].reshape(10, 2, 10, 2).mean(axis=(1, 3))
    assert np.allclose(done("fill:size=10x10", image), half, atol=1e-6)
    assert np.array_equal(done("fill:size=2x3", picture((1, 1))), np.full((3, 2), picture((1, 1))[0, 0]))


@pytest.mark.parametrize("shape", [(20, 41), (41, 20), (13, 13), (7, 300)])
def test_fill_is_the_fit_of_pillow_but_for_half_a_pixel(shape):
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    image = (rows / 100 + columns / 500).astype(np.float32)  # a slope shows every shift
    result = find("fill")(image, size=Size(11, 6), kernel="area")
    factor = min(shape[1] / 11, shape[0] / 6)
    left, top = (shape[1] - 11 * factor) / 2, (shape[0] - 6 * factor) / 2
    middle_y, middle_x = (np.mgrid[:6, :11] + 0.5) * factor
    expected = (top + middle_y - 0.5) / 100 + (left + middle_x - 0.5) / 500
    assert np.abs(result - expected)[1:-1, 1:-1].max() <= 1.0 / 100 + 1.0 / 500


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("resize:size=60000x60000", "resize: would make 60000x60000 of 3x2 pixels: at most 100000000"),
        ("rotate:angle=45", "rotate: would make 14143x14143 of 1x20000 pixels"),
    ],
)
def test_a_result_of_too_many_pixels_is_refused_before_it_is_made(words, message):
    image = picture((2, 3)) if "resize" in words else picture((20_000, 1))
    with pytest.raises(ImageError, match=message) as caught:
        done(words, image)
    assert caught.value.kind is Kind.TOO_LARGE


def test_what_becomes_no_larger_is_not_refused():
    huge = np.broadcast_to(np.uint8(7), (2, 60_000_000))
    assert done("crop:width=50000", huge).shape == (2, 50_000)
