"""A folder listed as a job lists it, a sample of it chosen by what headers say, and copied."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import cv2
import numpy as np
import pytest

from imgpipe import api, limits, storage
from imgpipe.errors import Kind
from imgpipe.jobs.intake import Plan, understand
from imgpipe.sampling.survey import File
from imgpipe.trial.gathering import Listed, chosen, copied, listed


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for number in range(30):
        picture = np.full((4 + number, 8, 3), number, np.uint8)
        cv2.imwrite(str(folder / f"{number:02}.png"), picture)
    cv2.imwrite(str(folder / "sub" / "deep.png"), np.zeros((9, 9, 3), np.uint16))
    cv2.imwrite(str(folder / "large.png"), np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))
    (folder / "notes.txt").write_text("no image")
    return folder


def plan_of(folder: Path, **options) -> Plan:
    request = api.request(folder, **options)
    return understand("try", request, storage.Roots(api.private_roots(request)))


def listing(plan: Plan, room: int = 12) -> Listed:
    return listed(plan, room, Random(0), lambda found: None)


@pytest.fixture
def opened(photos: Path) -> Iterator[storage.Folder]:
    with plan_of(photos).source.open() as folder:
        yield folder


def test_the_folder_as_a_job_lists_it(photos: Path):
    found = listing(plan_of(photos))
    assert (found.survey.count, found.ignored, found.lost_count) == (32, 1, 0)
    assert found.survey.bytes == sum(path.stat().st_size for path in photos.rglob("*.png"))
    assert listing(plan_of(photos, include=["0*"], exclude=["05*"])).survey.count == 9


def test_an_input_dir_alone_is_read(photos: Path):
    (photos / "input_dir").mkdir()
    (photos / "00.png").rename(photos / "input_dir" / "00.png")
    assert listing(plan_of(photos)).survey.count == 1


def test_what_cannot_be_looked_at_is_told(photos: Path):
    deep = photos
    for _ in range(limits.DEPTH_OF_FOLDERS_MAX + 1):
        deep = deep / "d"
    deep.mkdir(parents=True)
    found = listing(plan_of(photos))
    assert found.lost_count == 1
    assert "folders deep" in found.lost[0]


def test_each_entry_is_told(photos: Path):
    seen = []
    listed(plan_of(photos), 12, Random(0), lambda found: seen.append(found.survey.count))
    assert len(seen) == 33


def test_odd_images_are_found_by_their_headers(photos: Path, opened: storage.Folder):
    (photos / "lying.png").write_bytes(cv2.imencode(".jpg", np.zeros((16, 16), np.uint8))[1].tobytes())
    (photos / "broken.png").write_bytes((photos / "29.png").read_bytes()[:-20])
    sample = chosen(opened, listing(plan_of(photos)).survey, 12, Random(0))
    assert len(sample.files) == 12
    assert sample.why[b"sub/deep.png"] == ("16 bit",)
    assert sample.why[b"lying.png"] == (".png that is JPEG", "grey")
    assert sample.why[b"broken.png"] == ("truncated",)


def test_headers_of_large_files_are_not_read(
    photos: Path, opened: storage.Folder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "CANDIDATES_BYTES_MAX", 0)
    sample = chosen(opened, listing(plan_of(photos)).survey, 12, Random(0))
    assert all("16 bit" not in words for words in sample.why.values())


def test_copies_have_the_names_and_bytes_of_the_images(tmp_path: Path, photos: Path, opened: storage.Folder):
    files = [File(os.fsencode(name), 0) for name in ("00.png", "sub/deep.png", "gone.png")]
    os.mkfifo(photos / "fifo.png")
    files.append(File(b"fifo.png", 0))
    with storage.Folder(os.fsencode(tmp_path), b"copies", make=True) as target:
        copies = copied(opened, target, files)
    made = {path.relative_to(tmp_path / "copies") for path in (tmp_path / "copies").rglob("*.*")}
    assert made == {Path("00.png"), Path("sub/deep.png")}
    for name in made:
        assert (tmp_path / "copies" / name).read_bytes() == (photos / name).read_bytes()
    failures = {name: copy.failure.kind for name, copy in copies.items() if copy.failure}
    assert failures == {b"gone.png": Kind.MISSING, b"fifo.png": Kind.UNREADABLE}
    assert all(copy.seconds >= 0 for copy in copies.values())
