"""A real worker with real processes, and a coordinator played by the test."""

import asyncio
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from imgpipe import connection, limits
from imgpipe.connection import Door, Owner, Stream
from imgpipe.errors import UsageError
from imgpipe.handshake import Identity
from imgpipe.pool import handle
from imgpipe.pool.parent import PoolError
from imgpipe.protocol import (
    Cancel,
    DelayedExecute,
    Done,
    Draining,
    Execute,
    Forget,
    Job,
    JobReady,
    Offer,
    Rejected,
    Returned,
    Slots,
    StatusRequest,
    Waiting,
)
from imgpipe.rows import Item
from imgpipe.scheduling.admission import Admission, Verdict
from imgpipe.worker import Worker
from tests.pools import JOB, LONG, Gate, Site, appears, job_of, recipe

pytestmark = pytest.mark.usefixtures("operations_of_tests")

SLOW = 7  # pixels: the width of the image that waits at the gate


#: Every stream of the running test, to be closed at its end.
dialled: list[Stream] = []


class Coordinator(Owner):
    """Speaks to one worker, and remembers what it says."""

    def __init__(self, name: str = "c1", epoch: int = 1) -> None:
        self.door = Door(Identity("coordinator", name, epoch), self)
        self.heard: list[Any] = []
        self.ends: list[str] = []
        self.stream: Any = None
        self._changed = asyncio.Event()

    def opened(self, channel: Any) -> None:
        self._changed.set()

    def received(self, channel: Any, message: Any, body: bytes) -> None:
        self.heard.append(message)
        self._changed.set()

    def closed(self, channel: Any, why: str) -> None:
        self.ends.append(why)
        self._changed.set()

    async def dial(self, port: int, called: str = "node1") -> Stream:
        self.stream = await self.door.dial("127.0.0.1", port, called)
        dialled.append(self.stream)
        return self.stream  # type: ignore[no-any-return]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONG):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def rows(self, kind: type) -> list[Any]:
        """All rows or tokens of all messages of one kind."""
        messages: list[Any] = [message for message in self.heard if isinstance(message, kind)]
        return [row for m in messages for row in getattr(m, "rows", None) or m.tokens]

    def tasks(self, kind: type) -> list[int]:
        return [row[0] for row in self.rows(kind)]

    async def first(self, kind: type) -> Any:
        await self.until(lambda: any(isinstance(message, kind) for message in self.heard))
        return next(message for message in self.heard if isinstance(message, kind))

    async def introduce(self, job: Job) -> JobReady:
        self.stream.send(job)
        answer = await self.first(JobReady)
        assert isinstance(answer, JobReady)
        return answer

    def execute(self, items: list[Item], kind: Any = Execute, **options: Any) -> None:
        self.stream.send(kind(JOB, tuple(items), **options))


class Scene:
    """A worker that listens and a coordinator that has its offer."""

    def __init__(self, site: Site, job: Job, **options: Any) -> None:
        self.site, self.job = site, job
        self.options: dict[str, Any] = {"name": "w", "slots": 1, "roots": site.roots, "seed": 1, **options}

    async def __aenter__(self) -> "Scene":
        self.worker = Worker("127.0.0.1", 0, **self.options)
        async with asyncio.timeout(LONG):
            self.port = await self.worker.start()
        self.coordinator = Coordinator()
        await self.coordinator.dial(self.port)
        self.offer = await self.coordinator.first(Offer)
        self.ready = await self.coordinator.introduce(self.job)
        return self

    async def __aexit__(self, *_: object) -> None:
        async with asyncio.timeout(LONG):
            await self.worker.close()
            while dialled:
                dialled[-1].abort("the test is over")
                await dialled.pop().ended


def play(scene: Callable[[], Scene], test: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        async with scene() as made:
            await test(made)

    asyncio.run(main())


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    monkeypatch.setenv("GATE", str(tmp_path))
    return Gate(tmp_path)


EMPTY = job_of(empty=True)
GATE = job_of(recipe("gate", width=SLOW))
MANY: list[Item] = [(number, number + 500, b"x", 0) for number in range(200)]


# --- one job --------------------------------------------------------------------------------------


def test_images_are_done(tmp_path: Path) -> None:
    site = Site(tmp_path, [5] * 20)

    async def test(scene: Scene) -> None:
        assert (scene.offer.slots, scene.offer.load, scene.offer.roots) == (2, 0.0, ("r",))
        assert "edges" in scene.offer.operations
        assert scene.ready == JobReady(JOB, True)
        assert scene.worker.name == "node1"
        scene.coordinator.execute(site.items)
        await scene.coordinator.until(lambda: len(scene.coordinator.rows(Done)) == 20)
        assert site.outputs() == set(range(20))

    play(lambda: Scene(site, job_of(recipe("edges")), slots=2), test)


def test_the_worker_itself_never_loads_opencv_or_numpy(tmp_path: Path) -> None:
    """In a process of its own: a worker, a stream by socket pair, an image done."""
    site = Site(tmp_path, [5])
    script = f"""
        import asyncio, sys
        from imgpipe.connection import Door, Owner, join
        from imgpipe.handshake import Identity
        from imgpipe.protocol import Done, Execute, Job, JobReady
        from imgpipe.worker import Worker
        class Coordinator(Owner):
            def opened(self, stream):
                stream.send(Job({JOB!r}, False, "r", b"in", "r", b"out", {recipe("edges")!r}, 60.0, ()))
            def received(self, stream, message, body):
                if isinstance(message, JobReady):
                    stream.send(Execute({JOB!r}, ({site.items[0]!r},)))
                elif isinstance(message, Done):
                    done.set()
        async def main():
            global done
            done = asyncio.Event()
            worker = Worker("", None, name="w", slots=1, roots={site.roots!r})
            assert await worker.start() == 0
            door = Door(Identity("coordinator", "c", 1), Coordinator())
            await join(lambda: door.dialled("w"), worker.door.caller)
            await done.wait()
            await worker.close()
        asyncio.run(asyncio.wait_for(main(), {LONG}))
        print([name for name in sys.modules if name.startswith(("cv2.", "numpy."))])
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(script)]
    output = subprocess.check_output(command, cwd=Path(__file__).parent.parent, text=True)
    assert output == "[]\n"
    assert site.outputs() == {0}


# --- admission ------------------------------------------------------------------------------------


def test_the_coins_are_those_of_admission(tmp_path: Path) -> None:
    """The same seed, tossed by the test."""
    site = Site(tmp_path)
    coins = Admission(0.4, 0.01, random.Random(7))
    expected = {verdict: [] for verdict in Verdict}  # type: ignore[var-annotated]
    for task, *_ in MANY:
        expected[coins.verdict(may_refuse=True)].append(task)

    async def test(scene: Scene) -> None:
        scene.coordinator.execute(MANY)
        rejected = expected[Verdict.REJECT]
        await scene.coordinator.until(lambda: len(scene.coordinator.rows(Done)) == 200 - len(rejected))
        assert scene.coordinator.tasks(Rejected) == rejected
        assert scene.coordinator.tasks(Waiting) == expected[Verdict.DELAY]
        assert len([m for m in scene.coordinator.heard if isinstance(m, Rejected | Waiting)]) == 2

    play(lambda: Scene(site, EMPTY, load=0.4, delay_s=0.01, seed=7), test)


def test_what_may_not_be_refused_is_delayed(tmp_path: Path) -> None:
    site = Site(tmp_path)

    async def test(scene: Scene) -> None:
        before = asyncio.get_running_loop().time()
        scene.coordinator.execute(MANY, DelayedExecute)
        await scene.coordinator.until(lambda: len(scene.coordinator.rows(Done)) == 200)
        assert asyncio.get_running_loop().time() - before >= 0.1
        assert scene.coordinator.tasks(Rejected) == []
        assert len(scene.coordinator.tasks(Waiting)) == 200

    play(lambda: Scene(site, EMPTY, load=1.0, delay_s=0.1), test)


def test_more_than_may_wait_are_processed_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WAITING_MAX", 50)
    site = Site(tmp_path)

    async def test(scene: Scene) -> None:
        scene.coordinator.execute(MANY, DelayedExecute)
        await scene.coordinator.until(lambda: len(scene.coordinator.rows(Done)) == 150)
        assert scene.coordinator.tasks(Waiting) == list(range(50))
        scene.coordinator.stream.send(Cancel(JOB, tuple(item[:2] for item in MANY[:49])))
        scene.coordinator.execute([(999, 999, b"x", 0)], DelayedExecute)
        await scene.coordinator.until(lambda: 999 in scene.coordinator.tasks(Waiting))

    play(lambda: Scene(site, EMPTY, load=1.0, delay_s=600.0), test)


def test_a_delayed_image_goes_before_those_that_came_later(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, [SLOW, 5, 5])

    async def test(scene: Scene) -> None:
        coordinator, worker = scene.coordinator, scene.worker
        coordinator.execute(site.items[:1])
        await gate.begun()
        coordinator.execute(site.items[1:2])
        await appears(lambda: len(worker.pool) == 2)
        worker._admission.load = 1.0
        coordinator.execute(site.items[2:], DelayedExecute)
        await appears(lambda: len(worker.pool) == 3)
        gate.open()
        await coordinator.until(lambda: len(coordinator.rows(Done)) == 3)
        assert coordinator.tasks(Done) == [0, 2, 1]

    play(lambda: Scene(site, GATE, delay_s=0.01), test)


def test_an_image_sent_twice_is_done_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path)

    async def test(scene: Scene) -> None:
        scene.coordinator.execute([*MANY[:3], *MANY[:3]])
        scene.coordinator.execute(MANY[:4])
        await scene.coordinator.until(lambda: 3 in scene.coordinator.tasks(Done))
        assert scene.coordinator.tasks(Done) == [0, 1, 2, 3]

    play(lambda: Scene(site, EMPTY), test)
    assert "3 images were assigned twice" in caplog.text


# --- cancel, forget, lose -------------------------------------------------------------------------


@pytest.mark.parametrize("how", [Cancel(JOB, ((0, 1000), (1, 1001), (2, 1002))), Forget(JOB)])
def test_called_off_wherever_it_is(tmp_path: Path, gate: Gate, how: Any) -> None:
    """One running, one queued, one waiting; another job of one empty task shows that nothing follows."""
    site = Site(tmp_path, [SLOW, 5, 5])

    async def test(scene: Scene) -> None:
        coordinator, worker = scene.coordinator, scene.worker
        coordinator.execute(site.items[:2])
        await gate.begun()
        worker._admission.load = 1.0
        coordinator.execute(site.items[2:], DelayedExecute)
        await coordinator.first(Waiting)
        coordinator.stream.send(how)
        await appears(lambda: not len(worker.pool) and not len(worker._waiting))
        worker._admission.load = 0.0
        coordinator.stream.send(job_of(empty=True, job="other"))
        coordinator.stream.send(Execute("other", ((5, 5, b"x", 0),)))
        gate.open()
        await coordinator.first(Done)
        assert coordinator.tasks(Done) == [5]
        assert site.outputs() == set()

    play(lambda: Scene(site, GATE, delay_s=0.3), test)


def test_a_worker_that_is_closed_hears_no_more_while_its_pool_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images would come for jobs that the pool has forgotten."""

    async def test(scene: Scene) -> None:
        close = scene.worker.pool.close

        async def after_the_stream() -> None:
            await scene.coordinator.until(lambda: bool(scene.coordinator.ends))
            await close()

        monkeypatch.setattr(scene.worker.pool, "close", after_the_stream)
        async with asyncio.timeout(LONG):
            await scene.worker.close()

    play(lambda: Scene(Site(tmp_path, [5]), EMPTY), test)


def test_a_lost_stream_takes_its_images_with_it(tmp_path: Path, gate: Gate) -> None:
    """Running, queued and waiting ones; the next coordinator finds the same processes, with nothing to do."""
    site = Site(tmp_path, [SLOW, 5, 5])

    async def test(scene: Scene) -> None:
        worker, pids = scene.worker, scene.worker.pool.pids
        scene.coordinator.execute(site.items[:2])
        await gate.begun()
        scene.coordinator.stream.abort("the coordinator dies")
        await appears(lambda: worker._stream is None)
        assert len(worker.pool) == 0
        successor = Coordinator("another", 1)
        await successor.dial(scene.port)
        await successor.first(Offer)
        gate.open()
        assert (await successor.introduce(job_of(recipe("identity")))).ready
        assert site.outputs() == set()
        successor.execute(site.items)
        await successor.until(lambda: len(successor.rows(Done)) == 3)
        assert worker.pool.pids == pids
        assert site.outputs() == {0, 1, 2}

    play(lambda: Scene(site, GATE), test)


def test_a_silent_coordinator_gets_nothing_committed(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LEASE_S", 0.2)
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.05)
    site = Site(tmp_path, [SLOW])

    async def test(scene: Scene) -> None:
        scene.coordinator.execute(site.items)
        await gate.begun()
        scene.coordinator.stream._timer.cancel()  # it says nothing any more
        stream = scene.worker._stream
        assert stream is not None
        loop = asyncio.get_running_loop()
        await appears(lambda: loop.time() > stream.last_heard + limits.LEASE_S)
        gate.open()
        await scene.coordinator.first(Returned)
        assert site.outputs() == set()

    play(lambda: Scene(site, GATE), test)


# --- slots ----------------------------------------------------------------------------------------


def test_slots_of_the_coordinator_hold_for_its_stream(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, [SLOW] * 6)

    async def test(scene: Scene) -> None:
        coordinator, worker = scene.coordinator, scene.worker
        coordinator.stream.send(Slots(1))
        peak = 0
        coordinator.execute(site.items[:4])
        coordinator.execute(site.items[4:], alone=True)
        assert len(await gate.begun()) == 1
        await appears(lambda: len(worker.pool) == 6)
        gate.open()
        while len(coordinator.rows(Done)) < 6:
            peak = max(peak, worker.pool.running)
            await asyncio.sleep(0)
        assert peak == 1
        assert site.outputs() == set(range(6))
        again = Coordinator("c1", 2)
        await again.dial(scene.port)
        await again.first(Offer)
        again.stream.send(job_of(recipe("gate", width=SLOW)))
        (gate.folder / "open").unlink()
        again.execute([(item[0], item[1] + 99, *item[2:]) for item in site.items])
        await appears(lambda: worker.pool.running == 3)
        gate.open()
        await again.until(lambda: len(again.rows(Done)) == 6)

    play(lambda: Scene(site, GATE, slots=3), test)


# --- who may hold a worker ------------------------------------------------------------------------


def test_a_second_coordinator_is_refused_with_the_holders_name(tmp_path: Path) -> None:
    async def test(scene: Scene) -> None:
        second = Coordinator("c2", 9)
        stream = await second.dial(scene.port)
        async with asyncio.timeout(LONG):
            why = await stream.ended
        assert stream.refused
        assert "held by coordinator 'c1'" in why
        assert scene.coordinator.stream.open

    play(lambda: Scene(Site(tmp_path), EMPTY), test)


@pytest.mark.parametrize("role", ["client", "worker"])
def test_only_coordinators_may_call(tmp_path: Path, role: str) -> None:
    async def test(scene: Scene) -> None:
        stream = await Door(Identity(role, "x"), Owner()).dial("127.0.0.1", scene.port, "")
        async with asyncio.timeout(LONG):
            assert "takes calls from coordinators" in await stream.ended

    play(lambda: Scene(Site(tmp_path), EMPTY), test)


@pytest.mark.parametrize(("epoch", "taken"), [(0, False), (1, True), (2, True)])
def test_a_newer_start_of_the_coordinator_takes_over(tmp_path: Path, epoch: int, taken: bool) -> None:
    async def test(scene: Scene) -> None:
        again = Coordinator("c1", epoch)
        called = "node2" if epoch == 2 else "node1"
        stream = await again.dial(scene.port, called)
        if taken:
            await again.first(Offer)
            await scene.coordinator.until(lambda: bool(scene.coordinator.ends))
            assert scene.worker.name == called
        else:
            async with asyncio.timeout(LONG):
                assert "held by a newer start" in await stream.ended
            assert scene.coordinator.ends == []

    play(lambda: Scene(Site(tmp_path), EMPTY), test)


def test_a_worker_that_machines_txt_names_twice_is_held_by_one_name(tmp_path: Path) -> None:
    """Or the two would take it from each other for ever, and every image with it."""

    async def test(scene: Scene) -> None:
        twice = Coordinator("c1", 1)
        stream = await twice.dial(scene.port, "node2")
        async with asyncio.timeout(LONG):
            why = await stream.ended
        assert stream.refused
        assert "already 'node1' of that coordinator: machines.txt names it twice" in why
        assert scene.coordinator.stream.open
        assert scene.worker.name == "node1"

    play(lambda: Scene(Site(tmp_path), EMPTY), test)


def test_the_old_start_has_nothing_committed_after_a_takeover(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, [SLOW, 5])

    async def test(scene: Scene) -> None:
        scene.coordinator.execute(site.items)
        await gate.begun()
        again = Coordinator("c1", 2)
        await again.dial(scene.port)
        await again.first(Offer)
        gate.open()
        assert (await again.introduce(GATE)).ready
        assert site.outputs() == set()
        assert again.rows(Done) == []

    play(lambda: Scene(site, GATE), test)


def test_garbage_on_the_port_while_a_job_runs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site = Site(tmp_path, [5] * 30)
    garbage = (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\0\0\0\3abc", b"\0\0\0\0")

    async def test(scene: Scene) -> None:
        strangers = [socket.create_connection(("127.0.0.1", scene.port)) for _ in garbage]
        scene.coordinator.execute(site.items)
        for stranger, data in zip(strangers, garbage, strict=True):
            stranger.sendall(data)
        await scene.coordinator.until(lambda: len(scene.coordinator.rows(Done)) == 30)
        for stranger in strangers:
            stranger.settimeout(LONG)
            assert await asyncio.to_thread(stranger.recv, 100) == b""
            stranger.close()

    play(lambda: Scene(site, job_of(recipe("edges"))), test)
    assert caplog.text.count("closing the connection") == len(garbage)
    assert "looks like HTTP" in caplog.text


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Execute("unknown", (MANY[0],)), "not introduced"),
        (StatusRequest(), "does not take StatusRequest"),
    ],
)
def test_a_coordinator_that_breaks_the_protocol_is_closed(tmp_path: Path, message: Any, words: str) -> None:
    async def test(scene: Scene) -> None:
        scene.coordinator.stream.send(message)
        await scene.coordinator.until(lambda: bool(scene.coordinator.ends))
        await Coordinator().dial(scene.port)  # the worker lives

    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr(connection.log, "warning", lambda text, *parts: said.append(text % parts))
        play(lambda: Scene(Site(tmp_path), EMPTY), test)
    assert words in said[0]


def test_nobody_sends_more_than_a_worker_may_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PREFETCH_MAX", 10)
    monkeypatch.setattr(limits, "WAITING_MAX", 10)

    async def test(scene: Scene) -> None:
        scene.coordinator.execute(MANY)
        await scene.coordinator.until(lambda: bool(scene.coordinator.ends))

    play(lambda: Scene(Site(tmp_path), EMPTY), test)


# --- leaving --------------------------------------------------------------------------------------


def test_drain_finishes_what_runs_and_gives_back_the_rest(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, [SLOW, 5, 5])

    async def test(scene: Scene) -> None:
        coordinator, worker = scene.coordinator, scene.worker
        serving = asyncio.create_task(worker.serve())
        coordinator.execute(site.items[:2])
        await gate.begun()
        worker._admission.load = 1.0
        coordinator.execute(site.items[2:], DelayedExecute)
        await coordinator.first(Waiting)
        draining = asyncio.create_task(worker.drain())
        await coordinator.until(lambda: len(coordinator.rows(Returned)) == 2)
        assert isinstance(coordinator.heard[-2], Draining | Returned)
        coordinator.execute([(9, 9, b"late.png", 1)])
        await coordinator.until(lambda: 9 in coordinator.tasks(Returned))
        gate.open()
        async with asyncio.timeout(LONG):
            await draining
            await serving
        await coordinator.until(lambda: bool(coordinator.ends))
        assert coordinator.tasks(Done) == [0]
        assert sorted(coordinator.tasks(Returned)) == [1, 2, 9]
        assert worker.pool.pids == ()

    play(lambda: Scene(site, GATE, delay_s=600.0), test)


def test_a_coordinator_that_comes_back_while_a_worker_drains_is_told(tmp_path: Path, gate: Gate) -> None:
    """Refusing it would keep it away for ever, and the worker may be started again."""
    site = Site(tmp_path, [SLOW])

    async def test(scene: Scene) -> None:
        scene.coordinator.execute(site.items)
        await gate.begun()
        draining = asyncio.create_task(scene.worker.drain())
        await scene.coordinator.first(Draining)
        again = Coordinator("c1", 2)
        await again.dial(scene.port)
        assert [type(await again.first(kind)) for kind in (Offer, Draining)] == [Offer, Draining]
        async with asyncio.timeout(LONG):
            await draining

    play(lambda: Scene(site, GATE), test)


def test_stop_waits_for_nothing(tmp_path: Path, gate: Gate) -> None:
    site = Site(tmp_path, [SLOW])

    async def test(scene: Scene) -> None:
        scene.coordinator.execute(site.items)
        (pid,) = await gate.begun()
        serving = asyncio.create_task(scene.worker.serve())
        draining = asyncio.create_task(scene.worker.drain())
        await scene.coordinator.first(Draining)
        scene.worker.stop()
        async with asyncio.timeout(LONG):
            await serving
            await draining
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert site.outputs() == set()

    play(lambda: Scene(site, GATE), test)


def test_a_worker_whose_pool_breaks_stops_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits, "START_FAILURES_MAX", 1)

    async def test(scene: Scene) -> None:
        monkeypatch.setattr(
            handle.Handle, "_command", lambda *_: [sys.executable, "-c", "raise SystemExit(5)"]
        )
        (pid,) = scene.worker.pool.pids
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(PoolError, match="exit code 5"):
            async with asyncio.timeout(LONG):
                await scene.worker.serve()
        await scene.coordinator.until(lambda: bool(scene.coordinator.ends))

    play(lambda: Scene(Site(tmp_path), EMPTY), test)
    assert "given up" in caplog.text


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            worker = Worker("127.0.0.1", other.getsockname()[1], name="w", slots=1, roots={})
            with pytest.raises(UsageError, match="is in use"):
                await worker.start()
            assert worker.pool.pids == ()
            await worker.close()

    asyncio.run(main())


def test_losing_a_coordinator_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(scene: Scene) -> None:
        scene.coordinator.stream.close("bye")
        await appears(lambda: scene.worker._stream is None)

    caplog.set_level(logging.INFO, "imgpipe.worker")
    play(lambda: Scene(Site(tmp_path), EMPTY), test)
    assert len([r for r in caplog.records if "is gone" in r.getMessage()]) == 1
