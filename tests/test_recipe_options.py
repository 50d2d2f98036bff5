"""The options of a recipe as commands and `imgpipe.run` take them: a flag beats what the recipe file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import imgpipe
from imgpipe.cli import main
from imgpipe.commands.job_options import Asked, job_options
from imgpipe.errors import UsageError
from imgpipe.imaging.recipe import Recipe

FILE = """
[[step]]
op = "blur"
[output]
format = "webp"
quality = 50
name = "{stem}{ext}"
metadata = "strip"
[input]
pages = "all"
strict = true
max-pixels = 1000
"""
SAID = Recipe.from_toml(FILE, "r.toml")


@pytest.fixture
def asked(tmp_path: Path) -> Any:
    """What a command with the options of a job makes of words; FILE is ``-P``."""
    (tmp_path / "r.toml").write_text(FILE)
    found: list[Recipe] = []

    @click.command()
    @job_options
    def command(asked: Asked) -> None:
        found.append(Recipe.from_array(asked.request.recipe))

    def recipe(*words: str) -> Recipe:
        words = tuple(str(tmp_path / "r.toml") if word == "FILE" else word for word in words)
        CliRunner().invoke(command, [".", *words], catch_exceptions=False)
        return found.pop()

    return recipe


def test_the_file_alone(asked: Any) -> None:
    assert asked("-P", "FILE") == SAID


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["--format", "PNG"], {"format": "png"}),
        (["--quality", "90"], {"quality": 90}),
        (["--name", "{dir}/{stem}{ext}"], {"name": "{dir}/{stem}{ext}"}),
        (["--metadata", "keep"], {"metadata": "keep"}),
        (["--pages", "first"], {"pages": "first"}),
        (["--no-strict"], {"strict": False}),
    ],
)
def test_a_flag_beats_the_file(asked: Any, words: list[str], changes: dict[str, Any]) -> None:
    assert asked("-P", "FILE", *words) == SAID.changed(**changes)


def test_flags_without_a_file(asked: Any) -> None:
    words = ["--op", "blur", "--format", "webp", "--quality", "50", "--name", "{stem}{ext}"]
    words += ["--metadata", "strip", "--pages", "all", "--strict"]
    assert asked(*words) == SAID.changed(pixels_max=0)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--name", "{dir}/{stm}{ext}"], "imgpipe: name: unknown field {stm} (did you mean 'stem'?)"),
        (["--name", "../{stem}{ext}"], "a file below the output directory"),
        (["--metadata", "drop"], "--metadata"),
        (["--pages", "last"], "--pages"),
        (["-P", "FILE", "--op", "blur"], "give one of them"),
    ],
)
def test_wrong_words(
    words: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text(FILE)
    words = [str(tmp_path / "r.toml") if word == "FILE" else word for word in words]
    assert main(["run", str(tmp_path), *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err


def test_a_program_says_the_same(photos: Path) -> None:
    recipe = Recipe.from_options(["identity"], name="{dir}/{stem}-x{ext}")
    done = imgpipe.run(
        photos, photos.parent / "out", recipe=recipe, format="png", name="{stem}{ext}", slots=1
    )
    assert (done.done, done.failed) == (1, 1)  # a.png and x/a.jpg have one output
    assert [failure.kind for failure in done.failures] == ["collision"]
    assert [path.name for path in (photos.parent / "out").iterdir()] == ["a.png"]
    with pytest.raises(UsageError, match="operations and recipe both say"):
        imgpipe.run(photos, recipe=recipe, operations="blur")
    with pytest.raises(UsageError, match="pages: expected first or all or error"):
        imgpipe.run(photos, pages="some")


def test_names_of_outputs_from_the_command_line(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", str(photos), "-o", str(photos.parent / "out"), "--op", "identity", "-j", "1"]
    assert main([*words, "-n", "--name", "small/{dir}/{stem}-s{ext}"]) == 0
    out = capsys.readouterr().out
    assert "a.png → small/a-s.png" in out
    assert "x/a.jpg → small/x/a-s.jpg" in out


def test_a_name_that_becomes_too_long_is_told(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "a.png").rename(photos / ("b" * 20 + ".png"))
    words = ["run", str(photos), "-o", str(photos.parent / "out"), "--op", "identity", "-j", "1"]
    words += ["--name", "{stem}" + "y" * 240 + "{ext}"]
    assert main([*words, "-n"]) == 3
    out = capsys.readouterr().out
    assert "bbbb.png: its output cannot be called 'bbbb" in out
    assert main(words) == 3
    assert "bbbb.png: unwritable: its output cannot be called 'bbbb" in capsys.readouterr().out
    assert [path.name for path in (photos.parent / "out").iterdir()] == ["a" + "y" * 240 + ".jpg"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """``a.png`` and ``x/a.jpg``, below a directory of their own."""
    data = Path(__file__).parent.parent / "data" / "input"
    (tmp_path / "in" / "x").mkdir(parents=True)
    (tmp_path / "in" / "a.png").write_bytes((data / "microaneurysms.png").read_bytes())
    (tmp_path / "in" / "x" / "a.jpg").write_bytes((data / "cell.jpg").read_bytes())
    return tmp_path / "in"


def test_a_program_may_raise_the_limit_of_pixels_and_lower_it(photos: Path) -> None:
    few = imgpipe.run(photos, photos.parent / "few", operations="identity", pixels_max=1, slots=1)
    assert few.done == 0
    assert {failure.kind for failure in few.failures} == {"too_large"}
    assert imgpipe.run(photos, photos.parent / "many", operations="identity", pixels_max=10**9, slots=1).done
