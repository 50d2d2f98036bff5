"""The life of a task, in one table that the scheduler, the documentation and the tests all read.

A task is QUEUED or ASSIGNED while it is live, and DONE, FAILED or CANCELLED once and for ever. What an event
makes of it stands in `TRANSITIONS`; a pair that is not there cannot happen to a live task, and leaves a
terminal one as it is (late and doubled answers are counted, nothing else).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class State(IntEnum):
    """Where a task stands."""

    QUEUED = 0  # waiting for a worker with room
    ASSIGNED = 1  # one attempt or more is alive
    DONE = 2  # its output is in place
    FAILED = 3  # it has no output, and will have none
    CANCELLED = 4  # its job was stopped first


TERMINAL = frozenset({State.DONE, State.FAILED, State.CANCELLED})


class Event(IntEnum):
    """What happens to a task."""

    ASSIGN = 0  # a worker with room was chosen
    DONE = 1  # a live attempt has committed its output
    REFUSED = 2  # a worker said no, untouched
    RETURNED = 3  # given back: drained, or not to be seen, or more than that worker allows
    LOST = 4  # its worker died
    TOO_MANY_LOSSES = 5  # … and too many had before
    BROKE = 6  # its process crashed, timed out or ran out of memory, and tries are left
    BROKE_FOR_GOOD = 7  # the same, and none are left
    FAILED = 8  # the image itself is bad, missing or unwritable: another worker would say the same
    CANCEL = 9  # its job was stopped


class Cost(StrEnum):
    """What an event costs the task."""

    FREE = "free"
    REFUSAL = "a refusal"
    LOSS = "a loss"
    TRY = "a try"


@dataclass(frozen=True, slots=True)
class Transition:
    """What a task becomes, at what cost, and whether it goes to the head of the queue."""

    target: State
    cost: Cost = Cost.FREE
    front: bool = False


_QUEUE_FIRST = Transition(State.QUEUED, front=True)

TRANSITIONS: dict[tuple[State, Event], Transition] = {
    (State.QUEUED, Event.ASSIGN): Transition(State.ASSIGNED),
    (State.QUEUED, Event.CANCEL): Transition(State.CANCELLED),
    (State.ASSIGNED, Event.ASSIGN): Transition(State.ASSIGNED),  # a speculative attempt
    (State.ASSIGNED, Event.DONE): Transition(State.DONE, Cost.TRY),
    (State.ASSIGNED, Event.REFUSED): Transition(State.QUEUED, Cost.REFUSAL, front=True),
    (State.ASSIGNED, Event.RETURNED): _QUEUE_FIRST,
    (State.ASSIGNED, Event.LOST): Transition(State.QUEUED, Cost.LOSS, front=True),
    (State.ASSIGNED, Event.TOO_MANY_LOSSES): Transition(State.FAILED, Cost.LOSS),
    (State.ASSIGNED, Event.BROKE): Transition(State.QUEUED, Cost.TRY, front=True),
    (State.ASSIGNED, Event.BROKE_FOR_GOOD): Transition(State.FAILED, Cost.TRY),
    (State.ASSIGNED, Event.FAILED): Transition(State.FAILED, Cost.TRY),
    (State.ASSIGNED, Event.CANCEL): Transition(State.CANCELLED),
}


class WorkerState(StrEnum):
    """Where a worker stands. Only LIVE gets work."""

    LIVE = "live"
    SUSPECT = "suspect"  # silent: nothing new until it is heard again
    DRAINING = "draining"  # finishes what it runs, then leaves
    GONE = "gone"  # no stream to it


class Sight(StrEnum):
    """Whether a worker can work on one job."""

    ASKED = "asked"  # `Job` was sent, no answer yet
    READY = "ready"
    ASIDE = "aside"  # it does not see the folders, or fails for reasons of its own; asked again later
    UNABLE = "unable"  # it lacks an operation, a format or a root: not asked
