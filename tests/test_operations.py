"""Operations: each against plain OpenCV or NumPy, and the whole table on all kinds of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.errors import UsageError
from imgpipe.imaging.operations import (
    Alpha,
    Channels,
    Depth,
    Operation,
    Parameter,
    Size,
    find,
    parse,
)
from imgpipe.imaging.operations.table import BUILT_IN
from imgpipe.imaging.pixels import WHITE, has_alpha, problem

PHOTOGRAPHS = sorted((Path(__file__).parent.parent / "data" / "input").glob("*.*"))
EVERY = sorted(BUILT_IN)


def picture(shape: tuple[int, ...] = (24, 17, 3), depth: str = "uint8", seed: int = 0) -> Any:
    values = np.random.default_rng(seed).random(shape) * WHITE[depth]
    return values.astype(depth)


def expected_edges(source: Any) -> Any:
    """`edges` as semantics states it, in plain OpenCV."""
    blurred = cv2.blur(cv2.cvtColor(source, cv2.COLOR_BGR2GRAY), (3, 3))
    edges = cv2.Canny(blurred, 10, 30, apertureSize=5)
    expected: Any = np.uint8(source / 2.0)
    expected[edges != 0] = (0, 255, 0)
    return expected


# --- each by itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.name)
def test_edges_is_pixel_for_pixel_that_of_the_original(path):
    source: Any = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(find("edges")(source), expected_edges(source))


def test_half_of_a_byte_truncated_is_a_shift():
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(np.uint8(every / 2.0), every >> 1)


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 4, 3), (24, 17, 4), (24, 17)])
@pytest.mark.parametrize("depth", WHITE)
def test_edges_takes_every_kind_of_image(shape, depth):
    image = picture(shape, depth)
    result = find("edges")(image)
    assert result.shape == (*shape[:2], 3)
    assert result.dtype == np.uint8


def test_canny_is_opencvs():
    image = picture()
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    found = find("canny")(image, low=50, high=150, aperture=5, l2=True)
    assert np.array_equal(found, cv2.Canny(grey, 50, 150, apertureSize=5, L2gradient=True))


def test_grayscale_has_the_weights_of_bt601():
    image = picture()
    expected = image @ np.array([0.114, 0.587, 0.299])
    assert np.abs(find("grayscale")(image) - expected).max() <= 1


@pytest.mark.parametrize("depth", WHITE)
def test_invert_leaves_alpha_alone(depth):
    image = picture((9, 7, 4), depth)
    negative = find("invert")(image)
    assert np.array_equal(negative[:, :, :3], np.array(WHITE[depth], depth) - image[:, :, :3])
    assert np.array_equal(negative[:, :, 3], image[:, :, 3])


def test_blur_is_the_mean_of_the_box():
    image = picture((9, 9))
    middle = find("blur")(image, size=3)[4, 4]
    assert abs(float(middle) - image[3:6, 3:6].mean()) <= 0.5


def test_blur_does_not_let_the_colour_of_transparent_pixels_out():
    image = np.zeros((9, 9, 4), np.uint8)
    image[:, :] = (255, 255, 255, 0)  # white, and not to be seen
    image[:, 5:] = (0, 0, 200, 255)
    blurred = find("blur")(image, size=5)
    seen = blurred[:, :, 3] > 0
    assert (blurred[seen][:, :3] == (0, 0, 200)).all()


@pytest.mark.parametrize(
    ("size", "expected"), [("8x6", (6, 8)), ("34x", (48, 34)), ("x12", (12, 8)), ("1x", (1, 1))]
)
def test_resize_keeps_proportions_where_a_side_is_left_out(size, expected):
    step = parse(f"resize:size={size}")
    resize = find("resize")
    assert resize(picture(), **resize.arguments(step)).shape == (*expected, 3)


def test_resize_by_area_is_the_mean_of_what_a_pixel_covers():
    image = picture((24, 16), "float32")
    half = find("resize")(image, size=Size(8, 12))
    assert np.allclose(half, image.reshape(12, 2, 8, 2).mean(axis=(1, 3)), atol=1e-6)


@pytest.mark.parametrize(("shape", "expected"), [((40, 20), (10, 5)), ((3, 4), (3, 4)), ((1000, 1), (10, 1))])
def test_thumbnail_reduces_and_never_enlarges(shape, expected):
    assert find("thumbnail")(picture(shape), size=10).shape == expected


@pytest.mark.parametrize(("angle", "turns"), [(90, -1), (180, 2), (270, 1)])
def test_rotate_is_clockwise(angle, turns):
    image = picture((5, 7, 4))
    assert np.array_equal(find("rotate")(image, angle=angle), np.rot90(image, turns))


@pytest.mark.parametrize(("axis", "witness"), [("horizontal", 1), ("vertical", 0), ("both", (0, 1))])
def test_flip_mirrors(axis, witness):
    image = picture((5, 7, 4))
    assert np.array_equal(find("flip")(image, axis=axis), np.flip(image, witness))


# --- all of them --------------------------------------------------------------------------------

shapes = st.tuples(st.integers(1, 20), st.integers(1, 20)).flatmap(
    lambda side: st.sampled_from([side, (*side, 3), (*side, 4)])
)
images = st.builds(picture, shapes, st.sampled_from(sorted(WHITE)), st.integers(0, 9))


def allowed(parameter: Parameter) -> st.SearchStrategy[Any]:
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if parameter.kind is Size:
        sides = st.integers(0, 40)
        return st.builds(Size, sides, sides).filter(any).map(str)
    if parameter.kind is bool:
        return st.booleans()
    assert parameter.range is not None
    if parameter.kind is float:
        return st.floats(parameter.range.low, parameter.range.high)
    integers = st.integers(int(parameter.range.low), int(parameter.range.high))
    return integers.filter(parameter.range.__contains__)


def steps(name: str) -> st.SearchStrategy[Any]:
    parameters = {p.name: allowed(p) for p in find(name).parameters}
    return st.fixed_dictionaries(parameters).map(find(name).step)


def channels(image: Any) -> int:
    return 1 if image.ndim == 2 else image.shape[2]


def declared_channels(known: Operation, image: Any) -> int:
    return {Channels.KEPT: min(3, channels(image)), Channels.GREY: 1, Channels.COLOUR: 3}[known.channels]


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_operation_does_what_it_declares(name, data):
    known, image = find(name), data.draw(images)
    arguments = known.arguments(data.draw(steps(name)))
    before = image.copy()
    result = known(image, **arguments)
    assert np.array_equal(image, before), "its input was changed"
    assert not np.shares_memory(result, image), "its result is a view of its input"
    assert np.array_equal(result, known(image, **arguments)), "it is not deterministic"
    assert problem(result) == ""
    assert result.dtype == (np.uint8 if known.depth is Depth.EIGHT else image.dtype)
    assert has_alpha(result) == (has_alpha(image) and known.alpha is not Alpha.DROPPED)
    assert has_alpha(result) or channels(result) == declared_channels(known, image)
    if known.size is not None:
        height, width = image.shape[:2]
        assert result.shape[1::-1] == known.size(width, height, **arguments)
    if has_alpha(image) and known.alpha in (Alpha.KEPT, Alpha.SEEN):
        assert np.array_equal(result[:, :, 3], image[:, :, 3])


@pytest.mark.parametrize("name", EVERY)
def test_every_operation_is_documented_and_has_an_example(name):
    known = find(name)
    assert 10 < len(known.help) < 100
    assert known.help[0].isupper()
    assert parse(known.example).name == name
    assert all(parameter.doc and parameter.name in str(parameter) for parameter in known.parameters)


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_step_as_words_means_the_same_step(name, data):
    step = data.draw(steps(name))
    assert parse(str(step)) == step


BAD: tuple[Any, ...] = (None, "nonsense", -(10**9), 10**9, float("nan"), [], b"3", 10**400)


@pytest.mark.parametrize("name", [name for name in EVERY if find(name).parameters])
def test_every_bad_value_is_refused_by_name(name):
    known = find(name)
    good = parse(known.example).parameters
    for parameter in known.parameters:
        for bad in BAD:
            with pytest.raises(UsageError, match=f"{name}: {parameter.name}: expected .*got"):
                known.step({**dict(good), parameter.name: bad})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("blurr", "unknown operation 'blurr' .did you mean 'blur'"),
        ("", "unknown operation ''"),
        ("blur:siz=3", "blur: unknown parameter 'siz' .did you mean 'size'"),
        ("edges:size=3", "edges: unknown parameter 'size'; it has none"),
        ("blur:size=0", "blur: size: expected an integer from 1 to 999, got '0'"),
        ("blur:size=2.5", "expected an integer from 1 to 999, got '2.5'"),
        ("blur:size", "blur: expected parameter=value, got 'size', as in blur:size=5"),
        ("blur:size=3,size=4", "blur: size is given twice"),
        ("resize", "resize: size must be given: a size such as 800x600"),
        ("resize:size=x", "resize: size: expected a size"),
        ("resize:size=70000x2", "resize: size: expected a size"),
        ("flip:axis=horizontl", "expected horizontal or vertical or both, .* .did you mean 'horizontal'"),
        ("canny:l2=perhaps", "canny: l2: expected true or false, got 'perhaps'"),
        ("canny:low=nan", "canny: low: expected a number from 0 to 100000, got 'nan'"),
        ("rotate:angle=45", "rotate: angle: expected 90 or 180 or 270, got '45'"),
    ],
)
def test_wrong_words_are_refused_with_what_would_be_right(words, message):
    with pytest.raises(UsageError, match=message):
        parse(words)


def test_true_is_no_integer_and_an_integer_is_a_number():
    with pytest.raises(UsageError, match="size"):
        find("blur").step({"size": True})
    assert dict(find("canny").step({"low": 5}).parameters)["low"] == 5.0


def test_a_step_of_another_version_is_refused():
    step = parse("blur")
    with pytest.raises(UsageError, match=r"made with version 7.*here is version 1"):
        find("blur").arguments(type(step)("blur", 7, step.parameters))
