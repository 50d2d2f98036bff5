"""The command group: what it loads, what it prints, what it exits with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

import imgpipe
from imgpipe.cli import COMMANDS, main
from imgpipe.commands.base import Whole


def loaded_after(statement: str, *prefixes: str) -> str:
    found = f"[name for name in sys.modules if name.startswith({prefixes!r})]"
    code = f"import sys\n{statement}\nprint({found}, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    return done.stderr.strip().splitlines()[-1]


HEAVY = ("cv2.", "numpy.")


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["submit", "--help"],
        ["run", "-h"],
        ["submit", ".", "-c", "127.0.0.1:1"],
        ["ops", "blur"],
        ["try", "-h"],
    ],
)
def test_neither_opencv_nor_numpy_is_loaded(words: list[str]):
    assert loaded_after(f"from imgpipe.cli import main; main({words!r})", *HEAVY) == "[]"


@pytest.mark.parametrize("module", ["worker", "coordinator", "client", "local"])
def test_the_parts_do_not_load_them_either(module: str):
    assert loaded_after(f"import imgpipe.{module}", *HEAVY) == "[]"


def test_importing_the_package_loads_nothing():
    names = loaded_after("import imgpipe", "imgpipe", "asyncio", "click", "rich", "msgpack")
    assert names == "['imgpipe']"


def test_importing_the_group_loads_no_command():
    names = loaded_after("import imgpipe.cli", *(f"imgpipe.commands.{name}" for name in COMMANDS))
    assert names == "[]"


def test_the_public_names():
    assert set(imgpipe.__all__) <= set(dir(imgpipe))
    assert all(getattr(imgpipe, name) for name in imgpipe.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        imgpipe.nonsense  # noqa: B018  # the look-up is the test


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_begins_with_examples(option: str, capsys: pytest.CaptureFixture[str]):
    assert main([option]) == 0
    out = capsys.readouterr().out
    assert out.index("imgpipe run photos") < out.index("Usage:") < out.index("Commands:")
    assert all(f"  {name}" in out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples_before_its_options(command: str, capsys: pytest.CaptureFixture[str]):
    assert main([command, "-h"]) == 0
    out = capsys.readouterr().out
    assert out.index(f"\n  imgpipe {command}") < out.index("Usage:") < out.index("Options:")


def test_version(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"imgpipe {imgpipe.__version__}\n"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "Usage:"),
        (["rnu"], "did you mean 'run'?"),
        (["worker", "--load", "1.5"], "1.5"),
        (["worker", "--load", "nan"], "nan"),
        (["worker", "--root", "photos"], "NAME=PATH"),
        (["run"], "SOURCE"),
        (["run", ".", "--load", ".1,2"], "expected a number from 0 to 1, got '2'"),
        (["run", ".", "--mod", "random"], "--mode"),
        (["run", ".", "--mode", "radnom"], "did you mean 'random'?"),
        (["run", ".", "--op", "blu"], "did you mean 'blur'?"),
        (["run", ".", "--op", "blur:size=0"], "size"),
        (["run", ".", "--format", "jgp"], "did you mean 'jpg'?"),
        (["run", ".", "--quality", "101"], "101"),
        (["run", ".", "--timeout", "0"], "'--timeout': expected a number above 0, up to 10000000, got '0'"),
        (
            ["run", ".", "--retries", "many"],
            "'--retries': expected a whole number from 0 to 1000, got 'many'",
        ),
        (["run", ".", "--include", "["], "pattern '['"),
        (["run", ".", "--include", ""], "empty pattern"),
        (["submit", ".", "--exclude", "[a", "-c", "127.0.0.1:1"], "pattern '[a'"),
        (["run", ""], "empty path"),
        (["submit", ".", "-o", "", "-c", "127.0.0.1:1"], "empty path"),
        (["worker", "--name", "a b"], "printable"),
        (["worker", "--name", "a\n"], "printable"),
        (["worker", "--name", ""], "printable"),
        (["worker", "--name", "a" * 257], "256"),
        (["run", ".", "--recipe", "there-is-none.toml"], "there-is-none.toml"),
        (["submit", ".", "-c", "a:b:c"], "a:b:c"),
        (["coordinator", "-m", "there-is-none.txt"], "there-is-none.txt"),
        (["ops", "blu"], "did you mean 'blur'?"),
        (["simulate", "--loads", ".1", "--workers", "3"], "one or the other"),
        (["simulate", "--mode", "redrwa"], "did you mean 'redraw'?"),
    ],
)
def test_usage_errors(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert expected in err
    assert "Traceback" not in err
    assert not words or (err.startswith("imgpipe: ") and err.count("\n") == 1)


def test_help_lists_the_modes_and_the_shape_of_a_recipe(capsys: pytest.CaptureFixture[str]):
    for command in ("run", "submit", "simulate"):
        assert main([command, "--help"]) == 0
        out = capsys.readouterr().out
        assert "random|balanced|redraw" in out
        assert command == "simulate" or "[[step]]" in out


def test_a_version_in_the_environment_is_no_wish(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("IMGPIPE_VERSION", "0.1.0")
    assert main(["ops", "blur"]) == 0
    assert "blur" in capsys.readouterr().out


def test_a_wrong_machines_file_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("machine.txt").write_text("server 127.0.0.1:9190\nnode1 127.0.0.1:x\n")
    assert main(["coordinator"]) == 2
    assert "machine.txt, line 2: expected a port" in capsys.readouterr().err


def test_no_coordinator(capsys: pytest.CaptureFixture[str]):
    assert main(["submit", ".", "-c", "127.0.0.1:1"]) == 4
    err = capsys.readouterr().err
    assert "127.0.0.1:1" in err
    assert "`imgpipe coordinator`" in err
    assert "`imgpipe run`" in err


def test_a_fault_of_our_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def broken() -> None:
        raise KeyError("oops")

    monkeypatch.setattr("imgpipe.commands.ops.table", broken)
    assert main(["ops"]) == 1
    err = capsys.readouterr().err
    assert "Please report it" in err
    assert "Traceback" not in err
    assert main(["ops", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_leaves_early():
    shell = f"set -o pipefail; {sys.executable} -m imgpipe ops | true"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=30, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(("word", "number"), [("1e8", 10**8), ("25E6", 25_000_000), ("7", 7)])
def test_large_numbers_may_be_powers_of_ten(word: str, number: int) -> None:
    assert Whole(1, 10**8).convert(word, None, None) == number
    with pytest.raises(click.BadParameter, match="expected a whole number from 0 to 6"):
        Whole(0, 6).convert(word, None, None)
