"""What the scheduler knows of one task, one worker, one job, one turn: plain records with small questions.

A task lives in memory from the moment it is found until it is terminal; a job is its queue and its sums. So
memory follows what is in flight, not the size of the job.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from imgpipe import limits
from imgpipe.facts import Ended, Fact, Tally
from imgpipe.notes import Notes, kinds
from imgpipe.protocol import Job, Offer
from imgpipe.scheduling.automaton import Sight, State, WorkerState
from imgpipe.scheduling.placement import LeastBusy, Mode, Policy

NOBODY: frozenset[str] = frozenset()


class Ability(NamedTuple):
    """What a worker allows: pixels of one picture, and formats by their suffixes."""

    pixels: int
    codecs: frozenset[str]

    def within(self, other: Ability) -> bool:
        """It allows no more."""
        return self.pixels <= other.pixels and self.codecs <= other.codecs


NOTHING: frozenset[Ability] = frozenset()


class Task:
    """One image on its way."""

    __slots__ = (
        "alone",
        "attempts",
        "avoid",
        "barred",
        "count",
        "job",
        "losses",
        "name",
        "number",
        "refusals",
        "refusers",
        "size",
        "state",
        "tries",
    )

    def __init__(self, job: JobRecord, number: int, name: bytes, size: int) -> None:
        self.job = job
        self.number = number
        self.name = name
        self.size = size
        self.state = State.QUEUED
        self.attempts: dict[int, WorkerRecord] = {}
        self.count = 0  # assignments so far
        self.tries = 0  # runs started in a process
        self.losses = 0
        self.refusals = 0
        self.refusers: set[str] = set()  # who refused it since it last waited
        self.avoid = NOBODY  # workers it should not go back to
        self.barred = NOTHING  # what workers allow that refused it: it must not go to who allows no more
        self.alone = False


class WorkerRecord:
    """One worker, as the scheduler sees it."""

    __slots__ = (
        "ability",
        "address",
        "answers",
        "caution",
        "cooling_until",
        "done",
        "gone_at",
        "held",
        "last_offer",
        "name",
        "offer",
        "pace",
        "prefetch",
        "refusals_in_a_row",
        "service_s",
        "sights",
        "slots",
        "state",
        "waiting",
        "why",
    )

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.slots = 1
        self.state = WorkerState.GONE
        self.why = "not connected yet"
        self.done = 0
        self.last_offer: Offer | None = None  # it may have gone since; ``gone_at``: when it began to leave
        self.ability = Ability(0, frozenset())
        self.gone_at = -math.inf
        self.reset(None)

    def reset(self, offer: Offer | None) -> None:
        """A new stream: nothing in hand, nothing learned."""
        self.offer = offer
        if offer is not None:
            self.last_offer = offer
            self.ability = Ability(offer.pixels, frozenset(offer.codecs))
        self.held: dict[int, Task] = {}  # attempt → task: these hold credit
        self.waiting: dict[int, Task] = {}  # attempt → task: delayed, without credit
        self.sights: dict[str, View] = {}
        self.prefetch = self.slots
        self.service_s = 0.0  # mean seconds an image takes in a process; 0 while unknown
        self.pace = 1.0
        self.caution = 0.0
        self.answers = 0
        self.refusals_in_a_row = 0
        self.cooling_until = 0.0

    @property
    def busy(self) -> int:
        return len(self.held)

    @property
    def room(self) -> int:
        """Images it can still be sent."""
        return self.slots + self.prefetch - len(self.held)

    def learn_caution(self, bad: bool) -> None:
        """Count an answer; a refusal or a delay is bad. A plain mean of the first ten, then a moving one."""
        self.answers += 1
        weight = max(1.0 / (self.answers + 1), 0.1)
        self.caution += weight * (bad - self.caution)

    def learn_service(self, service_s: float, mean_s: float) -> None:
        """An image took so long here; the same job's images take ``mean_s`` over all workers."""
        known = self.service_s > 0
        self.service_s += (0.1 if known else 1.0) * (service_s - self.service_s)
        if mean_s > 0:
            self.pace += 0.1 * (service_s / mean_s - self.pace)
        ahead = math.ceil(self.slots * limits.PREFETCH_S / max(self.service_s, 1e-6))
        self.prefetch = max(1, min(ahead, limits.PREFETCH_MAX))

    def cool(self, now: float, live: int) -> None:
        """It refused: the first in a row is free, then it is left alone for longer and longer."""
        self.refusals_in_a_row += 1
        self.probed(now, live)

    def probed(self, now: float, live: int) -> None:
        """Who keeps refusing is asked one image at a time, however much room it has, until it accepts."""
        if self.refusals_in_a_row > 1:
            most = max(limits.COOL_MAX_S, live / limits.COOL_PROBES_PER_S)
            step = min(self.refusals_in_a_row - 2, 30)
            self.cooling_until = now + min(most, limits.COOL_FIRST_S * 2.0**step)

    def accepted(self) -> None:
        self.refusals_in_a_row = 0
        self.cooling_until = 0.0


@dataclass(slots=True)
class View:
    """What a worker said of one job's folders."""

    sight: Sight
    why: str = ""
    retry_s: float = field(default_factory=lambda: limits.ASIDE_MIN_S)


@dataclass(slots=True)
class Counts:
    """What happened between one worker and one job in this turn."""

    rejections: int = 0
    retries: int = 0
    forced: int = 0
    delayed: int = 0
    lost: int = 0


@dataclass(slots=True)
class Sums:
    """One worker's part in one job."""

    done: int = 0
    rejections: int = 0
    retries: int = 0
    failed: int = 0
    busy_us: int = 0


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a job is, before anything of it has happened. ``constants`` still lacks its samples."""

    constants: Job
    mode: Mode
    operations: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()
    retries: int = 1
    priority: int = 0

    @property
    def job(self) -> str:
        return self.constants.job


@dataclass(slots=True, eq=False)
class JobRecord:
    """One job on its way."""

    spec: JobSpec
    opened_at: float
    policy: Policy
    queue: deque[Task] = field(default_factory=deque)
    reserved: dict[frozenset[Ability], deque[Task]] = field(default_factory=dict)  # by `Task.barred`
    paused: list[Task] = field(default_factory=list)
    paused_until: float = math.inf
    facts: list[Fact] = field(default_factory=list)  # told since the last outbox
    counts: dict[str, Counts] = field(default_factory=dict)  # … of these, still adding up
    sums: dict[str, Sums] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)  # images by kind of note
    eligible: set[str] = field(default_factory=set)  # live, and ready for this job
    refusing: set[str] = field(default_factory=set)  # … whose latest answer was a refusal
    forced_policy: LeastBusy | None = None
    written_off: list[tuple[bytes, int]] = field(
        default_factory=list
    )  # (name, attempt) that may have left a file
    samples: list[tuple[bytes, int]] = field(default_factory=list)
    introduced: bool = False
    listed: bool = False
    stopping: bool = False
    ended: bool = False
    started: bool = False
    state: str = "running"
    problem: str = ""
    live: int = 0  # tasks found and not terminal
    total: int = 0
    ignored: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    forced: int = 0
    served: float = 0.0  # slot time given to it, the measure of fairness
    service_s: float = 0.0  # mean seconds one of its images takes; 0 while unknown

    @property
    def id(self) -> str:
        return self.spec.constants.job

    @property
    def constants(self) -> Job:
        return replace(self.spec.constants, samples=tuple(self.samples))

    @property
    def window(self) -> int:
        """Room for this many more names: those that wait for a moment or for some workers take room too."""
        if self.listed or self.stopping:
            return 0
        reserved = sum(map(len, self.reserved.values()))
        return max(0, limits.WINDOW - len(self.queue) - len(self.paused) - reserved)

    @property
    def wants_names(self) -> bool:
        """Room for another batch of the listing."""
        return self.window >= limits.LISTING_BATCH

    @property
    def has_queued(self) -> bool:
        """There is something to hand out."""
        return bool(self.queue or self.reserved)

    def enqueue(self, task: Task, *, front: bool = False) -> None:
        """A task waits for a worker that may have it."""
        queue = self.reserved.setdefault(task.barred, deque()) if task.barred else self.queue
        (queue.appendleft if front else queue.append)(task)

    def take_all(self) -> list[Task]:
        """Every task that waits, which then waits no more."""
        taken = [*self.queue, *self.paused, *(task for queue in self.reserved.values() for task in queue)]
        self.queue.clear()
        self.paused.clear()
        self.reserved.clear()
        return taken

    def sums_of(self, worker: str) -> Sums:
        found = self.sums.get(worker)
        if found is None:
            found = self.sums[worker] = Sums()
        return found

    def tell(self, fact: Fact) -> None:
        self.facts.append(fact)

    def note(self, notes: Notes) -> None:
        """An image ended with these."""
        if notes:
            self.notes.update(kinds(notes))

    def counts_of(self, worker: str) -> Counts:
        found = self.counts.get(worker)
        if found is None:
            found = self.counts[worker] = Counts()
        return found

    def take_facts(self) -> list[Fact]:
        """What was told since this was last called, the tallies after the rest."""
        for worker, counts in self.counts.items():
            self.facts.append(
                Tally(worker, counts.rejections, counts.retries, counts.forced, counts.delayed, counts.lost)
            )
        self.counts.clear()
        facts, self.facts = self.facts, []
        return facts

    @property
    def remaining(self) -> int:
        return self.total - self.done - self.failed

    def summary(self) -> Ended:
        """The last fact."""
        rows = tuple(
            (name, sums.done, sums.rejections, sums.retries, sums.failed, sums.busy_us)
            for name, sums in sorted(self.sums.items())[: limits.ENDED_ROWS]
        )
        return Ended(
            state=self.state,
            total=self.total,
            done=self.done,
            failed=self.failed,
            skipped=0,
            ignored=self.ignored,
            remaining=self.remaining,
            rejections=sum(sums.rejections for sums in self.sums.values()),
            forced=self.forced,
            retries=sum(sums.retries for sums in self.sums.values()),
            workers=rows,
            problem=self.problem,
            notes=tuple(sorted(self.notes.items())),
        )

    def policies(self) -> Sequence[Policy]:
        return (self.policy,) if self.forced_policy is None else (self.policy, self.forced_policy)

    def learn_service(self, service_s: float) -> None:
        self.service_s += (0.1 if self.service_s else 1.0) * (service_s - self.service_s)


@dataclass(slots=True)
class Outbox:
    """What one turn has decided."""

    #: ``(worker, message)``, in order for each worker.
    messages: list[tuple[str, Any]] = field(default_factory=list)
    #: ``(job, facts)``: to be told to whoever follows, once they are durable.
    facts: list[tuple[str, list[Fact]]] = field(default_factory=list)
    #: Jobs that have ended; their last fact (``summary()``) is told when their files are cleaned up.
    ended: list[JobRecord] = field(default_factory=list)
    #: Jobs that want more names.
    hungry: list[str] = field(default_factory=list)
