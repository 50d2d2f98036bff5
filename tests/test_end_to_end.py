"""Fleets of real processes, and real faults: signals, evil images, full disks, folders that go away."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe.errors import UnfinishedError, UsageError
from imgpipe.facts import ImageDone, ImageFailed, Listed, Tally, WorkerChanged
from imgpipe.storage import nonce_name, temporary_name
from tests.pools import Gate, appears
from tests.processes import (
    Fleet,
    Process,
    Site,
    Wiretap,
    alive,
    check,
    children,
    connected,
    fleet,
    of,
    start_worker,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("operations_of_tests")

#: A worker that is set aside is asked again soon.
SOON = {"ASIDE_MIN_S": 0.2, "ASIDE_MAX_S": 0.2}

#: Peers that fall silent are noticed soon. Those who beat do so much more often than that.
QUICK = {"HEARTBEAT_S": 0.1, "LEASE_S": 1.0, "SUSPECT_S": 0.8, "DEAD_S": 2.0}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers with one slot each, for all tests that leave them as they were. Their gates are open."""
    root = tmp_path_factory.getbasetemp()
    with fleet(root, 2, limits=SOON) as nodes:
        nodes.open_gates()
        yield nodes


def run(nodes: Fleet, main: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with connected(nodes.address) as submit:
            await main(submit)

    asyncio.run(whole())


# --- images that take their process down --------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "kind", "words"),
    [
        ("segfault:width=7", "crashed", "SIGSEGV"),
        ("abort:width=7", "crashed", "SIGABRT"),
        ("exit:width=7", "crashed", "3"),
        ("hang:width=7", "timeout", "0.4 s"),
    ],
)
def test_one_evil_image_fails_alone(
    two: Fleet, tmp_path: Path, operation: str, kind: str, words: str
) -> None:
    site = Site(tmp_path, 20)
    site.add("evil.png", 7)

    async def main(submit: Any) -> None:
        job = await submit(site, [operation, "edges"], timeout_s=0.4, retries=1)
        ended = check(await job.end(), site, {b"evil.png": kind})
        (failed,) = of(job.told, ImageFailed)
        assert words in failed.message
        assert (failed.tries, failed.attempts, ended.retries) == (2, 2, 1)
        assert {fact.tries for fact in of(job.told, ImageDone)} == {1}

    run(two, main)


def test_every_image_evil_and_no_try_left(two: Fleet, tmp_path: Path) -> None:
    site = Site(tmp_path, 6)

    async def main(submit: Any) -> None:
        job = await submit(site, ["segfault"], retries=0)
        check(await job.end(), site, dict.fromkeys(site.names, "crashed"))
        assert {(fact.tries, fact.attempts) for fact in of(job.told, ImageFailed)} == {(1, 1)}

    run(two, main)


def test_memory_that_is_not_there_fails_the_image_and_not_its_process(two: Fleet, tmp_path: Path) -> None:
    site = Site(tmp_path, 3)
    pools = [children(worker.pid) for worker in two.workers]

    async def main(submit: Any) -> None:
        job = await submit(site, ["grow:mb=100000"])
        check(await job.end(), site, dict.fromkeys(site.names, "too_large"))
        assert {fact.tries for fact in of(job.told, ImageFailed)} == {2}
        assert [children(worker.pid) for worker in two.workers] == pools

    run(two, main)


def test_a_process_that_has_grown_is_replaced_and_its_image_kept(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", 140)

    async def main(submit: Any) -> None:
        (before,) = children(worker.pid)
        job = await submit(site, ["grow:mb=1", "edges"])
        check(await job.end(), site)
        assert children(worker.pid) != {before}

    with fleet(tmp_path, 1, limits={"RECYCLE_GROWTH": 40 << 20}) as nodes:
        worker = nodes.workers[0]
        run(nodes, main)


# --- pictures and folders that are not what they seemed -----------------------------------------


def test_bad_files_fail_with_their_kind_and_all_others_are_done(two: Fleet, tmp_path: Path) -> None:
    site = Site(tmp_path, 12)
    photograph = (Path(__file__).parent.parent / "data" / "input" / "coffee.jpg").read_bytes()
    (site.source / "text.png").write_text("this is no picture\n")
    (site.source / "zero.jpg").touch()
    (site.source / "torn.jpg").write_bytes(photograph[: len(photograph) // 2])
    site.add("deeper/good.PNG")
    odd = b"caf\xe9\xff.png"
    shutil.copy(os.fsencode(site.source / "0.png"), os.path.join(bytes(site.source), odd))
    failed = {b"text.png": "unreadable", b"zero.jpg": "unreadable", b"torn.jpg": "truncated"}

    async def main(submit: Any) -> None:
        job = await submit(site)
        told = await job.end()
        zero = next(fact.kind for fact in of(told, ImageFailed) if fact.name == b"zero.jpg")
        check(told, site, {**failed, b"zero.jpg": zero})
        assert zero in ("unreadable", "truncated")
        assert odd in {fact.name for fact in of(told, ImageDone)}
        assert all(fact.message for fact in of(told, ImageFailed))

    run(two, main)


def test_an_empty_folder_is_done_at_once(two: Fleet, tmp_path: Path) -> None:
    site = Site(tmp_path)

    async def main(submit: Any) -> None:
        assert check(await (await submit(site)).end(), site).total == 0

    run(two, main)


def test_images_that_go_away_in_mid_job_are_missing(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", 30)

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        await job.until(lambda told: of(told, Listed))
        await gate.begun()  # it has been read; all others but those at the other end of it have not
        names = site.names
        gone = {f"{number}.png".encode() for number in range(10)}
        for name in gone:
            (site.source / name.decode()).unlink()
        gate.open()
        told = await job.end()
        held = {fact.name for fact in of(told, ImageDone)} & gone
        assert len(held) <= 1
        for name in held:  # for the comparison
            shutil.copy(site.output / name.decode(), site.source / name.decode())
        check(told, site, dict.fromkeys(gone - held, "missing"), names=names, reference=lambda was: was)

    async def main_identity(submit: Any) -> None:
        await main(lambda site, operations: submit(site, ["gate", "identity"]))

    with fleet(tmp_path, 1) as nodes:
        gate = Gate(nodes.gates[0])
        run(nodes, main_identity)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_folder_that_goes_away_takes_no_image_with_it(tmp_path: Path, replaced: bool) -> None:
    """The worker says it does not see it, is set aside with the reason, and goes on once it is back."""
    site = Site(tmp_path / "site", 30)
    elsewhere = tmp_path / "elsewhere"

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        await job.until(lambda told: of(told, Listed))
        await gate.begun()
        shutil.copytree(site.source, elsewhere)
        shutil.rmtree(site.source)
        if replaced:
            site.source.mkdir()
        gate.open()
        aside = await job.changed("node1", "aside")
        assert str(site.source) in aside.reason
        status = await submit.client.status()
        assert [row[2] for row in status.workers] == ["aside"]
        assert "sees its folders" in status.jobs[0][-1]
        if replaced:
            site.source.rmdir()
        elsewhere.rename(site.source)
        check(await job.end(), site)

    with fleet(tmp_path, 1, limits=SOON) as nodes:
        gate = Gate(nodes.gates[0])
        run(nodes, main)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, too small for what is to be written."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"NOT TESTED: full and read-only disks. Mounting is not allowed: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)


def test_a_full_disk_holds_the_job_until_there_is_room(two: Fleet, tmp_path: Path, small_disk: Path) -> None:
    site = Site(tmp_path / "site", 40, output=small_disk / "out")

    async def main(submit: Any) -> None:
        job = await submit(site)
        for node in ("node1", "node2"):
            assert "o space left" in (await job.changed(node, "aside")).reason
        assert len(of(job.told, ImageDone)) < 40
        remount(small_disk, "size=16m")
        check(await job.end(), site)

    run(two, main)


def test_a_disk_that_turns_read_only_holds_the_job(tmp_path: Path, small_disk: Path) -> None:
    remount(small_disk, "size=16m")
    site = Site(tmp_path / "site", 10, output=small_disk / "out")

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        await gate.begun()
        remount(small_disk, "ro")
        gate.open()
        assert "ead-only" in (await job.changed("node1", "aside")).reason
        remount(small_disk, "rw")
        check(await job.end(), site)

    with fleet(tmp_path, 1, limits=SOON) as nodes:
        gate = Gate(nodes.gates[0])
        run(nodes, main)


def test_a_read_only_output_is_declined(two: Fleet, tmp_path: Path, small_disk: Path) -> None:
    site = Site(tmp_path / "site", 3, output=small_disk / "out")
    remount(small_disk, "ro")

    async def main(submit: Any) -> None:
        with pytest.raises(UsageError, match=r"cannot write to the output .*ead-only"):
            await submit(site)

    run(two, main)


def test_permissions(tmp_path: Path) -> None:
    """A folder and an output that may not be touched end the command; an image that may not, fails."""
    site = Site(tmp_path / "site", 4)
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o000)

    def ran(*words: Any) -> tuple[int, str, str]:
        process = Process("run", *words, "-j", "1", cwd=tmp_path, humble=True)
        try:
            return *process.ended(), process.log
        finally:
            process.kill()

    code, _, err = ran(locked)
    assert (code, "ermission denied" in err, str(locked) in err) == (2, True, True)
    code, _, err = ran(tmp_path / "nowhere")
    assert (code, "o such file" in err) == (2, True)
    code, _, err = ran(site.source, "-o", locked / "out")
    assert (code, "ermission denied" in err) == (2, True)
    (site.source / "1.png").chmod(0o000)
    code, out, _ = ran(site.source, "-o", site.output)
    assert code == 3
    assert "ermission denied" in out
    assert out.splitlines()[-1].startswith("Time elapsed: ")
    assert site.outputs() == {b"0.png", b"2.png", b"3.png"}


# --- workers that go away -----------------------------------------------------------------------


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    """Its processes end with it, what it held is done elsewhere, what it had half written is removed."""
    site = Site(tmp_path / "site", 60)

    async def main(submit: Any) -> None:
        job = await submit(site, ["gate", "edges"])
        held = await gates[0].begun()
        pool = children(victim.pid)
        assert held <= pool
        for attempt, name, worker in tap.assigned:
            if worker == 1:
                (site.output / os.fsdecode(temporary_name(name, attempt))).write_bytes(b"half a pic")
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
