"""One image of a job, on a real file system: what is committed, what is blamed, and what is left behind."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from imgpipe import limits
from imgpipe.errors import ImageError, Kind, Note, ProtocolError, UsageError
from imgpipe.imaging import task
from imgpipe.imaging.bounds import USUAL, Bounds
from imgpipe.imaging.operations import Step
from imgpipe.imaging.recipe import Recipe
from imgpipe.imaging.task import Committed, Outcome, Stale, Unprocessed, Unseen, Workplace
from imgpipe.protocol import Job
from imgpipe.storage import Folder, KeptOpen, nonce_name, temporary_name

JOB, ATTEMPT = "jobjobjobj", (7 << 32) | 1
NOISE = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
PNG = cv2.imencode(".png", NOISE)[1].tobytes()


def valid() -> bool:
    return True


class Place:
    """A root with a source, an output directory that bears the job's mark, and a workplace for them."""

    def __init__(self, root: Path, *operations: str, format: str | None = None) -> None:
        self.root, self.source, self.output = root, root / "in", root / "out"
        self.source.mkdir()
        self.output.mkdir()
        (self.source / "a.png").write_bytes(PNG)
        self.nonce = self.output / os.fsdecode(nonce_name(JOB))
        self.nonce.touch()
        recipe = Recipe.from_options(operations or ("invert",), format)
        samples = ((b"gone.png", 5), (b"a.png", len(PNG)))
        self.job = Job(JOB, False, "data", b"in", "data", b"out", recipe.array(), 60.0, samples)
        self.workplace = Workplace(self.job, {"data": os.fsencode(root)})

    def run(self, name: bytes = b"a.png", still_valid: Callable[[], bool] = valid, size: int = 9) -> Any:
        return self.workplace.run(3, ATTEMPT, name, size, still_valid)

    def left(self) -> set[str]:
        """Everything in the output directory but the mark."""
        found = {str(path.relative_to(self.output)) for path in self.output.rglob("*")}
        return found - {self.nonce.name}


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    made.workplace.close()


def failed(result: Any) -> tuple[str, str, bool]:
    assert isinstance(result, Unprocessed), result
    task, attempt, kind, message, again = result.row[:5]
    assert (task, attempt) == (3, ATTEMPT)
    return kind, message, again


# --- done ---------------------------------------------------------------------------------------


def test_an_image_is_committed_with_its_times(place):
    result = place.run()
    assert isinstance(result, Committed)
    assert result.row[:2] == (3, ATTEMPT)
    assert len(result.row) == 7
    assert min(result.row[2:7]) > 0
    written: Any = cv2.imdecode(np.fromfile(place.output / "a.png", np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(written, 255 - NOISE)
    assert place.left() == {"a.png"}


def test_the_tree_is_mirrored_and_the_suffix_follows_the_format(tmp_path):
    place = Place(tmp_path, "identity", format="bmp")
    (place.source / "x" / "y").mkdir(parents=True)
    odd = b"x/y/\xff\xfe not UTF-8.PNG"
    with open(os.path.join(os.fsencode(place.source), odd), "wb") as file:
        file.write(PNG)
    assert isinstance(place.run(odd), Committed)
    with open(os.path.join(os.fsencode(place.output), b"x/y/\xff\xfe not UTF-8.bmp"), "rb") as file:
        assert file.read(2) == b"BM"
    place.workplace.close()


def test_an_output_that_is_there_is_replaced(place):
    (place.output / "a.png").write_bytes(b"old")
    assert isinstance(place.run(), Committed)
    assert (place.output / "a.png").read_bytes() != b"old"


def test_an_empty_task_touches_nothing():
    job = Job(JOB, True, "nowhere", b"", "nowhere", b"", (), 0.0, ())
    workplace = Workplace(job, {})
    assert workplace.ready() == ""
    assert workplace.run(3, ATTEMPT, b"1", 0, valid) == Committed((3, ATTEMPT, 0, 0, 0, 0, 0))


# --- what the machine allows ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine", "asked", "limit"),
    [(600, 0, 0), (1000, 600, 0), (1000, 599, 599), (599, 0, 599), (599, 5000, 599)],
)
def test_a_job_may_only_lower_the_ceiling(place, monkeypatch, machine, asked, limit):
    """A picture of 600 pixels; ``limit`` is the one it breaks."""
    lowered = replace(Recipe.from_array(place.job.recipe), pixels_max=asked)
    monkeypatch.setattr(Recipe, "from_array", lambda array: lowered)
    roots = {"data": os.fsencode(place.root)}
    place.workplace = Workplace(place.job, roots, bounds=USUAL.limited(machine))
    if limit:
        kind, message, again = failed(place.run())
        assert (kind, again) == ("too_large", False)
        assert f"at most {limit} are read" in message
    else:
        assert isinstance(place.run(), Committed)


def test_where_memory_is_limited_the_message_says_how_to_have_more(place, monkeypatch):
    place.workplace = Workplace(place.job, {"data": os.fsencode(place.root)}, bounds=Bounds(memory=3 << 29))
    monkeypatch.setattr(Folder, "read", raising(MemoryError()))
    kind, message, again = failed(place.run())
    assert (kind, again) == ("too_large", True)
    assert message.startswith("out of memory; a process here may take 1.5 GiB: --max-memory")
    monkeypatch.undo()
    long = ImageError(Kind.TOO_LARGE, "x" * limits.TEXT_MAX, again=True)
    monkeypatch.setattr(task, "run", outcome(None, long))
    message = failed(place.run())[1]
    assert len(message) <= limits.TEXT_MAX
    assert message.endswith("gives it more")
    monkeypatch.setattr(task, "run", outcome(None, ImageError(Kind.TOO_LARGE, "10 pixels")))
    assert failed(place.run())[1] == "10 pixels"


# --- notes ----------------------------------------------------------------------------------------

NOTED = ((Note.ALPHA, "gone"), (Note.WARNING, "x" * 1000))
CUT = ("warning", "x" * limits.NOTE_MAX)


def outcome(data: bytes | None, failure: ImageError | None = None) -> Callable[..., Outcome]:
    return lambda *_, **__: Outcome(data, failure, (0, 1, 2, 3, 0), NOTED)


def test_notes_are_carried_with_the_row(place, monkeypatch):
    monkeypatch.setattr(task, "run", outcome(PNG))
    assert place.run().row[7] == (("alpha", "gone"), CUT)
    assert place.left() == {"a.png"}


def test_a_failed_image_keeps_what_is_said_of_its_file(place, monkeypatch):
    monkeypatch.setattr(task, "run", outcome(None, ImageError(Kind.TRUNCATED, "it ends early")))
    result = place.run()
    assert isinstance(result, Unprocessed)
    assert result.row == (3, ATTEMPT, "truncated", "it ends early", False, (CUT,))
    assert place.left() == set()


# --- the image ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"),
    [(b"", "unreadable"), (b"text\n" * 50, "unreadable"), (PNG[:-20], "truncated"), (PNG[:20], "truncated")],
)
def test_a_bad_image_fails_alone(place, data, kind):
    (place.source / "bad.png").write_bytes(data)
    assert failed(place.run(b"bad.png"))[0] == kind
    assert place.left() == set()
    assert isinstance(place.run(), Committed)


def test_an_image_that_is_gone_is_missing(place):
    kind, message, again = failed(place.run(b"x/gone.png"))
    assert (kind, again) == ("missing", False)
    assert "no such file" in message


def test_a_link_a_folder_and_a_fifo_are_no_images(place):
    (place.source / "link.png").symlink_to("a.png")
    (place.source / "folder.png").mkdir()
    os.mkfifo(place.source / "fifo.png")
    for name in (b"link.png", b"folder.png", b"fifo.png"):
        assert failed(place.run(name)) == ("unreadable", "not a regular file", False)


def test_a_file_over_the_limit_is_not_read(place, monkeypatch):
    assert failed(place.run(size=limits.IMAGE_BYTES_MAX + 1))[0] == "too_large"
    monkeypatch.setattr(limits, "IMAGE_BYTES_MAX", 10)
    assert failed(place.run())[0] == "too_large"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            ("unreadable", "cannot be read: permission denied", False),
        ),
        (MemoryError(), ("too_large", "out of memory", True)),
        (
            OSError(errno.EIO, "Input/output error"),
            ("missing", "gone since it was listed: input/output error", False),
        ),
        (
            OSError(errno.EMFILE, "Too many open files"),
            ("unreadable", "cannot be read: too many open files", True),
        ),
        (OSError(errno.ENOMEM, "No memory"), ("unreadable", "cannot be read: no memory", True)),
    ],
)
def test_what_reading_may_say(place, monkeypatch, error, expected):
    monkeypatch.setattr(Folder, "read", raising(error))
    assert failed(place.run()) == expected


def raising(error: BaseException) -> Any:
    def call(*_: Any, **__: Any) -> Any:
        raise error

    return call


# --- the output ---------------------------------------------------------------------------------


def test_a_folder_in_place_of_the_output_is_unwritable(place):
    (place.output / "a.png").mkdir()
    kind, message, _ = failed(place.run())
    assert (kind, message) == ("unwritable", "cannot be written: is a directory")
    assert place.left() == {"a.png"}


def test_a_file_in_place_of_a_folder_is_unwritable(place):
    (place.source / "x").mkdir()
    (place.source / "x" / "a.png").write_bytes(PNG)
    (place.output / "x").write_bytes(b"a file")
    assert failed(place.run(b"x/a.png"))[0] == "unwritable"
    assert place.left() == {"x"}


def test_a_name_that_becomes_too_long_is_unwritable(tmp_path):
    place = Place(tmp_path, "identity", format="jpeg")
    name = b"n" * (limits.NAME_PART_MAX - 4) + b".png"
    with open(os.path.join(os.fsencode(place.source), name), "wb") as file:
        file.write(PNG)
    kind, message, _ = failed(place.run(name))
    assert kind == "unwritable"
    assert message.startswith("its output cannot be called 'nnnn")
    assert message.endswith("': at most 255 bytes a part, 4096 in all, and no part . or ..")
    assert place.left() == set()
    place.workplace.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_where_nothing_can_be_written_the_image_goes_back(place, monkeypatch, number):
    assert place.workplace.ready() == ""
    monkeypatch.setattr(os, "write", raising(OSError(number, os.strerror(number))))
    result = place.run()
    assert isinstance(result, Unseen)
    assert result.why == f"{place.output}: {os.strerror(number)[:1].lower()}{os.strerror(number)[1:]}"
    assert place.left() == set()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_what_a_process_has_too_little_of_is_not_the_fault_of_the_image(place, monkeypatch, number):
    monkeypatch.setattr(Folder, "commit", raising(OSError(number, os.strerror(number))))
    kind, _, again = failed(place.run())
    assert (kind, again) == ("unwritable", True)


def test_many_jobs_of_many_folders_with_few_descriptors(tmp_path):
    """All that is kept open, for whichever job, is given up for the image that needs a descriptor."""
    kept, places = KeptOpen(1000), []
    for number in range(5):
        (tmp_path / f"{number}").mkdir()
        place = Place(tmp_path / f"{number}", "identity")
        place.workplace = Workplace(place.job, {"data": os.fsencode(place.root)}, kept)
        assert isinstance(place.run(), Committed)
        for folder in range(20):
            (place.source / f"{folder}").mkdir()
            (place.source / f"{folder}" / "a.png").write_bytes(PNG)
        places.append(place)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 20, before[1]))
    try:
        for folder in range(20):
            for place in places:
                assert isinstance(place.run(b"%d/a.png" % folder), Committed)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for place in places:
            place.workplace.close()
    assert len(kept) == 0


def test_nothing_is_committed_once_it_is_no_longer_valid(place):
    assert place.run(still_valid=lambda: False) == Stale()
    assert place.left() == set()


def test_validity_is_asked_when_everything_is_written(place):
    seen: list[set[str]] = []

    def watched() -> bool:
        seen.append(place.left())
        return True

    assert isinstance(place.run(still_valid=watched), Committed)
    assert seen == [{os.fsdecode(temporary_name(JOB, ATTEMPT))}]


def test_an_attempt_whose_temporary_file_was_removed_commits_nothing_and_says_so(place):
    def fenced() -> bool:
        (place.output / os.fsdecode(temporary_name(JOB, ATTEMPT))).unlink(missing_ok=True)
        return True

    kind, message, again = failed(place.run(still_valid=fenced))
    assert (kind, again) == ("unwritable", True)
    assert "temporary file was removed" in message
    assert place.left() == set()


# --- the folders --------------------------------------------------------------------------------


def test_ready_sees_the_mark_and_one_sample(place):
    assert place.workplace.ready() == ""
    assert place.left() == set()


def test_without_its_mark_the_output_is_another_one(place):
    place.nonce.unlink()
    assert "its mark is not there" in place.workplace.ready()
    result = place.run()
    assert isinstance(result, Unseen)
    assert str(place.output) in result.why


def test_a_mark_that_vanishes_in_mid_job_stops_the_commit(place):
    assert isinstance(place.run(), Committed)
    (place.output / "a.png").unlink()
    place.nonce.unlink()
    assert isinstance(place.run(), Unseen)
    assert place.left() == set()


def test_without_a_sample_the_source_is_another_one(place):
    (place.source / "a.png").write_bytes(PNG + b"grown")
    assert "does not hold the images of this job" in place.workplace.ready()


def test_a_folder_that_is_not_there_is_named(place):
    place.output.rename(place.root / "elsewhere")
    assert place.workplace.ready() == f"{place.output}: no such file or directory"
    assert isinstance(place.run(), Unseen)
    (place.root / "elsewhere").rename(place.output)
    assert isinstance(place.run(), Committed)


def test_a_source_that_goes_away_is_not_the_fault_of_its_images(place):
    assert isinstance(place.run(), Committed)
    place.source.rename(place.root / "elsewhere")
    place.source.mkdir()
    assert isinstance(place.run(b"b.png"), Unseen)


def test_an_image_that_was_the_only_sample_is_missing_all_the_same(place):
    assert place.workplace.ready() == ""
    (place.source / "a.png").unlink()
    assert failed(place.run())[0] == "missing"


def test_a_full_disk_is_seen_before_the_first_image(place, monkeypatch):
    monkeypatch.setattr(os, "write", raising(OSError(errno.ENOSPC, "No space left on device")))
    assert place.workplace.ready() == f"{place.output}: no space left on device"


def test_a_job_that_cannot_be_done_here_is_refused_at_once(place):
    with pytest.raises(UsageError, match=r"no root 'data' here .there is photos.: .* --root data=PATH"):
        Workplace(place.job, {"photos": b"/"})
    with pytest.raises(UsageError, match="unknown operation 'nowhere'"):
        Workplace(replace(place.job, recipe=Recipe((Step("nowhere", 1),)).array()), {"data": b"/"})
    with pytest.raises(ProtocolError, match="expected a recipe"):
        Workplace(replace(place.job, recipe=()), {"data": b"/"})
