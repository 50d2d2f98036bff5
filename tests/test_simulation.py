"""The simulated world: held against the closed forms, the edge cases, and itself.

The oracle's tests are exact and their seeds fixed: a job with all images in flight and no processing time
takes the delay or nothing, so the count of trials in which nothing was delayed is binomial.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from statistics import fmean, stdev

import pytest
from scipy.stats import binomtest

from imgpipe import limits
from imgpipe.errors import UsageError
from imgpipe.scheduling import oracle
from imgpipe.scheduling.placement import MODES, AfterRefusal, Candidate, LeastBusy, Mode, Uniform
from imgpipe.scheduling.scheduler import Scheduler
from imgpipe.scheduling.simulation import Result, SimulationSpec, simulate
from tests.test_oracle import TABLE

TRIALS = 4000
LOADS = [row[0] for row in TABLE]
#: What a right scheduler fails by chance: 10 tests of 2 checks at this level fail once in 500 seeds.
CHANCE = 1e-4


def _oracle_trials(mode: str, loads: tuple[float, ...], seed: int = 11) -> Result:
    return simulate(SimulationSpec(loads, tasks=6, slots=6, mode=mode, trials=TRIALS, seed=seed))


def _standard_error(values: list[float]) -> float:
    return stdev(values) / math.sqrt(len(values))


@pytest.mark.parametrize("loads", LOADS, ids=str)
@pytest.mark.parametrize("mode", ["random", "redraw"])
def test_the_oracle(mode: str, loads: tuple[float, ...]) -> None:
    trials = _oracle_trials(mode, loads).trials
    undelayed = sum(trial.delayed == 0 for trial in trials)
    chance = oracle.undelayed_chance(mode, loads, 6)
    assert chance is not None
    assert binomtest(undelayed, TRIALS, chance).pvalue > CHANCE
    assignments = [trial.assignments / 6 for trial in trials]
    expected = oracle.expected_assignments(mode, loads)
    assert expected is not None
    assert abs(fmean(assignments) - expected) <= 3 * _standard_error(assignments)


@pytest.mark.parametrize("loads", LOADS, ids=str)
def test_a_job_takes_the_delay_or_nothing(loads: tuple[float, ...]) -> None:
    for mode in ("random", "redraw"):
        for trial in simulate(SimulationSpec(loads, tasks=6, slots=6, mode=mode, trials=50)).trials:
            pauses_s = 0.1  # an image that everyone refused waits a millisecond, some times
            assert 0.0 <= trial.makespan_s - 3.0 * (trial.delayed > 0) <= pauses_s


@pytest.mark.parametrize("loads", LOADS[:2], ids=str)
def test_balanced_is_strictly_better_where_loads_differ(loads: tuple[float, ...]) -> None:
    """By more than three standard errors: no luck."""
    spans = [trial.makespan_s for trial in _oracle_trials("balanced", loads).trials]
    expected = oracle.expected_makespan_s("redraw", loads, 6, 3.0, slots=6, instant=True)
    assert expected is not None
    assert fmean(spans) + 3 * _standard_error(spans) < expected


@pytest.mark.parametrize("loads", LOADS[2:], ids=str)
def test_balanced_is_no_worse_elsewhere(loads: tuple[float, ...]) -> None:
    spans = [trial.makespan_s for trial in _oracle_trials("balanced", loads).trials]
    expected = oracle.expected_makespan_s("redraw", loads, 6, 3.0, slots=6, instant=True)
    assert expected is not None
    assert fmean(spans) <= 1.05 * expected


# --- edge cases -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tasks", [0, 1, 18])
@pytest.mark.parametrize(
    "loads", [(1, 1, 0, 0), (1, 1, 1, 0), (0, 0, 0, 1), (0, 0, 0, 0), (1, 1, 1, 1)], ids=str
)
def test_every_job_ends(mode: str, loads: tuple[float, ...], tasks: int) -> None:
    spec = SimulationSpec(tuple(map(float, loads)), tasks, mode, slots=2, service_s=0.05, seed=3)
    (trial,) = simulate(spec).trials
    assert (trial.done, trial.failed) == (tasks, 0)
    assert (trial.forced > 0) == (mode != "random" and min(loads) == 1 and tasks > 0)
    if tasks == 0:
        assert trial.makespan_s == 0.0
    if mode == "random":
        assert trial.rejections == 0
    if not any(loads):
        assert trial.delayed == trial.rejections == 0
    if min(loads) == 1:
        assert trial.delayed == tasks


@pytest.mark.parametrize("mode", MODES)
def test_workers_that_die_and_return(mode: str) -> None:
    spec = SimulationSpec(
        (0.3, 0.0), 200, mode, service_s=0.1, delay_s=0.2, mtbf_s=2.0, mttr_s=2.0, latency_s=0.002
    )
    (trial,) = simulate(spec).trials
    assert trial.done + trial.failed == 200
    assert trial.lost > 0
    assert trial.assignments == trial.done + trial.failed + trial.rejections + trial.lost


@pytest.mark.parametrize("mode", MODES)
def test_the_only_worker_dies_and_returns(mode: str) -> None:
    """While nobody is there the job waits; it ends once one is."""
    (trial,) = simulate(SimulationSpec((0.0,), 50, mode, service_s=0.1, mtbf_s=1.0, mttr_s=5.0)).trials
    assert trial.lost > 0
    assert trial.done == 50


def test_latency_takes_its_time() -> None:
    (trial,) = simulate(SimulationSpec((0.0,), 1, latency_s=0.25)).trials
    assert trial.makespan_s == pytest.approx(1.0)  # asked, ready, assigned, done


def test_a_delay_holds_neither_slot_nor_credit() -> None:
    """A thousand images that all wait three seconds on one worker of one slot wait together."""
    (trial,) = simulate(SimulationSpec((1.0,), 1000, "random", slots=1)).trials
    assert (trial.makespan_s, trial.delayed) == (3.0, 1000)


def test_more_slots_than_one_are_used() -> None:
    one, four = (
        simulate(SimulationSpec((0.0,), 400, slots=slots, service_s=0.1)).trials[0].makespan_s
        for slots in (1, 4)
    )
    assert one / four == pytest.approx(4.0, rel=0.05)


def test_time_moves_on_when_everyone_refuses() -> None:
    """Of a hundred refusing workers and of one, in every mode that may be refused."""
    for mode in ("redraw", "balanced"):
        for count in (1, 100):
            (trial,) = simulate(SimulationSpec((1.0,) * count, 300, mode)).trials
            assert (trial.done, trial.forced) == (300, 300)


# --- the same seed, the same world ----------------------------------------------------------------


def test_a_trial_depends_on_neither_the_others_nor_their_count() -> None:
    spec = SimulationSpec((0.5, 0.2), 20, trials=3, seed=5, service_s=0.1)
    three, two = (
        simulate(SimulationSpec(spec.loads, spec.tasks, trials=trials, seed=5, service_s=0.1)).trials
        for trials in (3, 2)
    )
    assert three[:2] == two
    assert three[0] != three[1]


PROGRAM = """
import json
from imgpipe.scheduling.simulation import SimulationSpec, simulate
for mode in ("random", "redraw", "balanced"):
    spec = SimulationSpec((1.0, 0.9, 0.9), 200, mode, service_s=0.01, mtbf_s=4.0, mttr_s=1.0, trials=2)
    print(json.dumps(simulate(spec).summary()))
"""


def test_the_same_seed_prints_the_same_bytes() -> None:
    """In other processes too, where sets of names have another order."""
    first, second = (
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    )
    assert first == second
    assert len(first.splitlines()) == 3


def test_what_a_script_reads() -> None:
    spec = SimulationSpec((0.8, 0.6), 4, "load", slots=4, trials=3)
    summary = simulate(spec).summary()
    assert json.loads(json.dumps(summary)) == summary
    assert list(summary) == [
        "mode",
        "trials",
        "makespan_s",
        "assignments_per_image",
        "delayed_share",
        "rejections",
        "forced",
        "expected_makespan_s",
        "failed",
    ]
    assert summary["mode"] == "balanced"
    assert summary["expected_makespan_s"] is None
    with_oracle = simulate(SimulationSpec((0.8, 0.6), 4, "random", slots=4)).summary()
    assert with_oracle["expected_makespan_s"] == pytest.approx(3 * (1 - 0.3**4))
    assert with_oracle["makespan_s"]["sem"] == 0.0


def test_an_unknown_mode() -> None:
    with pytest.raises(UsageError, match="did you mean 'balanced'"):
        simulate(SimulationSpec((0.1,), 1, "balancd"))


@pytest.mark.parametrize(("mode", "loads"), [("balanced", (0.0, 0.0)), ("redraw", (1.0,))])
def test_memory_follows_the_window_and_not_the_job(
    mode: str, loads: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images that are paused because everyone refused them stand in the window too."""
    monkeypatch.setattr(limits, "WINDOW", 512)
    monkeypatch.setattr(limits, "WAITING_MAX", 16)
    monkeypatch.setattr(limits, "PREFETCH_MAX", 16)
    most = 0

    def found(
        self: Scheduler, job: str, batch: list[tuple[bytes, int]], now: float, ignored: int = 0
    ) -> None:
        nonlocal most
        find(self, job, batch, now, ignored)
        most = max(most, self.jobs[job].live)

    find = Scheduler.found
    monkeypatch.setattr(Scheduler, "found", found)
    (trial,) = simulate(SimulationSpec(loads, 3000, mode, delay_s=0.0)).trials
    assert trial.done == 3000
    in_hand = len(loads) * (2 + 16 + 16)
    assert 512 <= most <= 512 + in_hand


@pytest.mark.parametrize("after_refusal", AfterRefusal)
@pytest.mark.parametrize("loads", [(1, 1, 0, 0), (1, 1, 1, 1), (1, 0.5, 0, 0)])
def test_every_job_ends_whatever_a_policy_answers(
    monkeypatch: pytest.MonkeyPatch, after_refusal: AfterRefusal, loads: tuple[float, ...]
) -> None:
    """Even with one that gives every image to the worker that has just refused it."""

    class Stubborn(LeastBusy):
        def rank(self, worker: Candidate) -> float:
            return worker.busy

    policy = Uniform if after_refusal is AfterRefusal.REDRAW else Stubborn  # chance is what ends a redraw
    monkeypatch.setitem(MODES, "stubborn", Mode("stubborn", "", policy, after_refusal=after_refusal))
    trial = simulate(SimulationSpec(loads, 200, mode="stubborn", service_s=0.01)).trials[0]
    assert trial.done == 200
