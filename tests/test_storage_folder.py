"""`Folder` on a real file system: what it reads, what it refuses, and that no output is ever half there."""

from __future__ import annotations

import errno
import os
import resource
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from imgpipe import limits
from imgpipe.errors import ImageError, Kind
from imgpipe.storage import Folder, KeptOpen
from tests.processes import give_up_rights

TEMPORARY = b".imgpipe-abc-7.tmp"
NOT_UTF8 = b"caf\xe9\xff.jpg"


def yes() -> bool:
    return True


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def names_below(path: Path) -> set[str]:
    return {str(found.relative_to(path)) for found in path.rglob("*") if not found.is_dir()}


@pytest.fixture
def folder(tmp_path):
    with Folder(os.fsencode(tmp_path), b"") as folder:
        yield folder


FILE_SIZE_MAX = 1000


@contextmanager
def small_files():
    """A real limit of the system, under which a write is first short and then fails, as on a full disk.

    Only around the call under test: it holds for pytest's own output too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE_MAX, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# --- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [b"a.jpg", b"x/y/z/a.jpg", NOT_UTF8, b"x/" + NOT_UTF8, b"new\nline", b" ", b"-"]
)
@pytest.mark.parametrize("size", [0, 1, 20_000, 3_000_000])
def test_reads_what_was_written(folder, tmp_path, name, size):
    data = os.urandom(size)
    path = os.path.join(os.fsencode(tmp_path), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    assert folder.read(name, size) == data
    assert folder.size(name) == size
    assert folder.exists(name)


def test_a_file_over_the_limit_is_refused_before_it_is_read(folder, tmp_path):
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(1 << 40)  # a hole: reading it would take for ever
    with pytest.raises(ImageError) as caught:
        folder.read(b"huge", limits.IMAGE_BYTES_MAX)
    assert caught.value.kind is Kind.TOO_LARGE
    assert str(1 << 40) in caught.value.message


@pytest.mark.parametrize("grown", [b"two", b"twelve bytes"])
def test_a_file_that_grows_while_it_is_read(folder, tmp_path, monkeypatch, grown):
    (tmp_path / "a").write_bytes(b"one")
    look = os.fstat

    def grow_after(file):
        status = look(file)
        with open(tmp_path / "a", "ab") as more:
            more.write(grown)
        return status

    monkeypatch.setattr(os, "fstat", grow_after)
    if len(grown) > 7:
        with pytest.raises(ImageError, match="grew over 10 bytes"):
            folder.read(b"a", 10)
    else:
        assert folder.read(b"a", 10) == b"one" + grown


def test_short_reads_are_joined(folder, tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(bytes(range(256)))
    read = os.read
    monkeypatch.setattr(os, "read", lambda file, size: read(file, min(size, 7)))
    assert folder.read(b"a", 256) == bytes(range(256))


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_link(path: Path) -> None:
    path.symlink_to(path.parent / "real")


@pytest.mark.parametrize("make", [Path.mkdir, make_fifo, make_socket, make_link])
def test_only_regular_files_are_read(folder, tmp_path, make, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    (tmp_path / "real").write_bytes(b"real")
    make(Path("odd"))
    with pytest.raises(ImageError) as caught:
        folder.read(b"odd", 100)
    assert (caught.value.kind, caught.value.message) == (Kind.UNREADABLE, "not a regular file")


def test_what_is_missing_is_missing(folder):
    with pytest.raises(FileNotFoundError):
        folder.read(b"a", 1)
    with pytest.raises(FileNotFoundError):
        folder.size(b"x/a")
    assert not folder.exists(b"a")
    assert not folder.exists(b"x/a")
    assert not folder.remove(b"x/a")


def test_remove_takes_the_link_and_leaves_what_it_points_to(folder, tmp_path):
    (tmp_path / "real").write_bytes(b"real")
    make_link(tmp_path / "link")
    assert folder.exists(b"link")
    assert folder.remove(b"link")
    assert not folder.remove(b"link")
    assert names_below(tmp_path) == {"real"}


# --- staying inside -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [b"", b".", b"..", b"/", b"/etc/passwd", b"../a", b"x/../../a", b"x/./a", b"x//a"]
)
def test_a_name_that_might_leave_the_folder_is_an_error_of_ours(folder, name):
    for use in (folder.exists, folder.remove, folder.create, lambda name: folder.read(name, 1)):
        with pytest.raises(ValueError, match=r"not (a|the) relative"):
            use(name)
    with pytest.raises(ValueError, match=r"not (a|the) relative"):
        folder.commit(name, TEMPORARY, b"", yes)


@pytest.mark.parametrize("temporary", [b"x/tmp", b"/tmp/x"])
def test_the_temporary_name_is_a_bare_one(folder, temporary):
    with pytest.raises(ValueError, match="not the name"):
        folder.commit(b"a", temporary, b"", yes)


@pytest.mark.parametrize("relative", [b"..", b"/tmp", b"a/../b", b"a//b"])
def test_a_relative_folder_is_checked(tmp_path, relative):
    with pytest.raises(ValueError, match="not a relative folder"):
        Folder(os.fsencode(tmp_path), relative)


def test_links_above_the_root_are_followed_and_below_it_are_not(tmp_path):
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "real" / "sub" / "a").write_bytes(b"inside")
    (tmp_path / "root").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "link").symlink_to(tmp_path / "real" / "sub")
    root = os.fsencode(tmp_path / "root")
    with Folder(root, b"") as folder:
        assert folder.read(b"sub/a", 10) == b"inside"
        with pytest.raises(NotADirectoryError):
            folder.read(b"link/a", 10)
        with pytest.raises(NotADirectoryError):
            folder.commit(b"link/b", TEMPORARY, b"", yes)
        assert not folder.exists(b"link/a")
    with pytest.raises(NotADirectoryError, match="links below a root are not followed"):
        Folder(root, b"link")


def test_a_link_swapped_in_meanwhile_is_not_followed(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "a").write_bytes(b"secret")
    (root / "sub" / "a").write_bytes(b"inside")
    with Folder(os.fsencode(root), b"") as folder:
        assert folder.read(b"sub/a", 10) == b"inside"
        (root / "sub" / "a").unlink()
        (root / "sub").rmdir()
        (root / "sub").symlink_to(outside)
        with pytest.raises(NotADirectoryError):
            folder.read(b"sub/a", 10)
        with pytest.raises(NotADirectoryError):
            folder.commit(b"sub/b", TEMPORARY, b"", yes)
    assert names_below(outside) == {"a"}


def test_a_missing_folder_and_one_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError):
        Folder(os.fsencode(tmp_path), b"none")
    with pytest.raises(NotADirectoryError):
        Folder(os.fsencode(tmp_path), b"file")
    with Folder(os.fsencode(tmp_path), b"a/b/c", make=True) as made:
        made.create(b"x")
    assert names_below(tmp_path) == {"file", "a/b/c/x"}


# --- descriptors --------------------------------------------------------------------------------


def test_few_folders_stay_open_and_none_after_close(folder, tmp_path):
    before = open_descriptors()
    for number in range(limits.DIRECTORY_CACHE * 3):
        folder.commit(b"%d/sub/a" % number, TEMPORARY, b"%d" % number, yes)
    assert open_descriptors() - before < limits.DIRECTORY_CACHE
    assert folder.read(b"0/sub/a", 9) == b"0"
    folder.close()
    assert open_descriptors() < before
    assert folder.read(b"7/sub/a", 9) == b"7"  # opens anew


def test_a_failed_open_leaves_no_descriptor(folder, tmp_path):
    (tmp_path / "x").mkdir()
    folder.exists(b"x/y/a")
    before = open_descriptors()
    for _ in range(50):
        folder.exists(b"x/y/z/a")
        with pytest.raises(FileNotFoundError):
            Folder(os.fsencode(tmp_path), b"x/none")
    assert open_descriptors() == before


def test_a_replaced_folder_is_opened_anew(folder, tmp_path):
    assert folder.commit(b"x/y/a", TEMPORARY, b"old", yes)
    (tmp_path / "x").rename(tmp_path / "gone")
    (tmp_path / "gone" / "y" / "a").unlink()
    (tmp_path / "gone" / "y").rmdir()
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "a").write_bytes(b"new")
    assert folder.read(b"x/y/a", 9) == b"new"


def test_a_removed_folder_is_made_again_by_a_commit(folder, tmp_path):
    assert folder.commit(b"x/y/a", TEMPORARY, b"old", yes)
    (tmp_path / "x" / "y" / "a").unlink()
    (tmp_path / "x" / "y").rmdir()
    assert folder.commit(b"x/y/a", TEMPORARY, b"new", yes)
    assert folder.read(b"x/y/a", 9) == b"new"


def test_the_folder_itself_is_not_made_again(tmp_path):
    (tmp_path / "out").mkdir()
    with Folder(os.fsencode(tmp_path), b"out") as folder:
        (tmp_path / "out").rmdir()
        with pytest.raises(FileNotFoundError):
            folder.commit(b"x/a", TEMPORARY, b"", yes)
    assert os.listdir(tmp_path) == []


def test_a_tree_deeper_than_python_recurses(folder):
    name = b"/".join([b"d"] * 2000 + [b"a"])
    try:
        assert folder.commit(name, TEMPORARY, b"deep", yes)
        assert folder.read(name, 9) == b"deep"
    finally:  # pytest's own clean-up recurses, and would not get to its end
        subprocess.run(["rm", "-rf", folder.path + b"/d"], check=True)


@pytest.fixture
def few_descriptors():
    """A real limit: so many more than there are may be open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_descriptors() + 30, before[1]))
    yield 30
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_folders_that_share_give_up_what_is_kept_where_none_is_left(tmp_path, few_descriptors):
    kept = KeptOpen(1000)
    folders = [Folder(os.fsencode(tmp_path), b"%d" % n, make=True, kept=kept) for n in range(5)]
    for number in range(40):
        for folder in folders:
            assert folder.commit(b"%d/x/a" % number, TEMPORARY, b"%d" % number, yes)
            assert folder.read(b"%d/x/a" % number, 9) == b"%d" % number
            assert folder.exists(b"0/x/a")
            os.close(folder.open_folder(b"1/x" if number else b"0/x"))
    more = [Folder(os.fsencode(tmp_path), b"%d" % (n % 5), kept=kept) for n in range(100)]
    assert all(folder.exists(b"0/x/a") for folder in (*folders, *more))
    assert 0 < len(kept) <= few_descriptors
    kept.close()


def test_folders_that_share_have_room_for_so_many_together(tmp_path):
    before, kept = open_descriptors(), KeptOpen(10)
    folders = [Folder(os.fsencode(tmp_path), b"%d" % n, make=True, kept=kept) for n in range(4)]
    for number in range(20):
        for folder in folders:
            assert folder.commit(b"%d/a" % number, TEMPORARY, b"", yes)
    assert open_descriptors() - before == len(kept) == 10
    for folder in folders:
        folder.close()
    assert (open_descriptors(), len(kept)) == (before, 0)


# --- commit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fsync", [False, True])
@pytest.mark.parametrize("name", [b"a.jpg", b"x/y/" + NOT_UTF8])
def test_commit_puts_the_data_in_place_and_leaves_nothing_else(folder, tmp_path, name, fsync):
    for data in (b"first", b"", bytearray(b"second"), memoryview(b"third")):
        assert folder.commit(name, TEMPORARY, data, yes, fsync)
        assert folder.read(name, 100) == bytes(data)
        assert names_below(tmp_path) == {os.fsdecode(name)}


def test_the_mode_follows_the_umask(folder, tmp_path):
    before = os.umask(0o027)
    try:
        folder.commit(b"a", TEMPORARY, b"", yes)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_what_is_no_longer_valid_is_not_committed(folder, tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    assert not folder.commit(b"a", TEMPORARY, b"new", lambda: False)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names_below(tmp_path) == {"a"}


def test_validity_is_asked_when_all_is_written(folder, tmp_path):
    seen = []

    def look() -> bool:
        seen.append((tmp_path / os.fsdecode(TEMPORARY)).read_bytes())
        return True

    assert folder.commit(b"a", TEMPORARY, b"whole", look)
    assert seen == [b"whole"]


def test_removing_the_temporary_file_fences_an_attempt_off(folder, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a").write_bytes(b"other")
    with Folder(os.fsencode(tmp_path), b"") as coordinator:
        assert not folder.commit(b"x/a", TEMPORARY, b"late", lambda: coordinator.remove(b"x/" + TEMPORARY))
    assert (tmp_path / "x" / "a").read_bytes() == b"other"
    assert names_below(tmp_path) == {"x/a"}


@pytest.mark.parametrize("room", [1, 2, 64])
def test_what_validity_asks_of_the_same_folder_disturbs_no_commit(tmp_path, room):
    """The mark of the output directory is gone: to look for it opens anew, and closes what was kept."""
    before, kept = open_descriptors(), KeptOpen(room)
    folder = Folder(os.fsencode(tmp_path), b"", kept=kept)
    (tmp_path / "mark").touch()
    names = [b"a", *(b"%d/sub/a" % number for number in range(limits.DIRECTORY_CACHE + 5))]
    for name in names:
        assert folder.commit(name, TEMPORARY, name, lambda: folder.exists(b"mark"))
    (tmp_path / "mark").unlink()
    for name in (*names, b"new/sub/a"):
        assert not folder.commit(name, TEMPORARY, b"late", lambda: folder.exists(b"mark"))
        assert not folder.commit(
            name, TEMPORARY, b"late", lambda: any(folder.exists(other + b"?") for other in names[::9])
        )
    assert all(folder.read(name, 99) == name for name in names)
    assert names_below(tmp_path) == {name.decode() for name in names}
    folder.close()
    assert open_descriptors() == before


def test_a_folder_that_vanishes_under_a_commit_is_an_error_and_not_a_fence(folder, tmp_path):
    def vanish() -> bool:
        (tmp_path / "x").rename(tmp_path / "moved")
        (tmp_path / "moved" / os.fsdecode(TEMPORARY)).unlink()
        (tmp_path / "x").mkdir()
        return True

    with pytest.raises(FileNotFoundError):
        folder.commit(b"x/a", TEMPORARY, b"", vanish)


def test_a_temporary_file_left_behind_is_replaced(folder, tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"untouched")
    (tmp_path / os.fsdecode(TEMPORARY)).symlink_to(tmp_path / "elsewhere")
    assert folder.commit(b"a", TEMPORARY, b"new", yes)
    assert (tmp_path / "elsewhere").read_bytes() == b"untouched"
    assert names_below(tmp_path) == {"a", "elsewhere"}


def test_a_target_that_is_a_link_is_replaced_and_not_followed(folder, tmp_path):
    (tmp_path / "real").write_bytes(b"untouched")
    (tmp_path / "a").symlink_to(tmp_path / "real")
    assert folder.commit(b"a", TEMPORARY, b"new", yes)
    assert (tmp_path / "real").read_bytes() == b"untouched"
    assert not (tmp_path / "a").is_symlink()


def test_a_target_that_is_a_folder_stays(folder, tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        folder.commit(b"a", TEMPORARY, b"new", yes)
    assert os.listdir(tmp_path) == ["a"]


def test_a_write_that_fails_half_way_leaves_nothing(folder, tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    before = open_descriptors()
    with small_files(), pytest.raises(OSError, match="too large") as caught:
        folder.commit(b"a", TEMPORARY, bytes(FILE_SIZE_MAX + 1), yes)
    assert caught.value.errno == errno.EFBIG
    with small_files(), pytest.raises(OSError, match="too large"):
        folder.create(b"b", bytes(FILE_SIZE_MAX + 1))
    assert open_descriptors() == before
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names_below(tmp_path) == {"a"}


def test_short_writes_are_continued(folder, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:7]))
    assert folder.commit(b"a", TEMPORARY, bytes(range(256)), yes)
    assert folder.read(b"a", 256) == bytes(range(256))


def test_an_error_in_the_question_leaves_nothing(folder, tmp_path):
    with pytest.raises(ZeroDivisionError):
        folder.commit(b"a", TEMPORARY, b"new", lambda: bool(1 // 0))
    assert names_below(tmp_path) == set()


def test_many_make_the_same_folders_at_once(tmp_path):
    start = threading.Barrier(8)

    def commit(number: int) -> None:
        with Folder(os.fsencode(tmp_path), b"") as folder:
            start.wait()
            for depth in range(30):
                name = b"/".join([b"%d" % depth] * 5) + b"/%d" % number
                assert folder.commit(name, b"%d.tmp" % number, name, yes)

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names_below(tmp_path)) == 8 * 30


def test_create_is_exclusive(folder, tmp_path):
    folder.create(b"nonce", b"x")
    with pytest.raises(FileExistsError):
        folder.create(b"nonce", b"y")
    assert (tmp_path / "nonce").read_bytes() == b"x"


# --- problem ------------------------------------------------------------------------------------


def test_no_problem_and_nothing_left_behind(folder, tmp_path):
    assert folder.problem() == ""
    assert names_below(tmp_path) == set()


def test_a_full_disk_is_a_problem(folder, tmp_path):
    with small_files():
        problem = folder.problem()
    assert problem == "file too large"  # this system's limit stands in for the disk's
    assert names_below(tmp_path) == set()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "read-only file system"),
        (errno.ENOSPC, "no space left on device"),
        (errno.EACCES, "permission denied"),
    ],
)
def test_a_problem_is_told_in_the_words_of_the_system(folder, monkeypatch, number, words):
    def fail(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", fail)
    assert folder.problem() == words


def test_a_folder_that_is_gone_is_a_problem(tmp_path):
    (tmp_path / "out").mkdir()
    with Folder(os.fsencode(tmp_path), b"out") as folder:
        (tmp_path / "out").rmdir()
        assert folder.problem() == "no such file or directory"


def test_a_folder_that_may_not_be_written_is_a_problem(tmp_path):
    tmp_path.chmod(0o555)
    asking = (
        "import sys; from imgpipe.storage import Folder as F; print(F(sys.argv[1].encode(), b'').problem())"
    )
    asked = subprocess.run(
        [sys.executable, "-c", asking, str(tmp_path)],
        preexec_fn=give_up_rights,  # nothing would be denied to root
        capture_output=True,
        text=True,
        check=True,
    )
    tmp_path.chmod(0o755)
    assert asked.stdout == "permission denied\n"
