"""What images take in a crowd: how often a sample is repeated, and what is made of the times."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgpipe import limits
from imgpipe.facts import ImageDone, ImageFailed
from imgpipe.trial.repeating import Room, costs, lay_out, of_the_dead, rounds


def done(name: bytes, *us: int) -> ImageDone:
    read, decode, operate, encode, write = us
    return ImageDone(name, "local1", 1, 1, (read, decode, operate, encode, write))


QUICK = [done(b"%d" % n, 100, 400, 300, 150, 50) for n in range(12)]  # a millisecond each


LARGE = Room(10**12, 10**9, 0)


def test_small_images_are_repeated_for_a_second_or_two():
    assert rounds(QUICK, 12_000, 1, LARGE) == int(limits.REPEATED_S / 0.012)
    assert rounds(QUICK, 12_000, 2, LARGE) == int(2 * limits.REPEATED_S / 0.012)


def test_results_fill_no_disk_and_links_no_folder():
    assert rounds(QUICK, limits.REPEATED_BYTES_MAX // 20, 2, LARGE) == 20
    assert rounds(QUICK, 12_000, 20, LARGE) == limits.REPEATED_MAX // 12
    assert rounds(QUICK, 12_000, 2, Room(12_000 * 30, 10**9, 0)) == 30
    assert rounds(QUICK, 12_000, 2, Room(12_000 * 30, 10**9, 1000)) == 15
    assert rounds(QUICK, 12_000, 2, Room(10**12, 13 * 40, 0)) == 40
    assert rounds(QUICK, 12_000, 2, Room(12_000, 10**9, 4096)) == 0


def test_a_quarter_of_what_is_free(tmp_path: Path):
    found, room = os.statvfs(tmp_path), Room.of(os.fsencode(tmp_path))
    assert room.block == found.f_frsize
    assert room.free == pytest.approx(found.f_bavail * found.f_frsize / 4, rel=0.2)
    assert room.files > 0


@pytest.mark.parametrize(
    ("images", "written", "slots"),
    [
        ([], 0, 2),
        ([done(b"0", 0, 0, 0, 0, 0)], 0, 2),
        ([done(b"%d" % n, 0, 100_000, 0, 0, 0) for n in range(12)], 0, 2),  # slow ones keep slots busy
        (QUICK, limits.REPEATED_BYTES_MAX, 2),
    ],
)
def test_not_at_all_where_it_says_nothing_new(images: list[ImageDone], written: int, slots: int):
    assert rounds(images, written, slots, LARGE) == 0


def test_links_for_every_round(tmp_path: Path):
    (tmp_path / "in" / "a").mkdir(parents=True)
    for name in ("x.png", "a/y.png"):
        (tmp_path / "in" / name).write_text(name)
    lay_out(os.fsencode(tmp_path / "in"), os.fsencode(tmp_path / "again"), [b"x.png", b"a/y.png"], 3)
    laid = {path.relative_to(tmp_path / "again").as_posix(): path for path in tmp_path.glob("again/**/*.png")}
    assert set(laid) == {f"{n}/{name}" for n in range(3) for name in ("x.png", "a/y.png")}
    assert all(path.samefile(tmp_path / "in" / name[2:]) for name, path in laid.items())


def test_all_time_of_all_slots_is_divided_among_the_images():
    facts = [done(b"0/a", 1000, 2000, 0, 0, 1000), done(b"1/a", 1000, 4000, 0, 0, 1000)]
    facts += [done(b"0/b/c", 0, 9000, 0, 0, 1000)]
    found = costs(facts, took_s=0.020, slots=2)  # 40 ms of slots, half of it in stages
    assert found == {b"a": pytest.approx(2 * 0.004), b"b/c": pytest.approx(2 * 0.010)}


def test_nothing_came_through():
    assert costs([ImageFailed(b"0/a", "crashed", "SIGSEGV", "local1", 1, 2)], 1.0, 2) == {}


def test_who_dies_is_charged_with_what_nobody_else_used():
    dead = [ImageFailed(name, "crashed", "SIGSEGV", "local1", 2, 2) for name in (b"a", b"b")]
    bad = ImageFailed(b"c", "truncated", "it ends", "local1", 1, 1)
    found = of_the_dead([*dead, bad, done(b"d", 0, 400_000, 0, 0, 0)], took_s=0.5, slots=2)
    assert found == {b"a": pytest.approx(0.3), b"b": pytest.approx(0.3)}
    assert of_the_dead([bad], 1.0, 2) == {}
