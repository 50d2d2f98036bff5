"""A world in virtual time around the scheduler, from one seed.

The scheduler is the very object the coordinator runs; only what surrounds it is made up: workers with
slots, a load and a delay, that take time, and die and return. The clock jumps from event to event, so a day
of a thousand machines takes seconds, and the same seed gives the same world, event for event.

One instant is played to its end before the clock moves::

    outbox ──messages──▶ workers ──answers──▶ scheduler, and again, until nobody has more to say now

Answers of one worker in one round travel as one message, as they do on the wire.

A worker tosses the coins of `admission`. An image that is delayed waits without slot or credit, and then
goes to the head of the ready queue. An image takes between half and one and a half times the mean service
time, uniformly: photographs of one folder differ, but not wildly. Times between deaths, and until the
return, are exponential.

A trial draws from streams of its own (one for the scheduler, one for the world), derived from the seed and
its number: its result depends on neither the trials before it nor their count.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from statistics import fmean, stdev
from typing import Any

from imgpipe import limits
from imgpipe.facts import Fact, ImageDone, ImageFailed, Tally
from imgpipe.protocol import DelayedExecute, Done, Execute, Job, JobReady, Offer, Rejected, Waiting
from imgpipe.rows import DoneRow, Item, Token, batches
from imgpipe.scheduling import placement
from imgpipe.scheduling.admission import Admission, Verdict
from imgpipe.scheduling.oracle import expected_makespan_s
from imgpipe.scheduling.records import JobSpec
from imgpipe.scheduling.scheduler import Scheduler

JOB = "simulated"
_NAME = b"image"


@dataclass(frozen=True, slots=True)
class SimulationSpec:
    """What is simulated.

    Attributes
    ----------
    loads
        One worker for each.
    slots
        Of each worker.
    service_s
        Mean seconds an image takes in a process; may be 0.
    delay_s
        How long a delayed image waits.
    mtbf_s, mttr_s
        Mean seconds a worker lives, and until it returns; 0: it never dies, it returns at once.
    latency_s
        From sending a message to its arrival, either way.
    """

    loads: tuple[float, ...]
    tasks: int
    mode: str = "balanced"
    slots: int = 2
    service_s: float = 0.0
    delay_s: float = limits.DELAY_S
    trials: int = 1
    seed: int = 0
    mtbf_s: float = 0.0
    mttr_s: float = 0.0
    latency_s: float = 0.0

    @property
    def is_instant(self) -> bool:
        """Whether only a delay takes time."""
        return self.service_s == self.latency_s == self.mtbf_s == 0.0


@dataclass(slots=True)
class Trial:
    """What came of one trial. ``done``, ``failed`` and ``assignments`` are counted from the facts."""

    makespan_s: float = 0.0
    done: int = 0
    failed: int = 0
    assignments: int = 0
    delayed: int = 0
    rejections: int = 0
    forced: int = 0
    lost: int = 0
    events: int = 0

    def count(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            if type(fact) is ImageDone:
                self.done += 1
                self.assignments += fact.attempts
            elif type(fact) is Tally:
                self.delayed += fact.delayed
                self.rejections += fact.rejections
                self.forced += fact.forced
                self.lost += fact.lost
            elif type(fact) is ImageFailed:
                self.failed += 1
                self.assignments += fact.attempts


@dataclass(slots=True)
class Result:
    """What came of all trials."""

    spec: SimulationSpec
    trials: list[Trial] = field(default_factory=list)

    @property
    def events(self) -> int:
        """Assignments, and timers that went off: what an events-per-second figure counts."""
        return sum(trial.events for trial in self.trials)

    def summary(self) -> dict[str, Any]:
        """What ``simulate --json`` prints; the same for the same seed."""
        spans = [trial.makespan_s for trial in self.trials]
        images = max(1, self.spec.tasks * len(self.trials))
        return {
            "mode": placement.find(self.spec.mode).name,
            "trials": len(self.trials),
            "makespan_s": {"mean": _rounded(fmean(spans)), "sem": _rounded(_standard_error(spans))},
            "assignments_per_image": _rounded(sum(trial.assignments for trial in self.trials) / images),
            "delayed_share": _rounded(sum(trial.delayed for trial in self.trials) / images),
            "rejections": sum(trial.rejections for trial in self.trials),
            "forced": sum(trial.forced for trial in self.trials),
            "expected_makespan_s": _rounded(_expected(self.spec)),
            "failed": sum(trial.failed for trial in self.trials),
        }


def simulate(spec: SimulationSpec) -> Result:
    """Run every trial of a simulation.

    Raises
    ------
    UsageError
        There is no such mode.
    """
    return Result(spec, [_World(spec, number).run() for number in range(spec.trials)])


def _expected(spec: SimulationSpec) -> float | None:
    mode = placement.find(spec.mode).name
    return expected_makespan_s(
        mode, spec.loads, spec.tasks, spec.delay_s, slots=spec.slots, instant=spec.is_instant
    )


def _standard_error(values: list[float]) -> float:
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


class _Worker:
    """A simulated machine: coins, a ready queue, slots, and what it has to answer.

    ``life`` counts its deaths: what was under way in an earlier life never happens.
    """

    def __init__(self, world: _World, name: str, load: float, slots: int, rng: Random) -> None:
        self.world = world
        self.name = name
        self.slots = slots
        self.life = 0
        self._verdict = Admission(load, world.spec.delay_s, rng).verdict
        self._random = rng.random
        self._forget()

    def _forget(self) -> None:
        self.running = 0
        self.ready: deque[Token] = deque()
        self.refused: list[Token] = []
        self.delayed: list[Token] = []
        self.done: list[DoneRow] = []
        self.seen: list[str] = []

    def die(self) -> None:
        self.life += 1
        self._forget()

    # --- what it is told ------------------------------------------------------------------------

    def receive(self, message: Any) -> None:
        kind = type(message)
        if kind is Execute or kind is DelayedExecute:
            self._take(message.items, kind is Execute)
        elif kind is Job:
            self.seen.append(message.job)
            self._has_to_answer()

    def _take(self, items: tuple[Item, ...], may_refuse: bool) -> None:
        self.world.trial.events += len(items)
        for item in items:
            verdict = self._verdict(may_refuse=may_refuse)
            if verdict is Verdict.NOW:
                self.ready.append(item[:2])
            elif verdict is Verdict.REJECT:
                self.refused.append(item[:2])
            else:
                self.delayed.append(item[:2])
                self.world.after(self.world.spec.delay_s, self._wake, item[:2], self.life)
        self._start()
        if self.refused or self.delayed:
            self._has_to_answer()

    # --- what it does ---------------------------------------------------------------------------

    def _wake(self, token: Token, life: int) -> None:
        """Its delay is over: it goes before those that came to be ready."""
        if life == self.life:
            self.ready.appendleft(token)
            self._start()

    def _start(self) -> None:
        mean_s = self.world.spec.service_s
        while self.ready and self.running < self.slots:
            token = self.ready.popleft()
            self.running += 1
            if mean_s:
                service_s = mean_s * (0.5 + self._random())
                row = (*token, 0, 0, int(service_s * 1e6), 0, 0)
                self.world.after(service_s, self._finish, row, self.life)
            else:
                self._end((*token, 0, 0, 0, 0, 0))

    def _finish(self, row: DoneRow, life: int) -> None:
        if life == self.life:
            self._end(row)
            self._start()

    def _end(self, row: DoneRow) -> None:
        self.running -= 1
        self.done.append(row)
        self._has_to_answer()

    # --- what it answers ------------------------------------------------------------------------

    def _has_to_answer(self) -> None:
        self.world.talking[self.name] = self

    def answers(self) -> Iterable[Any]:
        """Everything it has to say now, in messages no larger than the wire allows."""
        for job in self.seen:
            yield JobReady(job, True)
        self.seen = []
        if self.refused:
            refused, self.refused = self.refused, []
            yield from _batched(Rejected, refused)
        if self.delayed:
            delayed, self.delayed = self.delayed, []
            yield from _batched(Waiting, delayed)
        if self.done:
            done, self.done = self.done, []
            yield from _batched(Done, done)


def _batched(kind: Callable[[str, tuple[Any, ...]], Any], rows: list[Any]) -> Iterable[Any]:
    for batch in batches(rows):
        yield kind(JOB, batch)


#: ``(when, serial, what, argument, life)``; the serial keeps what was planned first first.
_Planned = tuple[float, int, Callable[[Any, int], None], Any, int]


class _World:
    """One trial: the clock, what is to come, and everyone in it."""

    def __init__(self, spec: SimulationSpec, number: int) -> None:
        self.spec = spec
        self.now = 0.0
        self.trial = Trial()
        self.talking: dict[str, _Worker] = {}
        self._to_come: list[_Planned] = []
        self._serial = 0
        self._unlisted = spec.tasks
        self._rng = Random(f"world {spec.seed} {number}")
        self._scheduler = Scheduler(Random(f"scheduler {spec.seed} {number}"))
        self._workers = {
            name: _Worker(self, name, load, spec.slots, self._rng)
            for name, load in ((f"worker{i}", load) for i, load in enumerate(spec.loads))
        }

    def run(self) -> Trial:
        self._open()
        while not self._play_instant():
            self._advance()
        self.trial.makespan_s = self.now
        return self.trial

    def _open(self) -> None:
        for worker in self._workers.values():
            self._join(worker)
        constants = Job(JOB, True, "", b"", "", b"", (), 0.0, ())
        self._scheduler.submit(JobSpec(constants, placement.find(self.spec.mode)), self.now)

    # --- time -----------------------------------------------------------------------------------

    def after(self, delay_s: float, what: Callable[[Any, int], None], argument: Any, life: int) -> None:
        self._serial += 1
        heapq.heappush(self._to_come, (self.now + delay_s, self._serial, what, argument, life))

    def _advance(self) -> None:
        """Jump to what comes next, and let all of it happen."""
        deadline = self._scheduler.deadline()
        self.now = min(self._to_come[0][0] if self._to_come else math.inf, deadline or math.inf)
        if self.now == math.inf:
            raise RuntimeError("the job has not ended, and nothing is to come")
        if deadline is not None and deadline <= self.now:
            self._scheduler.elapsed(self.now)
        while self._to_come and self._to_come[0][0] <= self.now:
            _, _, what, argument, life = heapq.heappop(self._to_come)
            self.trial.events += 1
            what(argument, life)

    def _play_instant(self) -> bool:
        """Everything that is decided, said and answered now. Whether the job has ended."""
        while True:
            self._hear()
            box = self._scheduler.outbox(self.now)
            for name, message in box.messages:
                self._send(self._workers[name], _Worker.receive, message)
            for _, facts in box.facts:
                self.trial.count(facts)
            if box.ended:
                return True
            if box.hungry:
                self._list_more()
            elif not self.talking:
                return False

    # --- between the scheduler and the workers --------------------------------------------------

    def _hear(self) -> None:
        talking, self.talking = self.talking, {}
        for worker in talking.values():
            for message in worker.answers():
                self._send(worker, self._hear_one, message)

    def _hear_one(self, worker: _Worker, message: Any) -> None:
        self._scheduler.received(worker.name, message, self.now)

    def _send(self, worker: _Worker, take: Callable[[_Worker, Any], None], message: Any) -> None:
        if self.spec.latency_s:
            self.after(self.spec.latency_s, self._arrive, (worker, take, message), worker.life)
        else:
            take(worker, message)

    def _arrive(self, sent: tuple[_Worker, Callable[[_Worker, Any], None], Any], life: int) -> None:
        worker, take, message = sent
        if life == worker.life:
            take(worker, message)

    def _list_more(self) -> None:
        count = min(self._unlisted, limits.LISTING_BATCH)
        self._unlisted -= count
        if count:
            self._scheduler.found(JOB, [(_NAME, 0)] * count, self.now)
        if not self._unlisted:
            self._scheduler.exhausted(JOB, self.now)

    # --- deaths ---------------------------------------------------------------------------------

    def _join(self, worker: _Worker, life: int = 0) -> None:
        self._scheduler.joined(worker.name, Offer(worker.slots, (), (), ()), self.now)
        if self.spec.mtbf_s:
            self.after(self._rng.expovariate(1.0 / self.spec.mtbf_s), self._die, worker, life)

    def _die(self, worker: _Worker, life: int) -> None:
        worker.die()
        self.talking.pop(worker.name, None)
        self._scheduler.lost(worker.name, self.now, "died")
        away_s = self._rng.expovariate(1.0 / self.spec.mttr_s) if self.spec.mttr_s else 0.0
        self.after(away_s, self._join, worker, worker.life)
