"""A whole cluster in this process: for `run`, for tests and for teaching.

The real coordinator, real workers and their real pool processes, joined by socket pairs: nothing listens,
so nobody else can call, and no port has to be free. Only the machines are missing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Self

from imgpipe import limits
from imgpipe.client import Client
from imgpipe.coordinator import Coordinator
from imgpipe.errors import UsageError
from imgpipe.imaging.bounds import USUAL, Bounds
from imgpipe.pool.parent import PoolError
from imgpipe.storage import DEFAULT_ROOT, Roots
from imgpipe.worker import Worker


def dealt(slots: int, workers: int) -> list[int]:
    """Slots for each worker: as even as can be, the first get more, at least one each.

    >>> dealt(5, 3)
    [2, 2, 1]
    """
    each, more = divmod(slots, workers)
    return [max(1, each + (number < more)) for number in range(workers)]


class LocalCluster:
    """An embedded cluster, from ``async with`` to its end.

    Attributes
    ----------
    client : Client
        Submits jobs to it.
    """

    client: Client

    def __init__(
        self,
        *,
        slots: int | None = None,
        loads: Sequence[float] = (0.0,),
        delay_s: float = limits.DELAY_S,
        seed: int | None = None,
        roots: Mapping[str, bytes] | None = None,
        bounds: Bounds = USUAL,
    ) -> None:
        """One worker for each of ``loads``, with that simulated load, 0 to 1.

        ``slots`` are pool processes in all (without it, one for each CPU), dealt out to the workers;
        ``roots`` are what may be touched (without it, the current directory); ``seed`` makes the coins
        repeatable; ``bounds`` hold for each process.

        Raises
        ------
        UsageError
            No worker, a load that is none, or no slot.
        """
        if not loads or not all(0.0 <= load <= 1.0 for load in loads):
            raise UsageError(f"loads: expected one or more numbers from 0 to 1, got {list(loads)}")
        if slots is not None and slots < 1:
            raise UsageError(f"slots: expected at least 1, got {slots}")
        self._loads = tuple(loads)
        self._slots = dealt(slots or len(os.sched_getaffinity(0)), len(loads))
        self._delay_s = delay_s
        self._seed = seed
        self._bounds = bounds.among(sum(self._slots))
        self._roots = Roots(roots or {DEFAULT_ROOT: os.getcwdb()})
        self._workers: list[Worker] = []
        self._watching: list[asyncio.Task[None]] = []
        self._coordinator: Coordinator | None = None

    async def __aenter__(self) -> Self:
        self._coordinator = Coordinator(roots=self._roots, seed=self._seed)
        self._workers = [self._worker(number) for number in range(len(self._loads))]
        self.client = Client.adopt(self._coordinator.door.caller)
        try:
            await asyncio.gather(*map(self._join, self._workers))
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End everything; every process is gone when this returns."""
        await self.client.close()
        for watch in self._watching:
            watch.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await asyncio.gather(*(worker.close() for worker in self._workers))
        if self._coordinator is not None:  # last: it removes what processes that were killed have left
            await self._coordinator.stop()

    def _worker(self, number: int) -> Worker:
        return Worker(
            "",
            None,
            name=f"local{number + 1}",
            slots=self._slots[number],
            roots=self._roots,
            load=self._loads[number],
            delay_s=self._delay_s,
            bounds=self._bounds,
            seed=None if self._seed is None else self._seed + number,
        )

    async def _join(self, worker: Worker) -> None:
        assert self._coordinator is not None
        await worker.start()
        self._watching.append(asyncio.create_task(self._watch(worker)))
        await self._coordinator.adopt(worker.name, worker.door)

    async def _watch(self, worker: Worker) -> None:
        """Where nobody can come back, a fleet whose pools have all given up must not be waited for."""
        assert self._coordinator is not None
        try:
            await worker.serve()
        except PoolError:  # it has logged why
            self._workers.remove(worker)
            if not self._workers:
                await self._coordinator.jobs.close("every worker's pool has given up", drain=False)
