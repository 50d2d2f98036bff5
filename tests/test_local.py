"""Embedded clusters: every mode, with every mixture of loads that decides something, to its end."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import imgpipe
from imgpipe import blocking
from imgpipe.errors import UsageError
from imgpipe.facts import ImageDone, Tally
from imgpipe.local import LocalCluster, dealt
from tests.pictures import Site, check, edges, of, summed
from tests.processes import (
    Followed,
    alive,
    children,
)

MODES = ("random", "balanced", "redraw")
Submit = Callable[..., Awaitable[Any]]


def play(root: Path, loads: Sequence[float], main: Callable[[Submit], Awaitable[None]]) -> None:
    """A cluster with these loads, and a client of it."""

    async def whole() -> None:
        me = children(os.getpid())
        cluster = LocalCluster(slots=len(loads), loads=loads, delay_s=0.02, seed=7, roots={".": bytes(root)})
        async with cluster:

            async def submit(site: Site, **options: Any) -> Followed:
                return Followed(await cluster.client.submit(site.request(["edges"], **options)))

            await main(submit)
            pools = children(os.getpid()) - me
            assert len(pools) == len(loads)
        assert not alive(pools)

    asyncio.run(whole())


@pytest.mark.parametrize(
    "loads", [(1, 1, 1, 0), (1, 1, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0), (1, 1, 1, 1), (0.8, 0.6, 0.5, 0.2)]
)
def test_every_mode_ends(tmp_path: Path, loads: tuple[float, ...]) -> None:
    sites = {mode: Site(tmp_path / mode, 18) for mode in MODES}

    async def main(submit: Submit) -> None:
        for mode, site in sites.items():
            job = await submit(site, mode=mode)
            told = await job.end()
            ended = check(told, site)
            assert ended.total == 18
            judge(mode, loads, ended, told)

    play(tmp_path, loads, main)


def judge(mode: str, loads: tuple[float, ...], ended: Any, told: list[Any]) -> None:
    """What the coins must have led to, whatever they were."""
    delayed = sum(fact.delayed for fact in of(told, Tally))
    attempts = [fact.attempts for fact in of(told, ImageDone)]
    assert sum(attempts) == 18 + ended.rejections
    if mode == "random":
        assert (ended.rejections, ended.forced) == (0, 0)  # nobody may refuse
    elif set(loads) == {1}:
        assert (ended.forced, delayed) == (18, 18)
        assert min(attempts) > (64 if mode == "redraw" else 16)
    elif set(loads) <= {0, 1}:
        assert (ended.forced, delayed) == (0, 0)  # who takes an image has no load
        idle = {f"local{number}" for number, load in enumerate(loads, 1) if not load}
        assert {fact.worker for fact in of(told, ImageDone)} <= idle
    if set(loads) == {0}:
        assert (ended.rejections, delayed) == (0, 0)


def test_one_image_and_none(tmp_path: Path) -> None:
    sites = {(mode, count): Site(tmp_path / f"{mode}{count}", count) for mode in MODES for count in (0, 1)}

    async def main(submit: Submit) -> None:
        for (mode, count), site in sites.items():
            job = await submit(site, mode=mode)
            assert check(await job.end(), site).total == count

    play(tmp_path, (0.8, 0.6, 0.5, 0.2), main)


def test_several_jobs_at_once(tmp_path: Path) -> None:
    sites = [Site(tmp_path / str(number), 30) for number in range(4)]

    async def main(submit: Submit) -> None:
        jobs = [await submit(site, mode=MODES[number % 3]) for number, site in enumerate(sites)]
        for job, site in zip(jobs, sites, strict=True):
            check(await job.end(), site)

    play(tmp_path, (0.5, 0), main)


def test_run_is_one_call(tmp_path: Path) -> None:
    site = Site(tmp_path, 5)
    report = imgpipe.run(site.source, site.output, slots=2)
    assert (report.state, report.total, report.done, report.failures) == ("done", 5, 5, [])
    assert site.outputs() == site.names


def test_the_same_without_async(tmp_path: Path) -> None:
    site = Site(tmp_path, 5)
    with blocking.LocalCluster(slots=1, roots={".": bytes(tmp_path)}) as cluster:
        told = list(cluster.client.submit(site.request(["edges"])).facts())
    check(told, site, reference=edges)
    assert summed(told).done == 5


@pytest.mark.parametrize("wrong", [{"loads": ()}, {"loads": (1.5,)}, {"slots": 0}])
def test_what_is_no_cluster(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected"):
        LocalCluster(**wrong)


@pytest.mark.parametrize(
    ("slots", "workers", "each"), [(4, 4, [1, 1, 1, 1]), (5, 3, [2, 2, 1]), (1, 3, [1, 1, 1])]
)
def test_slots_are_dealt_out(slots: int, workers: int, each: list[int]) -> None:
    assert dealt(slots, workers) == each
