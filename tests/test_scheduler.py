"""Scenarios of the scheduler, each held against the referee's books (`tests.referee`) at every step."""

from __future__ import annotations

import pytest

from imgpipe import limits
from imgpipe.errors import Kind, ProtocolError
from imgpipe.facts import Found, ImageDone, ImageFailed, Listed, Stopping, Tally
from imgpipe.protocol import Cancel, Execute, Forget, Status
from imgpipe.scheduling.placement import MODES
from tests.books import Work
from tests.referee import Referee


def _kinds(referee: Referee) -> list[type]:
    return [type(message) for _, message in referee.sent]


# --- a job from its beginning to its end --------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("count", [0, 1, 18])
def test_a_job_on_four_workers(mode: str, count: int) -> None:
    referee = Referee()
    for name in "abcd":
        referee.join(name, 1)
    work = referee.give(count, mode=mode)
    referee.heal()
    assert len(referee.told(work, ImageDone)) == count
    assert referee.told(work, Listed) == [Listed(count, 0)]


def test_an_empty_folder_ends_at_once_with_nobody_there() -> None:
    referee = Referee()
    work = referee.give(0)
    assert work.ended
    assert referee.scheduler.jobs == {}


def test_a_listing_that_breaks_off_fails_the_job_and_finishes_what_it_found() -> None:
    referee = Referee()
    referee.join("a", 1)
    work = referee.submit()
    referee.found(work, 3)
    referee.collided(work)
    referee.exhausted(work, "the folder is gone")
    referee.heal()
    assert work.state == "failed"
    assert referee.told(work, Listed) == [Listed(4, 0, "the folder is gone")]
    assert [fact.kind for fact in referee.told(work, ImageFailed)] == [Kind.COLLISION]
    assert len(referee.told(work, ImageDone)) == 3


def test_names_stream_through_a_window() -> None:
    referee = Referee()
    work = referee.submit()
    box = referee.scheduler.outbox(0.0)
    while work.id in box.hungry:
        referee.found(work, limits.LISTING_BATCH)
        box = referee.scheduler.outbox(0.0)
    assert work.total == limits.WINDOW
    referee.join("a", 2)
    referee.turn()
    referee.look()
    for _ in range(limits.LISTING_BATCH):
        referee.answer("done", referee.seats["a"].running[:1])
        referee.turn()
    assert referee.scheduler.outbox(0.0).hungry == [work.id]


def test_every_worker_is_forgotten_by_an_ended_job() -> None:
    referee = Referee()
    referee.join("a", 1)
    referee.give(1)
    referee.answer("done", referee.held("a"))
    referee.turn()
    assert referee.sent == [("a", Forget("job0"))]


# --- workers that go and come -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_every_worker_down_then_one_returns(mode: str) -> None:
    referee = Referee()
    referee.join("a", 1)
    referee.join("b", 1)
    work = referee.give(18, mode=mode)
    referee.lose("a")
    referee.lose("b")
    referee.turn()
    assert not work.ended
    assert referee.scheduler.deadline() is None  # nothing to do but wait
    referee.join("b", 1)
    referee.turn()
    referee.look()
    assert len(referee.held("b")) == 2
    referee.heal()
    tallies = [fact.lost for fact in referee.told(work, Tally)]
    assert sum(tallies) == 4


def test_a_doubled_stream_replaces_the_first() -> None:
    referee = Referee()
    referee.join("a", 1)
    referee.give(4)
    referee.join("a", 3)
    referee.turn()
    referee.look()
    assert len(referee.held("a")) == 4
    referee.heal()


def test_twenty_losses_are_enough() -> None:
    referee = Referee()
    work = referee.give(1)
    for _ in range(limits.LOSSES_MAX):
        assert not work.ended
        referee.join("a", 1)
        referee.turn()
        referee.look()
        referee.lose("a")
        referee.turn()
    assert work.ended
    (fact,) = referee.told(work, ImageFailed)
    assert (fact.kind, fact.attempts, fact.tries) == (Kind.LOST, limits.LOSSES_MAX, 0)
    assert fact.message == "20 workers died while they held it, the last was a"


def test_a_draining_worker_finishes_and_gets_nothing_new() -> None:
    referee = Referee()
    referee.join("a", 1)
    referee.give(5)
    referee.drain("a")
    referee.answer("returned", [referee.held("a")[1]])
    referee.answer("done", referee.held("a"))
    referee.turn()
    assert referee.sent == []
    referee.heal()


def test_a_suspect_gets_nothing_until_it_is_heard() -> None:
    referee = Referee()
    referee.join("a", 1)
    referee.give(5)
    referee.suspect("a", True)
    referee.answer("done", referee.held("a"))
    referee.turn()
    assert referee.sent == []
    referee.suspect("a", False)
    referee.turn()
    assert _kinds(referee) == [Execute]
    referee.heal()


# --- tries --------------------------------------------------------------------------------------------


def test_after_a_crash_it_goes_elsewhere_and_alone() -> None:
    referee = Referee()
    referee.join("a", 2)
    referee.join("b", 2)
    work = referee.give(2)
    image = next(image for image in work.images.values() if image.seat is referee.seats["a"])
    referee.answer("crashed", [image])
    referee.turn()
    ((name, message),) = referee.sent
    assert name == "b"
    assert isinstance(message, Execute)
    assert message.alone
    assert [item[0] for item in message.items] == [image.number]
    referee.answer("crashed", [image])
    referee.turn()
    (fact,) = referee.told(work, ImageFailed)
    assert (fact.kind, fact.worker, fact.attempts, fact.tries) == (Kind.CRASHED, "b", 2, 2)
    referee.heal()


def test_after_a_crash_it_goes_back_where_there_is_nobody_else() -> None:
    referee = Referee()
    referee.join("a", 1)
    work = referee.give(1)
    referee.answer("crashed", referee.held("a"))
    referee.turn()
    assert work.images[0].state == "held"
    referee.heal()


def test_a_bad_image_fails_at_once() -> None:
    referee = Referee()
    referee.join("a", 1)
    work = referee.give(1, retries=9)
    referee.answer("failed", referee.held("a"))
    referee.turn()
    (fact,) = referee.told(work, ImageFailed)
    assert (fact.kind, fact.tries) == (Kind.UNREADABLE, 1)
    assert work.ended


@pytest.mark.parametrize("kind", ["returned", "unseen"])
def test_what_was_given_back_prefers_another_worker(kind: str) -> None:
    referee = Referee()
    referee.join("a", 2)
    referee.join("b", 2)
    work = referee.give(2, mode="random")
    image = work.images[0]
    first = image.seat
    assert first is not None
    referee.answer(kind, [image])
    referee.turn()
    assert image.seat is not None
    assert image.seat is not first
    referee.heal()


# --- cancel -------------------------------------------------------------------------------------------


def _cancelled(drain: bool) -> tuple[Referee, Work]:
    referee = Referee()
    referee.join("a", 1)
    work = referee.give(9)
    referee.answer("waiting", [referee.held("a")[1]])
    referee.turn()
    referee.cancel(work, drain)
    referee.turn()
    return referee, work


def test_cancelled_at_once_everything_is_called_back_and_then_forgotten() -> None:
    referee, work = _cancelled(drain=False)
    assert work.ended
    assert _kinds(referee) == [Cancel, Forget]  # in this order: who has forgotten the job would not know
    assert len(referee.sent[0][1].tokens) == 3  # two held, one waiting
    assert referee.told(work, Stopping) == [Stopping("cancelled", False)]


def test_drained_what_is_in_hand_may_end() -> None:
    referee, work = _cancelled(drain=True)
    assert referee.sent == []
    assert not work.ended
    referee.answer("rejected", referee.held("a")[:1])
    referee.turn()
    assert not work.ended  # two more
    referee.heal()
    assert len(referee.told(work, ImageDone)) == 2


def test_names_found_after_a_cancel_are_not_taken() -> None:
    referee, work = _cancelled(drain=True)
    referee.scheduler.found(work.id, [(b"late", 1)], 0.0)
    referee.scheduler.failed_early(work.id, b"late", Kind.COLLISION, "", 0.0)
    referee.turn()
    assert referee.told(work, Found)[-1].total == 9
    referee.heal()


def test_what_is_paused_is_cancelled_too() -> None:
    referee = Referee()
    referee.join("a", 1)
    work = referee.give(1, mode="redraw")
    referee.answer("rejected", referee.held("a"))
    referee.turn()
    referee.cancel(work, drain=True)
    referee.turn()
    assert work.ended


# --- late, doubled, wrong -----------------------------------------------------------------------------


def test_late_and_doubled_answers_are_counted_and_change_nothing() -> None:
    referee = Referee()
    referee.join("a", 1)
    referee.give(3)
    referee.answer("done", referee.seats["a"].running[:1])
    referee.turn()
    for said in range(1, 4):
        referee.say_again(*referee.answers[0])
        referee.turn()
        assert referee.scheduler.late == said
    referee.heal()


def test_a_delayed_image_gives_its_credit_back() -> None:
    referee = Referee()
    referee.join("a", 1)
    work = referee.give(9)
    delayed = referee.held("a")
    referee.answer("waiting", delayed)
    referee.turn()
    assert len(referee.held("a")) == 2
    assert not set(delayed) & set(referee.held("a"))
    referee.say_again(*referee.answers[-1])
    referee.turn()
    assert len(referee.held("a")) == 2
    referee.heal()
    assert sum(fact.delayed for fact in referee.told(work, Tally)) == 2


def test_a_worker_keeps_at_most_so_many_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WAITING_MAX", 3)
    referee = Referee()
    referee.join("a", 1)
    referee.give(20)
    for _ in range(2):
        referee.answer("waiting", referee.held("a"))
        referee.turn()
    record = referee.scheduler.fleet.workers["a"]
    assert (len(record.waiting), len(record.held)) == (3, 2)  # the fourth keeps its credit
    referee.heal()


def test_what_no_worker_says_is_the_peers_fault() -> None:
    referee = Referee()
    referee.join("a", 1)
    with pytest.raises(ProtocolError, match="does not send Status"):
        referee.say_again("a", Status("x", "1", 0, (), ()))
