"""The closed forms, against the numbers users are told, and against counting."""

from __future__ import annotations

from itertools import product

import pytest

from imgpipe.scheduling import oracle

#: loads, must-accept makespan, q, may-refuse makespan, assignments: 6 images, 3 s; the published table.
TABLE = [
    ((0.8, 0.6, 0.5, 0.2), 2.966, 0.426, 2.893, 2.11),
    ((0.1, 0.5, 0.2, 0.9), 2.892, 0.257, 2.493, 1.74),
    ((0.2, 0.2, 0.2, 0.2), 2.214, 0.200, 2.214, 1.25),
    ((0.8, 0.8, 0.8, 0.8), 3.000, 0.800, 3.000, 5.00),
    ((1.0, 1.0, 1.0, 0.0), 2.999, 0.000, 0.000, 4.00),
]


@pytest.mark.parametrize(("loads", "must_accept", "q", "may_refuse", "assignments"), TABLE)
def test_the_published_table(loads, must_accept, q, may_refuse, assignments) -> None:
    def makespan(mode: str) -> float | None:
        return oracle.expected_makespan_s(mode, loads, 6, 3.0, slots=6, instant=True)

    assert makespan("random") == pytest.approx(must_accept, abs=0.0006)
    assert makespan("redraw") == pytest.approx(may_refuse, abs=0.0006)
    assert oracle.delayed_chance("redraw", loads) == pytest.approx(q, abs=0.0006)
    assert oracle.expected_assignments("redraw", loads) == pytest.approx(assignments, abs=0.006)
    assert oracle.expected_assignments("random", loads) == 1.0


def test_q_is_what_counting_says() -> None:
    """Loads of quarters: every worker and pair of coins as equally likely cases, refusals drawn again."""
    quarters = (0, 1, 3)
    accepted = delayed = 0
    for quarter, coin1, coin2 in product(quarters, range(4), range(4)):
        if coin1 >= quarter:
            accepted += 1
            delayed += coin2 < quarter
    loads = [quarter / 4 for quarter in quarters]
    assert oracle.delayed_chance("redraw", loads) == pytest.approx(delayed / accepted)
    assert oracle.expected_assignments("redraw", loads) == pytest.approx(16 * len(quarters) / accepted)


@pytest.mark.parametrize(
    ("mode", "loads", "slots", "instant"),
    [
        ("balanced", (0.2,), 6, True),  # it learns
        ("redraw", (1.0, 1.0), 6, True),  # nobody ever accepts
        ("random", (0.2,), 5, True),  # one has to wait for a slot
        ("random", (0.2,), 6, False),  # processing takes time
    ],
)
def test_where_there_is_no_closed_form(mode, loads, slots, instant) -> None:
    assert oracle.expected_makespan_s(mode, loads, 6, 3.0, slots=slots, instant=instant) is None


def test_no_image_takes_no_time() -> None:
    assert oracle.expected_makespan_s("random", (0.5,), 0, 3.0, slots=1, instant=True) == 0.0
    assert oracle.undelayed_chance("random", (0.5,), 2) == 0.25
    assert oracle.expected_assignments("balanced", (0.5,)) is None
