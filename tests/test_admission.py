"""The coins, against the table of the two assignments and the chances of semantics."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from imgpipe.scheduling.admission import Admission, Verdict

HEADS, TAILS = 0.1, 0.9  # beside a load of 0.5


class Coins(random.Random):
    """Coins that fall as they are told."""

    def __init__(self, *falls: float) -> None:
        super().__init__()
        self.falls = list(falls)

    def random(self) -> float:
        return self.falls.pop(0)


@pytest.mark.parametrize(
    ("may_refuse", "falls", "verdict"),
    [
        (True, [HEADS], Verdict.REJECT),  # and the second coin is not tossed
        (True, [TAILS, HEADS], Verdict.DELAY),
        (True, [TAILS, TAILS], Verdict.NOW),
        (False, [HEADS], Verdict.DELAY),
        (False, [TAILS], Verdict.NOW),
    ],
)
def test_the_table(may_refuse: bool, falls: list[float], verdict: Verdict) -> None:
    coins = Coins(*falls)
    assert Admission(0.5, 3.0, coins).verdict(may_refuse=may_refuse) is verdict
    assert coins.falls == []


@given(st.integers(), st.floats(0, 1), st.lists(st.booleans(), max_size=50))
def test_a_seed_is_a_sequence(seed: int, load: float, kinds: list[bool]) -> None:
    one, other = (Admission(load, 3.0, random.Random(seed)) for _ in range(2))
    assert [one.verdict(may_refuse=kind) for kind in kinds] == [
        other.verdict(may_refuse=kind) for kind in kinds
    ]


@given(st.integers(), st.booleans())
def test_no_load_takes_all_and_full_load_takes_none(seed: int, may_refuse: bool) -> None:
    assert Admission(0.0, 3.0, random.Random(seed)).verdict(may_refuse=may_refuse) is Verdict.NOW
    full = Admission(1.0, 3.0, random.Random(seed)).verdict(may_refuse=may_refuse)
    assert full is (Verdict.REJECT if may_refuse else Verdict.DELAY)


@pytest.mark.parametrize("load", [0.2, 0.5, 0.8])
def test_the_chances(load: float) -> None:
    """Refused with p; delayed with (1 − p) p if it may be refused, else with p."""
    count, admission = 20_000, Admission(load, 3.0, random.Random(1))
    for may_refuse, chances in (
        (True, {Verdict.REJECT: load, Verdict.DELAY: (1 - load) * load}),
        (False, {Verdict.REJECT: 0.0, Verdict.DELAY: load}),
    ):
        verdicts = [admission.verdict(may_refuse=may_refuse) for _ in range(count)]
        for verdict, chance in chances.items():
            assert binomtest(verdicts.count(verdict), count, chance).pvalue > 0.001
