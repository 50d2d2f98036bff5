"""Recipes: spellings of one checked value, its hash, its outputs, and what is no recipe."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import fields, replace
from typing import Any

import msgpack
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from imgpipe import frames, limits, protocol
from imgpipe.commands import job_options
from imgpipe.errors import ProtocolError, UsageError
from imgpipe.imaging.operations import Size, Step, find
from imgpipe.imaging.operations.parameters import word_of
from imgpipe.imaging.operations.table import BUILT_IN
from imgpipe.imaging.recipe import Recipe
from imgpipe.imaging.recipe_toml import OPTIONS
from tests.test_operations import steps

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
name = "{dir}/{stem}-x{ext}"
metadata = "strip"

[input]
pages = "all"
strict = true
max-pixels = 1_000_000
"""
SAME = Recipe.from_options(
    ["resize: size=800x, kernel=auto", "canny:l2=yes,low=50.0"],
    "png",
    80,
    name="{dir}/{stem}-x{ext}",
    metadata="strip",
    pages="all",
    strict=True,
    pixels_max=1_000_000,
)
PNG = Recipe.from_options(["invert"], "png")


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
        "--format png --quality 80 --name '{dir}/{stem}-x{ext}' --metadata strip --pages all --strict "
        "--max-pixels 1000000"
    )


def test_the_options_are_the_fields_of_a_recipe():
    declared = {field.name: field.default for field in fields(Recipe)}
    assert declared.pop("steps") is not None
    assert declared == {option.name: option.default for option in OPTIONS}
    assert list(declared) == [option.name for option in OPTIONS]


def test_the_hash_is_that_of_the_work():
    # Written down: a recipe hashed by one version is known to the next.
    assert Recipe.from_options().hash == "2fcaed79375af8670d5c947f19c94417"
    step = Step("canny", 1, (("high", 200.0), ("l2", True), ("low", 50.0)))
    assert replace(SAME, steps=(step,)).hash == "8337652c19598c5a11ecfc6eb26089ae"
    assert replace(SAME, pixels_max=0).hash == SAME.hash  # it decides whether there is an output, not which
    others = [
        Recipe.from_options(["blur"]),
        Recipe.from_options(["blur:size=4"]),
        Recipe.from_options(["blur", "blur"]),
        Recipe.from_options(["blur"], "png"),
        Recipe.from_options(["blur"], "jpg", 80),
        Recipe.from_options(["blur"], name="{stem}{ext}"),
        Recipe.from_options(["blur"], metadata="strip"),
        Recipe.from_options(["blur"], pages="all"),
        Recipe.from_options(["blur"], strict=True),
        Recipe.from_options(["blur"], luma=True),
        Recipe((Step("blur", 2, (("size", 3),)),)),
    ]
    assert len({recipe.hash for recipe in others}) == len(others)


# --- one value, however it is spelled -------------------------------------------------------------

# Operations whose every value is written as it is hashed.
KINDS = (int, float, str, bool, Size)
PLAIN = sorted(name for name in BUILT_IN if all(p.kind in KINDS for p in find(name).parameters))
CHOICES: dict[str, st.SearchStrategy[Any]] = {
    "format": st.sampled_from([None, "png", "jpg", "tiff"]),
    "quality": st.integers(1, 100),
    "name": st.sampled_from(["{dir}/{stem}{ext}", "{stem}{ext}", '{dir}/{stem}\'s "x"{ext}']),
    "metadata": st.sampled_from(["keep", "strip"]),
    "pages": st.sampled_from(["first", "all", "error"]),
    "strict": st.booleans(),
    "luma": st.booleans(),
    "pixels_max": st.integers(0, 10**12),
}


recipes = st.builds(
    lambda steps, options: Recipe(tuple(steps), **options),
    st.lists(st.sampled_from(PLAIN).flatmap(steps), min_size=1, max_size=3),
    st.fixed_dictionaries({}, optional=CHOICES),
)


def given_again(draw: Any, step: Step) -> list[tuple[str, Any]]:
    """The parameters of a step in any order, some of those left out that are at their default."""
    defaults = {parameter.name: parameter.default for parameter in find(step.name).parameters}
    pairs = [(n, v) for n, v in step.parameters if v != defaults[n] or draw(st.booleans())]
    ordered: list[tuple[str, Any]] = draw(st.permutations(pairs))
    return ordered


def value_again(draw: Any, value: Any) -> Any:
    if type(value) is float and value.is_integer() and abs(value) < 2**53 and draw(st.booleans()):
        return int(value)
    return value


def as_word(draw: Any, step: Step) -> str:
    words = {True: ["true", "yes", "ON", "1"], False: ["false", "No", "off", "0"]}
    pairs = [
        (n, draw(st.sampled_from(words[v])) if isinstance(v, bool) else word_of(value_again(draw, v)))
        for n, v in given_again(draw, step)
    ]
    return f" {step.name}:" + ", ".join(f"{n} = {v}" for n, v in pairs)


def as_toml(draw: Any, recipe: Recipe) -> str:
    lines = []
    for step in recipe.steps:
        pairs = [("op", step.name), *given_again(draw, step)]
        pairs = draw(st.permutations([(n, value_again(draw, v)) for n, v in pairs]))
        lines += ["[[step]]", *(f"{n} = {toml(v)}" for n, v in pairs)]
    for table in draw(st.permutations(["input", "output"])):
        options = [option for option in OPTIONS if option.table == table]
        chosen = [o for o in options if getattr(recipe, o.name) != o.default or draw(st.booleans())]
        pairs = [(o.key, getattr(recipe, o.name)) for o in chosen if getattr(recipe, o.name) is not None]
        lines += [f"[{table}]", *(f"{n} = {toml(v)}" for n, v in draw(st.permutations(pairs)))]
    return "\n".join(lines)


def toml(value: Any) -> str:
    return repr(value) if type(value) is float else json.dumps(value)


@given(st.data(), recipes)
def test_the_same_work_has_the_same_hash_however_it_is_spelled(data: Any, recipe: Recipe) -> None:
    words = [as_word(data.draw, step) for step in recipe.steps]
    options = {option.name: getattr(recipe, option.name) for option in OPTIONS}
    again = Recipe.from_options(words, **options)
    file = Recipe.from_toml(as_toml(data.draw, recipe), "r.toml")
    wired = Recipe.from_array(msgpack.unpackb(msgpack.packb(recipe.array()), use_list=False))
    assert again == file == wired == recipe
    assert {again.hash, file.hash, wired.hash} == {recipe.hash}


@given(recipes, recipes)
def test_different_work_has_a_different_hash(one: Recipe, other: Recipe) -> None:
    same = replace(one, pixels_max=0) == replace(other, pixels_max=0)
    assert (one.hash == other.hash) == same


@settings(max_examples=25)
@given(recipes)
def test_the_words_of_a_recipe_are_options_that_mean_it(recipe: Recipe) -> None:
    words = shlex.split(str(replace(recipe, pixels_max=0)))
    assert as_options(words) == replace(recipe, pixels_max=0)


def as_options(words: list[str]) -> Recipe:
    """What the options of ``run`` and ``submit`` make of these words."""
    import click

    found: list[Recipe] = []

    @click.command()
    @job_options.job_options
    def command(asked: job_options.Asked) -> None:
        found.append(Recipe.from_array(asked.request.recipe))

    result = CliRunner().invoke(command, [".", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return found[0]


def test_the_hash_is_that_of_every_process():
    code = "from tests.test_recipe import SAME; print(SAME.hash)"
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == SAME.hash


def test_zero_has_no_sign():
    assert Recipe.from_options(["canny:low=-0.0"]).hash == Recipe.from_options(["canny:low=0"]).hash


def test_changed_checks_what_it_changes():
    assert SAME.changed(pages="first", format=".JPG") == replace(SAME, pages="first", format="jpg")
    with pytest.raises(
        UsageError, match=r"pages: expected first or all or error, got 'al' .did you mean 'all'"
    ):
        SAME.changed(pages="al")
    with pytest.raises(TypeError):
        SAME.changed(page="all")


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
    assert PNG.target(name) == target
    assert PNG.may_collide
    assert Recipe.from_options().target(name) == name
    assert not Recipe.from_options().may_collide


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
        (Recipe((Step("edges", 1),), "jxl"), "format: expected one of"),
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
        (([], "gifff"), "format: expected one of apng"),
        (([], None, 0), "quality: expected an integer from 1 to 100, got 0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        Recipe.from_options(*options)


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
nested = st.recursive(plain, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=12)
LAYOUT, STEPS, *REST = SAME.array()
WRONG: dict[str, list[Any]] = {
    "format": ["", "a/b", 1, b"png", "p" * 300],
    "quality": [0, 101, 90.0, True, None],
    "name": ["", "../{stem}{ext}", "{stem}", "{stm}{ext}", None, b"{stem}{ext}"],
    "metadata": ["", "drop", True, None],
    "pages": ["last", 1, None],
    "strict": [0, "true", None],
    "luma": [0, "true", None],
    "pixels_max": [-1, 1.0, True, 2**63, None],
}


@given(
    nested
    | st.tuples(st.just(LAYOUT), nested, *(plain for _ in REST))
    | st.tuples(st.integers(), st.just(STEPS), *map(st.just, REST)).filter(lambda array: array[0] != LAYOUT)
    | st.integers(0, len(REST) + 1).map(lambda size: SAME.array()[:size])
)
def test_an_array_of_another_shape_is_a_protocol_error(array):
    with pytest.raises(ProtocolError, match="expected a recipe"):
        Recipe.from_array(array)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_checked_on_the_wire(option):
    place = 2 + OPTIONS.index(option)
    for wrong in WRONG[option.name]:
        array = (*SAME.array()[:place], wrong, *SAME.array()[place + 1 :])
        with pytest.raises(ProtocolError, match="expected a recipe"):
            Recipe.from_array(array)


def test_a_mistake_among_several_operations_is_told_with_its_step():
    with pytest.raises(UsageError, match=r"^step 2: blur: unknown parameter 'siz' \(did you mean 'size'\?\)"):
        Recipe.from_options(["flip", "blur:siz=3", "blur"])
    with pytest.raises(UsageError, match=r"^blur: unknown parameter 'siz'"):
        Recipe.from_options(["blur:siz=3"])


def test_an_array_may_have_grown_at_its_end():
    assert Recipe.from_array((*SAME.array(), "colours", 1)) == SAME


def test_a_recipe_too_large_to_be_sent_is_refused_where_it_is_made():
    large = Recipe((Step("blur", 1, (("size", "x" * limits.RECIPE_MAX),)),))
    with pytest.raises(UsageError, match=r"the recipe has 256 KiB .*: at most 256 KiB"):
        large.changed(quality=80)


def test_operations_are_named_in_order():
    assert SAME.operations == ("resize", "canny")
    assert all(find(name) for name in SAME.operations)
