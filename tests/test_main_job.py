"""The main job, whole and real: folders through fleets of processes, each output as plain OpenCV makes it."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from imgpipe.client import Client
from imgpipe.facts import ImageDone, Listed
from tests.pictures import Site, check, edges, of, summed
from tests.pools import Gate
from tests.processes import (
    connected,
    fleet,
)
from tests.wires import request
from tests.wiretap import Wiretap

PHOTOGRAPHS = Path(__file__).parent.parent / "data" / "input"

pytestmark = pytest.mark.usefixtures("operations_of_tests")


def test_the_photographs_as_plain_opencv_makes_them(tmp_path: Path) -> None:
    shutil.copytree(PHOTOGRAPHS, tmp_path / "data" / "input_dir")
    site = Site(tmp_path / "unused")
    site.source, site.output = tmp_path / "data" / "input_dir", tmp_path / "data" / "output_dir"

    async def main(address: str) -> None:
        async with connected(address) as submit:
            from imgpipe import api
            from imgpipe.imaging.recipe import Recipe

            asked = api.request(tmp_path / "data", recipe=Recipe.from_options(["edges"], "png"))
            job = await submit.client.submit(asked)  # type: ignore[attr-defined]
            told = [fact async for fact in job.facts()]
            ended = summed(told)
            assert (ended.total, ended.done, ended.state) == (12, 12, "done")

    with fleet(tmp_path, 2) as nodes:
        asyncio.run(main(nodes.address))
    stems = {path.stem for path in PHOTOGRAPHS.iterdir()}
    assert site.outputs() == {os.fsencode(f"{stem}.png") for stem in stems}
    for path in PHOTOGRAPHS.iterdir():
        became: Any = cv2.imread(str(site.output / f"{path.stem}.png"), cv2.IMREAD_COLOR)
        assert np.array_equal(became, edges(cv2.imread(str(path), cv2.IMREAD_COLOR))), path.name


@pytest.mark.slow
def test_two_thousand_small_images_through_two_loaded_workers(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", 2000)

    async def main(address: str, gates: list[Gate]) -> None:
        async with connected(address) as submit:
            job = await submit(site, ["gate", "edges"])
            busy = [await gate.begun(2) for gate in gates]
            assert len(set().union(*busy)) == 4  # all slots hold an image at this moment
            for gate in gates:
                gate.open()
            ended = check(await job.end(), site)
            assert ended.rejections >= 1

    with fleet(tmp_path, 2, "--slots", "2", "--load", "0.3", "--delay", "0.02", "--seed", "1") as nodes:
        asyncio.run(main(nodes.address, [Gate(folder) for folder in nodes.gates]))


@pytest.mark.slow
def test_a_small_job_gets_its_share_beside_a_large_one(tmp_path: Path) -> None:
    large, small = Site(tmp_path / "large", 8), Site(tmp_path / "small", 12)
    for number in range(8, 10_000):
        os.link(large.source / f"{number % 8}.png", large.source / f"{number}.png")

    async def main(address: str, tap: Wiretap) -> None:
        async with connected(address) as submit:
            first = await submit(large)
            await first.until(lambda told: len(of(told, ImageDone)) >= 500)
            second = await submit(small)
            check(await second.end(), small)
            assert len(of(first.told, ImageDone)) < 10_000  # it came in the middle
            check(await first.end(), large)
            assert of(first.told, Listed)
            order = [job for _, job, _ in sorted(tap.assigned)]
            places = [place for place, job in enumerate(order) if job == second.id]
            assert len(places) == 12
            assert 12 / (places[-1] - places[0] + 1) >= 0.4

    with Wiretap() as tap, fleet(tmp_path, 2, through=tap.through) as nodes:
        asyncio.run(main(nodes.address, tap))


def peak_kb(pid: int) -> int:
    """The most memory this process ever held."""
    words = Path(f"/proc/{pid}/status").read_text().split()
    return int(words[words.index("VmHWM:") + 1])


@pytest.mark.slow
def test_the_coordinators_memory_does_not_grow_with_the_job(tmp_path: Path) -> None:
    async def main(address: str, pid: int) -> None:
        async with await Client.connect(address) as client:
            peaks = []
            for count in (30_000, 120_000):
                report = await (await client.submit(request(count=count))).report()
                assert (report.state, report.done, report.failed) == ("done", count, 0)
                peaks.append(peak_kb(pid))
            assert peaks[1] - peaks[0] < 4_000  # 45 bytes for each task more: less than its name would take

    with fleet(tmp_path, 1, limits={"FACTS_RING": 4096, "FACTS_BEHIND": 2048}) as nodes:
        asyncio.run(main(nodes.address, nodes.coordinator.pid))
