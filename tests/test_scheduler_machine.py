"""The scheduler under everything that can happen to it, and bugs planted to see that the referee is awake.

The machine makes things happen in any order; `tests.referee` keeps books of its own and holds every message,
fact and ended job against them after every step. In the end all faults stop, and every job must end.

A mutant is one small bug, patched in; a mutant that the machine does not find is a failure of this test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from imgpipe.protocol import Done, Rejected
from imgpipe.scheduling.fleet import Fleet
from imgpipe.scheduling.handout import HandOut
from imgpipe.scheduling.placement import MODES
from imgpipe.scheduling.records import JobRecord, WorkerRecord
from imgpipe.scheduling.scheduler import Scheduler
from tests.books import Image, Seat, Work
from tests.referee import Referee

PICK = st.integers(0, 1000)
WORKER = st.sampled_from("abc")
MODE = st.sampled_from(list(MODES))
STARTED = ("done", "failed", "crashed", "beyond")


class SchedulerMachine(RuleBasedStateMachine):
    """Everything that can happen, in any order; each rule ends with the referee's look at all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.referee = Referee()

    def _open(self) -> list[Work]:
        return [work for work in self.referee.jobs if not work.ended]

    def _seats(self, *states: str) -> list[Seat]:
        return [seat for seat in self.referee.seats.values() if seat.state in states]

    def _images(self, place: str) -> list[Image]:
        return [image for seat in self.referee.seats.values() for image in getattr(seat, place)]

    @initialize(names=st.sampled_from(["a", "ab", "abc"]), mode=MODE, count=st.integers(1, 20))
    def some_are_at_work(self, names: str, mode: str, count: int) -> None:
        for pixels, name in enumerate(names):
            self.referee.join(name, 2, pixels=pixels)
        work = self.referee.submit(mode, priority=0, retries=1, needs=(), empty=False)
        self.referee.found(work, count)
        self.referee.turn()
        for name in names:
            self.referee.ready(name, work.id, True)
        self.referee.turn()

    # --- workers --------------------------------------------------------------------------------

    @rule(
        name=WORKER,
        slots=st.integers(1, 3),
        operations=st.sampled_from([("edges",), ("edges",), ()]),
        codecs=st.sampled_from([("jpg", "webp"), ("jpg",), ("webp",)]),
        pixels=st.integers(0, 2),
    )
    def join(
        self, name: str, slots: int, operations: tuple[str, ...], codecs: tuple[str, ...], pixels: int
    ) -> None:
        self.referee.join(name, slots, operations, codecs, pixels)
        self.referee.turn()

    @precondition(lambda self: self._seats("live", "suspect", "draining"))
    @rule(pick=PICK, what=st.sampled_from(["lost", "silent", "heard", "heard", "drained"]))
    def upset(self, pick: int, what: str) -> None:
        seat = _picked(self._seats("live", "suspect", "draining"), pick)
        if what == "lost":
            self.referee.lose(seat.name)
        elif what == "drained":
            self.referee.drain(seat.name)
        else:
            self.referee.suspect(seat.name, what == "silent")
        self.referee.turn()

    @precondition(lambda self: any(seat.asked for seat in self.referee.seats.values()))
    @rule(pick=PICK, ready=st.sampled_from([True, True, True, False]))
    def look(self, pick: int, ready: bool) -> None:
        seat = _picked([seat for seat in self.referee.seats.values() if seat.asked], pick)
        self.referee.ready(seat.name, seat.asked[0], ready)
        self.referee.turn()

    # --- answers --------------------------------------------------------------------------------

    def _answer(self, kind: str, images: list[Image], pick: int, count: int) -> None:
        first = _picked(images, pick)
        alike = [image for image in images if (image.seat, image.job) == (first.seat, first.job)]
        self.referee.answer(kind, alike[:count])
        self.referee.turn()

    @precondition(lambda self: self._images("running"))
    @rule(kind=st.sampled_from(STARTED), pick=PICK, count=st.integers(1, 3))
    def finish(self, kind: str, pick: int, count: int) -> None:
        self._answer(kind, self._images("running"), pick, count)

    def _unanswered(self) -> list[Image]:
        return [image for seat in self.referee.seats.values() for image in seat.credit.values()]

    @precondition(lambda self: self._unanswered())
    @rule(pick=PICK, count=st.integers(1, 9))
    def refuse(self, pick: int, count: int) -> None:
        self._answer("rejected", self._unanswered(), pick, count)

    @precondition(lambda self: self._unanswered())
    @rule(
        kind=st.sampled_from(["waiting", "waiting", "returned", "unseen"]), pick=PICK, count=st.integers(1, 9)
    )
    def not_now(self, kind: str, pick: int, count: int) -> None:
        self._answer(kind, self._unanswered(), pick, count)

    @precondition(lambda self: self._images("waiting"))
    @rule(pick=PICK)
    def wake(self, pick: int) -> None:
        self.referee.wake(_picked(self._images("waiting"), pick))
        self.referee.turn()

    @precondition(lambda self: self.referee.answers)
    @rule(pick=PICK, name=st.sampled_from([None, None, "a", "b", "c"]))
    def say_again(self, pick: int, name: str | None) -> None:
        """Doubled, late, or from someone else's mouth."""
        said_by, message = _picked(self.referee.answers, pick)
        if (name or said_by) in self.referee.scheduler.fleet.workers:
            self.referee.say_again(name or said_by, message)
        self.referee.turn()

    @precondition(lambda self: self._images("running"))
    @rule(pick=PICK)
    def forge(self, pick: int) -> None:
        """A living attempt with another image's number."""
        image = _picked(self._images("running"), pick)
        assert image.seat is not None
        assert image.attempt is not None
        self.referee.say_again(
            image.seat.name, Done(image.job.id, ((image.number + 1, image.attempt, 0, 0, 0, 0, 0),))
        )
        self.referee.turn()

    # --- jobs -----------------------------------------------------------------------------------

    @precondition(lambda self: len(self.referee.jobs) < 4)
    @rule(
        mode=MODE,
        priority=st.integers(-1, 1),
        retries=st.integers(0, 2),
        needs=st.sampled_from([(), ("edges",)]),
        empty=st.booleans(),
        count=st.integers(0, 20),
    )
    def submit(
        self, mode: str, priority: int, retries: int, needs: tuple[str, ...], empty: bool, count: int
    ) -> None:
        work = self.referee.submit(mode, priority, retries, needs, empty)
        self.referee.found(work, count)
        self.referee.turn()

    @precondition(lambda self: any(not work.listed for work in self._open()))
    @rule(pick=PICK, count=st.integers(0, 9), end=st.booleans(), problem=st.sampled_from(["", "", "gone"]))
    def listing(self, pick: int, count: int, end: bool, problem: str) -> None:
        work = _picked([work for work in self._open() if not work.listed], pick)
        if count and not work.stopping:
            self.referee.found(work, count)
            self.referee.collided(work)
        if end:
            self.referee.exhausted(work, problem)
        self.referee.turn()

    @precondition(lambda self: self._open())
    @rule(pick=PICK, drain=st.booleans(), really=st.sampled_from([False, False, False, True]))
    def cancel(self, pick: int, drain: bool, really: bool) -> None:
        if really:
            self.referee.cancel(_picked(self._open(), pick), drain)
        self.referee.turn()

    @rule(seconds=st.sampled_from([0.0005, 0.001, 0.01, 0.1, 3.0, 70.0]))
    def time(self, seconds: float) -> None:
        self.referee.pass_time(seconds)
        self.referee.turn()

    def teardown(self) -> None:
        self.referee.heal()


def _picked(among: list[Any], pick: int) -> Any:
    return among[pick % len(among)]


def _run(examples: int, phases: tuple[Phase, ...]) -> None:
    run_state_machine_as_test(
        SchedulerMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            derandomize=True,  # the same examples every time: no surprise in someone else's change
            database=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
        ),
    )


def test_everything_that_can_happen() -> None:
    _run(250, (Phase.generate, Phase.shrink))


# --- planted bugs -------------------------------------------------------------------------------


def forgets_to_requeue_what_was_lost(patch: pytest.MonkeyPatch) -> None:
    def lose(self: Scheduler, worker: WorkerRecord, attempt: int, task: Any) -> None:
        del task.attempts[attempt]

    patch.setattr(Scheduler, "_lose", lose)


def gives_credit_back_twice(patch: pytest.MonkeyPatch) -> None:
    def room(self: WorkerRecord) -> int:
        return self.slots + self.prefetch - len(self.held) + len(self.waiting)

    patch.setattr(WorkerRecord, "room", property(room))


def sends_to_the_suspect(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scheduler, "suspected", lambda *_: None)


def ends_a_task_twice(patch: pytest.MonkeyPatch) -> None:
    done = Scheduler._done

    def twice(self: Scheduler, worker: WorkerRecord, job: JobRecord, message: Done, now: float) -> None:
        job.done += sum(row[1] not in worker.held and row[1] not in worker.waiting for row in message.rows)
        done(self, worker, job, message, now)

    patch.setattr(Scheduler, "_done", twice)


def loses_the_paused(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(HandOut, "_unpause", lambda self, job: job.paused.clear())


def forgets_to_cancel(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scheduler, "_write_off", lambda self, task: task.attempts.clear())


def forgets_those_that_wait(patch: pytest.MonkeyPatch) -> None:
    lost = Scheduler.lost

    def without_waiting(self: Scheduler, worker: str, now: float, why: str = "") -> None:
        self.fleet.workers[worker].waiting.clear()
        lost(self, worker, now, why)

    patch.setattr(Scheduler, "lost", without_waiting)


def believes_any_number(patch: pytest.MonkeyPatch) -> None:
    take = Scheduler._take

    def unfenced(self: Scheduler, worker: WorkerRecord, job: JobRecord, number: int, attempt: int) -> Any:
        task = worker.held.get(attempt)
        return take(self, worker, job, task.number if task else number, attempt)

    patch.setattr(Scheduler, "_take", unfenced)


def keeps_those_aside_eligible(patch: pytest.MonkeyPatch) -> None:
    recount = Fleet._recount

    def generous(self: Fleet, worker: WorkerRecord, job: JobRecord) -> None:
        was_eligible = worker.name in job.eligible
        recount(self, worker, job)
        if was_eligible:
            job.eligible.add(worker.name)
            self.changed(worker)

    patch.setattr(Fleet, "_recount", generous)


def counts_a_refusal_twice(patch: pytest.MonkeyPatch) -> None:
    rejected = Scheduler._rejected

    def twice(self: Scheduler, worker: WorkerRecord, job: JobRecord, message: Rejected, now: float) -> None:
        job.sums_of(worker.name).rejections += 1
        rejected(self, worker, job, message, now)

    patch.setattr(Scheduler, "_rejected", twice)


def repeats_attempts(patch: pytest.MonkeyPatch) -> None:
    run = HandOut.run

    def forgetful(self: HandOut, now: float) -> None:
        if not self._jobs:
            self._serial = self._serial >> 32 << 32
        run(self, now)

    patch.setattr(HandOut, "run", forgetful)


def gives_back_what_was_too_much(patch: pytest.MonkeyPatch) -> None:
    def chosen(self: HandOut, policy: Any, task: Any, now: float, barred: Any) -> Any:
        return policy.choose(self._rng, now, task.avoid | barred)

    patch.setattr(HandOut, "_chosen", chosen)


def fails_what_another_allows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Scheduler, "_passed_on", lambda *_: False)


def strands_the_reserved(patch: pytest.MonkeyPatch) -> None:
    place = HandOut._place

    def without(self: HandOut, queue: Any, now: float, barred: Any) -> bool:
        return not queue[0].barred and place(self, queue, now, barred)

    patch.setattr(HandOut, "_place", without)


MUTANTS: list[Callable[[pytest.MonkeyPatch], None]] = [
    forgets_to_requeue_what_was_lost,
    gives_credit_back_twice,
    sends_to_the_suspect,
    ends_a_task_twice,
    loses_the_paused,
    forgets_to_cancel,
    forgets_those_that_wait,
    believes_any_number,
    keeps_those_aside_eligible,
    counts_a_refusal_twice,
    repeats_attempts,
    gives_back_what_was_too_much,
    fails_what_another_allows,
    strands_the_reserved,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_planted_bug_is_found(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        _run(400, (Phase.generate,))
