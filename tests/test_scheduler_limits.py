"""What one worker refuses for its limits goes to those that allow more: scenarios held against the books."""

from __future__ import annotations

import pytest

from imgpipe import limits
from imgpipe.errors import Kind
from imgpipe.facts import ImageDone, ImageFailed
from imgpipe.protocol import DelayedExecute
from imgpipe.scheduling.placement import MODES
from tests.books import Work
from tests.referee import Referee


def _unequal() -> Referee:
    """With a worker, and another that allows more pixels."""
    referee = Referee()
    referee.join("a", 1, pixels=5)
    referee.join("b", 1, pixels=9)
    return referee


def _too_much_for(name: str, referee: Referee, work: Work) -> None:
    """Every image that this worker is sent is more than it allows."""
    while held := [image for image in referee.held(name) if image.job is work]:
        referee.answer("beyond", held)
        referee.turn()


@pytest.mark.parametrize("mode", MODES)
def test_what_is_too_much_for_one_goes_to_those_that_allow_more(mode: str) -> None:
    referee = _unequal()
    work = referee.give(40, mode=mode)
    _too_much_for("a", referee, work)
    assert not referee.held("a")
    referee.heal()
    assert len(referee.told(work, ImageDone)) == 40
    assert {fact.worker for fact in referee.told(work, ImageDone)} <= {"b", "healer"}
    assert {fact.tries for fact in referee.told(work, ImageDone)} == {1}


def test_who_allows_no_more_is_not_asked() -> None:
    referee = Referee()
    referee.join("a", 1, pixels=5, codecs=("jpg",))
    referee.join("b", 1, pixels=5, codecs=("jpg",))
    referee.join("c", 1, pixels=4, codecs=("jpg",))
    work = referee.give(1, retries=5)
    referee.answer("beyond", [work.images[0]])
    referee.turn()
    (fact,) = referee.told(work, ImageFailed)
    assert (fact.kind, fact.attempts, fact.tries) == (Kind.TOO_LARGE, 1, 1)


def test_who_allows_other_formats_is_asked() -> None:
    referee = Referee()
    referee.join("a", 1, pixels=5, codecs=("jpg",))
    referee.join("b", 1, pixels=4, codecs=("webp",))
    work = referee.give(1)
    first = work.images[0].seat
    referee.answer("beyond", [work.images[0]])
    referee.turn()
    assert work.images[0].seat not in (None, first)
    referee.answer("beyond", [work.images[0]])
    referee.turn()
    (fact,) = referee.told(work, ImageFailed)
    assert (fact.attempts, fact.tries) == (2, 1)


def test_who_has_not_looked_at_the_folders_yet_is_waited_for() -> None:
    referee = _unequal()
    work = referee.submit()
    referee.found(work, 3)
    referee.exhausted(work, "")
    referee.turn()
    referee.ready("a", work.id, True)
    referee.turn()
    _too_much_for("a", referee, work)
    assert not work.ended
    referee.heal()
    assert len(referee.told(work, ImageDone)) == 3


def test_the_one_that_allows_more_may_go_and_come_back() -> None:
    referee = _unequal()
    work = referee.give(50)
    _too_much_for("a", referee, work)
    referee.lose("b")
    referee.turn()
    _too_much_for("a", referee, work)
    referee.pass_time(limits.ABSENT_S / 2)
    referee.join("b", 1, pixels=9)
    referee.turn()
    referee.heal()
    assert len(referee.told(work, ImageDone)) == 50


def test_who_comes_back_with_higher_limits_is_asked_again() -> None:
    referee = _unequal()
    work = referee.give(9)
    _too_much_for("a", referee, work)
    referee.lose("a")
    referee.join("a", 1, pixels=9)
    referee.turn()
    referee.look()
    assert referee.held("a")
    referee.heal()
    assert len(referee.told(work, ImageDone)) == 9


def test_where_the_one_that_allows_more_leaves_the_image_fails() -> None:
    referee = _unequal()
    work = referee.give(9)
    _too_much_for("a", referee, work)
    referee.suspect("b", True)
    referee.turn()
    assert not referee.held("a"), "b is only silent"
    referee.lose("b")
    referee.turn()
    _too_much_for("a", referee, work)
    assert not work.ended, "b may come back"
    deadline = referee.scheduler.deadline()
    assert deadline == referee.now + limits.ABSENT_S
    referee.pass_time(limits.ABSENT_S)
    referee.turn()
    _too_much_for("a", referee, work)
    assert work.ended
    assert len(referee.told(work, ImageFailed)) == 9


@pytest.mark.parametrize("mode", ["balanced", "redraw"])
def test_it_is_forced_on_the_one_that_allows_more_and_always_refuses(mode: str) -> None:
    referee = _unequal()
    work = referee.give(2, mode=mode)
    for _ in range(2000):
        _too_much_for("a", referee, work)
        if any(isinstance(message, DelayedExecute) for _, message in referee.sent):
            break
        if held := referee.held("b"):
            referee.answer("rejected", held)
        deadline = referee.scheduler.deadline()
        if not referee.turn() and deadline is not None:
            referee.pass_time(max(0.0, deadline - referee.now) + 1e-9)
            referee.turn()
    else:
        raise AssertionError("never forced")
    referee.heal()
