"""What README.md shows is true: its programs run as they stand, its settings are read."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from imgpipe.cli import COMMANDS, main
from imgpipe.imaging.recipe import Recipe

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    source = tmp_path / "data" / "input"
    source.mkdir(parents=True)
    for name in ("cell.jpg", "clock.png"):
        shutil.copy(ROOT / "data" / "input" / name, source)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_programs(here: Path):
    run, cluster = blocks("python")
    assert ran(run) == "2 done, 0 failed\n"
    lines = ran(cluster).splitlines()
    for mode, line in zip(("random", "balanced", "redraw"), lines, strict=True):
        assert re.fullmatch(rf"{mode} 2 done, \d+ rejections", line)
    assert {path.name for path in (here / "results").iterdir()} == {
        "balanced",
        "cell.jpg",
        "clock.png",
        "random",
        "redraw",
    }


def ran(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_recipe(here: Path, capsys: pytest.CaptureFixture[str]):
    text, _ = blocks("toml")
    (here / "small.toml").write_text(text)
    same = Recipe.from_options(
        ["thumbnail:size=400", "sepia:amount=0.8"],
        "webp",
        80,
        name="{dir}/{stem}-small{ext}",
        metadata="strip",
    )
    assert Recipe.from_toml(text, "small.toml") == same
    assert main(["run", "data/input", "--recipe", "small.toml", "-n"]) == 0
    assert "cell.jpg → cell-small.webp" in capsys.readouterr().out


def test_the_settings(here: Path, capsys: pytest.CaptureFixture[str]):
    _, text = blocks("toml")
    assert set(tomllib.loads(text)) <= set(COMMANDS)
    (here / "imgpipe.toml").write_text(text)
    assert main(["run", "data/input"]) == 0  # a dry run
    assert "cell.jpg → cell.jpg" in capsys.readouterr().out
    assert not (here / "data" / "output_dir").exists()
