"""Float pictures may hold anything: nothing crashes, hangs or warns, and what is wrong does not spread.

A TIFF of measurements marks what is missing with NaN, and light sources may be infinite.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe.imaging.operations import Operation, filters, find, noise, parse, shape
from imgpipe.imaging.operations.table import BUILT_IN
from imgpipe.imaging.pixels import problem
from tests.witness import png, smooth


def operations(family: ModuleType) -> list[Operation]:
    return [value for value in vars(family).values() if isinstance(value, Operation)]


#: Of operations whose example asks for more than the small pictures here have.
ARGUMENTS: dict[str, list[str]] = {
    "crop": ["crop:x=10%,width=50%"],
    "centre-crop": ["centre-crop:size=1x1"],
    "pad": ["pad:left=2,top=1,background=#ff800080", "pad:size=9x9"],
    "border": ["border:width=1,colour=navy"],
    "trim": ["trim:tolerance=4", "trim:colour=black"],
    "rotate": ["rotate:angle=90", "rotate:angle=33,kernel=cubic", "rotate:angle=-4,kernel=nearest"],
    "perspective": [
        f"perspective:corners=0.2 0 1 0.1 0.9 1 0 1,size=7x6,kernel={k}" for k in ("linear", "cubic")
    ],
    "resize": [f"resize:size={s},kernel={k}" for s in ("5x4", "11x13") for k in ("auto", "area", "lanczos")],
    "thumbnail": ["thumbnail:size=4"],
    "fill": ["fill:size=4x5", "fill:size=12x,kernel=cubic"],
    "label": ['label:text=Ag,size=90%,opacity=0.7,background="#ff000040"'],
    "watermark": ["watermark:image=logo.png,opacity=0.5", "watermark:image=logo.png,scale=0.4"],
}
LOGO = png(np.random.default_rng(0).integers(0, 256, (3, 4, 4), np.uint8))
WORDS = [words for name, each in sorted(BUILT_IN.items()) for words in ARGUMENTS.get(name, [each.example])]


def applied(words: str, image: Any) -> Any:
    step = parse(words, files=lambda path: LOGO)
    operation = find(step.name)
    return operation(image, **operation.arguments(step))


#: How far a value reaches with the parameters below, in pixels.
REACH: dict[str, tuple[int, dict[str, Any]]] = {
    "blur": (3, {"size": 7}),
    "gaussian-blur": (8, {"sigma": 2.0}),
    "motion-blur": (5, {"length": 9, "angle": 30.0}),
    "sharpen": (8, {"sigma": 2.0}),
    "emboss": (1, {}),
    "median": (2, {"size": 5}),
    "bilateral": (4, {"size": 9}),
    "denoise": (10, {"search": 15, "patch": 7}),
    "sobel": (3, {"aperture": 7}),
    "laplacian": (3, {"aperture": 7}),
    "dilate": (4, {"size": 9, "shape": "ellipse"}),
    "erode": (4, {"size": 9}),
    "open": (8, {"size": 9}),
    "close": (8, {"size": 9, "shape": "cross"}),
    "top-hat": (8, {"size": 9}),
    "black-hat": (8, {"size": 9}),
}
STRANGE = [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-42, -1.0, 1e9]


@pytest.mark.parametrize("words", WORDS)
@settings(max_examples=15)
@given(
    st.sampled_from([(1, 1), (1, 7), (9, 8), (9, 8, 3), (9, 8, 4)]),
    st.lists(st.tuples(st.integers(0, 287), st.sampled_from(STRANGE)), max_size=300),
)
def test_every_operation_takes_every_float(words, shape, values):
    image = smooth(shape, "float32")
    for at, value in values:
        image.reshape(-1)[at % image.size] = value
    assert problem(applied(words, image)) == ""


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
@pytest.mark.parametrize("name", REACH)
def test_a_strange_value_spreads_no_further_than_the_filter_reaches(name, channels):
    reach, arguments = REACH[name]
    image = smooth((40, 37, *channels), "float32")
    if channels == (4,):
        image[:, :, 3] = 1
    clean = find(name)(image, **arguments)
    near = np.zeros((40, 37), bool)
    near[20 - reach : 21 + reach, 18 - reach : 19 + reach] = True
    for value in STRANGE:
        image[20, 18] = (value, value, value, 1) if channels == (4,) else value
        found = find(name)(image, **arguments)
        assert np.allclose(found[~near], clean[~near], rtol=0, atol=1e-6), value


@pytest.mark.parametrize("name", REACH)
def test_what_is_hidden_may_be_anything(name):
    image = smooth((20, 17, 4), "float32")
    image[:, :, 3] = 1
    image[5:9, 6:12] = (np.nan, np.inf, -np.inf, 0)
    blank = image.copy()
    blank[5:9, 6:12] = 0
    found, expected = (find(name)(each, **REACH[name][1]) for each in (image, blank))
    seen = expected[:, :, 3] > 0
    assert np.array_equal(found[:, :, 3], expected[:, :, 3])
    assert np.array_equal(found[seen], expected[seen])


def test_every_filter_is_held_to_its_reach():
    mixing = {each.name for family in (filters, noise, shape) for each in operations(family)}
    assert mixing | {"sobel", "laplacian"} == set(REACH)
