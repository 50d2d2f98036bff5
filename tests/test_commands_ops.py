"""``imgpipe ops``: the table, one operation, JSON, and the schema."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from imgpipe.cli import main
from imgpipe.imaging import catalogue, recipe_schema
from imgpipe.imaging.operations.table import BUILT_IN, table
from tests.test_catalogue import declared


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["ops", *words]) == 0
    return capsys.readouterr().out


def test_all_of_them_by_family(capsys: pytest.CaptureFixture[str]):
    blocks = said(capsys).split("\n\n")
    listed = {}
    for block in blocks[:-1]:
        heading, _, *lines = block.splitlines()
        listed[heading.partition(":")[0]] = [line.split()[0] for line in lines]
    families = catalogue.families(table().values())
    assert listed == {family.title: [o.name for o in family.operations] for family in families}
    assert set(BUILT_IN) <= {name for names in listed.values() for name in names}
    assert all(operation.help in "".join(blocks) for operation in BUILT_IN.values())
    assert blocks[-1] == "`imgpipe ops NAME` explains one.\n"


def test_one(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("imgpipe.commands.ops.find", lambda name: declared("sample:must=2,flag=true"))
    assert said(capsys, "sample") == EXPLAINED


EXPLAINED = """\
sample: Does nothing.

parameter  default   expected                meaning
must       required  an integer from 1 to 9  a number
may        2.5       a number from 0 to 9    another
flag       false     true or false           a flag

alpha is kept as it is
depth is kept
channels are kept
size is kept

example: imgpipe run photos --op sample:must=2,flag=true
in a recipe file:

[[step]]
op = "sample"
must = 2
flag = true
"""


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_each_says_everything_that_is_declared(name: str, capsys: pytest.CaptureFixture[str]):
    operation, text = BUILT_IN[name], said(capsys, name)
    assert all(phrase in text for p in operation.parameters for phrase in (p.name, p.expected, p.doc))
    assert all(f"{what} {effect}" in text for what, effect in catalogue.effects(operation))
    assert operation.example in text
    assert tomllib.loads(text.partition("in a recipe file:\n")[2])["step"][0]["op"] == name


def test_json_is_an_object_a_line(capsys: pytest.CaptureFixture[str]):
    objects = [json.loads(line) for line in said(capsys, "--json").splitlines()]
    assert {found["name"] for found in objects} >= set(BUILT_IN)
    (one,) = [json.loads(line) for line in said(capsys, "blur", "--json").splitlines()]
    assert one in objects
    assert one["family"] == "Filters"
    assert one["parameters"]["size"]["maximum"] == 999
    assert one["required"] == []


def test_the_schema(capsys: pytest.CaptureFixture[str]):
    assert json.loads(said(capsys, "--schema")) == recipe_schema.schema(table().values())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["blu"], "unknown operation 'blu' (did you mean 'blur'?)"),
        (["blur", "--schema"], "give it alone"),
        (["--json", "--schema"], "give it alone"),
    ],
)
def test_wrong_words(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]):
    assert main(["ops", *words]) == 2
    assert expected in capsys.readouterr().err


PROGRAM = """
import sys
from imgpipe.cli import main
for words in ([], ["blur"], ["--json"], ["--schema"]):
    assert main(["ops", *words]) == 0
print([name for name in sys.modules if name.startswith(("cv2.", "numpy."))], file=sys.stderr)
"""


def test_operations_of_packages_are_shown_and_nothing_heavy_is_loaded():
    packages = Path(__file__).parent / "operations_of_tests"
    program = f"import sys; sys.path.insert(0, {str(packages)!r})\n{PROGRAM}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert "operations_of_tests: an installed package" in done.stdout
    assert '"const": "segfault"' in done.stdout
