"""Who is live, who sees which folders, and in what words a job is told."""

from __future__ import annotations

from imgpipe import limits
from imgpipe.facts import WorkerChanged
from imgpipe.protocol import Job, JobReady, Offer
from tests.books import Work
from tests.referee import Referee


def _asked(referee: Referee) -> list[tuple[str, str]]:
    return [(name, message.job) for name, message in referee.sent if isinstance(message, Job)]


def _state(referee: Referee, work: Work, worker: str) -> tuple[str, str]:
    last = [fact for fact in referee.told(work, WorkerChanged) if fact.worker == worker][-1]
    return last.state, last.reason


def test_the_first_three_names_are_the_samples_of_the_question() -> None:
    referee = Referee()
    referee.join("a", 1)
    work = referee.submit()
    referee.turn()
    assert _asked(referee) == []  # nothing to look for yet
    referee.found(work, 5)
    referee.turn()
    ((name, message),) = referee.sent
    assert (name, message.samples) == ("a", ((b"0", 10), (b"1", 10), (b"2", 10)))
    referee.found(work, 5)
    referee.turn()
    assert _asked(referee) == []
    referee.join("b", 1)
    referee.turn()
    assert _asked(referee) == [("b", work.id)]
    assert referee.sent[0][1].samples == message.samples


def test_a_job_without_files_asks_at_once() -> None:
    referee = Referee()
    referee.join("a", 1)
    work = referee.submit(empty=True)
    referee.turn()
    assert _asked(referee) == [("a", work.id)]


def test_who_lacks_an_operation_is_not_asked_and_the_job_is_told_what_to_do() -> None:
    referee = Referee()
    referee.join("a", 1, operations=())
    work = referee.give(1, needs=("edges",))
    assert _asked(referee) == []
    state, why = _state(referee, work, "a")
    assert state == "aside"
    assert why == "it has no operation edges: install the package that brings it there"
    referee.heal()


def test_who_lacks_a_format_is_not_asked_and_the_job_is_told_what_to_do() -> None:
    referee = Referee()
    referee.join("a", 1, codecs=("png", "jpg"))
    work = referee.give(1, formats=("webp",))
    assert _asked(referee) == []
    state, why = _state(referee, work, "a")
    assert state == "aside"
    assert why.startswith("it does not write webp: start it without that --without, ")
    referee.join("a", 1, codecs=("png", "webp"))  # it was started again, and has it
    referee.turn()
    assert _asked(referee) == [("a", work.id)]
    referee.heal()


def test_who_lacks_a_root_is_not_asked_and_the_job_is_told_what_to_do() -> None:
    referee = Referee()
    referee.scheduler.joined("a", Offer(1, ("edges",), (), (".",)), 0.0)
    referee.seats["a"].state = "live"
    work = referee.give(1)
    assert _asked(referee) == []
    assert _state(referee, work, "a")[1] == "it has no root 'data': start it with --root data=PATH"
    referee.heal()


def test_who_does_not_see_the_folders_is_asked_again_less_and_less_often() -> None:
    referee = Referee()
    referee.join("a", 1)
    work = referee.give(0)
    work = referee.submit()
    referee.found(work, 1)
    referee.turn()
    waits = []
    for _ in range(7):
        referee.ready("a", work.id, False)
        referee.turn()
        assert _state(referee, work, "a") == ("aside", "no such folder")
        deadline = referee.scheduler.deadline()
        assert deadline is not None
        waits.append(deadline - referee.now)
        referee.pass_time(deadline - referee.now)
        referee.turn()
        assert _asked(referee) == [("a", work.id)]
    assert waits == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert waits[0] == limits.ASIDE_MIN_S
    referee.ready("a", work.id, True)
    referee.turn()
    assert _state(referee, work, "a") == ("live", "")
    assert len(referee.held("a")) == 1
    referee.heal()


def test_one_that_lost_sight_twice_is_asked_again_once() -> None:
    referee = Referee()
    referee.join("a", 2)
    work = referee.give(4)
    first, *others = referee.held("a")
    referee.answer("unseen", [first])
    referee.turn()
    referee.answer("unseen", others)
    referee.turn()
    assert referee.held("a") == []
    assert referee.scheduler.deadline() == limits.ASIDE_MIN_S
    referee.pass_time(limits.ASIDE_MIN_S)
    referee.turn()
    assert _asked(referee) == [("a", work.id)]
    assert referee.scheduler.deadline() is None
    referee.heal()


def test_states_as_a_job_is_told_them() -> None:
    referee = Referee()
    referee.scheduler.known("a", "host:9090", 0.0)
    work = referee.submit()
    referee.turn()
    states = [_state(referee, work, "a")]
    referee.scheduler.unreachable("a", "refused", 0.0)
    referee.turn()
    states.append(_state(referee, work, "a"))
    for happen in (
        lambda: referee.join("a", 1),
        lambda: referee.suspect("a", True),
        lambda: referee.suspect("a", False),
        lambda: referee.drain("a"),
        lambda: referee.lose("a"),
    ):
        happen()
        referee.turn()
        states.append(_state(referee, work, "a"))
    assert states == [
        ("gone", "not connected yet"),
        ("gone", "refused"),
        ("live", ""),
        ("suspect", "silent"),
        ("live", ""),
        ("draining", "leaving"),
        ("gone", "connection lost"),
    ]
    referee.heal()


def test_what_nobody_could_notice_is_not_told() -> None:
    referee = Referee()
    referee.join("a", 1)
    work = referee.submit()
    referee.turn()
    before = len(referee.told(work, WorkerChanged))
    referee.suspect("a", False)
    referee.scheduler.unreachable("a", "it is there", 0.0)
    referee.turn()
    assert len(referee.told(work, WorkerChanged)) == before
    referee.heal()


def test_nothing_meant_for_a_lost_stream_reaches_the_next() -> None:
    """Joined, lost and joined again within one turn: the new stream is asked once, told to drop nothing."""
    referee = Referee()
    referee.join("a", 2)
    work = referee.give(3)
    other = referee.submit()
    referee.found(other, 1)
    referee.cancel(work, drain=False)
    referee._to_cancel.clear()  # the stream those were on has ended
    referee.join("a", 2)
    referee.lose("a")
    referee.join("a", 2)
    referee.turn()
    assert [type(message).__name__ for _, message in referee.sent] == ["Job"]
    referee.heal()


def test_what_the_departed_says_late_changes_nothing() -> None:
    referee = Referee()
    referee.join("a", 1)
    work = referee.give(1)
    referee.lose("a")
    referee.turn()
    before = referee.scheduler.late
    referee.say_again("a", JobReady(work.id, True))
    referee.turn()
    assert referee.scheduler.late == before + 1
    assert referee.sent == []
    referee.heal()
