"""Real processes for end-to-end tests: a fleet of commands, and a job followed fact by fact."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from imgpipe.client import Client, Job
from imgpipe.facts import Fact, WorkerChanged
from tests.conftest import OPERATIONS
from tests.pictures import Site, of
from tests.pools import LONG, appears

T = TypeVar("T")

_LAUNCHER = """import json, sys
from imgpipe import limits
for name, value in json.loads(sys.argv.pop(1)).items():
    assert hasattr(limits, name), name
    setattr(limits, name, value)
from imgpipe.cli import main
sys.exit(main())"""


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
                preexec_fn=give_up_rights if humble else None,
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


def give_up_rights() -> None:
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


def run(nodes: Fleet, main: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    """Run this with a client's `connected` ``submit``."""

    async def whole() -> None:
        async with connected(nodes.address) as submit:
            await main(submit)

    asyncio.run(whole())
