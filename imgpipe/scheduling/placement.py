"""The table of modes: which worker is next.

A policy knows the workers that have room for one job. It is told incrementally: `offer` when a worker has
room, or when something about it changed; `withdraw` when it has none. `choose` answers in O(1) or O(log n).
To add a mode: write its policy and decorate it with `mode`; the command line, the checks and the simulation
read `MODES`.

A policy never asks a clock or a global random generator: the time and the generator are arguments.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import ClassVar, Protocol

from imgpipe import limits
from imgpipe.errors import UsageError, nearest


class Candidate(Protocol):
    """What a policy may know of a worker."""

    name: str
    slots: int
    #: Slow (> 1) or fast (< 1) beside the others at the same job, learned.
    pace: float
    #: Share of recent answers that were a refusal or a delay, 0 … 1, learned.
    caution: float
    #: No question that may be refused before this time.
    cooling_until: float

    @property
    def busy(self) -> int:
        """Images sent and not answered."""
        ...


class Policy(Protocol):
    """Which worker is next, for one job."""

    def offer(self, worker: Candidate) -> None:
        """This worker has room; tell again whenever something about it changed."""

    def withdraw(self, worker: Candidate) -> None:
        """This worker has no room, or left. It may never have been offered."""

    def choose(self, rng: Random, now: float, avoid: frozenset[str]) -> Candidate | None:
        """The next worker, or None. One not named in ``avoid`` is preferred. It stays offered."""

    def ready_at(self) -> float | None:
        """When ``choose`` may answer differently without being told anything; None if never."""

    def all_within(self, names: set[str]) -> bool:
        """Whether every worker with room is one of these."""


class AfterRefusal(StrEnum):
    """What becomes of an image that was refused. Each of the three ends, whatever the policy answers."""

    #: It goes to a worker that has not refused it; once everyone with room has, it waits a moment.
    AVOID = "avoid"
    #: Its next worker is chosen anew, maybe the same; once everyone with room has refused, it waits too.
    REDRAW = "redraw"
    #: A worker that refuses again and again gets no question that may be refused for longer and longer.
    COOL = "cool"


@dataclass(frozen=True, slots=True)
class Mode:
    """How a job is handed out."""

    name: str
    help: str
    policy: Callable[[], Policy]
    #: Sent with ``Execute``: the worker may refuse.
    may_refuse: bool = True
    after_refusal: AfterRefusal = AfterRefusal.AVOID
    #: Refusals of one image before it may be forced.
    refusals_max: int = limits.REFUSALS_MAX
    aliases: tuple[str, ...] = ()


MODES: dict[str, Mode] = {}


def mode(
    name: str, help: str, **options: bool | int | AfterRefusal | tuple[str, ...]
) -> Callable[[type[Policy]], type[Policy]]:
    """Class decorator: this policy makes a mode of this name. ``options`` are `Mode`'s fields."""

    def register(policy: type[Policy]) -> type[Policy]:
        MODES[name] = Mode(name, help, policy, **options)  # type: ignore[arg-type]  # Mode checks its own names
        return policy

    return register


def find(word: str) -> Mode:
    """The mode of this name or alias.

    Raises
    ------
    UsageError
        There is none; the message has the nearest.
    """
    for known in MODES.values():
        if word == known.name or word in known.aliases:
            return known
    words = [*MODES, *(alias for known in MODES.values() for alias in known.aliases)]
    raise UsageError(f"unknown mode {word!r}{nearest(word, words)}; there are {', '.join(MODES)}")


class _Pool:
    """Members with O(1) add, remove and uniform draw: a list, and where each member stands in it."""

    def __init__(self) -> None:
        self.members: list[Candidate] = []
        self._places: dict[str, int] = {}

    def offer(self, worker: Candidate) -> None:
        if worker.name not in self._places:
            self._places[worker.name] = len(self.members)
            self.members.append(worker)

    def withdraw(self, worker: Candidate) -> None:
        place = self._places.pop(worker.name, None)
        if place is None:
            return
        last = self.members.pop()
        if last.name != worker.name:
            self.members[place] = last
            self._places[last.name] = place

    def choose(self, rng: Random, now: float, avoid: frozenset[str]) -> Candidate | None:
        if not self.members:
            return None
        drawn = self.members[int(rng.random() * len(self.members))]
        if drawn.name in avoid:
            others = [worker for worker in self.members if worker.name not in avoid]
            return rng.choice(others) if others else drawn
        return drawn

    def ready_at(self) -> float | None:
        return None

    def all_within(self, names: set[str]) -> bool:
        return len(names) >= len(self.members) and all(worker.name in names for worker in self.members)


@mode("random", "a worker drawn by chance; it must accept, and may be delayed", may_refuse=False)
class Uniform(_Pool):
    """Uniform among the live workers that have room."""


@mode(
    "redraw",
    "drawn by chance; it may refuse, and another draw follows at once (for study)",
    refusals_max=limits.REFUSALS_MAX_REDRAW,
    after_refusal=AfterRefusal.REDRAW,
)
class UniformRedraw(_Pool):
    """The same draw; what differs is that the worker may refuse."""


@mode(
    "balanced",
    "the worker that should be done first: room, learned speed, recent refusals; it may refuse",
    after_refusal=AfterRefusal.COOL,
    aliases=("load", "load-balancing"),
)
class LeastExpected:
    """The least expected time to an answer, from a heap whose outdated entries are dropped when met.

    The expected time is ``(busy + 1) / slots × pace / (1 − caution)²``: how long the queue there is, how
    slow it works it off, and how often it says no or later. A refusal costs another worker's time and a
    delay costs seconds, hence the square. Workers that cool are kept apart by the time their cooling ends.
    """

    #: Caution counts up to here; a worker that always refused is still asked now and then.
    CAUTION_MAX: ClassVar[float] = 0.95

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._members: dict[str, Candidate] = {}
        self._ranked: list[tuple[float, int, str]] = []
        self._cooling: list[tuple[float, int, str]] = []
        self._serial = 0

    def rank(self, worker: Candidate) -> float:
        ease = 1.0 - min(worker.caution, self.CAUTION_MAX)
        return (worker.busy + 1) / worker.slots * worker.pace / (ease * ease)

    def free_at(self, worker: Candidate) -> float:
        """When it may be asked again."""
        return worker.cooling_until

    def offer(self, worker: Candidate) -> None:
        self._serial += 1
        self._members[worker.name] = worker
        self._versions[worker.name] = self._serial
        heapq.heappush(self._ranked, (self.rank(worker), self._serial, worker.name))
        if len(self._ranked) > 64 + 8 * len(self._members):
            self._ranked = [entry for entry in self._ranked if self._is_current(entry)]
            heapq.heapify(self._ranked)

    def withdraw(self, worker: Candidate) -> None:
        self._members.pop(worker.name, None)
        self._versions.pop(worker.name, None)

    def choose(self, rng: Random, now: float, avoid: frozenset[str]) -> Candidate | None:
        self._warm_up(now)
        set_aside = []
        chosen = None
        while (entry := self._top(now)) is not None:
            if chosen is None or entry[2] not in avoid:
                chosen = self._members[entry[2]]
            if entry[2] not in avoid:
                break
            set_aside.append(heapq.heappop(self._ranked))
        for entry in set_aside:
            heapq.heappush(self._ranked, entry)
        return chosen

    def ready_at(self) -> float | None:
        while self._cooling and not self._is_current(self._cooling[0]):
            heapq.heappop(self._cooling)
        return self._cooling[0][0] if self._cooling else None

    def all_within(self, names: set[str]) -> bool:
        return len(names) >= len(self._members) and all(name in names for name in self._members)

    def _is_current(self, entry: tuple[float, int, str]) -> bool:
        return self._versions.get(entry[2]) == entry[1]

    def _top(self, now: float) -> tuple[float, int, str] | None:
        """The best entry that may be asked now; outdated ones are dropped, cooling ones kept for later."""
        while self._ranked:
            entry = self._ranked[0]
            if self._is_current(entry):
                until = self.free_at(self._members[entry[2]])
                if until <= now:
                    return entry
                heapq.heappush(self._cooling, (until, entry[1], entry[2]))
            heapq.heappop(self._ranked)
        return None

    def _warm_up(self, now: float) -> None:
        while self._cooling and self._cooling[0][0] <= now:
            _, serial, name = heapq.heappop(self._cooling)
            if self._versions.get(name) == serial:
                heapq.heappush(self._ranked, (self.rank(self._members[name]), serial, name))


class LeastBusy(LeastExpected):
    """The least loaded worker, cooling or not: where an image that nobody wants is forced."""

    def rank(self, worker: Candidate) -> float:
        return (worker.busy + 1) / worker.slots

    def free_at(self, worker: Candidate) -> float:
        return 0.0
