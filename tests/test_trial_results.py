"""What became of a sample: facts and files put together, and the whole folder estimated from it."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from imgpipe import storage
from imgpipe.errors import ImageError, Kind
from imgpipe.facts import Fact, ImageDone, ImageFailed
from imgpipe.imaging.recipe import Recipe
from imgpipe.sampling.choice import Sample, Stratum
from imgpipe.sampling.survey import File
from imgpipe.trial.gathering import Copy
from imgpipe.trial.looking import Look
from imgpipe.trial.results import Reading, Tried, estimated

PICTURE = cv2.imencode(".png", np.zeros((20, 30, 3), np.uint8))[1].tobytes()
TIMES = (1000, 20_000, 30_000, 40_000, 5000)


def tried(
    home: Path,
    names: list[str],
    facts: list[Fact],
    copies: dict[bytes, Copy] | None = None,
    costs: dict[bytes, float] | None = None,
):
    files = tuple(File(os.fsencode(name), len(PICTURE)) for name in names)
    for name in names:
        (home / "in").mkdir(exist_ok=True)
        (home / "in" / name).write_bytes(PICTURE)
    sample = Sample(files, (), {file.name: ("why",) for file in files})
    made = {file.name: Copy(0.25) for file in files} | (copies or {})
    root, recipe = os.fsencode(home), Recipe.from_options(["identity"], "webp")
    with storage.Folder(root, b"in") as source, storage.Folder(root, b"out", make=True) as output:
        return Reading(recipe, source, output, 64, 60.0, costs or {}).tried(sample, made, facts)


def done(name: bytes, tries: int = 1) -> ImageDone:
    return ImageDone(name, "local1", 1, tries, TIMES)


def test_an_image_that_came_through(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.webp").write_bytes(
        cv2.imencode(".webp", np.zeros((5, 6, 3), np.uint8))[1].tobytes()
    )
    [one] = tried(tmp_path, ["a.png"], [done(b"a.png")])
    assert (one.why, one.failure) == (("why",), None)
    assert (one.before.width, one.before.height, one.before.format) == (30, 20, "PNG")
    assert one.after is not None
    assert (one.after.width, one.after.height, one.after.format) == (6, 5, "WebP")
    assert one.ms == {"read": 250.0, "decode": 20.0, "operate": 30.0, "encode": 40.0, "write": 5.0}
    assert one.seconds == pytest.approx(0.345)


def test_an_image_that_killed_a_process_is_not_decoded_here(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.webp").write_bytes(
        cv2.imencode(".webp", np.zeros((5, 6, 3), np.uint8))[1].tobytes()
    )
    [one] = tried(tmp_path, ["a.png"], [done(b"a.png", tries=2)])
    assert one.before.image is None
    assert "did not survive" in one.before.problem
    assert one.after is not None
    assert one.after.image is not None


def test_failures_and_what_they_cost(tmp_path: Path):
    notes = (("warning", "odd"),)
    facts: list[Fact] = [
        ImageFailed(b"a.png", "unreadable", "no", "local1", 1, 1, notes),
        ImageFailed(b"b.png", "timeout", "late", "local1", 2, 2),
    ]
    gone = ImageError(Kind.MISSING, "gone")
    copies = {b"c.png": Copy(0.125, gone)}
    found = {
        one.file.name: one for one in tried(tmp_path, ["a.png", "b.png", "c.png", "d.png"], facts, copies)
    }
    kinds = [found[name].failure.kind for name in (b"a.png", b"b.png", b"c.png", b"d.png")]
    assert kinds == [Kind.UNREADABLE, Kind.TIMEOUT, Kind.MISSING, Kind.LOST]
    assert [found[name].seconds for name in (b"a.png", b"b.png", b"c.png")] == [0.25, 120.0, 0.125]
    assert [found[name].notes for name in (b"a.png", b"b.png")] == [notes, ()]
    assert all(one.after is None and one.before.image is None for one in found.values())
    assert (found[b"a.png"].before.width, found[b"c.png"].before.width) == (30, 0)


def test_costs_in_a_crowd_are_those_that_count(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.webp").write_bytes(PICTURE)
    facts: list[Fact] = [done(b"a.png"), ImageFailed(b"b.png", "crashed", "SIGSEGV", "local1", 2, 2)]
    found = tried(tmp_path, ["a.png", "b.png"], facts, costs={b"a.png": 3.0, b"b.png": 4.0})
    assert {one.file.name: one.seconds for one in found} == {b"a.png": 3.25, b"b.png": 4.25}
    assert next(sum(one.ms.values()) for one in found if one.ms) == 345.0


def test_warnings_of_decoders_are_not_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.webp").write_bytes(PICTURE[:40])
    [one] = tried(tmp_path, ["a.png"], [done(b"a.png")])
    assert one.after is not None
    assert "truncated" in one.after.problem
    assert capfd.readouterr() == ("", "")


# --- the whole folder ---------------------------------------------------------------------------


def result(file: File, seconds: float, size: int) -> Tried:
    return Tried(file, (), Look(file.size), Look(size), seconds=seconds)


def test_the_whole_folder():
    large, *small = (File(b"%d" % number, size) for number, size in enumerate((1000, 10, 10)))
    sample = Sample((large,), (Stratum(100, 1000, tuple(small)),), {})
    tried = [result(large, 8.0, 500), result(small[0], 1.0, 20), result(small[1], 1.0, 20)]
    found = estimated(sample, tried, slots=4, startup_s=0.5)
    assert found.seconds.about == pytest.approx((8 + 100 * 1.0) / 4 + 0.5)
    assert found.output.about == pytest.approx(500 + 100 * 20)
    assert found.slots == 4


def test_one_large_image_is_not_done_by_several_processes():
    file = File(b"a", 10)
    found = estimated(Sample((file,), (), {}), [result(file, 8.0, 500)], slots=4, startup_s=0.0)
    bounds = found.seconds.about, found.seconds.low, found.seconds.high
    assert bounds == pytest.approx((8.0, 8.0 / 1.15, 8.0 * 1.15))  # the next run differs


def test_what_failed_gives_no_output():
    file = File(b"a", 10)
    failed = Tried(file, (), Look(10), failure=ImageError(Kind.UNREADABLE, "no"), seconds=0.5)
    assert estimated(Sample((file,), (), {}), [failed], 1, 0.0).output.about == 0
