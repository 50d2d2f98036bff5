"""Kinds of parameters: each value has one canonical spelling; what is no value is refused by name."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe import limits
from imgpipe.errors import UsageError
from imgpipe.imaging.operations import (
    Colour,
    Corners,
    Doc,
    File,
    Length,
    OneOf,
    Operation,
    Range,
    Ratio,
    Size,
    Text,
    one_of,
    operation,
)
from imgpipe.imaging.operations.kinds import COLOURS, EXPECTED
from imgpipe.imaging.operations.parameters import parameter_of, word_of
from imgpipe.imaging.operations.table import _pairs
from imgpipe.imaging.recipe import Recipe

PNG = b"\x89PNG\r\n\x1a\n" + b"the rest"


def sample(
    image,
    *,
    size: Annotated[Size | None, Doc("a size")] = None,
    long: Annotated[int | None, Range(1, 9), Doc("a side in pixels")] = None,
    colour: Annotated[Colour, Doc("a colour")] = Colour(255, 255, 255),  # noqa: B008  # a constant
    x: Annotated[Length, Range(0, 100), Doc("pixels")] = Length(0),  # noqa: B008  # a constant
    text: Annotated[str, Text(9, 'abc ,"=:'), Doc("letters")] = "a",
    logo: Annotated[File | None, Doc("a file")] = None,
):
    """Has a parameter of each kind. It does nothing."""
    return image.copy()


SAMPLE: Operation = operation(version=1, example="sample:long=3", check=one_of("size", "long"))(sample)


def parameter(kind: Any, *extras: Any) -> Any:
    """The parameter that is declared like this."""
    argument = inspect.Parameter("it", inspect.Parameter.KEYWORD_ONLY)
    return parameter_of(argument, Annotated[(kind, Doc("what"), *extras)], "here")


@pytest.mark.parametrize(
    ("kind", "given", "canonical", "value"),
    [
        (Size, "800×", "800x", (800, 0)),
        (Colour, "#F80", "#ff8800", (255, 136, 0, 255)),
        (Colour, "#ff8800FF", "#ff8800", (255, 136, 0, 255)),
        (Colour, "#01020304", "#01020304", (1, 2, 3, 4)),
        (Colour, "Navy", "#000080", (0, 0, 128, 255)),
        (Colour, "transparent", "#00000000", (0, 0, 0, 0)),
        (Ratio, "32:18", "16:9", (16, 9)),
        (Ratio, "2.39:1", "239:100", (239, 100)),
        (Length, 24, "24", (24, False)),
        (Length, "024", "24", (24, False)),
        (Length, "-0", "0", (0, False)),
        (Length, "-12.50%", "-12.5%", (-12.5, True)),
        (Corners, "0,0  9.50,0\n9,8 , 0,8", "0,0 9.5,0 9,8 0,8", ((0, 0), (9.5, 0), (9, 8), (0, 8))),
    ],
)
def test_a_value_has_one_canonical_spelling(kind, given, canonical, value):
    declared = parameter(kind, Range(-100, 100))
    plain = declared.value("op", given)
    assert (plain, declared.argument(plain)) == (canonical, value)
    assert declared.value("op", plain) == plain
    assert declared.value("op", str(given), word=True) == plain


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Colour, "#ff88"),
        (Colour, "#gggggg"),
        (Colour, "#ff8800\n"),
        (Colour, 0xFF8800),
        (Ratio, "16"),
        (Ratio, "0:9"),
        (Ratio, "9:0.0"),
        (Ratio, "1001:1"),
        (Ratio, "1:1001"),
        (Ratio, "a:b"),
        (Length, "1.5"),
        (Length, 1.5),
        (Length, True),
        (Length, "101"),
        (Length, "-101"),
        (Length, "1001%"),
        (Length, "%"),
        (Length, "1e2"),
        (Corners, "0,0 1,0 1,1"),
        (Corners, "0,0 0,1 1,1 1,0"),  # the wrong way around
        (Corners, "0,0 1,1 1,0 0,1"),  # crossing itself
        (Corners, "0,0 1,0 2,0 3,0"),  # in one line
        (Corners, "0,0 70000,0 70000,1 0,1"),
        (Corners, "0,0 1,0 1,nan 0,1"),
    ],
)
def test_what_is_no_value_is_refused_by_name(kind, given):
    with pytest.raises(UsageError, match=r"^op: it: expected .*, got "):
        parameter(kind, Range(-100, 100)).value("op", given)


def test_a_share_has_the_sign_of_its_range():
    with pytest.raises(UsageError, match=r"from 0 to 100, or .* got '-5%'"):
        parameter(Length, Range(0, 100)).value("op", "-5%")
    assert parameter(Length, Range(0, 100)).value("op", "500%") == "500%"
    assert (Length(12.5, True).of(80), Length(7).of(80)) == (10, 7)


def test_the_nearest_colour_is_named():
    with pytest.raises(UsageError, match="did you mean 'purple'"):
        parameter(Colour).value("op", "purpel")
    assert all(Colour.read(name) == Colour.read(code) for name, code in COLOURS.items())


junk = st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text()
like = st.text("0123456789.,:#x% abcdef-", max_size=24)


@given(st.sampled_from([*EXPECTED, File]), junk | like)
def test_only_a_usage_error_escapes_and_what_is_taken_is_canonical(kind, given):
    declared = parameter(kind, Range(-100, 100))
    try:
        plain = declared.value("op", given)
    except UsageError:
        return
    assert declared.value("op", plain) == plain


# --- text, and how a value stands in a word -----------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "expected a text of 1 to 9 characters .*got '': 0 characters"),
        ("a" * 10, "got 'aaaaaaaaaa': 10 characters"),
        ("aé", "no way to draw 'é'"),
        ("a\n", r"no way to draw '\\n'"),
    ],
)
def test_text_is_bounded_and_only_of_what_can_be_drawn(given, message):
    with pytest.raises(UsageError, match=message):
        SAMPLE.step({"long": 1, "text": given})


@given(st.text('abc ,"=:', min_size=1, max_size=9))
def test_text_survives_as_a_word(text):
    step = SAMPLE.step({"long": 1, "text": text})
    pairs = _pairs(SAMPLE, str(step).partition(":")[2])
    assert SAMPLE.step(pairs, words=True) == step
    assert pairs["text"] == text


@given(st.text('ab=," ', max_size=12))
def test_words_are_split_or_refused(rest):
    try:
        pairs = _pairs(SAMPLE, rest)
    except UsageError:
        return
    assert all(name == name.strip() and "," not in name for name in pairs)


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ('text="a,b', "the quotes of 'text=\"a,b' do not fit"),
        ('text="a"b', "the quotes of .* do not fit"),
        ("long=1,text", "expected parameter=value, got 'text', as in sample:long=3"),
        ("long=1,long=2", "long is given twice"),
    ],
)
def test_words_that_cannot_be_split_say_why(rest, message):
    with pytest.raises(UsageError, match=message):
        _pairs(SAMPLE, rest)


# --- parameters that may be left out, or exclude each other --------------------------------------


def test_what_is_left_out_is_none_and_not_in_the_step():
    step = SAMPLE.step({"long": 3})
    assert [name for name, _ in step.parameters] == ["colour", "long", "text", "x"]
    arguments = SAMPLE.arguments(step)
    assert (arguments["size"], arguments["logo"]) == (None, None)
    assert arguments["colour"] == Colour(255, 255, 255)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "sample: exactly one of size, long must be given, none is, as in sample:long=3"),
        ({"size": "3x", "long": 3}, "sample: exactly one of size, long must be given, got size and long"),
        ({"long": None}, "sample: long: expected an integer from 1 to 9, got None"),
    ],
)
def test_parameters_are_checked_together(given, message):
    with pytest.raises(UsageError, match=message):
        SAMPLE.step(given)


@pytest.mark.parametrize(
    ("kind", "extras"), [(str, ()), (Length, ()), (int | None, ()), (list, ()), (float, (OneOf(),))]
)
def test_a_declaration_without_bounds_is_wrong(kind, extras):
    with pytest.raises(TypeError, match="here: it needs a known type, a Doc, and a Range, OneOf or Text"):
        parameter(kind, *extras)


# --- files --------------------------------------------------------------------------------------


def test_a_file_is_read_where_the_step_is_made(tmp_path):
    path = tmp_path / "logo.png"
    path.write_bytes(PNG)
    step = SAMPLE.step({"long": 1, "logo": str(path)})
    assert dict(step.parameters)["logo"] == PNG
    assert SAMPLE.arguments(step)["logo"] == PNG
    assert word_of(PNG) == f"<{len(PNG)} bytes>"
    assert f"logo=<{len(PNG)} bytes>" in str(step)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("missing.png", "got '.*: No such file or directory"),
        ("", "got '.*': it is no regular file"),
        ("a\0b", "null"),
        ("text.png", "it is no image of a known format"),
        ("large.png", "at most 192 KiB, got .*: it is larger"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_by_its_name(tmp_path, given, message):
    (tmp_path / "text.png").write_bytes(b"no image")
    (tmp_path / "large.png").write_bytes(PNG + bytes(limits.EMBEDDED_MAX))
    with pytest.raises(UsageError, match=rf"^sample: logo: expected the path of an image file .*{message}"):
        SAMPLE.step({"long": 1, "logo": f"{tmp_path}/{given}"})


def test_a_recipe_from_the_wire_names_no_file_of_this_machine(tmp_path):
    path = tmp_path / "logo.png"
    path.write_bytes(PNG)
    step = SAMPLE.step({"long": 1, "logo": PNG})
    wired = type(step)("sample", 1, (*dict(step.parameters, logo=str(path)).items(),))
    with pytest.raises(UsageError, match=r"logo: expected .*: no file is read here"):
        SAMPLE.arguments(wired)


def test_bytes_are_part_of_a_recipe_and_of_its_hash():
    one, other = (Recipe((SAMPLE.step({"long": 1, "logo": PNG + tail}),)) for tail in (b"1", b"2"))
    assert Recipe.from_array(one.array()) == one
    assert one.hash != other.hash


@pytest.mark.parametrize(
    "data",
    [
        PNG,
        b"GIF89a....",
        b"RIFF....WEBPVP8 ",
        b"\0\0\0\x14ftypavif\0\0\0\0avif",
        b"P5 1 1 255 x",
        b"MM\0*....",
    ],
)
def test_a_file_of_every_format_that_is_read_may_be_given(data):
    assert dict(SAMPLE.step({"long": 1, "logo": data}).parameters)["logo"] == data


@pytest.mark.parametrize("data", [b"RIFF....WAVEfmt ", b"%PDF-1.7", b""])
def test_a_file_of_another_format_is_refused(data):
    with pytest.raises(UsageError, match=r"logo: expected the path .* it is no image of a known format"):
        SAMPLE.step({"long": 1, "logo": data})
