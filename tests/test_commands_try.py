"""``imgpipe try``: what it prints, writes and exits with. Pillow reads the sheets."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image as Pillow

from imgpipe import limits
from imgpipe.cli import main
from imgpipe.facts import Fact, ImageDone
from imgpipe.imaging import sheet
from imgpipe.imaging.pixels import Image
from imgpipe.imaging.sheet import Cell
from imgpipe.trial import repeating
from tests.disks import remount

DATA = Path(__file__).parent.parent / "data" / "input"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("cell.jpg", "clock.png", "microaneurysms.png", "brick.jpg", "camera.jpg"):
        shutil.copy(DATA / name, folder)
    (folder / "notes.txt").write_text("no image")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(limits, "REPEATED_S", 0.0)
    return folder


def try_(*words: str) -> int:
    return main(["try", "photos", "-j", "1", *words])


def left(folder: Path) -> set[str]:
    return set(os.listdir(folder))


def test_a_sheet_and_the_estimate(photos: Path, capsys: pytest.CaptureFixture[str]):
    assert try_("--op", "thumbnail", "--format", "webp", "-n", "4") == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == f"{photos}: 5 images, 190 kB, 1 other entry ignored"
    assert lines[1] == "Tried here: 4 of 4 images done, 0 failed."
    assert lines[2].startswith("The whole folder: about ")
    assert " with 1 slot; about " in lines[2]
    assert "four times in five" in lines[3]
    assert lines[4] == f"Look at {photos.parent / 'imgpipe-try.png'}"
    assert err == "imgpipe: 5 images found, 4 are tried\n"
    with Pillow.open("imgpipe-try.png") as sheet:
        assert sheet.format == "PNG"
        assert 500 < min(sheet.size) <= max(sheet.size) <= limits.SHEET_SIDE_MAX
    assert left(photos.parent) == {"photos", "imgpipe-try.png"}  # no copy, no result is left
    assert len(left(photos)) == 6


def test_small_images_are_timed_in_a_crowd(photos: Path, monkeypatch: pytest.MonkeyPatch):
    laid: list[int] = []
    counted: list[int] = []
    lay_out, costs = repeating.lay_out, repeating.costs

    def spied_lay_out(source: bytes, target: bytes, names: Iterable[bytes], number: int) -> None:
        laid.append(number)
        lay_out(source, target, names, number)

    def spied_costs(facts: Sequence[Fact], took_s: float, slots: int) -> dict[bytes, float]:
        counted.append(sum(isinstance(fact, ImageDone) for fact in facts))
        return costs(facts, took_s, slots)

    monkeypatch.setattr(limits, "REPEATED_S", 0.2)
    monkeypatch.setattr(repeating, "lay_out", spied_lay_out)
    monkeypatch.setattr(repeating, "costs", spied_costs)
    assert try_("--op", "thumbnail:size=16", "--name", "{stem}{ext}", "--json") == 0
    [number] = laid
    assert counted == [5 * number]
    assert left(photos.parent) == {"photos", "imgpipe-try.png"}


def test_an_object(photos: Path, capsys: pytest.CaptureFixture[str]):
    (photos / "bad.png").write_text("no picture")
    assert try_("--op", "grayscale", "--json", "-o", "sheet.webp") == 3
    [line] = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["event"], told["total"], told["tried"], told["failed"], told["ignored"]) == (
        "try",
        6,
        6,
        1,
        1,
    )
    assert (told["exit"], told["recipe"]) == (3, "--op grayscale")
    images = {image["name"]: image for image in told["images"]}
    assert (images["bad.png"]["status"], images["bad.png"]["kind"]) == ("failed", "unreadable")
    assert images["bad.png"]["after"] is None
    clock = images["clock.png"]
    assert (clock["before"]["bytes"], clock["before"]["width"]) == ((DATA / "clock.png").stat().st_size, 400)
    assert set(clock["ms"]) == {"read", "decode", "operate", "encode", "write"}
    written = sum(image["after"]["bytes"] for image in images.values() if image["after"])
    assert told["estimate"]["output_bytes"] == {"about": written, "low": written, "high": written}
    assert told["estimate"]["slots"] == 1
    with Pillow.open("sheet.webp") as sheet:
        assert sheet.format == "WEBP"


def test_what_images_lost_is_told(photos: Path, capsys: pytest.CaptureFixture[str], cells: list[Cell]):
    """Of the results as of the files, and by the same words as those of a run."""
    frames = [Pillow.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    frames[0].save(photos / "two.tif", save_all=True, append_images=frames[1:])
    Pillow.new("RGBA", (9, 9)).save(photos / "clear.webp")
    sentence = (
        "1 image lost its transparency: the output's format has none, a step drops it, "
        "or the input's is not read"
    )
    assert try_("--op", "identity", "--format", "jpg") == 0
    assert f"  {sentence}" in capsys.readouterr().out.splitlines()
    lines = {cell.title: cell.lines for cell in cells}
    assert lines["clear.webp"][-1].startswith("note: transparency is lost")
    assert lines["two.tif"][-1] == "note: 2 pages or frames, the first was read"
    cells.clear()
    assert try_("--op", "identity", "--pages", "all", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["notes"] == {}
    assert not [line for cell in cells for line in cell.lines if line.startswith("note")]


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """Those that are drawn."""
    drawn: list[Cell] = []

    def draw(heading: Sequence[str], given: Sequence[Cell], footing: Sequence[str]) -> Image:
        drawn.extend(given)
        return real(heading, given, footing)

    real = sheet.draw
    monkeypatch.setattr(sheet, "draw", draw)
    return drawn


def test_formats_and_memory_are_those_of_the_machine(photos: Path, capsys: pytest.CaptureFixture[str]):
    assert try_("--op", "identity", "--without", "png", "--max-memory", "512MiB", "--json") == 3
    images = json.loads(capsys.readouterr().out)["images"]
    assert {image["name"] for image in images if image["status"] == "failed"} == {
        "clock.png",
        "microaneurysms.png",
    }
    assert try_("--format", "webp", "--without", "webp") == 2
    assert "--format webp is switched off here by --without" in capsys.readouterr().err


def test_failures_are_named_and_the_sheet_is_written(photos: Path, capsys: pytest.CaptureFixture[str]):
    (photos / "bad.png").write_text("no picture")
    os.mkdir(photos / "input_dir")  # not SOURCE of the copies too
    for file in photos.glob("*.*"):
        file.rename(photos / "input_dir" / file.name)
    shutil.copytree(photos / "input_dir", photos / "input_dir" / "input_dir")
    assert try_("-q") == 3
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "  bad.png",
        "  input_dir/bad.png",
        "The whole folder",
        f"Look at {photos.parent / 'imgpipe-try.png'}",
    ]
    assert Path("imgpipe-try.png").exists()


def test_an_older_sheet_is_replaced_and_nothing_else(photos: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("sheet.png", "sheet.jpg", "sheet.webp"):
        assert try_("-n", "4", "--include", "c*", "-o", name) == 0
        before = Path(name).read_bytes()
        assert try_("-n", "4", "--include", "b*", "-o", name) == 0
        assert Path(name).read_bytes() != before
    shutil.copy(DATA / "coffee.jpg", "mine.jpg")
    capsys.readouterr()
    assert try_("-o", "mine.jpg") == 2
    assert "is no sheet, and it is not overwritten; give another FILE with -o" in capsys.readouterr().err
    assert Path("mine.jpg").read_bytes() == (DATA / "coffee.jpg").read_bytes()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-o", "sheet.tif"], "'sheet.tif: expected"),
        (["-o", "there/is/none.png"], "cannot write the sheet"),
        (["-o", "photos/sheet.png"], "would lie in SOURCE"),
        (["-n", "3"], "expected a whole number from 4 to 48, got '3'"),
        (["--op", "blu"], "did you mean 'blur'?"),
        (["--mode", "random"], "No such option"),
        (["--include", "*.webp"], "no images in"),
    ],
)
def test_usage_errors(words: list[str], expected: str, photos: Path, capsys: pytest.CaptureFixture[str]):
    assert try_(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert expected.removeprefix("'") in err
    assert err.count("\n") == 1
    assert left(photos.parent) == {"photos"}


def test_a_source_that_is_not_there(photos: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["try", "nowhere"]) == 2
    assert "nowhere: no such file or directory" in capsys.readouterr().err


def test_no_temporary_directory(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(photos / "none"))
    assert try_() == 2
    assert "set TMPDIR to a directory with room" in capsys.readouterr().err


def test_results_that_find_no_room_are_not_waited_for(
    photos: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    remount(small_disk, "size=400k")  # for the copies, and no result
    monkeypatch.setenv("TMPDIR", str(small_disk))
    assert try_("--op", "resize:size=2000x2000", "--format", "bmp", "-q") == 2
    said = r"imgpipe: the sample cannot be done: .*: no space left on device; set TMPDIR to a directory "
    assert re.match(said, capsys.readouterr().err)
    assert left(small_disk) == set()
    assert left(photos.parent) == {"photos", "disk"}


def test_an_image_that_kills_its_process(
    photos: Path, operations_of_tests: Path, capsys: pytest.CaptureFixture[str]
):
    assert try_("--op", "abort:width=400", "--retries", "0", "--json") == 3
    images = json.loads(capsys.readouterr().out)["images"]
    assert {image["name"]: image["kind"] for image in images if image["status"] == "failed"} == {
        "clock.png": "crashed"
    }
    assert Path("imgpipe-try.png").exists()


def test_ctrl_c_leaves_nothing(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    @contextmanager
    def interrupted(progress: object, report: object) -> Iterator[None]:
        signal.raise_signal(signal.SIGINT)  # the job has just begun
        yield

    monkeypatch.setattr("imgpipe.commands.try_.ticking", interrupted)
    assert try_("-q") == 130
    assert capsys.readouterr() == ("", "imgpipe: stopped: there is no sheet\n")
    assert left(photos.parent) == {"photos"}


def test_what_run_is_told_of_a_job_is_not_asked_here(capsys: pytest.CaptureFixture[str]):
    assert main(["try", "-h"]) == 0
    out = capsys.readouterr().out
    assert all(option not in out for option in ("--output", "--mode", "--existing", "--dry-run"))
    assert out.count("--json ") == out.count("--json\n") == 1  # an option, and an example


def test_the_same_seed_gives_the_same_sample(photos: Path, capsys: pytest.CaptureFixture[str]):
    def names(*words: str) -> list[str]:
        assert try_("--json", "-n", "4", "--op", "identity", *words) == 0
        return [image["name"] for image in json.loads(capsys.readouterr().out)["images"]]

    assert names() == names()


def test_settings(photos: Path, capsys: pytest.CaptureFixture[str]):
    Path("imgpipe.toml").write_text('[try]\nsample = 4\nop = ["grayscale"]\nsheet = "x.jpg"\n')
    assert try_("--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["tried"], told["recipe"]) == (4, "--op grayscale")
    assert Path("x.jpg").exists()
