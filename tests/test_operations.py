"""Operations: the default one against the original, and the whole table on all kinds of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from imgpipe.errors import ImageError, UsageError
from imgpipe.imaging.operations import (
    Colour,
    Corners,
    File,
    Length,
    Operation,
    Parameter,
    Ratio,
    Size,
    find,
    parse,
)
from imgpipe.imaging.operations.table import BUILT_IN
from imgpipe.imaging.pixels import WHITE
from imgpipe.testing import check_operation, check_result
from tests.pictures import edges
from tests.witness import picture, png

PHOTOGRAPHS = sorted((Path(__file__).parent.parent / "data" / "input").glob("*.*"))
EVERY = sorted(BUILT_IN)


# --- the default one -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.name)
def test_edges_is_pixel_for_pixel_that_of_the_original(path):
    source: Any = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(find("edges")(source), edges(source))


def test_half_of_a_byte_truncated_is_a_shift():
    every = np.arange(256, dtype=np.uint8)
    assert np.array_equal(np.uint8(every / 2.0), every >> 1)


def example(name: str) -> Any:
    """The step of an operation's example; whatever file it names is a logo."""
    return parse(find(name).example, files=lambda path: LOGO)


# --- all of them --------------------------------------------------------------------------------

shapes = st.tuples(st.integers(1, 20), st.integers(1, 20)).flatmap(
    lambda side: st.sampled_from([side, (*side, 3), (*side, 4)])
)
images = st.builds(picture, shapes, st.sampled_from(sorted(WHITE)), st.integers(0, 9))


LOGO = png(picture((5, 6, 4)))
OTHERS: dict[type, st.SearchStrategy[Any]] = {
    Colour: st.builds(Colour, *[st.integers(0, 255)] * 4).map(str),
    Ratio: st.builds(Ratio, st.integers(1, 20), st.integers(1, 20)).map(str),
    Corners: st.sampled_from(["0,0 1,0 1,1 0,1", "0.25,0 1,0.5 0.75,1 0,0.75"]),
    File: st.just(LOGO),
}


def allowed(parameter: Parameter) -> st.SearchStrategy[Any]:
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if parameter.kind is Size:
        sides = st.integers(0, 9) | st.integers(0, 40)
        return st.builds(Size, sides, sides).filter(any).map(str)
    if parameter.kind is bool:
        return st.booleans()
    if parameter.text is not None:
        return st.text(parameter.text.characters, min_size=1, max_size=12)
    if parameter.kind in OTHERS:
        return OTHERS[parameter.kind]
    assert parameter.range is not None
    if parameter.kind is Length:
        pixels = st.integers(max(-3, int(parameter.range.low)), 4).map(str)
        return pixels | st.sampled_from(["12.5%", "50%"])
    if parameter.kind is float:
        return st.floats(parameter.range.low, parameter.range.high)
    low = int(parameter.range.low)  # a side of 65535 is no other case than 999, and a thousand times the work
    integers = st.integers(low, min(int(parameter.range.high), low + 998))
    return integers.filter(parameter.range.__contains__)


def steps(name: str) -> st.SearchStrategy[Any]:
    """Steps that are allowed, among them ones without their optional parameters."""
    known = find(name)
    needed = {p.name: allowed(p) for p in known.parameters if not p.optional}
    optional = {p.name: allowed(p) for p in known.parameters if p.optional}
    given = st.fixed_dictionaries(needed, optional=optional)
    return given.filter(lambda values: fits(known, values)).map(known.step)


def fits(known: Operation, values: dict[str, Any]) -> bool:
    """Whether the parameters, each allowed by itself, are allowed together."""
    return not known.check(**{p.name: p.argument(values.get(p.name)) for p in known.parameters})


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=25, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data())
def test_every_operation_does_what_it_declares(name, data):
    known, image = find(name), data.draw(images)
    try:
        check_result(known, image, known.arguments(data.draw(steps(name))))
    except ImageError as refused:  # of no use here: if it never does anything, the test fails as unsatisfied
        if "{1}x{0}".format(*image.shape) in refused.message:
            reject()
        raise


@pytest.mark.parametrize("name", EVERY)
def test_every_operation_passes_the_test_for_packages(name):
    check_operation(name, rounds=2)
    known = find(name)
    assert all(parameter.doc and parameter.name in str(parameter) for parameter in known.parameters)


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=10)
@given(data=st.data())
def test_a_step_as_words_means_the_same_step(name, data):
    step = data.draw(steps(name))
    if any(parameter.kind is File for parameter in find(name).parameters):
        assert f"=<{len(LOGO)} bytes>" in str(step)  # and that cannot be parsed back
    else:
        assert parse(str(step)) == step


BAD: tuple[Any, ...] = ("nonsense", None, -(10**9), 10**9, float("nan"), [], b"3", 10**400)


@pytest.mark.parametrize("name", [name for name in EVERY if find(name).parameters])
def test_every_bad_value_is_refused_by_name(name):
    known = find(name)
    good = example(name).parameters
    for parameter in known.parameters:
        for bad in BAD[1 if parameter.text else 0 :]:
            with pytest.raises(UsageError, match=f"{name}: {parameter.name}: expected .*got"):
                known.step({**dict(good), parameter.name: bad})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("blurr", "unknown operation 'blurr' .did you mean 'blur'"),
        ("", "unknown operation ''"),
        ("Blur", "unknown operation 'Blur' .did you mean 'blur'"),
        (
            "blur size=5",
            "expected NAME or NAME:parameter=value, got 'blur size=5', with no colon before the =",
        ),
        ("blur:siz=3", "blur: unknown parameter 'siz' .did you mean 'size'"),
        ("edges:size=3", "edges: unknown parameter 'size'; it has none"),
        ("blur:size=0", "blur: size: expected an integer from 1 to 999, got '0'"),
        ("blur:size=2.5", "expected an integer from 1 to 999, got '2.5'"),
        ("blur:size", "blur: expected parameter=value, got 'size', as in blur:size=5"),
        ("blur:size=3,size=4", "blur: size is given twice"),
        ("resize", "resize: exactly one of size, fit, long, short must be given, none is, as in resize:size"),
        ("resize:size=8x,long=3", "resize: exactly one of .* must be given, got size and long"),
        ("resize:size=x", "resize: size: expected a size"),
        ("resize:size=70000x2", "resize: size: expected a size"),
        ("flip:axis=horizontl", "expected horizontal or vertical or both, .* .did you mean 'horizontal'"),
        ("canny:l2=perhaps", "canny: l2: expected true or false, got 'perhaps'"),
        ("canny:low=nan", "canny: low: expected a number from 0 to 100000, got 'nan'"),
        ("canny:low=300", "canny: low, 300, is above high, 200, as in canny:low=50,high=150"),
        ("rotate:angle=450", "rotate: angle: expected a number from -360 to 360, got '450'"),
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
