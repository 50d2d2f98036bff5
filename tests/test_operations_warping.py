"""Turns and perspective against SciPy and closed forms, deskew against pages that Pillow drew."""

from __future__ import annotations

from math import ceil, cos, radians, sin
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from scipy.ndimage import map_coordinates

from imgpipe.errors import ImageError, Kind, UsageError
from imgpipe.imaging.operations import Colour, Corners, Size, find, parse, warping
from imgpipe.imaging.operations.skew import skew
from imgpipe.imaging.pixels import WHITE
from tests.test_operations_geometry import close, done, picture, planes

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


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("end", [(), (3,), (4,)])
def test_deskew_is_a_turn_read_by_keys_cubic(end, depth):
    grey = page(4.0)[:401, :300].astype(float) / 255
    image = np.rint(grey * WHITE[depth]).astype(depth) if depth != "float32" else grey.astype(depth)
    if end:
        image = np.dstack([image] * end[0])
    if end == (4,):
        image[:, :, 3] = WHITE[depth]
    found, angle = find("deskew")(image), skew(image, 15)
    assert angle == pytest.approx(4, abs=0.2)
    places = turned_places(image.shape, found.shape[1::-1], -angle)
    expected = [cubic(plane.astype(float), places, WHITE[depth]) for plane in planes(image)]
    assert close(found, np.dstack(expected).reshape(found.shape))


def cubic(plane: Any, places: Any, around: float) -> Any:
    """R. Keys' kernel with a = -1/2, tap by tap; ``around`` the plane."""
    first = np.floor(places).astype(int)
    total = np.zeros(places.shape[1:])
    for down in range(-1, 3):
        for right in range(-1, 3):
            row, column = first[0] + down, first[1] + right
            inside = (row >= 0) & (row < plane.shape[0]) & (column >= 0) & (column < plane.shape[1])
            value = np.full(total.shape, around)
            value[inside] = plane[row[inside], column[inside]]
            total += value * keys(places[0] - row) * keys(places[1] - column)
    return total


def keys(distance: Any) -> Any:
    d = np.abs(distance)
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d <= 1, 1.5 * d**3 - 2.5 * d**2 + 1, np.where(d < 2, far, 0))


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


def test_a_sliver_is_refused_before_it_is_read():
    corners = "0,0 0.9,20000 1,40000 0.1,19999"  # two sides of 20000 pixels, and next to nothing between them
    with pytest.raises(ImageError, match="the sides of the corners are 20001 and 20000 long"):
        done(f"perspective:corners={corners.replace(',', ' ')},size=5x5", picture((40_000, 1)))


def test_what_is_read_on_the_way_is_no_larger_than_what_may_be_made():
    words = "perspective:corners=0 0 1 0 1 60000 0 60000,size=60000x1"  # each side longer than one of the two
    with pytest.raises(ImageError, match="would make 60000x60000 of 1x60000 pixels") as caught:
        done(words, np.zeros((60_000, 1), np.uint8))
    assert caught.value.kind is Kind.TOO_LARGE


def test_a_strip_that_would_become_huge_is_not_straightened(monkeypatch):
    monkeypatch.setattr(warping, "skew", lambda image, limit: 40.0)
    with pytest.raises(ImageError, match="deskew: would make 15328x12864 of 20000x10 pixels") as caught:
        done("deskew:limit=45", np.zeros((10, 20_000), np.uint8))
    assert caught.value.kind is Kind.TOO_LARGE


def test_corners_in_a_wrong_order_are_refused_when_the_recipe_is_made():
    with pytest.raises(UsageError, match=r"perspective: corners: expected four points such as .* clockwise"):
        parse('perspective:corners="0,0 0,9 9,9 9,0"')
