"""Workers and coordinators that are killed, stopped, silent or asked to leave: real processes and signals."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from imgpipe.errors import UnfinishedError, UsageError
from imgpipe.facts import ImageDone, Tally, WorkerChanged
from imgpipe.storage import nonce_name, temporary_name
from tests.pictures import Site, check, of
from tests.pools import Gate, appears
from tests.processes import (
    alive,
    children,
    fleet,
    run,
    start_worker,
    wait_for,
)
from tests.wiretap import Wiretap

pytestmark = pytest.mark.usefixtures("operations_of_tests")

#: Peers that fall silent are noticed soon. Those who beat do so much more often than that.
QUICK = {"HEARTBEAT_S": 0.1, "LEASE_S": 1.0, "SUSPECT_S": 0.8, "DEAD_S": 2.0}


# --- workers that go away -----------------------------------------------------------------------


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    """Its processes end with it, what it held is done elsewhere, what it had half written is removed."""
    site = Site(tmp_path / "site", 60)

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        held = await gates[0].begun()
        pool = children(victim.pid)
        assert held <= pool
        for attempt, its_job, worker in tap.assigned:
            if worker == 1:
                (site.output / os.fsdecode(temporary_name(its_job, attempt))).write_bytes(b"half a pic")
        for gate in gates[1:]:
            gate.open()
        await job.until(lambda told: len(of(told, ImageDone)) >= 10)
        victim.send(signal.SIGKILL)
        await job.changed("node1", "gone")
        await appears(lambda: not alive(pool))
        ended = check(await job.end(), site)
        assert ended.done == 60
        assert sum(fact.lost for fact in of(job.told, Tally) if fact.worker == "node1") >= 1
        assert {fact.worker for fact in of(job.told, ImageDone)} == {"node2", "node3"}

    with Wiretap() as tap, fleet(tmp_path, 3, through=tap.through) as nodes:
        victim = nodes.workers[0]
        gates = [Gate(folder) for folder in nodes.gates]
        run(nodes, main)


def test_every_worker_down_and_one_returns(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", 12)

    async def main(submit: Any) -> None:
        for worker in nodes.workers:
            worker.send(signal.SIGKILL)
            await worker.ends()
        job = await submit(site)
        for node in ("node1", "node2"):
            assert (await job.changed(node, "gone")).reason
        await job.until(lambda told: [f for f in of(told, WorkerChanged) if "refused" in f.reason])
        back = start_worker(
            nodes.gates[0].parent, tmp_path, nodes.gates[0], "--port", str(nodes.ports[0]), "--slots", "1"
        )
        nodes.workers.append(back)
        ended = check(await job.end(), site)
        assert [row[:2] for row in ended.workers if row[1]] == [("node1", 12)]

    with fleet(tmp_path, 2, limits={"REDIAL_MAX_S": 0.5}) as nodes:
        run(nodes, main)


def test_a_worker_that_is_asked_to_stop_finishes_what_runs_and_returns_the_rest(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", 40)

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        await gates[0].begun()
        pool = children(leaver.pid)
        leaver.send(signal.SIGTERM)
        await leaver.says("leaving")
        await job.changed("node1", "draining")
        gates[1].open()
        await job.until(lambda told: len(of(told, ImageDone)) == 39)  # all but the one that waits at the gate
        gates[0].open()
        ended = check(await job.end(), site)
        assert {row[0]: row[1] for row in ended.workers} == {"node1": 1, "node2": 39}
        assert not any(fact.lost for fact in of(job.told, Tally))
        assert await leaver.ends() == 0
        assert not alive(pool)

    with fleet(tmp_path, 2) as nodes:
        leaver = nodes.workers[0]
        gates = [Gate(folder) for folder in nodes.gates]
        run(nodes, main)


def test_a_worker_that_is_asked_twice_stops_now(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", 20)

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        await gates[0].begun()
        pool = children(leaver.pid)
        leaver.send(signal.SIGTERM)
        await leaver.says("leaving")
        leaver.send(signal.SIGTERM)
        await leaver.ends()
        assert not alive(pool)
        gates[1].open()
        ended = check(await job.end(), site)
        assert [row[:2] for row in ended.workers if row[1]] == [("node2", 20)]

    with fleet(tmp_path, 2) as nodes:
        leaver = nodes.workers[0]
        gates = [Gate(folder) for folder in nodes.gates]
        run(nodes, main)


def written(pid: int) -> int:
    """Bytes this process has written so far."""
    words = Path(f"/proc/{pid}/io").read_text().split()
    return int(words[words.index("wchar:") + 1])


def test_a_worker_that_is_silent_too_long_changes_nothing_any_more(tmp_path: Path) -> None:
    """Its images are done elsewhere; its processes still run, and what they finish is not committed."""
    site = Site(tmp_path / "site", 9)

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        (late,) = await gates[0].begun()
        await gates[1].begun()
        await gates[2].begun()
        silent.send(signal.SIGSTOP)
        await job.changed("node1", "gone")
        gates[1].open()
        while True:  # until nothing is left but what node3 holds, and the job open with it
            status = await submit.client.status()
            held = {row[0]: row[4] for row in status.workers}
            if sum(row[6] for row in status.workers) + held["node3"] == 9:
                break
        before = {path.name: path.stat().st_ino for path in site.output.glob("*.png")}
        assert nonce_name(job.id) in site.outputs()
        count = written(late)
        gates[0].open()
        await appears(lambda: written(late) > count)  # its result
        silent.send(signal.SIGCONT)
        await job.changed("node1", "live")
        assert before == {path.name: path.stat().st_ino for path in site.output.glob("*.png")}
        gates[2].open()
        check(await job.end(), site)
        assert before.items() <= {path.name: path.stat().st_ino for path in site.output.glob("*.png")}.items()

    with fleet(tmp_path, 3, limits={**QUICK, "REDIAL_MAX_S": 0.5}) as nodes:
        silent = nodes.workers[0]
        gates = [Gate(folder) for folder in nodes.gates]
        run(nodes, main)


# --- coordinators that go away ------------------------------------------------------------------


def test_a_coordinator_that_was_silent_for_a_lease_gets_its_images_all_the_same(tmp_path: Path) -> None:
    """What came too late to be committed goes back, and is done again."""
    site = Site(tmp_path / "site", 5)

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        (process,) = await gate.begun()
        nodes.coordinator.send(signal.SIGSTOP)
        count = written(process)
        await asyncio.sleep(1.5 * QUICK["LEASE_S"])  # the silence itself is what is tested
        gate.open()
        await appears(lambda: written(process) > count)
        nodes.coordinator.send(signal.SIGCONT)
        check(await job.end(), site)

    with fleet(tmp_path, 1, limits={**QUICK, "DEAD_S": 60.0}) as nodes:
        gate = Gate(nodes.gates[0])
        run(nodes, main)


def test_a_coordinator_killed_and_started_again_takes_its_workers_over(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", 12)
    lost: list[str] = []

    async def first(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        for gate in gates:
            await gate.begun()
        nodes.coordinator.send(signal.SIGKILL)
        await nodes.coordinator.ends()
        lost.append(job.id)
        await job.leave()

    async def second(submit: Any) -> None:
        job = await submit(site, ["edges"])
        for gate in gates:
            gate.open()
        told = await job.end()
        left = site.output / nonce_name(lost[0]).decode()
        left.unlink()  # until there is a ledger, nobody knows of the job that was lost
        check(told, site)
        with pytest.raises(UsageError, match="no such job"):
            await submit.client.follow(lost[0])

    with fleet(tmp_path, 2) as nodes:
        gates = [Gate(folder) for folder in nodes.gates]
        port = nodes.coordinator.port
        run(nodes, first)
        nodes.start_coordinator("--port", str(port))
        run(nodes, second)


def test_a_coordinator_that_is_asked_to_stop_lets_what_is_in_hand_end(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", 30)

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        await gate.begun()
        nodes.coordinator.send(signal.SIGTERM)
        await nodes.coordinator.says("leaving")
        gate.open()
        told = await job.end()
        done = {fact.name for fact in of(told, ImageDone)}
        assert told[-1].state == "cancelled"
        assert len(done) >= 1
        assert site.outputs() == done
        assert await nodes.coordinator.ends() == 0
        with pytest.raises(UnfinishedError, match="no coordinator"):
            await submit(site)

    with fleet(tmp_path, 1) as nodes:
        gate = Gate(nodes.gates[0])
        run(nodes, main)
        assert alive([nodes.workers[0].pid])  # it waits for the next coordinator
        nodes.workers[0].send(signal.SIGTERM)
        wait_for(lambda: not alive([nodes.workers[0].pid]))
