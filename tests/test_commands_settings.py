"""A flag beats a variable beats imgpipe.toml; what the file says wrongly is an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imgpipe.cli import main

SIMULATE = ["simulate", "--json", "--tasks", "1", "--loads", "0", "--service", "0"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trials(words: list[str], capsys: pytest.CaptureFixture[str]) -> int:
    assert main(words) == 0
    count: int = json.loads(capsys.readouterr().out)["trials"]
    return count


def test_flag_beats_variable_beats_file(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert trials(SIMULATE, capsys) == 1
    (here / "imgpipe.toml").write_text("[simulate]\ntrials = 2\n")
    assert trials(SIMULATE, capsys) == 2
    monkeypatch.setenv("IMGPIPE_SIMULATE_TRIALS", "3")
    assert trials(SIMULATE, capsys) == 3
    assert trials([*SIMULATE, "--trials", "4"], capsys) == 4


def test_lists_and_dashes(here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "photos").mkdir()
    (here / "photos" / "a.png").write_text("")
    (here / "imgpipe.toml").write_text(
        '[run]\ndry-run = true\nlist_ignored = false\nop = "grayscale"\nexclude = ["b*", "c*"]\n'
        'format = "webp"\nslots = 1\nload = [0.5, 0.5]\n'
    )
    assert main(["run", "photos"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "a.png → a.webp"
    assert not (here / "output_dir").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[simulate]\ntrails = 3\n", "[simulate]: unknown option 'trails' (did you mean 'trials'?)"),
        ("[simulat]\n", "unknown table [simulat] (did you mean 'simulate'?)"),
        ("simulate = 3\n", "expected a table [simulate]"),
        ("trials = 3\n", "unknown table [trials]"),
        ("[simulate\n", "imgpipe.toml: "),
        ('[simulate]\ntrials = "many"\n', "'many' is not a valid integer"),
    ],
)
def test_a_wrong_file(here: Path, text: str, expected: str, capsys: pytest.CaptureFixture[str]):
    (here / "imgpipe.toml").write_text(text)
    assert main(SIMULATE) == 2
    assert expected in capsys.readouterr().err


def test_another_commands_table_does_not_matter(here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "imgpipe.toml").write_text("[run]\nnonsense = 3\n")
    assert trials(SIMULATE, capsys) == 1
