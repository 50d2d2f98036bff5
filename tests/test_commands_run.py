"""``imgpipe run`` and `imgpipe.run`, with real processes and real pictures."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import imgpipe
from imgpipe import api, limits
from imgpipe.errors import UsageError
from imgpipe.imaging.bounds import Bounds
from imgpipe.imaging.recipe import Recipe

DATA = Path(__file__).parent.parent / "data" / "input"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name in ("cell.jpg", "clock.png"):
        shutil.copy(DATA / name, folder)
    shutil.copy(DATA / "chelsea.png", folder / "more")
    return folder


def run(words: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imgpipe", "run", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60, check=False)


def test_run(photos: Path):
    (photos / "bad.png").write_text("no picture")
    (photos / "notes.txt").write_text("")
    (photos / os.fsdecode(b"caf\xe9.jpg")).write_bytes((DATA / "cell.jpg").read_bytes())
    done = run(["photos", "--json", "-j", "2", "--load", "0,0"], photos.parent)
    assert done.returncode == 3, done.stderr
    *images, summary = map(json.loads, done.stdout.splitlines())
    assert sorted((image["name"], image["status"]) for image in images) == [
        ("bad.png", "failed"),
        ("caf\\xe9.jpg", "done"),
        ("cell.jpg", "done"),
        ("clock.png", "done"),
        ("more/chelsea.png", "done"),
    ]
    assert {key: summary[key] for key in ("total", "done", "failed", "ignored", "exit")} == {
        "total": 5,
        "done": 4,
        "failed": 1,
        "ignored": 1,
        "exit": 3,
    }
    output = photos.parent / "output_dir"
    assert sorted(os.listdir(os.fsencode(output))) == [b"caf\xe9.jpg", b"cell.jpg", b"clock.png", b"more"]
    assert os.listdir(output / "more") == ["chelsea.png"]


def test_a_dry_run_touches_nothing(photos: Path):
    shutil.copy(photos / "clock.png", photos / "clock.bmp")
    done = run(["photos", "-n", "--format", "webp", "-j", "1"], photos.parent)
    lines = done.stdout.splitlines()
    assert sorted(line.split(":")[0] for line in lines[:-1]) == [
        "cell.jpg → cell.webp",
        "clock.bmp → clock.webp",
        "clock.png → clock.webp",
        "more/chelsea.png → more/chelsea.webp",
    ]
    sums = "4 images, 1 collision, 0 other entries ignored; nothing was touched"
    assert lines[-1] == f"{sums}; results would go to {photos.parent / 'output_dir'}"
    done = run(["photos", "-n", "--json", "--format", "webp", "-j", "1"], photos.parent)
    assert json.loads(done.stdout.splitlines()[-1])["collisions"] == 1
    assert os.listdir(photos.parent) == ["photos"]


def test_what_was_listed_is_not_offered_again(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "notes.txt").write_text("")
    words = ["photos", "-j", "1"]
    assert "--list-ignored names them" in run(words, tmp_path).stdout
    named = run([*words, "--list-ignored"], tmp_path).stdout
    assert "ignored: notes.txt" in named
    assert "1 other entry ignored\n" in named


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "webp"], True),
        (["--format", "webp", "-q"], False),
        (["--format", "webp", "--op", "edges"], False),
        ([], False),
    ],
)
def test_who_wants_another_format_and_names_no_operation_is_told(photos: Path, words: list[str], said: bool):
    done = run(["photos", "-n", "-j", "1", *words], photos.parent)
    hint = "imgpipe: no --op: edges, the default, is done; --op identity would only convert the images\n"
    assert done.stderr == (hint if said else "")


@pytest.mark.parametrize("name", [[], ["--name", "photos/{stem}{ext}"]])
def test_no_result_replaces_an_image_of_source(photos: Path, name: list[str]):
    (photos / "photos").mkdir()
    shutil.copy(photos / "cell.jpg", photos / "photos" / "clock.png")
    before = {path: path.read_bytes() for path in photos.rglob("*.*")}
    done = run(["photos", "-o", ".", "--op", "flip", "--json", *name], photos.parent)
    assert done.returncode == 3, done.stderr
    failed = [end for end in map(json.loads, done.stdout.splitlines()) if end.get("status") == "failed"]
    assert {end["kind"] for end in failed} == {"unwritable"}
    assert len(failed) == (4 if name else 1)
    assert all("would lie in SOURCE" in end["message"] for end in failed)
    assert {path: path.read_bytes() for path in photos.rglob("*.*")} == before


def test_a_format_that_is_switched_off_here_is_not_waited_for(photos: Path):
    done = run(["photos", "--without", "wepb"], photos.parent)
    assert done.stderr.startswith("imgpipe: --without: expected one of avif, ")
    done = run(["photos", "--max-memory", "1"], photos.parent)
    assert done.stderr == "imgpipe: --max-memory: expected at least 64 MiB, got 1 byte\n"
    done = run(["photos", "-q", "-j", "1", "--without", "webp", "--format", "webp"], photos.parent)
    assert done.returncode == 2
    assert done.stderr == "imgpipe: --format webp is switched off here by --without: give one of the two\n"
    assert not (photos.parent / "output_dir").exists()


def test_memory_for_each_process(photos: Path):
    large = np.full((4500, 4500, 3), 77, np.uint8)
    cv2.imwrite(str(photos / "large.jpg"), large, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    words = ["photos", "--op", "grayscale", "-j", "1", "--json"]
    done = run([*words, "--max-memory", "64MiB"], photos.parent)
    assert done.returncode == 3, done.stderr
    *images, summary = map(json.loads, done.stdout.splitlines())
    [failed] = [image for image in images if image["status"] == "failed"]
    assert (failed["name"], failed["kind"], failed["tries"]) == ("large.jpg", "too_large", 2)
    assert "--max-memory" in failed["message"]
    assert (summary["done"], summary["retries"]) == (3, 1)
    assert run([*words, "--max-memory", "1GiB"], photos.parent).returncode == 0


def test_a_job_raises_the_ceiling_of_its_own_machine(monkeypatch: pytest.MonkeyPatch):
    given = []
    monkeypatch.setattr("imgpipe.local.LocalCluster", lambda **options: given.append(options["bounds"]))
    recipe = Recipe.from_options()
    asked = api.request("photos", "out", recipe=recipe)
    for pixels in (0, 1000, 5 * limits.PIXELS_MAX):
        wanted = replace(recipe, pixels_max=pixels)
        monkeypatch.setattr(Recipe, "from_array", lambda array, wanted=wanted: wanted)
        api.embedded(asked, bounds=Bounds(memory=7))
    assert [bounds.ceiling.pixels for bounds in given] == [limits.PIXELS_MAX] * 2 + [5 * limits.PIXELS_MAX]
    assert {bounds.memory for bounds in given} == {7}


def test_a_missing_folder(tmp_path: Path):
    done = run(["nowhere", "-j", "1"], tmp_path)
    assert done.returncode == 2
    assert "nowhere: no such file or directory" in done.stderr


def test_a_second_ctrl_c_leaves_no_process(photos: Path):
    words = ["run", "photos", "-j", "1", "--load", "1", "--delay", "100", "--mode", "random"]
    with subprocess.Popen(
        [sys.executable, "-m", "imgpipe", *words, "-vv"], stderr=subprocess.PIPE, text=True, cwd=photos.parent
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "Waiting" in line)
        process.send_signal(signal.SIGINT)
        next(line for line in process.stderr if "stopping" in line)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()  # to its end: every process that holds it has gone
        assert "leaving now" in rest
        assert process.wait(timeout=30) == 130


def test_run_from_a_program(photos: Path):
    (photos / "bad.png").write_text("no picture")
    report = imgpipe.run(
        photos, output=photos.parent / "out", operations=["grayscale"], format="webp", slots=1
    )
    assert (report.done, report.failed) == (3, 1)
    assert [failure.name for failure in report.failures] == [b"bad.png"]
    assert sorted(os.listdir(photos.parent / "out")) == ["cell.webp", "clock.webp", "more"]
    assert imgpipe.run(photos, photos.parent / "one", operations="grayscale", slots=1).done == 3
    with pytest.raises(UsageError, match="unknown mode"):
        imgpipe.run(photos, mode="fast")
    for wrong in ({"include": [""]}, {"exclude": ["["]}, {"output": ""}):
        with pytest.raises(UsageError, match=r"empty|pattern"):
            imgpipe.run(photos, **wrong)
