"""Which job is next, and which of its images, and whether it may be refused."""

from __future__ import annotations

from collections import Counter, deque

import pytest

from imgpipe import limits
from imgpipe.facts import Started
from imgpipe.protocol import DelayedExecute, Execute
from tests.books import Work
from tests.referee import Referee


def _order(referee: Referee, count: int, name: str = "a") -> list[str]:
    """Let one worker of one slot do this many images: the jobs they were assigned for, in order."""
    jobs: list[str] = []
    for _ in range(count):
        referee.answer("done", referee.seats[name].running[:1])
        referee.turn()
        jobs += [message.job for _, message in referee.sent if isinstance(message, Execute | DelayedExecute)]
    return jobs


def _kinds(referee: Referee) -> list[type]:
    return [type(message) for _, message in referee.sent]


# --- jobs -------------------------------------------------------------------------------------------


def test_two_jobs_share_alike() -> None:
    referee = Referee()
    referee.join("a", 1)
    jobs = [referee.give(200), referee.give(200)]
    shares = Counter(_order(referee, 100))
    assert abs(shares[jobs[0].id] - shares[jobs[1].id]) <= 4
    referee.heal()


def test_the_higher_priority_goes_first_and_the_lower_follows() -> None:
    referee = Referee()
    referee.join("a", 1)
    low, high = referee.give(50), referee.give(20, priority=1)
    assert _order(referee, 20) == [high.id] * 20
    assert set(_order(referee, 10)) == {low.id}
    referee.heal()


def test_a_small_job_amid_a_large_one_gets_its_share() -> None:
    """12 images that come when a large job is well under way: at least 40 % of what is assigned meanwhile."""
    referee = Referee()
    referee.join("a", 2)
    large = referee.give(400)
    _order(referee, 200)
    small = referee.give(12)
    order = _order(referee, 100)
    last = len(order) - order[::-1].index(small.id)
    amid = Counter(order[order.index(small.id) : last])
    assert amid[small.id] >= 11  # the first may have gone before `order` begins
    assert amid[small.id] >= 0.4 * (amid[small.id] + amid[large.id])
    referee.heal()


def test_an_idle_job_saves_nothing_up() -> None:
    """Its names come late; it gets half from then on, and no more than half."""
    referee = Referee()
    referee.join("a", 1)
    slow, large = referee.submit(), referee.give(400)
    _order(referee, 100)
    referee.found(slow, 100)
    referee.turn()
    referee.look()
    shares = Counter(_order(referee, 60))
    assert abs(shares[slow.id] - shares[large.id]) <= 4
    referee.heal()


def test_what_other_priorities_were_given_counts_for_nobody() -> None:
    """Two jobs share alike, though a more important one had much before the second of them came."""
    referee = Referee()
    referee.join("a", 1)
    urgent, first = referee.give(50, priority=1), referee.give(100)
    _order(referee, 30)
    second = referee.give(100)
    _order(referee, 25)
    assert urgent.ended or not any(image.state == "queued" for image in urgent.images.values())
    shares = Counter(_order(referee, 60))
    assert abs(shares[first.id] - shares[second.id]) <= 4
    referee.heal()


# --- images -----------------------------------------------------------------------------------------


def test_first_come_first_served_but_what_came_back_goes_first() -> None:
    referee = Referee()
    referee.join("a", 1)
    referee.give(6, mode="random")
    assert [image.number for image in referee.held("a")] == [0, 1]
    referee.answer("returned", referee.held("a"))
    referee.turn()
    assert [image.number for image in referee.held("a")] == [0, 1]
    referee.heal()


def test_what_a_lost_worker_held_keeps_its_order() -> None:
    referee = Referee()
    referee.join("a", 2)
    referee.give(9, mode="random")
    referee.lose("a")
    referee.join("b", 2)
    referee.turn()
    referee.look()
    assert [image.number for image in referee.held("b")] == [0, 1, 2, 3]
    referee.heal()


def test_the_first_assignment_is_told_once() -> None:
    referee = Referee()
    work = referee.give(3)
    referee.pass_time(1.5)
    referee.join("a", 1)
    referee.turn()
    referee.look()
    referee.heal()
    assert referee.told(work, Started) == [Started(1.5)]


# --- forced -----------------------------------------------------------------------------------------


def _refuse_once(referee: Referee) -> None:
    """Everyone refuses what it was asked; then as much time passes as it takes to be asked again."""
    for name in referee.seats:
        if referee.held(name):
            referee.answer("rejected", referee.held(name))
    if not referee.turn():
        deadline = referee.scheduler.deadline()
        assert deadline is not None
        referee.pass_time(deadline - referee.now)
        referee.turn()


@pytest.mark.parametrize(
    ("mode", "refusals"), [("balanced", limits.REFUSALS_MAX), ("redraw", limits.REFUSALS_MAX_REDRAW)]
)
def test_an_image_is_forced_when_it_was_refused_often_and_by_all(mode: str, refusals: int) -> None:
    referee = Referee()
    referee.join("a", 1)
    referee.join("b", 1)
    work = referee.give(1, mode=mode)
    (image,) = work.images.values()
    while DelayedExecute not in _kinds(referee):
        _refuse_once(referee)
    assert image.count == refusals + 1
    assert image.state == "held"
    referee.heal()
    assert referee.scheduler.jobs == {}


def test_it_is_not_forced_while_one_has_not_refused() -> None:
    """The latest answer of one worker, busy with something else, was no refusal: the image waits for it."""
    referee = Referee()
    referee.join("b", 1)
    other = referee.give(2, mode="random")  # b is full with these, and has refused nothing
    referee.join("a", 1)
    work = referee.give(1)
    (image,) = work.images.values()
    for _ in range(limits.REFUSALS_MAX + 20):
        if referee.held("a"):
            referee.answer("rejected", referee.held("a"))
        referee.turn()
        deadline = referee.scheduler.deadline()
        if deadline is not None:
            referee.pass_time(deadline - referee.now)
            referee.turn()
        assert DelayedExecute not in _kinds(referee)
    assert image.count > limits.REFUSALS_MAX
    assert not other.ended
    referee.heal()


def test_the_refusal_of_one_who_no_longer_counts_forces_nothing() -> None:
    """A draining worker's late refusals are not those of a live one."""
    referee = Referee()
    referee.join("a", 1)
    work = referee.give(1)
    referee.drain("a")
    referee.answer("rejected", referee.held("a"))
    referee.turn()
    assert referee.scheduler.jobs[work.id].refusing == set()
    referee.heal()


def test_whoever_keeps_refusing_is_asked_one_image_at_a_time() -> None:
    """However much room it has: else a fleet that refuses would be asked far more than 200 times a second."""
    referee = Referee()
    referee.join("b", 1)
    referee.give(2, mode="random")  # b is full and has refused nothing: nothing is forced
    referee.join("a", 8)
    referee.give(100)
    asked_at: deque[float] = deque()
    while referee.now < 2.0:
        if referee.held("a"):
            asked_at += [referee.now] * len(referee.held("a"))
            referee.answer("rejected", referee.held("a"))
        referee.turn()
        deadline = referee.scheduler.deadline()
        if not referee.held("a") and deadline is not None:
            referee.pass_time(deadline - referee.now)
            referee.turn()
    in_last_second = sum(at >= 1.0 for at in asked_at)
    assert in_last_second <= 1.0 / limits.COOL_MAX_S + 1
    referee.heal()


def test_redraw_pauses_an_image_that_all_have_refused() -> None:
    referee = Referee()
    referee.join("a", 1)
    work: Work = referee.give(1, mode="redraw")
    referee.answer("rejected", referee.held("a"))
    referee.turn()
    assert referee.sent == []
    assert referee.scheduler.deadline() == limits.REDRAW_PAUSE_S
    referee.pass_time(limits.REDRAW_PAUSE_S)
    referee.turn()
    assert _kinds(referee) == [Execute]
    assert work.images[0].count == 2
    referee.heal()
