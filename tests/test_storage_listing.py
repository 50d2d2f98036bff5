"""`walk` on real directories: what it finds, what it passes over and why, and that it streams."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgpipe import limits
from imgpipe.errors import UsageError
from imgpipe.storage import Entry, Folder, Passed, walk

SUFFIXES = frozenset({b".jpg", b".png"})


def listed(path: Path, **options) -> tuple[set[bytes], dict[bytes, str]]:
    """Names found, and names passed over with the reason."""
    with Folder(os.fsencode(path), b"") as folder:
        found = list(walk(folder, suffixes=SUFFIXES, **options))
    entries = [one.name for one in found if isinstance(one, Entry)]
    assert len(set(entries)) == len(entries)
    return set(entries), {one.name: one.why for one in found if isinstance(one, Passed)}


def make(path: Path, *names: str | bytes) -> None:
    for name in names:
        file = os.path.join(os.fsencode(path), os.fsencode(name))
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "wb") as opened:
            opened.write(name if isinstance(name, bytes) else name.encode())


def test_images_by_suffix_in_any_case_at_any_depth(tmp_path):
    make(tmp_path, "a.jpg", "B.JPG", "x/c.Png", "x/y/z/d.png", "n.txt", "jpg", "x/jpg.", "e.jpg.gz", "f.jpeg")
    found, passed = listed(tmp_path)
    assert found == {b"a.jpg", b"B.JPG", b"x/c.Png", b"x/y/z/d.png"}
    assert passed == dict.fromkeys([b"n.txt", b"jpg", b"x/jpg.", b"e.jpg.gz", b"f.jpeg"], "other suffix")


def test_size_and_time(tmp_path):
    make(tmp_path, "x/a.jpg")
    os.utime(tmp_path / "x/a.jpg", ns=(1, 1_234_567_890_123_456_789))
    with Folder(os.fsencode(tmp_path), b"") as folder:
        assert list(walk(folder, suffixes=SUFFIXES)) == [Entry(b"x/a.jpg", 7, 1_234_567_890_123_456_789)]


def test_names_that_are_not_text(tmp_path):
    names = {b"caf\xe9.jpg", b"\xff\xfe/\x80.png", b"new\nline.jpg", "ü.jpg".encode()}
    make(tmp_path, *names)
    assert listed(tmp_path) == (names, {})


def test_an_empty_folder(tmp_path):
    assert listed(tmp_path) == (set(), {})


def test_a_folder_below_a_root(tmp_path):
    make(tmp_path, "photos/x/a.jpg", "other/b.jpg")
    with Folder(os.fsencode(tmp_path), b"photos") as folder:
        assert [one.name for one in walk(folder, suffixes=SUFFIXES)] == [b"x/a.jpg"]


def test_what_is_not_a_file_to_be_processed_is_told(tmp_path, monkeypatch):
    make(tmp_path, "a.jpg", ".hidden.jpg", ".git/b.jpg", "x/.c.jpg")
    (tmp_path / "link.jpg").symlink_to("a.jpg")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "broken.jpg").symlink_to("nowhere")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "fifo.jpg")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
    found, passed = listed(tmp_path)
    assert found == {b"a.jpg"}
    assert passed == {
        b".hidden.jpg": "hidden",
        b".git": "hidden",
        b"x/.c.jpg": "hidden",
        b"link.jpg": "link",
        b"loop": "link",
        b"broken.jpg": "link",
        b"fifo.jpg": "special file",
        b"socket.jpg": "special file",
    }


def test_the_output_inside_source_is_not_listed(tmp_path):
    make(tmp_path, "a.jpg", "x/out/b.jpg", "x/output/c.jpg", "out/d.jpg", ".out/e.jpg")
    found, passed = listed(tmp_path, skip=b"x/out")
    assert found == {b"a.jpg", b"x/output/c.jpg", b"out/d.jpg"}
    assert passed == {b".out": "hidden"}
    assert listed(tmp_path, skip=b".out")[1] == {}


def test_include_narrows_and_exclude_wins(tmp_path):
    make(tmp_path, "a.jpg", "b.jpg", "b.png", "x/b.jpg", "n.txt")
    found, passed = listed(tmp_path, include=["B.*", "n.txt"], exclude=["x/*"])
    assert found == {b"b.jpg", b"b.png"}
    assert passed == {b"a.jpg": "not included", b"x/b.jpg": "excluded", b"n.txt": "other suffix"}


def test_a_bad_pattern_is_told_before_anything_is_read(tmp_path):
    with Folder(os.fsencode(tmp_path), b"") as folder, pytest.raises(UsageError):
        walk(folder, suffixes=SUFFIXES, exclude=["[a"])


def test_folders_too_deep_are_passed_over(tmp_path):
    deepest = b"/".join([b"d"] * limits.DEPTH_OF_FOLDERS_MAX)
    make(tmp_path, deepest + b"/a.jpg", deepest + b"/d/b.jpg")
    found, passed = listed(tmp_path)
    assert found == {deepest + b"/a.jpg"}
    assert passed == {deepest + b"/d": "more than 128 folders deep"}


def test_a_name_too_long_for_the_wire_is_passed_over(tmp_path):
    part = b"p" * 200
    with Folder(os.fsencode(tmp_path), b"") as folder:
        parent = b"/".join([part] * 20)
        folder.commit(parent + b"/short.jpg", b"t", b"", lambda: True)
        folder.commit(parent + b"/" + b"l" * 150 + b".jpg", b"t", b"", lambda: True)
    found, passed = listed(tmp_path)
    assert found == {parent + b"/short.jpg"}
    assert list(passed) == [parent]
    assert "too long" in passed[parent]


def test_a_missing_folder_is_an_error(tmp_path):
    (tmp_path / "x").mkdir()
    with Folder(os.fsencode(tmp_path), b"x") as folder:
        (tmp_path / "x").rmdir()
        with pytest.raises(FileNotFoundError):
            next(walk(folder, suffixes=SUFFIXES))


def test_a_folder_below_that_cannot_be_opened_is_passed_over(tmp_path, monkeypatch):
    make(tmp_path, "a.jpg", "x/b.jpg", "y/c.jpg")
    opened = os.open

    def deny(path, *args, **options):
        if path == "x":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", deny)
    assert listed(tmp_path) == ({b"a.jpg", b"y/c.jpg"}, {b"x": "permission denied"})


class Counting:
    """A directory being read that counts how far, and may fail there."""

    def __init__(self, entries, fail_at: int) -> None:
        self.entries, self.fail_at, self.count = entries, fail_at, 0

    def __iter__(self) -> Counting:
        return self

    def __next__(self):
        self.count += 1
        if self.count == self.fail_at:
            raise OSError(5, "Input/output error")
        return next(self.entries)

    def close(self) -> None:
        self.entries.close()


def count_reads(monkeypatch, fail_at: dict[int, int]) -> list[Counting]:
    """Wraps the directories opened from now on; the n-th fails at that read."""
    opened: list[Counting] = []
    scandir = os.scandir

    def counting(path):
        opened.append(Counting(scandir(path), fail_at.get(len(opened), 0)))
        return opened[-1]

    monkeypatch.setattr(os, "scandir", counting)
    return opened


def test_a_folder_that_fails_while_it_is_read(tmp_path, monkeypatch):
    make(tmp_path, "x/a.jpg", "x/b.jpg", "x/c.jpg")
    count_reads(monkeypatch, {1: 2})
    found, passed = listed(tmp_path)
    assert len(found) == 1
    assert passed == {b"x": "input/output error"}


def test_the_top_that_fails_while_it_is_read_is_an_error(tmp_path, monkeypatch):
    make(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    count_reads(monkeypatch, {0: 2})
    with pytest.raises(OSError, match="Input/output"):
        listed(tmp_path)


def test_each_image_is_there_before_the_next_entry_is_read(tmp_path, monkeypatch):
    make(tmp_path, *(f"{number}.jpg" for number in range(5000)))
    opened = count_reads(monkeypatch, {})
    with Folder(os.fsencode(tmp_path), b"") as folder:
        for number, _ in enumerate(walk(folder, suffixes=SUFFIXES), start=1):
            assert opened[0].count == number
    assert number == 5000


def test_a_listing_that_is_left_gives_its_descriptors_back(tmp_path):
    make(tmp_path, "x/y/z/a.jpg", "x/y/z/b.jpg")
    with Folder(os.fsencode(tmp_path), b"") as folder:
        before = len(os.listdir("/proc/self/fd"))
        listing = walk(folder, suffixes=SUFFIXES)
        next(listing)
        assert len(os.listdir("/proc/self/fd")) > before
        listing.close()  # type: ignore[attr-defined]  # a generator, as every caller in a thread wants it
        assert len(os.listdir("/proc/self/fd")) == before


PARTS = st.text("ab.jpgJPNÄ\udcff", min_size=1, max_size=8).filter(lambda part: part not in (".", ".."))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees=st.lists(st.lists(PARTS, min_size=1, max_size=4), max_size=12))
def test_everything_is_found_or_passed_over_as_os_walk_sees_it(tmp_path_factory, trees):
    top = tmp_path_factory.mktemp("tree")
    for parts in trees:
        try:
            make(top, "/".join(parts).encode("utf-8", "surrogateescape"))
        except OSError:
            continue  # one of the folders is a file of an earlier tree, or the reverse
    expected = set()
    for here, folders, files in os.walk(os.fsencode(top)):
        folders[:] = [name for name in folders if not name.startswith(b".")]
        expected |= {os.path.relpath(os.path.join(here, name), os.fsencode(top)) for name in files}
    images = {
        name
        for name in expected
        if name.lower().endswith((b".jpg", b".png")) and not os.path.basename(name).startswith(b".")
    }
    found, passed = listed(top)
    assert found == images
    assert {
        name for name in passed if os.path.isfile(os.path.join(os.fsencode(top), name))
    } == expected - images
