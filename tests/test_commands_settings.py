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
        (
            '[simulate]\ntrials = "many"\n',
            "imgpipe.toml: [simulate] trials: expected a whole number, got 'many'",
        ),
        (
            "[simulate]\ntrials = 0\n",
            "imgpipe.toml: [simulate] trials: expected a whole number from 1, got '0'",
        ),
        ("[simulate]\ntrials = 2.5\n", "[simulate] trials: expected a whole number, got 2.5"),
        ("[simulate]\ntrials = true\n", "[simulate] trials: expected a whole number, got True"),
        ("[simulate]\nmttr = [1]\n", "[simulate] mttr: expected a number, got [1]"),
        ("[simulate]\nverbose = 2.5\n", "[simulate] verbose: expected a whole number, got 2.5"),
        ("[simulate]\njson = 1\n", "[simulate] json: expected true or false, got 1"),
        ("[simulate]\nloads = [true]\n", "[simulate] loads: expected a number, text, or a list of numbers"),
        ('[simulate]\nmode = "redrwa"\n', "imgpipe.toml: [simulate] mode: unknown mode 'redrwa'"),
    ],
)
def test_a_wrong_file(here: Path, text: str, expected: str, capsys: pytest.CaptureFixture[str]):
    (here / "imgpipe.toml").write_text(text)
    assert main(SIMULATE) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("output = 3", "[run] output: expected text, got 3"),
        ('output = ""', "[run] output: an empty path"),
        ("op = [3]", "[run] op: expected text, got 3"),
        ("load = []", "[run] load: expected one or more numbers"),
        ('include = "["', "[run] include: pattern '['"),
        ('existing = "maybe"', "[run] existing: 'maybe' is not one of"),
    ],
)
def test_a_wrong_value_of_a_job(here: Path, text: str, expected: str, capsys: pytest.CaptureFixture[str]):
    (here / "imgpipe.toml").write_text(f"[run]\n{text}\n")
    assert main(["run", "."]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"imgpipe: imgpipe.toml: {expected}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "words", "expected"),
    [
        ("IMGPIPE_RUN_SLOTS", "many", ["run", "."], "expected a whole number from 1"),
        ("IMGPIPE_RUN_DRY_RUN", "maybe", ["run", "."], "'maybe' is not a valid boolean"),
        ("IMGPIPE_RUN_OP", "blur blu", ["run", "."], "step 2: unknown operation 'blu'"),
        ("IMGPIPE_SIMULATE_MODE", "redrwa", SIMULATE, "unknown mode 'redrwa'"),
        ("IMGPIPE_SUBMIT_COORDINATOR", "a:b:c", ["submit", "."], "expected HOST"),
        ("IMGPIPE_WORKER_NAME", "a b", ["worker"], "name 'a b'"),
        ("IMGPIPE_WORKER_MAX_PIXELS", "0", ["worker"], "expected a whole number from 1"),
        ("IMGPIPE_WORKER_MAX_MEMORY", "2 gigs", ["worker"], "expected a size as in 2GiB, 1500MB"),
        ("IMGPIPE_RUN_MAX_MEMORY", "63MiB", ["run", "."], "expected at least 64 MiB, got 63 MiB"),
        ("IMGPIPE_RUN_WITHOUT", "png wepb", ["run", "."], "expected one of "),
        ("IMGPIPE_SUBMIT_MAX_PIXELS", "1.5e8", ["submit", "."], "expected a whole number from 1"),
        ("IMGPIPE_COORDINATOR_ROOT", "photos", ["coordinator"], "--root photos"),
    ],
)
def test_a_wrong_variable_is_named(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    words: list[str],
    expected: str,
):
    monkeypatch.setenv(name, value)
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"imgpipe: {name}: {expected}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("text", ["[simulate\n", "[nonsense]\n", "[simulate]\nnonsense = 1\n"])
@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["simulate", "-h"], ["simulate", "-v", "--help"]]
)
def test_help_does_not_need_the_file(
    here: Path, text: str, words: list[str], capsys: pytest.CaptureFixture[str]
):
    (here / "imgpipe.toml").write_text(text)
    assert main(words) == 0
    assert capsys.readouterr().err == ""


def test_another_commands_table_does_not_matter(here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "imgpipe.toml").write_text("[run]\nnonsense = 3\n")
    assert trials(SIMULATE, capsys) == 1
