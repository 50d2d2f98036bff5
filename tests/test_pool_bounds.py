"""Pools of real processes that are given little: what is over a bound is too large, and nothing else is."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from imgpipe import limits
from imgpipe.imaging.bounds import USUAL, Bounds
from imgpipe.imaging.codecs import CODECS
from imgpipe.imaging.codecs.ceiling import Ceiling
from imgpipe.imaging.recipe import Recipe
from tests.pools import Rig, Site, job_of

pytestmark = pytest.mark.usefixtures("operations_of_tests")

LITTLE = Bounds(memory=limits.MEMORY_LEAST)
SIDE = 4500  # pixels: in 8-bit colour nearly all there is of LITTLE, and no room for a decoder beside it

#: Formats whose decoders take more, each in its own way: as C libraries, as OpenCV, as NumPy.
LARGE: dict[str, tuple[str, list[int]]] = {
    "progressive.jpg": ("uint8", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
    "lossy.webp": ("uint8", [cv2.IMWRITE_WEBP_QUALITY, 50]),
    "deep.png": ("uint16", [cv2.IMWRITE_PNG_COMPRESSION, 1]),
    "float.tif": ("float32", []),
    "plain.bmp": ("uint8", []),
}


def run(
    site: Site,
    operations: Sequence[str],
    test: Callable[[Rig], Awaitable[None]],
    bounds: Bounds = LITTLE,
    format: str | None = None,
) -> None:
    async def main() -> None:
        job = job_of(Recipe.from_options(operations, format).array())
        async with Rig(site, job, slots=1, bounds=bounds) as rig:
            await test(rig)

    asyncio.run(main())


def add(site: Site, name: str, picture: Any, options: Sequence[int] = ()) -> int:
    """Its number."""
    suffix = name.rpartition(".")[2]
    ok, data = cv2.imencode(f".{suffix}", picture, list(options))
    assert ok
    (site.source / name).write_bytes(data.tobytes())
    number = len(site.items)
    site.items.append((number, number + 1000, name.encode(), len(data)))
    return number


def of_process(pid: int, what: str) -> bytes:
    return Path(f"/proc/{pid}/{what}").read_bytes()


# --- memory -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_memory_that_runs_out_while_decoding_is_too_large_whoever_noticed(tmp_path: Path) -> None:
    """The one process of the pool does them all, and a small picture after each."""
    site, large = Site(tmp_path), {}
    for name, (depth, options) in LARGE.items():
        large[add(site, name, np.full((SIDE, SIDE, 3), 77, depth), options)] = name
        site.add(5)

    async def test(rig: Rig) -> None:
        before = rig.pool.pids
        rig.put()
        await rig.settled(len(site.items))
        assert {large[task] for task, _ in rig.answers.failed} == set(LARGE)
        for kind, words, again in rig.answers.failed.values():
            assert (kind, again) == ("too_large", True)
            assert words.startswith("out of memory")
            assert words.endswith(
                "; a process here may take 64 MiB: --max-memory, or fewer --slots, "
                "where the worker is started gives it more"
            )
        assert len(rig.answers.done) == len(LARGE)
        assert rig.pool.pids == before

    run(site, ["identity"], test)


@pytest.mark.parametrize("operation", ["resize:size=20000x20000", "grow:mb=500"])
def test_memory_that_runs_out_in_an_operation(tmp_path: Path, operation: str) -> None:
    site = Site(tmp_path, [5, 6])

    async def test(rig: Rig) -> None:
        before = rig.pool.pids
        rig.put()
        await rig.settled(2)
        assert {failed[0] for failed in rig.answers.failed.values()} == {"too_large"}
        assert len(rig.answers.failed) == 2
        assert rig.pool.pids == before

    run(site, [operation], test)


def test_memory_that_runs_out_while_encoding(tmp_path: Path) -> None:
    """There is room for the picture, and not for what the encoder makes of it."""
    site = Site(tmp_path)
    add(site, "large.png", np.full((4000, 4000), 77, np.uint8))
    site.add(5)

    async def test(rig: Rig) -> None:
        rig.put()
        await rig.settled(2)
        assert [failed[0] for failed in rig.answers.failed.values()] == ["too_large"]
        assert rig.answers.done == [(1, 1001)]

    run(site, ["identity"], test, format="webp")


@pytest.mark.slow
def test_what_fits_is_done_again_and_again_after_what_does_not(tmp_path: Path) -> None:
    """Nothing of the failed ones is left in the process: most of its room is there every time."""
    site, fitting = Site(tmp_path), []
    for number in range(4):
        add(
            site,
            f"large{number}.jpg",
            np.full((5200, 5200, 3), 77, np.uint8),
            [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
        )
        fitting.append(add(site, f"fitting{number}.bmp", np.full((3000, 3000, 3), 77, np.uint8)))

    async def test(rig: Rig) -> None:
        rig.put()
        await rig.settled(8)
        assert sorted(task for task, _ in rig.answers.done) == fitting

    run(site, ["identity"], test, Bounds(memory=130 << 20))


def test_the_limit_counts_from_what_a_process_starts_with(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        (pid,) = rig.pool.pids
        soft, hard = resource.prlimit(pid, resource.RLIMIT_AS)
        pages = int(of_process(pid, "statm").split()[0])
        assert soft == pytest.approx(pages * resource.getpagesize() + limits.MEMORY_LEAST, abs=8 << 20)
        assert hard == resource.getrlimit(resource.RLIMIT_AS)[1]

    run(Site(tmp_path), ["identity"], test)


# --- pixels and formats -----------------------------------------------------------------------------


def test_a_picture_over_the_ceiling_is_too_large_and_not_tried_again(tmp_path: Path) -> None:
    site = Site(tmp_path, [25, 26])  # by 4

    async def test(rig: Rig) -> None:
        rig.put()
        await rig.settled(2)
        assert rig.answers.done == [(0, 1000)]
        [(kind, _, again)] = rig.answers.failed.values()
        assert (kind, again) == ("too_large", False)

    run(site, ["identity"], test, USUAL.limited(100))


def test_opencv_itself_is_started_with_the_ceiling(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        (pid,) = rig.pool.pids
        given = of_process(pid, "environ").split(b"\0")
        assert b"OPENCV_IO_MAX_IMAGE_PIXELS=12345" in given
        assert b"OPENCV_IO_MAX_IMAGE_WIDTH=%d" % limits.IMAGE_SIDE_MAX in given
        assert b"OPENCV_IO_MAX_IMAGE_HEIGHT=%d" % limits.IMAGE_SIDE_MAX in given

    run(Site(tmp_path), ["identity"], test, USUAL.limited(12_345))


def test_formats_that_are_switched_off_are_not_offered(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        missing = set(CODECS) - set(rig.pool.offer.codecs)
        assert missing >= {"jpg", "jpeg", "webp"}
        assert missing.isdisjoint({"png", "tif", "tiff", "bmp"})

    run(Site(tmp_path), ["identity"], test, Bounds(Ceiling(off=frozenset({"jpeg", "webp"}))))
