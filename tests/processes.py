"""Real processes for end-to-end tests: a fleet of commands, a job followed fact by fact, and a referee.

The referee is `check`: whatever happened to the fleet, every image has exactly one result fact, and every
output is what plain OpenCV calls (`edges`, from its description) make of the input. The witness is `Wiretap`:
it reads what the coordinator hands out, on the wire, with the msgpack library alone.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import cv2
import msgpack
import numpy as np

from imgpipe import api
from imgpipe.client import Client, Job
from imgpipe.facts import Ended, Fact, ImageDone, ImageFailed, Tally, WorkerChanged
from imgpipe.imaging.recipe import Recipe
from tests.conftest import OPERATIONS
from tests.pools import LONG, appears

T = TypeVar("T")

_LAUNCHER = """import json, sys
from imgpipe import limits
for name, value in json.loads(sys.argv.pop(1)).items():
    assert hasattr(limits, name), name
    setattr(limits, name, value)
from imgpipe.cli import main
sys.exit(main())"""


def of(told: Iterable[Fact], kind: type[T]) -> list[T]:
    return [fact for fact in told if isinstance(fact, kind)]


def wait_for(found: Callable[[], T]) -> T:
    """`appears`, outside of a loop."""
    return asyncio.run(appears(found))  # type: ignore[no-any-return]


# --- processes ----------------------------------------------------------------------------------


class Process:
    """An ``imgpipe`` command.

    ``limits`` are bounds set otherwise in that process. With ``humble`` root has no more rights there than
    others: permissions mean what they say.
    """

    def __init__(
        self,
        *words: str | Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        limits: Mapping[str, float] | None = None,
        humble: bool = False,
    ) -> None:
        command = [sys.executable, "-m", "imgpipe"]
        if limits:
            command = [sys.executable, "-c", _LAUNCHER, json.dumps(dict(limits))]
        self.line = ""
        self._log = cwd / f"log-{time.monotonic_ns()}"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *map(str, words)],
                cwd=cwd,
                env={**os.environ, "PYTHONPATH": str(OPERATIONS), **(env or {})},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=_give_up_rights if humble else None,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text()

    def accepting(self) -> Self:
        """Read the line a service prints once it accepts connections."""
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], 2 * LONG)[0], f"it says nothing: {self.log}"
        self.line = self._process.stdout.readline().rstrip("\n")
        assert " listening on " in self.line, self.log
        return self

    @property
    def port(self) -> int:
        found = re.search(r":(\d+),", self.line)
        assert found is not None
        return int(found[1])

    def send(self, signum: signal.Signals) -> None:
        self._process.send_signal(signum)

    def ended(self) -> tuple[int, str]:
        """Wait for its end: exit code (minus a signal), and stdout."""
        out, _ = self._process.communicate(timeout=2 * LONG)
        return self._process.returncode, out

    async def ends(self) -> int:
        return (await asyncio.to_thread(self.ended))[0]

    def kill(self) -> None:
        """Nothing is left of it, whatever state it is in."""
        if self._process.poll() is None:
            self._process.kill()
        if self._process.stdout is not None and not self._process.stdout.closed:
            self._process.communicate(timeout=LONG)  # for ever if a process of its pool outlived it

    async def says(self, words: str) -> None:
        """Wait for these words on its stderr."""
        await appears(lambda: words in self.log)


def _give_up_rights() -> None:
    """Take CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH from what is executed next (others have neither)."""
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


def children(pid: int) -> set[int]:
    """The processes this one has started that are there still."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended since
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.add(int(stat.parent.name))
    return found


def alive(pids: Iterable[int]) -> set[int]:
    """Those that have not ended; one that nobody has reaped yet has."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                found.add(pid)
    return found


# --- a fleet ------------------------------------------------------------------------------------


class Fleet:
    """Workers ``node1`` … and their coordinator, as processes, below one root.

    Each worker has a folder of its own for the operation ``gate``.
    """

    def __init__(self, root: Path, workers: list[Process], gates: list[Path]) -> None:
        self.root = root
        self.workers = workers
        self.gates = gates
        self.ports = [worker.port for worker in workers]
        self.coordinators: list[Process] = []

    def kill(self) -> None:
        """Every process, and those of its coordinators before."""
        for process in (*self.workers, *self.coordinators):
            process.kill()

    @property
    def coordinator(self) -> Process:
        return self.coordinators[-1]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.coordinator.port}"

    def open_gates(self) -> None:
        for gate in self.gates:
            (gate / "open").touch()

    def start_coordinator(self, *options: str | Path, limits: Mapping[str, float] | None = None) -> Process:
        home = self.gates[0].parent
        lines = (f"node{n} 127.0.0.1:{port}" for n, port in enumerate(self.ports, 1))
        (home / "machines.txt").write_text("\n".join(lines))
        words = ("coordinator", "-v", "--root", f".={self.root}", *(options or ("--port", "0")))
        self.coordinators.append(Process(*words, cwd=home, limits=limits))
        return self.coordinator.accepting()


def start_worker(
    home: Path,
    root: Path,
    gate: Path,
    *options: str,
    limits: Mapping[str, float] | None = None,
    env: Mapping[str, str] | None = None,
) -> Process:
    words = ("worker", "-v", *(options or ("--port", "0")), "--root", f".={root}")
    return Process(*words, cwd=home, env={"GATE": str(gate), **(env or {})}, limits=limits)


@contextmanager
def fleet(
    root: Path,
    workers: int = 2,
    *options: str,
    limits: Mapping[str, float] | None = None,
    through: Callable[[list[int]], list[int]] | None = None,
) -> Iterator[Fleet]:
    """So many workers, one slot each where ``options`` do not say otherwise. Ends with every process gone.

    ``through`` gets the workers' ports and gives those that the coordinator is to call.
    """
    home = root / "fleet"
    home.mkdir()
    gates = [home / f"gate{n}" for n in range(1, workers + 1)]
    with ExitStack() as stack:
        started = []
        for gate in gates:
            gate.mkdir()
            words = ("--port", "0", "--slots", "1", *options)
            started.append(start_worker(home, root, gate, *words, limits=limits))
            stack.callback(started[-1].kill)
        nodes = Fleet(root, [worker.accepting() for worker in started], gates)
        stack.callback(lambda: nodes.kill())
        if through is not None:
            nodes.ports = through(nodes.ports)
        nodes.start_coordinator(limits=limits)
        pools = set().union(*(children(worker.pid) for worker in nodes.workers))
        yield nodes
    wait_for(lambda: not alive(pools))


# --- jobs ---------------------------------------------------------------------------------------


class Followed:
    """A job whose facts are kept as they come."""

    def __init__(self, job: Job) -> None:
        self.id = job.id
        self.told: list[Fact] = []
        self.job = job
        self._changed = asyncio.Event()
        self._following = asyncio.ensure_future(self._follow())

    async def _follow(self) -> None:
        try:
            async for batch in self.job.batches():
                self.told += batch
                self._changed.set()
        finally:
            self._changed.set()

    async def until(self, holds: Callable[[list[Fact]], Any]) -> None:
        """Wait until this is true of the facts so far."""
        try:
            async with asyncio.timeout(2 * LONG):
                while not holds(self.told):
                    assert not self._following.done(), self.told[-3:]
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"waited for too long; the last facts: {self.told[-5:]}") from None

    async def changed(self, worker: str, state: str) -> WorkerChanged:
        """Wait until this worker is in this state for the job."""

        def states(told: list[Fact]) -> list[WorkerChanged]:
            return [fact for fact in of(told, WorkerChanged) if fact.worker == worker]

        await self.until(lambda told: (found := states(told)) and found[-1].state == state)
        return states(self.told)[-1]

    async def end(self) -> list[Fact]:
        """All facts, once it has finished."""
        async with asyncio.timeout(3 * LONG):
            await self._following
        return self.told

    async def leave(self) -> None:
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)
        await self.job.close()


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Callable[..., Any]]:
    """A client; what it gives submits a job: ``await submit(site, ["gate", "edges"], mode="random", …)``."""
    jobs: list[Followed] = []
    async with await Client.connect(address) as client:

        async def submit(site: Site, operations: Sequence[str] = ("edges",), **options: Any) -> Followed:
            jobs.append(Followed(await client.submit(site.request(operations, **options))))
            return jobs[-1]

        submit.client = client  # type: ignore[attr-defined]
        try:
            yield submit
        finally:
            for job in jobs:
                await job.leave()


# --- pictures, and what must become of them -----------------------------------------------------


def edges(picture: Any) -> Any:
    """What the default operation does, in plain OpenCV calls."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    found = cv2.Canny(cv2.blur(grey, (3, 3)), 10, 30, apertureSize=5)
    result: Any = np.uint8(picture / 2.0)
    result[found > 0] = (0, 255, 0)
    return result


class Site:
    """A folder of pictures in a fresh directory, and the folder for their results beside it."""

    def __init__(self, home: Path, count: int = 0, width: int = 24, output: Path | None = None) -> None:
        self.source, self.output = home / "in", output or home / "out"
        self.source.mkdir(parents=True)
        self._rng = np.random.default_rng(count)
        for number in range(count):
            self.add(f"{number}.png", width)

    def add(self, name: str, width: int = 24) -> None:
        blocks = self._rng.integers(0, 256, (3, (width + 7) // 8, 3), np.uint8)
        picture = np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:, :width]
        ok, data = cv2.imencode(".png", picture)
        assert ok
        path = self.source / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.tobytes())

    def request(self, operations: Sequence[str], **options: Any) -> Any:
        return api.request(self.source, self.output, recipe=Recipe.from_options(operations), **options)

    @property
    def names(self) -> set[bytes]:
        files = (path for path in self.source.rglob("*") if path.is_file())
        return {os.fsencode(path.relative_to(self.source)) for path in files}

    def outputs(self) -> set[bytes]:
        """All there is below the output, hidden or not."""
        files = (path for path in self.output.rglob("*") if not path.is_dir())
        return {os.fsencode(path.relative_to(self.output)) for path in files}


def check(
    told: list[Fact],
    site: Site,
    failed: Mapping[bytes, str] | None = None,
    *,
    names: set[bytes] | None = None,
    reference: Callable[[Any], Any] = edges,
    state: str = "done",
) -> Ended:
    """One result for each image: as ``failed`` says by name, else an output with the pixels of ``reference``.

    Nothing else is in the output directory: no temporary file, no nonce.
    """
    failed, names = failed or {}, site.names if names is None else names
    ended = summed(told)
    assert (ended.state, ended.remaining, ended.problem) == (state, 0, "")
    assert {fact.name: fact.kind for fact in of(told, ImageFailed)} == failed
    done = {fact.name for fact in of(told, ImageDone)}
    assert done == names - set(failed)
    assert site.outputs() == done
    for name in done:
        assert np.array_equal(_pixels(site.output, name), reference(_pixels(site.source, name))), name
    return ended


def summed(told: list[Fact]) -> Ended:
    """The last fact, if it agrees with all facts before it: one result for each image."""
    ended = told[-1]
    assert isinstance(ended, Ended)
    assert len(of(told, Ended)) == 1
    done, failed, tallies = of(told, ImageDone), of(told, ImageFailed), of(told, Tally)
    results = Counter([fact.name for fact in done] + [fact.name for fact in failed])
    assert set(results.values()) <= {1}
    assert (ended.done, ended.failed) == (len(done), len(failed))
    assert ended.total == ended.done + ended.failed + ended.skipped + ended.remaining
    assert ended.rejections == sum(fact.rejections for fact in tallies)
    assert ended.forced == sum(fact.forced for fact in tallies)
    assert ended.retries == sum(fact.retries for fact in tallies)
    assert {row[0]: row[1] for row in ended.workers if row[1]} == Counter(fact.worker for fact in done)
    return ended


def _pixels(folder: Path, name: bytes) -> Any:
    data = (folder / os.fsdecode(name)).read_bytes()
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


# --- a witness on the wire ----------------------------------------------------------------------

_ASSIGNMENTS = (11, 12)  # kinds of messages: see docs/protocol.md


class Wiretap:
    """Stands between the coordinator and its workers, and reads what is handed out.

    Plain sockets and two threads for each connection: it shares nothing with what it watches.

    Attributes
    ----------
    assigned : list
        ``(attempt, job, worker)`` of every image handed out; attempts are numbered in the order of the
        decisions, workers from 1.
    """

    def __init__(self) -> None:
        self.assigned: list[tuple[int, str, int]] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def through(self, ports: list[int]) -> list[int]:
        """The ports to call instead of these."""
        return [self._listen(number, port) for number, port in enumerate(ports, 1)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self._sockets:
            with suppress(OSError):  # it is not connected, or no longer
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LONG)
        for sock in self._sockets:
            sock.close()

    def _listen(self, worker: int, port: int) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        self._sockets.append(listening)
        self._spawn(self._accept, listening, worker, port)
        return int(listening.getsockname()[1])

    def _spawn(self, target: Callable[..., None], *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments))
        self._threads[-1].start()

    def _accept(self, listening: socket.socket, worker: int, port: int) -> None:
        with suppress(OSError):  # it was shut down
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", port))
                self._sockets += [near, far]
                self._spawn(_pump, near, far, self._reader(worker))
                self._spawn(_pump, far, near, lambda data: None)

    def _reader(self, worker: int) -> Callable[[bytes], None]:
        held = bytearray()

        def read(data: bytes) -> None:
            held.extend(data)
            while len(held) >= 4 and len(held) >= 4 + (length := int.from_bytes(held[:4], "big")):
                self._heard(msgpack.unpackb(held[4 : 4 + length]), worker)
                del held[: 4 + length]

        return read

    def _heard(self, message: list[Any], worker: int) -> None:
        if message[0] in _ASSIGNMENTS:
            self.assigned += [(item[1], message[1], worker) for item in message[2]]


def _pump(here: socket.socket, there: socket.socket, told: Callable[[bytes], None]) -> None:
    with suppress(OSError):
        while data := here.recv(1 << 16):
            told(data)
            there.sendall(data)
    with suppress(OSError):
        there.shutdown(socket.SHUT_WR)
