"""Geometry against witnesses without OpenCV: Pillow, SciPy, and closed forms."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, cos, floor, radians, sin
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from scipy.ndimage import map_coordinates

from imgpipe.errors import ImageError, Kind, UsageError
from imgpipe.imaging.operations import Colour, Corners, Size, find, parse
from imgpipe.imaging.operations.skew import skew
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
    return np.dstack([*colours, weight * WHITE[image.dtype.name]])


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


# --- turns --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (1, 1)])
@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize(
    ("angle", "turns"), [(90, -1), (180, 2), (270, 1), (-90, 1), (360, 0), (-180, 2), (0, 0)]
)
def test_quarters_of_a_turn_are_exact_and_clockwise(angle, turns, shape, depth):
    image = picture(shape, depth)
    assert np.array_equal(find("rotate")(image, angle=float(angle)), np.rot90(image, turns))


def turned_places(shape: tuple[int, ...], size: tuple[int, int], angle: float) -> Any:
    """Row and column in the picture of each pixel of the turned one, from the middle."""
    y, x = np.mgrid[: size[1], : size[0]].astype(float)
    x, y = x - (size[0] - 1) / 2, y - (size[1] - 1) / 2
    c, s = cos(radians(angle)), sin(radians(angle))
    return np.array([-s * x + c * y + (shape[0] - 1) / 2, c * x + s * y + (shape[1] - 1) / 2])


@pytest.mark.parametrize("shape", [(5, 7), (12, 9, 3), (11, 8, 4), (1, 1)])
@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize(("angle", "expand"), [(30.0, True), (-7.5, True), (123.4, False), (90.0, False)])
def test_other_angles_are_read_between_pixels(angle, expand, shape, depth):
    image = picture(shape, depth)
    if len(shape) == 3 and shape[2] == 4:
        image[:, :, 3] = WHITE[depth]
    colour = Colour(200, 100, 50)
    result = find("rotate")(image, angle=angle, expand=expand, background=colour)
    c, s = abs(cos(radians(angle))), abs(sin(radians(angle)))
    size = shape[1::-1]
    if expand:
        size = (ceil(shape[1] * c + shape[0] * s), ceil(shape[1] * s + shape[0] * c))
    assert result.shape[1::-1] == size
    places = turned_places(shape, size, angle)
    grey = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    around = {1: [grey], 3: [50, 100, 200], 4: [50, 100, 200, 255]}[len(planes(image))]
    expected = [
        map_coordinates(plane.astype(float), places, order=1, mode="grid-constant", cval=value)
        for plane, value in zip(planes(image), np.array(around) * WHITE[depth] / 255, strict=True)
    ]
    grey_is_rounded = 0.5 * WHITE[depth] / 255 if image.ndim == 2 else 0
    assert np.abs(np.dstack(expected) - np.atleast_3d(result)).max() <= (
        (0.55 if depth != "float32" else 2e-5) + WHITE[depth] / 1e6 + grey_is_rounded
    )


def test_a_turn_does_not_let_the_colour_of_transparent_pixels_out():
    image = np.zeros((9, 9, 4), np.uint8)
    image[:] = (255, 255, 255, 0)  # white, and not to be seen
    image[:, 4:] = (0, 0, 200, 255)
    for kernel in ("linear", "cubic"):
        result = find("rotate")(image, angle=20.0, background=Colour(0, 255, 0, 0), kernel=kernel)
        seen = result[:, :, 3] > 2
        assert (np.abs(result[seen][:, :3].astype(int) - (0, 0, 200)) <= 1).all()
        assert result[0, 0].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
def test_a_kernel_reproduces_the_polynomials_it_must(kernel):
    y, x = np.mgrid[:30, :40] / 40
    image = (0.2 + 0.3 * x - 0.1 * y + (0.2 * x * x - 0.3 * x * y) * (kernel == "cubic")).astype(np.float32)
    result = find("rotate")(image, angle=17.0, kernel=kernel)
    v, u = turned_places(image.shape, result.shape[::-1], 17.0)
    inside = (u > 3) & (u < 36) & (v > 3) & (v < 26)
    u, v = u / 40, v / 40
    expected = 0.2 + 0.3 * u - 0.1 * v + (0.2 * u * u - 0.3 * u * v) * (kernel == "cubic")
    assert np.abs(result - expected)[inside].max() < 1e-5


def test_nearest_takes_the_pixel_that_lies_there():
    image = picture((12, 9, 3))
    result = find("rotate")(image, angle=33.0, kernel="nearest", background=Colour(1, 2, 3))
    row, column = np.rint(turned_places(image.shape, result.shape[1::-1], 33.0)).astype(int)
    inside = (row >= 0) & (row < 12) & (column >= 0) & (column < 9)
    assert np.array_equal(result[inside], image[row[inside], column[inside]])
    assert (result[~inside] == (3, 2, 1)).all()


# --- deskew -------------------------------------------------------------------------------------


def page(turn: float, lines: int = 18) -> Any:
    """A page of text drawn by Pillow and turned clockwise by it."""
    words = ["faithful", "pictures", "come", "back", "right", "whatever", "was", "done", "to", "them"]
    image = Pillow.new("L", (620, 877), 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    rng = np.random.default_rng(3)
    for line in range(lines):
        draw.text((60, 80 + 24 * line), " ".join(rng.choice(words, 9)), fill=20, font=font)
    turned = image.rotate(-turn, Pillow.Resampling.BICUBIC, expand=True, fillcolor=255)
    return np.asarray(turned).copy()


@pytest.mark.parametrize("angle", [-14.0, -3.3, 1.0, 7.25])
def test_the_skew_of_a_page_is_found(angle):
    assert skew(page(angle), 15) == pytest.approx(angle, abs=0.1)


def test_deskew_makes_lines_of_text_level():
    for image in (page(4.0), np.dstack([page(4.0)] * 3), page(4.0).astype(np.uint16) * 257):
        straight = find("deskew")(image)
        assert straight.ndim == image.ndim
        assert skew(straight, 15) == 0.0
        ink = np.atleast_3d(straight)[:, :, 0] < WHITE[image.dtype.name] / 2
        # Between level lines there are rows without any ink; on the skewed page there is none.
        text = np.flatnonzero(ink.any(axis=1))
        assert (~ink[text[0] : text[-1]].any(axis=1)).sum() > 100


def test_deskew_keeps_alpha():
    image = np.dstack([page(4.0)] * 3 + [np.full_like(page(4.0), 255)])
    straight = find("deskew")(image, background=Colour(0, 0, 0, 0))
    assert straight[0, 0, 3] == 0
    assert straight[straight.shape[0] // 2, straight.shape[1] // 2, 3] == 255


@pytest.mark.parametrize(
    "image",
    [
        picture((1, 1)),
        picture((300, 200)),
        picture((40, 30, 4), "float32"),
        np.full((50, 60), 255, np.uint8),
        page(0.0),
        page(20.0),  # beyond the limit of 5 there is no other angle that looks like text
    ],
    ids=["1x1", "noise", "float", "blank", "straight", "beyond"],
)
def test_deskew_leaves_what_it_cannot_or_need_not_straighten(image):
    assert np.array_equal(find("deskew")(image, limit=5.0), image)


# --- perspective --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 9), (6, 9, 3), (1, 1)])
@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("kernel", ["nearest", "linear", "cubic"])
def test_the_picture_seen_straight_is_the_picture(kernel, depth, shape):
    image = picture(shape, depth)
    height, width = shape[:2]
    whole = Corners((0, 0), (width, 0), (width, height), (0, height))
    result = find("perspective")(image, corners=whole, kernel=kernel)
    assert close(result, image.astype(float))
    turned = find("perspective")(image, corners=Corners(*whole[1:], whole[0]), kernel=kernel)
    assert close(turned, np.rot90(image).astype(float))


def test_a_rectangle_within_is_a_crop():
    image = picture((20, 30, 3))
    assert np.array_equal(done('perspective:corners="4,3 14,3 14,11 4,11"', image), image[3:11, 4:14])
    half = done("perspective:corners=4 3 14 3 14 11 4 11,size=5x", image)
    mean = image[3:11, 4:14].reshape(4, 2, 5, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - mean).max() <= 0.5


def square_to(corners: Corners, width: int, height: int) -> Any:
    """Places by Heckbert's closed form for a square, another way than eight equations."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    whole = dx1 * dy2 - dx2 * dy1
    g, h = (sx * dy2 - dx2 * sy) / whole, (dx1 * sy - sx * dy1) / whole
    v, u = (np.mgrid[:height, :width] + 0.5) / np.array([height, width])[:, None, None]
    w = g * u + h * v + 1
    x = ((x1 - x0 + g * x1) * u + (x3 - x0 + h * x3) * v + x0) / w
    y = ((y1 - y0 + g * y1) * u + (y3 - y0 + h * y3) * v + y0) / w
    return np.array([y - 0.5, x - 0.5])


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3), (40, 50, 4)])
@pytest.mark.parametrize("depth", WHITE)
def test_four_corners_become_a_rectangle(shape, depth):
    image = picture(shape, depth)
    if len(shape) == 3 and shape[2] == 4:
        image[:, :, 3] = WHITE[depth]
    corners = Corners((5, 4), (41, 9), (45.5, 36), (2, 31.25))
    result = find("perspective")(image, corners=corners, size=Size(60, 50))
    places = square_to(corners, 60, 50)
    expected = [
        map_coordinates(p.astype(float), places, order=1, mode="grid-constant") for p in planes(image)
    ]
    assert close(result, np.dstack(expected).reshape(result.shape))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ('corners="0,0 31,0 31,9 0,9"', "the corner 31,0 lies outside, and the picture has 30x20 pixels"),
        ('corners="0,0 3,0 3,20.5 0,9"', "the corner 3,20.5 lies outside, and the picture has 30x20 pixels"),
    ],
)
def test_corners_outside_of_the_picture_are_its_failure(words, message):
    with pytest.raises(ImageError, match=message) as caught:
        done(f"perspective:{words}", picture((20, 30)))
    assert caught.value.kind is Kind.OPERATION


def test_corners_in_a_wrong_order_are_refused_when_the_recipe_is_made():
    with pytest.raises(UsageError, match=r"perspective: corners: expected four points such as .* clockwise"):
        parse('perspective:corners="0,0 0,9 9,9 9,0"')
