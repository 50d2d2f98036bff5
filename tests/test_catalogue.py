"""How operations are shown: families, effects, examples."""

from __future__ import annotations

import tomllib
from typing import Annotated, Any

import pytest

from imgpipe.imaging.catalogue import default_of, effects, families, pairs, toml_example
from imgpipe.imaging.operations import Doc, Operation, Range, find, operation
from imgpipe.imaging.operations.table import BUILT_IN


def declared(example: str, **options: Any) -> Operation:
    def sample(
        image: Any,
        *,
        must: Annotated[int, Range(1, 9), Doc("a number")],
        may: Annotated[float, Range(0, 9), Doc("another")] = 2.5,
        flag: Annotated[bool, Doc("a flag")] = False,
    ) -> Any:
        """Does nothing."""
        return image.copy()

    made: Operation = operation(version=1, example=example, **options)(sample)
    return made


def test_every_operation_is_in_the_family_of_its_file():
    found = families(BUILT_IN.values())
    assert [o.name for family in found for o in family.operations] != []
    assert {o.name for family in found for o in family.operations} == set(BUILT_IN)
    geometry = next(family for family in found if family.title == "Geometry")
    assert find("resize") in geometry.operations
    assert all(family.title and family.about and not family.about.endswith(".") for family in found)


def test_operations_of_a_package_are_a_family():
    known = [find("blur"), declared("sample")]
    assert [(family.title, family.about) for family in families(known)][1:] == [
        (__name__.partition(".")[0], "an installed package")
    ]


def test_effects():
    assert dict(effects(find("edges"))) == {
        "alpha": "is dropped",
        "depth": "becomes 8 bits",
        "channels": "become three",
        "size": "is kept",
    }


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (None, "depends on what is in the picture"),
        (
            lambda width, height, must, may, flag: (width // must, height),
            "follows the parameters: 640×480 becomes 320×480 in the example",
        ),
    ],
)
def test_what_is_said_of_sizes(size: Any, said: str):
    assert dict(effects(declared("sample:must=2", size=size)))["size"] == said


def test_an_example_that_cannot_be_done_here_still_has_words():
    other = declared("sample:must=a file", size=lambda width, height, **_: (1, 1))
    assert dict(effects(other))["size"] == "follows the parameters"


@pytest.mark.parametrize(
    ("example", "found"),
    [
        ("sample", ()),
        ("sample:must=2,may=3", (("must", "2"), ("may", "3"))),
        ('sample: must = 2, text="a, ""b"" = c"', (("must", "2"), ("text", 'a, "b" = c'))),
        ("sample:ratio=16:9,colour=#f80", (("ratio", "16:9"), ("colour", "#f80"))),
    ],
)
def test_the_parameters_of_an_example(example: str, found: Any):
    assert pairs(example) == found


def test_an_example_in_toml():
    text = toml_example(declared('sample:must=2,may=0.5,flag=true,text="a, ""b"""'))
    assert tomllib.loads(text) == {
        "step": [{"op": "sample", "must": 2, "may": 0.5, "flag": True, "text": 'a, "b"'}]
    }


def test_defaults():
    must, may, flag = declared("sample").parameters
    assert [p.required for p in (must, may, flag)] == [True, False, False]
    assert [default_of(p) for p in (must, may, flag)] == ["required", "2.5", "false"]
