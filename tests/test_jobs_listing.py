"""The listing's thread: batches in order, no further ahead than asked, its end and its problems told."""

import asyncio
import errno
import re
import shutil
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imgpipe import limits, storage
from imgpipe.imaging.recipe import Recipe
from imgpipe.jobs import intake
from imgpipe.jobs.listing import AHEAD, Batch, Listing
from tests.wires import request

IDENTITY = Recipe.from_options(["identity"])


class Heard:
    """Batches, and a way to wait for them."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self._changed = asyncio.Event()

    def told(self, batch: Batch) -> None:
        self.batches.append(batch)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def everything(self, listing: Listing) -> None:
        """Ask for more until the listing has ended."""
        while not (self.batches and self.batches[-1].last):
            count = len(self.batches)
            listing.want(1000)
            await self.until(partial(self._more_than, count))

    def _more_than(self, count: int) -> bool:
        return len(self.batches) > count

    async def end(self) -> None:
        await self.until(lambda: bool(self.batches) and self.batches[-1].last)


Main = Callable[[Listing, Heard], Coroutine[Any, Any, None]]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(limits, "LISTING_BATCH", 10)
    (tmp_path / "photos").mkdir()
    for number in range(95):
        (tmp_path / "photos" / f"{number}.png").write_bytes(b"x" * number)
    (tmp_path / "photos" / ".hidden.png").touch()
    return tmp_path / "photos"


def planned(photos: Path, recipe: Recipe) -> intake.Plan:
    roots = storage.Roots({".": bytes(photos.parent)})
    return intake.understand("j", request(bytes(photos), recipe=recipe.array()), roots)


def listed(plan: intake.Plan, main: Main) -> None:
    async def whole() -> None:
        heard = Heard()
        collisions = intake.collisions(plan, folds_case=False)
        await main(Listing(plan, collisions, heard.told), heard)

    asyncio.run(whole())


def test_it_lists_everything_once(photos: Path) -> None:
    async def main(listing: Listing, heard: Heard) -> None:
        await heard.everything(listing)
        images = [image for batch in heard.batches for image in batch.images]
        assert sorted(images) == sorted((b"%d.png" % n, n) for n in range(95))
        assert [entry for batch in heard.batches for entry in batch.ignored] == [(b".hidden.png", "hidden")]
        assert all(batch.size <= 10 for batch in heard.batches)
        assert heard.batches[-1].problem == ""

    listed(planned(photos, IDENTITY), main)


def test_it_brings_no_more_than_there_is_room_for(photos: Path) -> None:
    async def main(listing: Listing, heard: Heard) -> None:
        listing.want(25)
        await heard.until(lambda: len(heard.batches) == 2)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(heard.batches) == 2
        listing.want(10_000)
        await heard.until(lambda: len(heard.batches) == 2 + AHEAD)
        listing.stop()

    listed(planned(photos, IDENTITY), main)


def test_a_collision_names_the_one_listed_first(photos: Path) -> None:
    (photos / "7.jpg").touch()

    async def main(listing: Listing, heard: Heard) -> None:
        await heard.everything(listing)
        ((name, kind, words),) = [failed for batch in heard.batches for failed in batch.failed]
        names = [image for batch in heard.batches for image, _ in batch.images]
        (first,) = {b"7.jpg", b"7.png"} - {name}
        assert kind == "collision"
        assert first in names
        assert name not in names
        assert first.decode() in words

    listed(planned(photos, Recipe.from_options(["identity"], "webp")), main)


def test_a_folder_that_goes_away_is_a_problem_told(photos: Path) -> None:
    async def main(listing: Listing, heard: Heard) -> None:
        await heard.end()
        assert "ended early: no such file or directory" in heard.batches[-1].problem

    plan = planned(photos, IDENTITY)
    shutil.rmtree(photos)
    listed(plan, main)


def test_what_could_not_be_read_is_a_problem_and_not_ignored_quietly(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("closed", "shut"):
        (photos / name).mkdir()

    def denied(level: Any, part: str, name: bytes) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("imgpipe.storage.listing._Level.down", denied)

    async def main(listing: Listing, heard: Heard) -> None:
        await heard.everything(listing)
        problem = heard.batches[-1].problem
        assert re.match(
            r"not everything could be read: (closed|shut) \(permission denied\) and 1 other", problem
        )
        assert sum(len(batch.images) for batch in heard.batches) == 95

    listed(planned(photos, IDENTITY), main)


def test_whatever_happens_in_the_thread_the_listing_ends(
    photos: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(Listing, "_walk", broken)

    async def main(listing: Listing, heard: Heard) -> None:
        await heard.everything(listing)
        assert heard.batches[-1].problem == "the listing failed: ZeroDivisionError: planted"

    listed(planned(photos, IDENTITY), main)


def test_a_stopped_listing_says_no_more(photos: Path) -> None:
    async def main(listing: Listing, heard: Heard) -> None:
        listing.stop()
        listing.want(1000)
        await asyncio.to_thread(listing._thread.join, 10)
        assert not listing._thread.is_alive()
        assert heard.batches == []

    listed(planned(photos, IDENTITY), main)
