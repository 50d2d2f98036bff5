"""The schema of recipe files, judged by the jsonschema library: it takes recipes and nothing else."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from imgpipe.errors import UsageError
from imgpipe.imaging import recipe_schema
from imgpipe.imaging.catalogue import toml_example
from imgpipe.imaging.naming import SCHEMA, checked_template
from imgpipe.imaging.operations import Parameter, Size, find, parse
from imgpipe.imaging.operations.kinds import SIDE_MAX
from imgpipe.imaging.operations.table import BUILT_IN
from imgpipe.imaging.recipe import Recipe
from imgpipe.imaging.recipe_toml import OPTIONS
from imgpipe.testing import standing_in
from tests.test_naming import templates
from tests.test_operations import steps
from tests.test_recipe_toml import toml

WHOLE = recipe_schema.schema(BUILT_IN.values())
VALIDATOR = Draft202012Validator(WHOLE)


def accepts(document: Any) -> bool:
    return bool(VALIDATOR.is_valid(document))


def is_recipe(text: str) -> bool:
    try:
        Recipe.from_toml(text, "r.toml")
    except UsageError:
        return False
    return True


def test_the_schema_is_one_and_is_json():
    Draft202012Validator.check_schema(WHOLE)
    assert json.loads(json.dumps(WHOLE, allow_nan=False)) == WHOLE


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_it_accepts_every_example(name: str, tmp_path: Path):
    example = toml_example(find(name))
    assert accepts(tomllib.loads(example))
    with standing_in(find(name), tmp_path):
        assert Recipe.from_toml(example, "r.toml").steps == (parse(find(name).example),)


@pytest.mark.parametrize(
    ("parameters", "taken"),
    [({"fit": "80x60"}, True), ({"long": 80}, True), ({}, False), ({"fit": "80x60", "long": 80}, False)],
)
def test_exactly_one_of_some_parameters_is_given(parameters: dict[str, Any], taken: bool):
    step = {"op": "resize", **parameters}
    assert accepts({"step": [step]}) == is_recipe(f"step = [{toml(step)}]") == taken


@pytest.mark.parametrize("name", sorted(BUILT_IN))
@settings(max_examples=10)
@given(data=st.data())
def test_it_accepts_every_value_that_an_operation_takes(name: str, data: Any):
    step = data.draw(steps(name))
    given = {parameter: value for parameter, value in step.parameters if type(value) is not bytes}
    if len(given) == len(step.parameters):  # a file's bytes stand for its path
        assert accepts({"step": [{"op": name, **given}]})


def test_an_operation_of_another_package_is_included():
    foreign = type(find("blur"))(**{**vars(find("blur")), "name": "half/tone ~1"})
    with_it = Draft202012Validator(recipe_schema.schema([*BUILT_IN.values(), foreign]))
    assert with_it.is_valid({"step": [{"op": "half/tone ~1", "size": 5}]})
    assert not with_it.is_valid({"step": [{"op": "half/tone ~1", "size": 0}]})
    assert not accepts({"step": [{"op": "half/tone ~1"}]})


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"step": [{"op": "blurr"}]}, "'blurr' is not one of"),
        ({"step": [{"size": 5}]}, "'op' is a required property"),
        ({"steps": []}, "Additional properties are not allowed ('steps' was unexpected)"),
        ({"step": [{"op": "crop", "x": 65536}]}, "is not valid under any of the given schemas"),
        ({"step": [{"op": "label", "text": "ü"}]}, "is not valid under any of the given schemas"),
        ({"output": {"quality": 101}}, "101 is greater than the maximum of 100"),
        ({"output": {"pages": "all"}}, "'pages' was unexpected"),
        ({"input": {"pages": "al"}}, "'al' is not one of"),
    ],
)
def test_what_an_editor_says_of_a_mistake(document: Any, said: str):
    assert any(said in error.message for error in VALIDATOR.iter_errors(document))


# --- it refuses what a recipe refuses, and takes what it takes --------------------------------------

# Operations whose parameters may be given in any combination.
FREE = ["blur", "canny", "edges", "sepia", "posterize", "clahe", "thumbnail", "flip"]
# No 5.0, which JSON takes for an integer; no text that ends a line, where Python's "$" matches too.
junk: st.SearchStrategy[Any] = (
    st.sampled_from(["", "auto", "first", "png", "x", "keep", "800x", "horizontal"])
    | st.booleans()
    | st.integers(-3, 300)
    | st.floats(-2, 300).filter(lambda number: not number.is_integer())
    | st.just([1])
    | st.just({})
)
keys = st.sampled_from([p.name for name in FREE for p in find(name).parameters] + ["sizes", "op"])


@st.composite
def documents(draw: Any) -> Any:
    """A recipe file that is nearly right: one of its places may hold anything."""
    document: dict[str, Any] = {}
    chosen = draw(st.lists(st.sampled_from(FREE).flatmap(steps), max_size=2))
    document["step"] = [{"op": step.name, **dict(step.parameters)} for step in chosen]
    for table in ("input", "output"):
        good = {o.key: OPTION_VALUES[o.name] for o in OPTIONS if o.table == table}
        document[table] = draw(st.fixed_dictionaries({}, optional=good))
    places = [document, *document["step"], document["input"], document["output"]]
    if draw(st.booleans()):
        draw(st.sampled_from(places))[draw(keys | st.sampled_from([o.key for o in OPTIONS]))] = draw(junk)
    return document


OPTION_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "format": st.sampled_from(["png", "jpg", "webp"]),
    "quality": st.integers(-1, 102),
    "name": templates,
    "metadata": st.sampled_from(["keep", "strip"]),
    "pages": st.sampled_from(["first", "all", "error"]),
    "strict": st.booleans(),
    "luma": st.booleans(),
    "pixels_max": st.integers(-1, 2**40 + 1),
}


def test_every_option_has_values_here():
    assert set(OPTION_VALUES) == {option.name for option in OPTIONS}


@settings(max_examples=300)
@given(documents())
def test_the_schema_and_the_reader_agree(document: Any):
    text = "\n".join(f"{key} = {toml(value)}" for key, value in document.items())
    assert accepts(document) == is_recipe(text)


@given(templates | st.text("{}/.dirstemnxa-\0\n", max_size=12).map("{}{{stem}}{{ext}}".format))
def test_the_schema_of_a_template_and_its_check_agree(template: str):
    try:
        checked_template(template)
    except UsageError:
        assert not Draft202012Validator(SCHEMA).is_valid(template)
    else:
        assert Draft202012Validator(SCHEMA).is_valid(template)


SIZE = Parameter("size", Size, "a size", None)
sides = st.sampled_from(["", "0", "00000", "000000"]) | st.integers(0, 2 * SIDE_MAX).map(str)


@given(st.builds("{}{}{}".format, sides, st.sampled_from("x×X "), sides) | st.text("0x9× ", max_size=9))
def test_the_pattern_of_a_size_and_its_check_agree(text: str):
    try:
        SIZE.value("resize", text)
    except UsageError:
        assert not Draft202012Validator(recipe_schema._parameter(SIZE)).is_valid(text)
    else:
        assert Draft202012Validator(recipe_schema._parameter(SIZE)).is_valid(text)


@pytest.mark.parametrize("most", [10, 19, 100, 255, 999, 1000, 2047, 9090])
def test_a_pattern_for_numbers_up_to_a_limit(most: int):
    pattern = {"pattern": f"^{recipe_schema.up_to(most)}$"}
    validator = Draft202012Validator(pattern)
    taken = [number for number in range(most + 1000) if validator.is_valid(str(number))]
    assert taken == list(range(most + 1))
