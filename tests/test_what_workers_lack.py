"""Fleets in which not everyone can do everything: who gets the job, and what its owner reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imgpipe.facts import Ended, ImageDone
from imgpipe.imaging.operations import Step
from imgpipe.imaging.recipe import Recipe
from tests.pictures import Site, check, of
from tests.processes import Fleet, Followed, Process, fleet, run, start_worker

pytestmark = pytest.mark.usefixtures("operations_of_tests")

REDIAL = {"REDIAL_MAX_S": 0.3}


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Fleet]:
    """A worker that may be started again in another way."""
    with fleet(tmp_path, 1, limits=REDIAL) as nodes:
        yield nodes


async def restarted(nodes: Fleet, *options: str, env: dict[str, str] | None = None) -> None:
    """The first worker of a fleet comes back on its port with these options."""
    nodes.workers[0].kill()
    words = ("--port", str(nodes.ports[0]), "--slots", "1", *options)
    nodes.workers[0] = start_worker(nodes.gates[0].parent, nodes.root, nodes.gates[0], *words, env=env)
    nodes.workers[0].accepting()


def test_a_format_that_no_worker_writes_is_waited_for(tmp_path: Path) -> None:
    """The client says why, `status` says it too, and the job is done once the worker comes back with it."""
    site = Site(tmp_path / "site", 3)

    async def main(_: Any) -> None:
        words = ("-o", site.output, "-c", nodes.address, "--op", "identity", "--format", "webp")
        client = Process("submit", site.source, *words, cwd=tmp_path)
        try:
            await client.says("node1 at ")
            assert "no worker can do the job; it waits until one can:" in client.log
            assert "is aside: it does not write webp: start it without that --without" in client.log
            status = Process("status", "-c", nodes.address, "--json", cwd=tmp_path)
            [job] = json.loads(status.ended()[1])["jobs"]
            assert job["why"].startswith("no worker can do it yet; it does not write webp: ")
            await restarted(nodes)
            assert await client.ends() == 0
        finally:
            client.kill()
        assert {path.suffix for path in site.output.iterdir()} == {".webp"}

    with fleet(tmp_path, 1, "--without", "WebP", "--without", "bmp", limits=REDIAL) as nodes:
        run(nodes, main)


def test_an_operation_that_one_worker_lacks_is_done_by_the_other(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", 12)

    async def main(submit: Any) -> None:
        await restarted(nodes, env={"PYTHONPATH": ""})
        job = await submit(site, ["noted", "gate", "edges"])
        away = await job.changed("node1", "aside")
        assert away.reason == "it has no operation noted, gate: install the package that brings it there"
        nodes.open_gates()
        check(await job.end(), site)
        assert {fact.worker for fact in of(job.told, ImageDone)} == {"node2"}

    with fleet(tmp_path, 2, limits=REDIAL) as nodes:
        run(nodes, main)


def test_another_version_of_an_operation_is_said_by_the_worker_and_waited_for(
    one: Fleet, tmp_path: Path
) -> None:
    site = Site(tmp_path / "site", 3)

    async def main(submit: Any) -> None:
        newer = Recipe((Step("identity", 99),)).array()
        job = Followed(await submit.client.submit(replace(site.request(["identity"]), recipe=newer)))
        away = await job.changed("node1", "aside")
        assert away.reason == (
            "identity: the recipe was made with version 99 of this operation, here is version 1: "
            "install the same version of its package on every machine"
        )
        job.job.cancel(drain=False)
        [ended] = of(await job.end(), Ended)
        assert (ended.state, ended.remaining) == ("cancelled", 3)
        await job.leave()

    run(one, main)


@pytest.mark.parametrize("options", [("--without", "png"), ("--max-pixels", "500")])
def test_what_one_worker_does_not_allow_the_other_does(tmp_path: Path, options: tuple[str, ...]) -> None:
    site = Site(tmp_path / "site", 30, width=40)

    async def main(submit: Any) -> None:
        await restarted(nodes, *options)
        job = await submit(site, ["gate", "edges"])  # no image is done before the gates are open
        await job.changed("node1", "live")
        nodes.open_gates()
        check(await job.end(), site)
        assert {fact.worker for fact in of(job.told, ImageDone)} == {"node2"}

    with fleet(tmp_path, 2, limits=REDIAL) as nodes:
        run(nodes, main)


def test_a_picture_over_every_workers_ceiling_is_tried_once(one: Fleet, tmp_path: Path) -> None:
    site = Site(tmp_path / "site", 3, width=20)
    site.add("large.png", 24)  # by 24

    async def main(submit: Any) -> None:
        await restarted(one, "--max-pixels", "500", "--max-memory", "256MiB")
        job = await submit(site)
        check(await job.end(), site, {b"large.png": "too_large"})

    run(one, main)
