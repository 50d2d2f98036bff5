"""Pools of real processes: every death is blamed on one image, and everything else is done."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from imgpipe import limits
from imgpipe.imaging.bounds import USUAL
from imgpipe.pool import cell, crew, handle
from imgpipe.pool.parent import Pool, PoolError
from imgpipe.protocol import encode
from tests.pools import JOB, LONG, Answers, Gate, Rig, Site, appears, job_of, recipe

pytestmark = pytest.mark.usefixtures("operations_of_tests")

CULPRIT = 7  # pixels: the width of the image that breaks its process
WIDTHS = [5] * 9 + [CULPRIT] + [5] * 10
OTHERS = {number for number in range(20) if number != 9}


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    monkeypatch.setenv("GATE", str(tmp_path))
    return Gate(tmp_path)


@pytest.fixture
def fast_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WATCH_S", 0.02)


def run(rig: Callable[[], Rig], test: Callable[[Rig], Awaitable[None]]) -> None:
    async def main() -> None:
        async with rig() as made:
            await test(made)

    asyncio.run(main())


def gone(pid: int) -> bool:
    """Neither running nor a zombie of ours."""
    return not Path(f"/proc/{pid}").exists()


# --- deaths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ("segfault", "killed by SIGSEGV"),
        ("abort", "killed by SIGABRT"),
        ("exit", "exit code 3"),
    ],
)
def test_a_death_is_blamed_on_one_image(tmp_path: Path, operation: str, words: str) -> None:
    site = Site(tmp_path, WIDTHS)

    async def test(rig: Rig) -> None:
        rig.put()
        await rig.settled(20)
        assert rig.answers.failed == {(9, 1009): ("crashed", words, True)}
        assert {task for task, _ in rig.answers.done} == OTHERS
        assert site.outputs() == OTHERS
        assert len(rig.pool) == 0

    run(lambda: Rig(site, job_of(recipe(operation, width=CULPRIT))), test)


@pytest.mark.usefixtures("fast_watch")
def test_a_hanging_image_is_killed_at_its_timeout_and_it_alone(tmp_path: Path) -> None:
    site = Site(tmp_path, WIDTHS)

    async def test(rig: Rig) -> None:
        rig.put()
        await rig.settled(20)
        assert rig.answers.failed == {(9, 1009): ("timeout", "no result after 0.3 s", True)}
        assert site.outputs() == OTHERS

    run(lambda: Rig(site, job_of(recipe("hang", width=CULPRIT), timeout_s=0.3), slots=1), test)


def test_what_was_done_before_a_death_is_neither_lost_nor_done_again(tmp_path: Path, gate: Gate) -> None:
    """Answers gather in the process; its parent finds them when it dies."""
    site = Site(tmp_path, WIDTHS)

    async def test(rig: Rig) -> None:
        rig.put()
        await rig.settled(20)
        assert len(rig.answers.done) == len(OTHERS)
        ran = (tmp_path / "ran").read_text().split()
        assert sorted(map(int, ran)) == list(range(20))

    run(lambda: Rig(site, job_of(recipe("counted", width=CULPRIT)), slots=1), test)


def test_rubbish_in_the_mailbox_of_a_dead_process_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, WIDTHS)
    monkeypatch.setattr(cell.Cell, "kept", lambda self: b"\0\0\0\3abc" + b"\xff" * 50)

    async def test(rig: Rig) -> None:
        rig.put()
        await rig.settled(20)
        assert rig.answers.failed == {(9, 1009): ("crashed", "killed by SIGSEGV", True)}
        assert site.outputs() == OTHERS

    run(lambda: Rig(site, job_of(recipe("segfault", width=CULPRIT))), test)


@pytest.mark.usefixtures("fast_watch")
def test_what_was_done_does_not_wait_for_a_slow_image_behind_it(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, WIDTHS)

    async def test(rig: Rig) -> None:
        rig.put()
        await gate.begun()
        await rig.settled(9)
        gate.open()
        await rig.settled(20)
        assert sorted(task for task, _ in rig.answers.done) == list(range(20))

    run(lambda: Rig(site, job_of(recipe("gate", width=CULPRIT)), slots=1), test)


def test_every_image_may_be_the_last_of_its_process(tmp_path: Path) -> None:
    site = Site(tmp_path, [CULPRIT] * 8)

    async def test(rig: Rig) -> None:
        rig.put()
        await rig.settled(8)
        assert {words for _, words, _ in rig.answers.failed.values()} == {"killed by SIGSEGV"}
        assert len(rig.answers.failed) == 8

    run(lambda: Rig(site, job_of(recipe("segfault"))), test)


def test_killed_from_outside(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, [CULPRIT, 5, 5])

    async def test(rig: Rig) -> None:
        rig.put()
        (pid,) = await gate.begun()
        os.kill(pid, signal.SIGKILL)
        await rig.settled(3)
        assert rig.answers.failed == {(0, 1000): ("crashed", "killed by SIGKILL", True)}
        assert site.outputs() == {1, 2}
        assert gone(pid)

    run(lambda: Rig(site, job_of(recipe("gate", width=CULPRIT)), slots=1), test)


def test_an_idle_process_that_dies_is_replaced_and_nobody_is_blamed(tmp_path: Path) -> None:
    site = Site(tmp_path, [5, 5, 5])

    async def test(rig: Rig) -> None:
        rig.put([site.items[0]])
        await rig.settled(1)
        (before,) = rig.pool.pids
        os.kill(before, signal.SIGKILL)
        rig.put(site.items[1:])
        await rig.settled(3)
        assert len(rig.answers.done) == 3
        assert rig.pool.pids != (before,)

    run(lambda: Rig(site, job_of(recipe("identity")), slots=1), test)


@pytest.mark.parametrize("alone", [False, True])
def test_one_slot_of_three_is_one_image_at_once(tmp_path: Path, gate: Gate, alone: bool) -> None:
    """Each process waits at the gate with its first image: so many are begun as ever run at once."""
    site = Site(tmp_path, [CULPRIT] * 4 + [5] * 40)

    async def test(rig: Rig) -> None:
        rig.pool.limit(1)
        rig.put(alone=alone)
        (pid,) = await gate.begun()
        os.kill(pid, signal.SIGKILL)
        await rig.settled(1)
        await gate.begun(2)  # the one that died, and the one that went on
        assert rig.pool.running == 1
        peak = 0
        gate.open()
        while len(rig.answers.done) < 43:
            peak = max(peak, rig.pool.running)
            await asyncio.sleep(0)
        assert peak == 1
        assert list(rig.answers.failed) == [(0, 1000)]

    run(lambda: Rig(site, job_of(recipe("gate", width=CULPRIT)), slots=3), test)


def test_a_process_may_open_as_many_files_as_the_system_allows(tmp_path: Path) -> None:
    async def test(rig: Rig) -> None:
        (pid,) = rig.pool.pids
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (hard, hard)

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        run(lambda: Rig(Site(tmp_path), job_of(empty=True), slots=1), test)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_process_that_never_gets_ready_breaks_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handle.Handle, "_command", lambda *_: [sys.executable, "-c", "raise SystemExit(5)"])

    async def main() -> None:
        pool = Pool(2, {}, Answers())
        with pytest.raises(
            PoolError, match="5 pool processes in a row ended before they were ready: exit code 5"
        ):
            await pool.start()
        assert pool.pids == ()

    asyncio.run(main())


def test_what_a_process_said_before_it_gave_up_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "START_FAILURES_MAX", 2)
    monkeypatch.setattr(handle.Handle, "_command", broken_command)

    async def main() -> None:
        with pytest.raises(PoolError, match="no OpenCV today"):
            await Pool(1, {}, Answers()).start()

    asyncio.run(main())


def broken_command(self: handle.Handle, socket_fd: int, cell_fd: int) -> list[str]:
    code = f"""
        import sys
        from imgpipe.pool import process
        def prepare(): raise ImportError("no OpenCV today")
        process.task.prepare = prepare
        words = {USUAL.words()!r}
        sys.exit(process.main(["{socket_fd}", "{cell_fd}", "{os.getpid()}", "9", "9", *words]))
    """
    return [sys.executable, "-c", textwrap.dedent(code)]


def test_a_process_that_dies_before_it_begins_is_not_held_against_an_image_for_ever(tmp_path: Path) -> None:
    """Three processes are killed the moment they get the image, before they mark it as begun."""
    site = Site(tmp_path, [5, 5])
    stopped = []

    async def test(rig: Rig) -> None:
        give = handle.Handle.give

        def deadly(self: handle.Handle, images: list[Any]) -> None:
            if any(image.token == (0, 1000) for image in images):
                os.kill(self.pid, signal.SIGSTOP)
                stopped.append(self.pid)
            give(self, images)
            if stopped and stopped[-1] == self.pid:
                self.kill()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(handle.Handle, "give", deadly)
            rig.put()
            await rig.settled(2)
        assert rig.answers.failed == {(0, 1000): ("crashed", "killed by SIGKILL", True)}
        assert len(stopped) == 3
        assert rig.answers.done == [(1, 1001)]

    run(lambda: Rig(site, job_of(recipe("identity")), slots=1), test)


# --- bound to the worker --------------------------------------------------------------------------


def test_processes_die_with_their_worker(tmp_path: Path, gate: Gate) -> None:
    """Killed so that it cannot clean up: one process in the middle of an image, one idle."""
    Site(tmp_path, [CULPRIT])
    script = f"""
        import asyncio
        from pathlib import Path
        from tests.pools import *
        site = Site(Path({str(tmp_path)!r}), [{CULPRIT}])
        async def main():
            async with Rig(site, job_of(recipe("gate", width={CULPRIT})), slots=2) as rig:
                rig.put()
                while len(rig.pool.pids) < 2: await asyncio.sleep(0.01)
                print(*rig.pool.pids, flush=True)
                await asyncio.sleep(600)
        asyncio.run(main())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent.parent) as worker:
        assert worker.stdout is not None
        pids = [int(word) for word in worker.stdout.readline().split()]
        asyncio.run(gate.begun())
        worker.kill()
    assert len(pids) == 2
    asyncio.run(appears(lambda: all(map(gone, pids))))


def test_signals_for_the_worker_do_not_reach_its_processes(tmp_path: Path) -> None:
    """Sent from the first moment on, when they are still starting."""
    site = Site(tmp_path, [5])

    async def main() -> None:
        rig = Rig(site, job_of(recipe("ignores")), slots=2)
        pool = Pool(2, site.roots, rig.answers)
        starting = asyncio.create_task(pool.start())
        pids = await appears(lambda: pool.pids)
        while not starting.done():
            for pid in pids:
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    os.kill(pid, number)
            await asyncio.sleep(0.005)
        pool.renew(float(1 << 32))
        pool.job(rig.message, encode(rig.message)[4:])
        pool.put(JOB, site.items)
        await rig.settled(1)
        assert len(rig.answers.done) == 1
        assert set(pool.pids) == set(pids)
        await pool.close()

    asyncio.run(main())


def test_processes_inherit_nothing_they_could_pass_on_and_leave_no_zombie(tmp_path: Path) -> None:
    site = Site(tmp_path)
    pids: list[int] = []

    async def test(rig: Rig) -> None:
        pids.extend(rig.pool.pids)
        assert all(os.getpgid(pid) == os.getpgid(0) for pid in pids)
        for pid in pids:
            assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
            assert os.readlink(f"/proc/{pid}/fd/1") == os.readlink("/proc/self/fd/2")
            assert len(os.listdir(f"/proc/{pid}/task")) == 1

    run(lambda: Rig(site, job_of(empty=True)), test)
    assert len(pids) == 2
    assert all(map(gone, pids))


def test_a_process_imports_no_event_loop() -> None:
    code = "import sys; import imgpipe.pool.process; print({'asyncio', 'uvloop', 'click'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    output = subprocess.check_output(command, cwd=Path(__file__).parent.parent, text=True)
    assert output == "set()\n"


# --- calling off ----------------------------------------------------------------------------------


def test_cancelled_images_are_not_done_not_committed_and_not_told(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, [CULPRIT, 5, 5, 5])

    async def test(rig: Rig) -> None:
        rig.put(site.items[:3])
        await gate.begun()
        rig.pool.cancel(JOB, [(0, 1000), (1, 1001), (99, 99)])
        assert len(rig.pool) == 1
        rig.put(site.items[3:])
        gate.open()
        await rig.settled(2)
        assert {task for task, _ in rig.answers.done} == site.outputs() == {2, 3}

    run(lambda: Rig(site, job_of(recipe("gate", width=CULPRIT)), slots=1), test)


def test_a_forgotten_job_commits_nothing(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, [CULPRIT, 5])

    async def test(rig: Rig) -> None:
        rig.put()
        await gate.begun()
        rig.pool.forget(JOB)
        await rig.pool.idle()
        gate.open()
        rig.job()  # asked again: answered when the process has come back from the gate
        await rig.answers.until(lambda: len(rig.answers.ready) == 2)
        assert site.outputs() == set()
        assert rig.answers.done == []
        with pytest.raises(KeyError):
            rig.pool.put("another", site.items)

    run(lambda: Rig(site, job_of(recipe("gate", width=CULPRIT)), slots=1), test)


def test_nothing_is_committed_after_the_lease(tmp_path: Path, gate: Gate) -> None:
    """The image goes back, as if it had not begun; with a new lease it is done."""
    site = Site(tmp_path, [CULPRIT])

    async def test(rig: Rig) -> None:
        rig.put()
        await gate.begun()
        rig.pool.renew(0.0)
        gate.open()
        await rig.settled(1)
        assert rig.answers.returned == [(0, 1000)]
        assert site.outputs() == set()
        rig.pool.renew(float(1 << 32))
        rig.put()
        await rig.settled(2)
        assert site.outputs() == {0}

    run(lambda: Rig(site, job_of(recipe("gate", width=CULPRIT)), slots=1), test)


def test_what_has_not_begun_can_be_taken_back(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, [CULPRIT, 5, 5, 5])

    async def test(rig: Rig) -> None:
        rig.put()
        await gate.begun()
        assert rig.pool.take_back() == {JOB: [(1, 1001), (2, 1002), (3, 1003)]}
        assert rig.answers.returned == []
        gate.open()
        async with asyncio.timeout(LONG):
            await rig.pool.idle()
        assert rig.answers.done == [(0, 1000)]

    run(lambda: Rig(site, job_of(recipe("gate", width=CULPRIT)), slots=1), test)


def test_what_waits_behind_another_image_in_a_process_comes_back_too(tmp_path: Path, gate: Gate) -> None:
    """Quick images are given ahead; the last of these is slow after all."""
    site = Site(tmp_path, [5] * 40)

    async def test(rig: Rig) -> None:
        rig.put()
        await rig.settled(40)
        slow = [site.add(CULPRIT), site.add(5), site.add(5)]
        rig.put(slow)
        await gate.begun()
        assert rig.pool.running == 1
        back = rig.pool.take_back()
        gate.open()
        await rig.pool.idle()
        assert (40, 1040) in rig.answers.done
        assert sorted(rig.answers.returned + back.get(JOB, [])) == [(41, 1041), (42, 1042)]

    run(lambda: Rig(site, job_of(recipe("gate", width=CULPRIT)), slots=1), test)


# --- order, recycling, questions ------------------------------------------------------------------


def test_an_image_that_is_to_be_alone_is(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, [5] * 30 + [CULPRIT])

    async def test(rig: Rig) -> None:
        rig.put(site.items[:15])
        rig.put(site.items[30:], alone=True)
        rig.put(site.items[15:30])
        await gate.begun()
        await rig.settled(30) if rig.slots > 1 else None
        (alone,) = [h for h in rig.pool._crew if (30, 1030) in h.images]
        assert list(alone.images) == [(30, 1030)]
        gate.open()
        await rig.settled(31)
        assert len(rig.answers.done) == 31

    run(lambda: Rig(site, job_of(recipe("gate", width=CULPRIT)), slots=2), test)


def test_images_in_front_go_first(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, [CULPRIT, 5, 5])

    async def test(rig: Rig) -> None:
        rig.put(site.items[:1])
        await gate.begun()
        rig.put(site.items[1:2])
        rig.put(site.items[2:], front=True)
        gate.open()
        await rig.settled(3)
        assert [task for task, _ in rig.answers.done] == [0, 2, 1]

    run(lambda: Rig(site, job_of(recipe("gate", width=CULPRIT)), slots=1), test)


@pytest.mark.parametrize("limit", ["RECYCLE_IMAGES", "RECYCLE_GROWTH"])
def test_an_old_process_is_replaced_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(limits, limit, {"RECYCLE_IMAGES": 50, "RECYCLE_GROWTH": 80 << 20}[limit])
    site = Site(tmp_path, [5] * 150)

    async def test(rig: Rig) -> None:
        before = rig.pool.pids
        rig.put()
        await rig.settled(150)
        assert len(set(rig.answers.done)) == len(rig.answers.done) == 150
        assert not set(before) & set(rig.pool.pids)

    run(lambda: Rig(site, job_of(recipe("grow", mb=2)), slots=1), test)


def test_out_of_memory_is_a_failure_that_may_be_tried_again(tmp_path: Path) -> None:
    site = Site(tmp_path, [5])

    async def test(rig: Rig) -> None:
        (pid,) = rig.pool.pids
        resource.prlimit(pid, resource.RLIMIT_AS, (1 << 30, 1 << 30))
        rig.put()
        await rig.settled(1)
        ((kind, words, again),) = rig.answers.failed.values()
        assert (kind, again) == ("too_large", True)
        assert "memory" in words
        assert rig.pool.pids == (pid,)

    run(lambda: Rig(site, job_of(recipe("grow", mb=50_000)), slots=1), test)


def test_a_job_is_answered_once_each_time_it_is_asked(tmp_path: Path) -> None:
    site = Site(tmp_path, [5])

    async def test(rig: Rig) -> None:
        (site.output / ".imgpipe-abcdefghij").unlink()
        rig.job()
        await rig.answers.until(lambda: len(rig.answers.ready) == 2)
        assert [answer.ready for answer in rig.answers.ready] == [True, False]
        assert "its mark is not there" in rig.answers.ready[1].why
        rig.put()
        await rig.answers.until(lambda: bool(rig.answers.unseen))
        assert len(rig.answers.ready) == 2

    run(lambda: Rig(site, job_of(recipe("identity")), slots=2), test)


def test_a_job_that_cannot_be_done_here_says_why(tmp_path: Path) -> None:
    site = Site(tmp_path, [5])

    async def test(rig: Rig) -> None:
        assert not rig.answers.ready[0].ready
        assert "edgse" in rig.answers.ready[0].why
        rig.put()
        await rig.answers.until(lambda: bool(rig.answers.unseen))
        assert "edgse" in rig.answers.unseen[0][1]

    run(lambda: Rig(site, job_of(recipe("edgse")), slots=1), test)


def test_a_package_that_kills_whoever_loads_it_is_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEADLY", "1")
    monkeypatch.setattr(crew, "_BACK_OFF_S", 0.001)
    site = Site(tmp_path, [5])

    async def test(rig: Rig) -> None:
        (answer,) = rig.answers.ready
        assert not answer.ready
        assert "killed by SIGABRT" in answer.why
        rig.message = job_of(recipe("identity"), job="other")
        (site.output / ".imgpipe-other").touch()
        rig.job()
        rig.put()
        await rig.settled(1)
        assert site.outputs() == {0}

    run(lambda: Rig(site, job_of(recipe("segfault")), slots=1), test)


def test_empty_tasks_pass_by_the_thousand(tmp_path: Path) -> None:
    site = Site(tmp_path)

    async def test(rig: Rig) -> None:
        rig.put((number, number, b"x", 0) for number in range(20_000))
        await rig.settled(20_000)
        assert set(rig.answers.done) == {(number, number) for number in range(20_000)}

    run(lambda: Rig(site, job_of(empty=True)), test)


def test_all_slots_are_busy(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, [CULPRIT] * 6)

    async def test(rig: Rig) -> None:
        rig.put()
        assert len(await gate.begun(3)) == 3
        assert rig.pool.running == 3
        gate.open()
        await rig.settled(6)

    run(lambda: Rig(site, job_of(recipe("gate")), slots=3), test)
