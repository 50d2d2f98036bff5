"""Overlay: against Pillow's compositing, and Porter and Duff's formula in NumPy."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from imgpipe import protocol
from imgpipe.errors import ImageError, Kind, UsageError
from imgpipe.frames import Frames
from imgpipe.imaging.operations import Colour, Length, find, parse
from imgpipe.imaging.operations.lettering import covered, strokes
from imgpipe.imaging.operations.overlay import _decoded
from imgpipe.imaging.pixels import WHITE
from imgpipe.imaging.recipe import Recipe
from tests.test_operations_geometry import done, picture
from tests.witness import png

SHAPES = [(1, 1), (30, 41), (30, 41, 3), (30, 41, 4)]
RNG = np.random.default_rng(5)
LOGO = RNG.integers(0, 256, (6, 9, 4), np.uint8)  # red, green, blue, alpha
BGR = [2, 1, 0]


def over(image: Any, left: int, top: int, layer: Any) -> Any:
    """Porter and Duff's over, pixel by pixel, in values from 0 to 1; the layer is red, green, blue, alpha."""
    white = WHITE[image.dtype.name]
    result = np.atleast_3d(image).astype(float) / white
    for row, column in np.ndindex(*layer.shape[:2]):
        y, x = row + top, column + left
        if 0 <= y < result.shape[0] and 0 <= x < result.shape[1] and layer[row, column, 3] > 0:
            *colour, alpha = layer[row, column]
            below = result[y, x]
            shown = [np.dot(colour, (0.299, 0.587, 0.114))] if len(below) == 1 else np.array(colour)[BGR]
            under = (below[3] if len(below) == 4 else 1) * (1 - alpha)
            total = alpha + under
            mixed = (np.array(shown) * alpha + below[:3] * under) / total
            result[y, x] = [*mixed, total] if len(below) == 4 else mixed
    return (result * white).reshape(image.shape)


def close(result: Any, expected: Any) -> bool:
    limit = {"uint8": 0.51, "uint16": 0.6, "float32": 2e-6}[result.dtype.name]
    return bool(np.abs(result - expected).max() <= limit)


# --- watermark ----------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("where", "left", "top"),
    [
        ({"gravity": "north-west"}, 0, 0),
        ({"gravity": "centre"}, 16, 12),
        ({"x": Length(2), "y": Length(10, True)}, 30, 21),
        ({"gravity": "north-west", "x": Length(-3), "y": Length(-2)}, -3, -2),
        ({"gravity": "south-east", "x": Length(-3), "y": Length(-2)}, 35, 26),
    ],
)
def test_a_watermark_lies_over_the_picture(where, left, top, shape, depth):
    image = picture(shape, depth)
    before = image.copy()
    result = find("watermark")(image, image=png(LOGO), opacity=0.6, **where)
    layer = LOGO / 255 * (1, 1, 1, np.float32(0.6))
    if shape[:2] == (30, 41):
        assert close(result, over(image, left, top, layer))
    assert result.shape == shape
    assert np.array_equal(image, before)


def test_a_watermark_is_composited_as_by_pillow():
    image = picture((20, 30, 4))
    base = Pillow.fromarray(image[:, :, [2, 1, 0, 3]])
    base.alpha_composite(Pillow.fromarray(LOGO), (4, 3))
    result = find("watermark")(image, image=png(LOGO), gravity="north-west", x=Length(4), y=Length(3))
    expected = np.asarray(base)[:, :, [2, 1, 0, 3]].astype(int)
    weight = (
        expected[:, :, 3:] / 255
    )  # where little is left of alpha, Pillow's colours are rounded more coarsely
    assert (np.abs(result.astype(int) - expected) * weight).max() <= 1


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (1, 1, 4), (1, 9, 4), (5, 1, 3)])
def test_a_watermark_may_be_larger_than_the_picture(shape, depth):
    image = picture(shape, depth)
    result = find("watermark")(image, image=png(LOGO), gravity="north-west", x=Length(-3), y=Length(-2))
    assert close(result, over(image, -3, -2, LOGO / 255))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_a_watermark_may_be_of_any_kind(mode):
    pixels = {
        "L": LOGO[:, :, 0],
        "RGB": LOGO[:, :, :3],
        "RGBA": LOGO,
        "I;16": LOGO[:, :, 0].astype("u2") * 257,
    }[mode]
    layer = np.ones((6, 9, 4))
    layer[:, :, : np.atleast_3d(pixels).shape[2]] = np.atleast_3d(pixels) / (65535 if mode == "I;16" else 255)
    if mode in ("L", "I;16"):
        layer[:, :, :3] = layer[:, :, :1]
    image = picture((6, 9, 3))
    assert close(find("watermark")(image, image=png(pixels)), over(image, 0, 0, layer))


@pytest.mark.parametrize(
    ("shape", "size"), [((20, 30, 3), (9, 6)), ((60, 30, 3), (9, 6)), ((16, 90, 3), (7, 5))]
)
def test_a_scaled_watermark_fits_into_its_share(shape, size):
    logo = np.zeros((60, 90, 4), np.uint8)
    logo[:] = (200, 100, 50, 255)
    black = np.zeros(shape, np.uint8)
    result = find("watermark")(black, image=png(logo), scale=0.3, gravity="north-west")
    expected = black.copy()
    expected[: size[1], : size[0]] = (50, 100, 200)
    assert np.array_equal(result, expected)


def test_a_scaled_watermark_does_not_let_the_colour_of_transparent_pixels_out():
    logo = np.zeros((40, 40, 4), np.uint8)
    logo[:] = (255, 255, 255, 0)  # white, and not to be seen
    logo[10:31, 10:31] = (0, 0, 0, 255)
    result = find("watermark")(np.zeros((9, 9, 3), np.uint8), image=png(logo), scale=0.77)
    assert not result.any()


def test_an_image_that_cannot_be_decoded_is_an_error_of_the_operation():
    broken = png(LOGO)[:60]
    with pytest.raises(ImageError, match="watermark: its own image: ") as caught:
        find("watermark")(picture((3, 3)), image=broken)
    assert caught.value.kind is Kind.OPERATION


def test_an_image_that_would_fill_the_memory_is_refused_before_it_is_decoded():
    file = BytesIO()
    Pillow.new("1", (10_000, 600 + 1)).save(file, "PNG")
    with pytest.raises(ImageError, match=r"watermark: its own image: .*6,?000,?000") as caught:
        find("watermark")(picture((3, 3)), image=file.getvalue())
    assert caught.value.kind is Kind.OPERATION


def test_the_image_is_decoded_once():
    _decoded.cache_clear()
    data = png(LOGO)
    for _ in range(3):
        find("watermark")(picture((30, 30)), image=data)
    assert (_decoded.cache_info().misses, _decoded.cache_info().hits) == (1, 2)


def test_a_recipe_has_the_image_in_it(tmp_path):
    path = tmp_path / "logo.png"
    path.write_bytes(png(LOGO))
    recipe = Recipe.from_options([f"watermark:image={path},gravity=north-west"])
    same = Recipe.from_toml(f'[[step]]\nop = "watermark"\nimage = "{path}"\ngravity = "north-west"', "r.toml")
    path.unlink()
    assert recipe == same
    image = picture((30, 41, 3))
    assert close(Recipe.from_array(recipe.array()).bind()(image), over(image, 0, 0, LOGO / 255))


def test_a_recipe_file_names_the_image_from_its_own_folder(tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "logo.png").write_bytes(png(LOGO))
    monkeypatch.chdir(tmp_path)
    step = '[[step]]\nop = "watermark"\nimage = "logo.png"'
    same = Recipe.from_options(["watermark:image=recipes/logo.png"])
    assert Recipe.from_toml(step, "recipes/r.toml") == same
    with pytest.raises(UsageError, match=r"got 'logo.png': No such file or directory \(/.*/other/logo.png\)"):
        Recipe.from_toml(step, str(tmp_path / "other" / "r.toml"))


def test_images_that_are_too_large_together_are_refused_when_the_recipe_is_made(tmp_path):
    path = tmp_path / "noise.png"
    path.write_bytes(png(RNG.integers(0, 256, (230, 220, 3), np.uint8)))
    words = f"watermark:image={path}"
    one = Recipe.from_options([words])
    (body,) = Frames().feed(
        protocol.encode(protocol.Job("j", False, ".", b"", ".", b"", one.array(), 9.0, ()))
    )
    assert Recipe.from_array(protocol.decode(body).recipe) == one
    with pytest.raises(
        UsageError, match="the recipe has 297 KiB with the image files in it: at most 256 KiB"
    ):
        Recipe.from_options([words, words])
    steps = f'[[step]]\nop = "watermark"\nimage = "{path}"\n' * 2
    with pytest.raises(UsageError, match="at most 256 KiB"):
        Recipe.from_toml(steps, "r.toml")


# --- label --------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("shape", [(60, 200), (60, 200, 3), (60, 200, 4)])
def test_a_label_lies_over_its_box_and_both_over_the_picture(shape, depth):
    image = picture(shape, depth)
    result = find("label")(
        image,
        text="Ag, ©",
        size=Length(20),
        colour=Colour(255, 0, 51, 204),
        background=Colour(0, 102, 255, 128),
        gravity="north-west",
        x=Length(7),
        y=Length(3),
        opacity=0.5,
    )
    lines, units = strokes("Ag, ©")
    width, height = (units + 10) * 2, (14 + 10) * 2
    letters = covered(lines, 2.0, -10, -10, width, height)
    box = np.empty((height, width, 4))
    box[:] = np.array([0, 102, 255, 128]) / 255
    alpha = letters * 204 / 255
    total = alpha + box[:, :, 3] * (1 - alpha)
    ink = np.array([255, 0, 51]) / 255
    colours = ink * alpha[:, :, None] + box[:, :, :3] * (box[:, :, 3] * (1 - alpha))[:, :, None]
    layer = np.dstack([colours / total[:, :, None], total * 0.5])
    assert close(result, over(image, 7, 3, layer))
    assert not np.array_equal(result, image)


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (1, 1, 4), (7, 11, 4)])
def test_a_label_on_a_small_picture_is_a_part_of_it_on_a_large_one(shape, depth):
    large = picture((60, 200, *shape[2:]), depth)
    words = "label:text=Ag,size=20,gravity=north-west,x=-14,y=-14,colour=#ff0033cc,background=#0066ff80"
    small = large[: shape[0], : shape[1]].copy()
    assert np.array_equal(done(words, small), done(words, large)[: shape[0], : shape[1]])
    assert not np.array_equal(done(words, small), small)


def ink(image: Any) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is not black."""
    rows, columns = np.nonzero(image)
    return rows.min(), rows.max() + 1, columns.min(), columns.max() + 1


def test_letters_have_the_size_that_was_asked_for():
    black = np.zeros((400, 600), np.uint8)
    for words, expected in (("size=40", 40), ("size=10%", 40), ("size=200", 200)):
        top, bottom, _, _ = ink(done(f"label:text=H,{words}", black) > 127)
        assert bottom - top == pytest.approx(
            expected * 1.12, abs=1.5
        )  # and half a stroke's width at both ends


def test_gravity_says_where_a_label_is():
    black = np.zeros((100, 300), np.uint8)
    for vertical in ("north", "south"):
        for horizontal in ("west", "east"):
            result = done(f"label:text=x,size=10,gravity={vertical}-{horizontal}", black)
            top, bottom, left, right = ink(result)
            assert (bottom < 50) == (vertical == "north") == (not top > 50)
            assert (right < 100) == (horizontal == "west") == (not left > 200)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2, 3), (2, 9, 4)])
@pytest.mark.parametrize("gravity", ["centre", "north-west", "south-east"])
def test_a_label_larger_than_the_picture_is_cut_off(shape, gravity):
    image = picture(shape)
    result = find("label")(
        image, text="W" * 200, size=Length(500), background=Colour(9, 9, 9), gravity=gravity
    )
    assert result.shape == shape
    away = find("label")(image, text="x", x=Length(900), y=Length(900))
    assert np.array_equal(away, image)


def test_a_blank_label_is_its_box():
    black = np.zeros((50, 50, 3), np.uint8)
    assert not done('label:text=" "', black).any()
    assert done('label:text=" ",background=red', black)[:, :, 2].any()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("label:text=Grüße", "label: text: expected a text .* got 'Grüße': no way to draw 'ü'"),
        ("label:text=日本", "no way to draw '日'"),
        ('label:text=""', "label: text: expected a text of 1 to 200 characters .* got '': 0 characters"),
        ("label", "label: text must be given: a text of 1 to 200 characters"),
        ("label:text=a,colour=rde", r"label: colour: expected a colour .* got 'rde' .did you mean 'red'"),
        ("watermark", "watermark: image must be given: the path of an image file of at most 192 KiB"),
        ("watermark:image=nowhere.png", "image: expected the path .* got 'nowhere.png': No such file"),
        ("border:width=0", "border: width: expected pixels .* got '0'"),
    ],
)
def test_what_cannot_be_drawn_is_refused_when_the_recipe_is_made(words, message):
    with pytest.raises(UsageError, match=message):
        parse(words)


# --- border -------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", WHITE)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_border_is_around_the_picture(shape, depth):
    image = picture(shape, depth)
    result = done("border:width=3,colour=#ff8000", image)
    grey = (0.299 * 255 + 0.587 * 128) / 255
    colours = [grey] if image.ndim == 2 else np.array([0, 128, 255, 255]) / 255
    planes = [
        np.pad(plane.astype(float), 3, constant_values=colours[k] * WHITE[depth])
        for k, plane in enumerate(np.moveaxis(np.atleast_3d(image), 2, 0))
    ]
    assert close(result, np.dstack(planes).reshape(result.shape))
    assert np.array_equal(result[3:-3, 3:-3], image)


def test_a_border_may_be_a_share_of_the_shorter_side():
    assert done("border:width=10%", picture((30, 100))).shape == (36, 106)
    assert done("border:width=10%", picture((1, 1))).shape == (1, 1)
