"""Templates of output names: what they say, what they refuse, and which inputs may get one output."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imgpipe.errors import ImageError, UsageError
from imgpipe.imaging.naming import FIELDS, checked_template, is_parted, rendered
from imgpipe.imaging.recipe import Recipe
from imgpipe.schema import is_relative


def target(template: str, name: bytes, format: str | None = None) -> bytes:
    return Recipe.from_options(name=template, format=format).target(name)


@pytest.mark.parametrize(
    ("template", "name", "expected"),
    [
        ("{dir}/{stem}{ext}", b"a/b/c.jpg", b"a/b/c.jpg"),
        ("{dir}/{stem}-small{ext}", b"a/b/c.JPG", b"a/b/c-small.JPG"),
        ("{dir}/{stem}-small{ext}", b"c.jpg", b"c-small.jpg"),
        ("{stem}{ext}", b"a/b/c.jpg", b"c.jpg"),
        ("small/{dir}/{stem}{ext}", b"c.jpg", b"small/c.jpg"),
        ("small/{dir}/{stem}{ext}", b"a/b/c.jpg", b"small/a/b/c.jpg"),
        ("{dir}/{stem}/{name}{ext}", b"a/c.jpg", b"a/c/c.jpg.jpg"),
        ("{dir}-{stem}{ext}", b"a/b/c.jpg", b"a/b-c.jpg"),
        ("{dir}/{stem}{ext}", b"a/\xff\xfe.jpg", b"a/\xff\xfe.jpg"),
        ("{dir}/Größe-{stem}{ext}", b"\xff/\xe9.png", "/Größe-".encode().join([b"\xff", b"\xe9.png"])),
        ("{dir}/{stem}{ext}", b"a/{dir}.jpg", b"a/{dir}.jpg"),
        ("{stem}-{stem}{ext}", b"{ext}.jpg", b"{ext}-{ext}.jpg"),
        ("{dir}/{stem}-x{ext}", b"a.b/c", b"a.b/c-x"),
    ],
)
def test_a_template_is_filled_in(template: str, name: bytes, expected: bytes) -> None:
    assert target(template, name) == expected


def test_the_suffix_is_the_formats() -> None:
    assert target("{dir}/{name}{ext}", b"a/b.jpg", "webp") == b"a/b.jpg.webp"
    assert target("{dir}/{stem}-x{ext}", b"a/b.JPEG", "jpg") == b"a/b-x.JPEG"
    assert target("{dir}/{stem}-x{ext}", b"a/.jpg", "png") == b"a/.jpg-x.png"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{dir}/{stm}{ext}",
            r"name: unknown field {stm} .did you mean 'stem'..; there are {dir}, {stem}, {name}, {ext}",
        ),
        ("{dir}/{}{ext}", "unknown field {}"),
        ("{stem!r}{ext}", "unknown field {stem!r}"),
        ("{dir}/{{stem}}{ext}", "every brace to belong to one of {dir}"),
        ("{stem}}{ext}", "every brace"),
        ("{dir}/x{ext}", r"{stem} or {name} in it.*got '{dir}/x{ext}'"),
        ("{dir}/{stem}", "{ext} at its end"),
        ("{dir}/{stem}{ext}.png", "{ext} at its end"),
        ("/{stem}{ext}", "file below the output directory"),
        ("/tmp/{stem}{ext}", "file below the output directory"),
        ("../{stem}{ext}", "file below the output directory"),
        ("{dir}/../{stem}{ext}", "file below the output directory"),
        (".{dir}./{stem}{ext}", "file below the output directory"),
        ("./{stem}{ext}", "file below the output directory"),
        ("{dir}//{stem}{ext}", "file below the output directory"),
        ("{stem}/{ext}", "file below the output directory"),
        ("{stem}/{dir}{ext}", "file below the output directory"),
        ("x" * 250 + "{stem}{ext}", "a template such as .*, of at most 255 bytes"),
        ("", "a template such as"),
        (None, "a template such as .*got None"),
        (5, "a template such as .*got 5"),
        ("{stem}\0{ext}", "without control characters"),
        ("{stem}\n{ext}", "without control characters"),
        (os.fsdecode(b"\xff{stem}{ext}"), "without control characters, in UTF-8"),
    ],
)
def test_a_wrong_template_is_refused_with_what_would_be_right(template: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        checked_template(template)


@pytest.mark.parametrize(
    "name", [b"x" * 250 + b".jpg", b"/".join([b"d" * 250] * 16) + b"/" + b"x" * 70 + b".jpg"]
)
def test_a_name_that_becomes_too_long_is_that_images_failure(name: bytes) -> None:
    assert is_relative(name)
    with pytest.raises(
        ImageError, match=r"unwritable: its output cannot be called '[dx/]+.*': at most 255 bytes"
    ):
        target("{dir}/{stem}-thumbnails-of-spring{ext}", name)


def test_a_stem_that_is_a_dot_never_leaves_the_output() -> None:
    with pytest.raises(ImageError, match=r"no part \. or \.\."):
        rendered("{stem}{stem}/x{ext}", b"..jpg", b".", b".jpg")


# --- properties ---------------------------------------------------------------------------------

pieces = st.sampled_from(["{dir}", "{stem}", "{name}", "{ext}", "/", "-", "a", "."])
templates = st.lists(pieces, max_size=7).map(lambda found: "".join([*found, "{ext}"]))
folders = st.lists(st.sampled_from([b"a", b"-", b"b.c"]), max_size=2).map(b"/".join)
files = st.builds(
    bytes.__add__,
    st.sampled_from([b"a", b"-", b"a-a", b"b.c", b"a.jpg"]),
    st.sampled_from([b".jpg", b".png"]),
)
names = st.builds(lambda folder, file: b"/".join(filter(None, (folder, file))), folders, files)


def accepted(template: str) -> bool:
    try:
        return checked_template(template) == template
    except UsageError:
        return False


@given(
    st.text(max_size=12) | templates | st.text("{}/.dirstemnxa", max_size=20).map("{{stem}}{}{{ext}}".format)
)
def test_whatever_is_accepted_names_a_file_below_the_output(template: str) -> None:
    assume(accepted(template))
    for name in (b"a.jpg", b"d/e/a.jpg", b"\xff.png"):
        result = target(template, name)
        assert is_relative(result)
        assert result.endswith(name[-4:])
        assert re.search(rb"(?:^|/)\.[a-z]+$", result) is None


@given(templates, names, names, st.sampled_from([None, "png", "webp"]))
def test_inputs_with_one_output_are_foreseen(
    template: str, one: bytes, other: bytes, format: str | None
) -> None:
    assume(one != other and accepted(template))
    recipe = Recipe.from_options(name=template, format=format)
    if recipe.target(one) == recipe.target(other):
        assert recipe.may_collide
        if recipe.collides_by_suffix:
            assert os.path.splitext(one)[0] == os.path.splitext(other)[0]


@pytest.mark.parametrize(
    ("template", "format", "may", "by_suffix"),
    [
        ("{dir}/{stem}{ext}", None, False, True),
        ("{dir}/{stem}{ext}", "png", True, True),
        ("x/{dir}/y/{stem}-z{ext}", None, False, True),
        ("{dir}/{name}{ext}", "png", False, True),
        ("{stem}{ext}", None, True, False),
        ("{dir}-{stem}{ext}", None, True, False),
        ("{dir}/{stem}{stem}{ext}", None, True, False),  # it cannot, but who would look at that closely
    ],
)
def test_what_is_known_of_collisions(template: str, format: str | None, may: bool, by_suffix: bool) -> None:
    recipe = Recipe.from_options(name=template, format=format)
    assert (recipe.may_collide, recipe.collides_by_suffix) == (may, by_suffix)
    assert is_parted(template) == by_suffix


def test_the_fields_are_those_of_the_docstring() -> None:
    assert target("-".join(f"{{{field}}}" for field in FIELDS), b"d/a.jpg") == b"d-a-a.jpg-.jpg"
