"""The table of a task's life: closed, and every row of it reached by a real scenario."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from imgpipe import limits
from imgpipe.scheduling.automaton import TERMINAL, TRANSITIONS, Event, State
from tests.referee import Referee


def test_the_end_is_the_end() -> None:
    assert not any(state in TERMINAL for state, _ in TRANSITIONS)


def test_every_event_and_state_is_in_the_table() -> None:
    assert {event for _, event in TRANSITIONS} == set(Event)
    assert {state for state, _ in TRANSITIONS} | {t.target for t in TRANSITIONS.values()} == set(State)


def test_what_comes_back_goes_to_the_head_of_the_queue() -> None:
    for transition in TRANSITIONS.values():
        assert transition.front == (transition.target is State.QUEUED)


# --- every row, reached -----------------------------------------------------------------------------


def _at_work(retries: int = 1) -> Referee:
    referee = Referee()
    referee.join("a", 1)
    referee.give(2, retries=retries)
    return referee


def _done() -> None:
    _at_work().heal()


def _answered(kind: str, retries: int = 1) -> None:
    referee = _at_work(retries)
    referee.answer(kind, referee.held("a")[:1])
    referee.turn()
    referee.heal()


def _lost(times: int) -> None:
    referee = _at_work()
    for _ in range(times):
        referee.lose("a")
        referee.turn()
        referee.join("a", 1)
        referee.turn()
        referee.look()
    referee.heal()


def _cancelled() -> None:
    referee = Referee()
    referee.join("a", 1)
    work = referee.give(9)
    referee.cancel(work, drain=False)
    referee.turn()
    assert work.ended


SCENARIOS: dict[tuple[State, Event], Callable[[], None]] = {
    (State.QUEUED, Event.ASSIGN): _done,
    (State.QUEUED, Event.CANCEL): _cancelled,
    (State.ASSIGNED, Event.DONE): _done,
    (State.ASSIGNED, Event.REFUSED): lambda: _answered("rejected"),
    (State.ASSIGNED, Event.RETURNED): lambda: _answered("returned"),
    (State.ASSIGNED, Event.LOST): lambda: _lost(1),
    (State.ASSIGNED, Event.TOO_MANY_LOSSES): lambda: _lost(limits.LOSSES_MAX),
    (State.ASSIGNED, Event.BROKE): lambda: _answered("crashed"),
    (State.ASSIGNED, Event.BROKE_FOR_GOOD): lambda: _answered("crashed", retries=0),
    (State.ASSIGNED, Event.FAILED): lambda: _answered("failed"),
    (State.ASSIGNED, Event.CANCEL): _cancelled,
}
#: Comes with speculative copies; until then nothing assigns a task twice.
NOT_YET = {(State.ASSIGNED, Event.ASSIGN)}


def test_every_row_has_its_scenario() -> None:
    assert SCENARIOS.keys() | NOT_YET == TRANSITIONS.keys()


@pytest.mark.parametrize(("state", "event"), SCENARIOS, ids=lambda member: member.name)
def test_a_row_is_reached(state: State, event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched(dict):  # type: ignore[type-arg]  # the table, and which of its rows were read
        def __getitem__(self, key):
            read.add(key)
            return super().__getitem__(key)

    read: set[tuple[State, Event]] = set()
    for module in ("scheduler", "handout"):
        monkeypatch.setattr(f"imgpipe.scheduling.{module}.TRANSITIONS", Watched(TRANSITIONS))
    SCENARIOS[state, event]()
    assert (state, event) in read
