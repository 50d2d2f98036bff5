"""Recipes: three spellings of one checked value, and errors that say what would be right."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe import frames, limits, protocol
from imgpipe.errors import ProtocolError, UsageError
from imgpipe.imaging.operations import Step, find
from imgpipe.imaging.recipe import Recipe

TOML = """
[[step]]
op = "resize"
size = "800x"

[[step]]
op = "canny"
low = 50
l2 = true

[output]
format = ".PNG"
quality = 80
"""
SAME = Recipe.from_options(["resize: size=800x, kernel=auto", "canny:l2=yes,low=50.0"], "png", 80)


def test_the_default_is_edges():
    assert Recipe.from_options() == Recipe((Step("edges", 1),), None, 90)
    assert Recipe.from_toml("", "empty.toml") == Recipe.from_options()


def test_all_spellings_mean_one_value():
    packed = msgpack.packb(SAME.array())
    wired = msgpack.unpackb(packed, use_list=False)
    assert Recipe.from_toml(TOML, "r.toml") == Recipe.from_array(wired) == SAME
    assert Recipe.from_toml(TOML, "r.toml").hash == SAME.hash
    assert str(SAME) == (
        "--op resize:kernel=auto,size=800x --op canny:aperture=3,high=200.0,l2=true,low=50.0 "
        "--format png --quality 80"
    )


def test_the_hash_is_that_of_the_work():
    # Written down: a recipe hashed by one version is known to the next.
    assert Recipe.from_options().hash == "b024f5d487528c3e9b24a69227d4e3a1"
    others = [
        Recipe.from_options(["blur"]),
        Recipe.from_options(["blur:size=4"]),
        Recipe.from_options(["blur", "blur"]),
        Recipe.from_options(["blur"], "png"),
        Recipe.from_options(["blur"], "jpg", 80),
        Recipe((Step("blur", 2, (("size", 3),)),)),
    ]
    assert len({recipe.hash for recipe in others}) == len(others)
    assert len(SAME.hash) == 32


def test_a_recipe_goes_through_a_message():
    job = protocol.Job("j", False, ".", b"", ".", b"out", SAME.array(), 60.0, ())
    (body,) = frames.Frames().feed(protocol.encode(job))
    assert Recipe.from_array(protocol.decode(body).recipe) == SAME


@pytest.mark.parametrize(
    ("name", "target"),
    [
        (b"a/b.jpg", b"a/b.png"),
        (b"a.b/c", b"a.b/c.png"),
        (b"x.PNG", b"x.PNG"),
        (b"x.tar.JPEG", b"x.tar.png"),
        (b"\xff.bmp", b"\xff.png"),
        (b".jpg", b".jpg.png"),
    ],
)
def test_the_target_has_the_suffix_of_the_format(name, target):
    assert SAME.target(name) == target
    assert SAME.changes_suffix
    assert Recipe.from_options().target(name) == name
    assert not Recipe.from_options().changes_suffix


def test_a_suffix_that_means_the_format_already_stays():
    assert Recipe.from_options(format="jpg").target(b"a.JPEG") == b"a.JPEG"
    assert Recipe.from_options(format="tiff").target(b"a.tif") == b"a.tif"


def test_a_bound_recipe_does_its_steps_in_order():
    image = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    program = Recipe.from_options(["rotate:angle=90", "flip", "invert"]).bind()
    assert np.array_equal(program(image), 255 - np.fliplr(np.rot90(image, -1)))
    assert [name for name, _ in program.steps] == ["rotate", "flip", "invert"]
    assert not program.colour8
    assert Recipe.from_options().bind().colour8
    assert Recipe.from_options().bind() is Recipe.from_options().bind()


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe((Step("frobnicate", 1),)), "unknown operation 'frobnicate'"),
        (Recipe((Step("edges", 9),)), "made with version 9 of this operation, here is version 1"),
        (Recipe((Step("blur", 1, (("size", 0),)),)), "blur: size: expected"),
        (Recipe((Step("edges", 1),), "avif"), "format: expected one of"),
    ],
)
def test_what_is_not_known_here_is_found_when_it_is_bound(recipe, message):
    assert Recipe.from_array(recipe.array()) == recipe
    with pytest.raises(UsageError, match=message):
        recipe.bind()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((["blurr"],), "unknown operation 'blurr' .did you mean 'blur'"),
        ((["edges"] * (limits.OPERATION_MAX + 1),), "65 operations: a recipe has at most 64"),
        (([], "gifff"), "format: expected one of bmp"),
        (([], None, 0), "quality: expected an integer from 1 to 100, got 0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Recipe.from_options(*options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[stepp]]", r"unknown table 'stepp' .did you mean 'step'.*expected \[\[step\]\] and \[output\]"),
        ("step = 1", r"step: expected tables \[\[step\]\], got 1"),
        ("step = [1]", "step 1: op: expected the name of an operation"),
        ("[[step]]\nsize = 3", "step 1: op: expected the name of an operation"),
        (
            '[[step]]\nop = "edges"\n[[step]]\nop = "blurr"',
            "step 2: unknown operation 'blurr' .did you mean 'blur'",
        ),
        ('[[step]]\nop = "blur"\nsiz = 3', "step 1: blur: unknown parameter 'siz' .did you mean 'size'"),
        (
            '[[step]]\nop = "blur"\nsize = 2.5',
            "step 1: blur: size: expected an integer from 1 to 999, got 2.5",
        ),
        (
            '[[step]]\nop = "blur"\nsize = "3"',
            "step 1: blur: size: expected an integer from 1 to 999, got '3'",
        ),
        ('[[step]]\nop = "canny"\nl2 = 1', "step 1: canny: l2: expected true or false, got 1"),
        ('[[step]]\nop = "edges"\n' * 65, "step: expected at most 64 steps, got 65"),
        ("output = 3", r"output: expected a table \[output\], got 3"),
        ("[output]\nqualty = 3", "output: unknown field 'qualty' .did you mean 'quality'"),
        ("[output]\nquality = 101", "output: quality: expected an integer from 1 to 100, got 101"),
        ('[output]\nformat = "pgn"', "output: format: expected one of .*got 'pgn' .did you mean 'png'"),
        ("[[step", "line 1|end of document"),
    ],
)
def test_a_wrong_file_is_refused_by_file_step_and_field(text, message):
    with pytest.raises(UsageError, match=rf"^my\.toml: .*({message})"):
        Recipe.from_toml(text, "my.toml")


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
nested = st.recursive(plain, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=12)


@settings(deadline=None)
@given(nested | st.tuples(st.just(1), nested, plain, plain) | st.just((1, (("edges", 1, ()),), {}, 90)))
def test_an_array_of_another_shape_is_a_protocol_error(array):
    with pytest.raises(ProtocolError, match="expected a recipe"):
        Recipe.from_array(array)


def test_an_array_may_have_grown_at_its_end():
    assert Recipe.from_array((*SAME.array(), "metadata", 1)) == SAME


def test_operations_are_named_in_order():
    assert SAME.operations == ("resize", "canny")
    assert all(find(name) for name in SAME.operations)
