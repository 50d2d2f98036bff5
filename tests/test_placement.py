"""Every mode's policy: who is chosen, who is not, and at what price."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from scipy.stats import chisquare

from imgpipe import limits
from imgpipe.errors import UsageError
from imgpipe.protocol import Job
from imgpipe.scheduling.placement import MODES, AfterRefusal, LeastBusy, LeastExpected, Policy, Uniform, find
from imgpipe.scheduling.records import NOBODY, JobRecord, JobSpec, Task, WorkerRecord

JOB = Job("job", True, "", b"", "", b"", (), 60.0, ())
POLICIES = [*(mode.policy for mode in MODES.values()), LeastBusy]


def _worker(name: str, slots: int = 2) -> WorkerRecord:
    worker = WorkerRecord(name, "")
    worker.slots = slots
    return worker


def _chosen(policy: Policy, now: float = 0.0, avoid: frozenset[str] = NOBODY, seed: int = 1) -> str | None:
    chosen = policy.choose(Random(seed), now, avoid)
    return chosen.name if chosen else None


def _hold(worker: WorkerRecord, count: int) -> None:
    task = Task(JobRecord(JobSpec(JOB, MODES["random"]), 0.0, Uniform()), 0, b"image", 0)
    worker.held = dict.fromkeys(range(count), task)  # only their number matters here


# --- what holds for every policy ------------------------------------------------------------------


@pytest.mark.parametrize("make", POLICIES)
def test_only_the_offered_are_chosen(make) -> None:
    policy = make()
    workers = [_worker(name) for name in "abcd"]
    assert _chosen(policy) is None
    policy.withdraw(workers[0])  # it may never have been offered
    for worker in workers:
        policy.offer(worker)
        policy.offer(worker)
    for worker in workers[:3]:
        policy.withdraw(worker)
        policy.withdraw(worker)
    assert {_chosen(policy, seed=seed) for seed in range(20)} == {"d"}
    policy.withdraw(workers[3])
    assert _chosen(policy) is None
    policy.offer(workers[1])
    assert _chosen(policy) == "b"


@pytest.mark.parametrize("make", POLICIES)
def test_those_to_avoid_come_last(make) -> None:
    policy = make()
    for name in "abc":
        policy.offer(_worker(name))
    for seed in range(20):
        assert _chosen(policy, avoid=frozenset("ac"), seed=seed) == "b"
    assert _chosen(policy, avoid=frozenset("abc")) in {"a", "b", "c"}  # better than nobody
    assert _chosen(policy) is not None  # they are still offered


@pytest.mark.parametrize("make", POLICIES)
def test_whether_all_are_among_these(make) -> None:
    policy = make()
    assert policy.all_within(set())
    policy.offer(_worker("a"))
    policy.offer(_worker("b"))
    assert policy.all_within({"a", "b", "c"})
    assert not policy.all_within({"a", "c"})
    assert not policy.all_within({"a"})


# --- one by one -----------------------------------------------------------------------------------


def test_the_draw_is_uniform_whatever_went_before() -> None:
    policy = Uniform()
    workers = {name: _worker(name) for name in "abcdef"}
    for worker in workers.values():
        policy.offer(worker)
    policy.withdraw(workers["a"])
    policy.withdraw(workers["f"])
    policy.offer(workers["a"])
    rng = Random(3)
    drawn = Counter(chosen.name for _ in range(5000) if (chosen := policy.choose(rng, 0.0, NOBODY)))
    assert set(drawn) == set("abcde")
    assert chisquare(list(drawn.values())).pvalue > 1e-4


def test_balanced_goes_where_the_answer_is_expected_first() -> None:
    policy = LeastExpected()
    idle, busy, slow, cautious = (_worker(name) for name in ("idle", "busy", "slow", "cautious"))
    _hold(busy, 2)
    slow.pace = 2.0
    cautious.caution = 0.5  # a square: like four times as slow
    for worker in (cautious, slow, busy, idle):
        policy.offer(worker)
    order = []
    for _ in range(4):
        order.append(_chosen(policy))
        policy.withdraw(next(w for w in (idle, busy, slow, cautious) if w.name == order[-1]))
    assert order == ["idle", "slow", "busy", "cautious"]


def test_balanced_follows_what_changed() -> None:
    policy = LeastExpected()
    a, b = _worker("a"), _worker("b")
    policy.offer(a)
    policy.offer(b)
    for _ in range(3):
        chosen = policy.choose(Random(1), 0.0, NOBODY)
        assert isinstance(chosen, WorkerRecord)
        _hold(chosen, chosen.busy + 1)
        policy.offer(chosen)
    assert {a.busy, b.busy} == {1, 2}


def test_who_always_refused_is_still_asked_now_and_then() -> None:
    policy = LeastExpected()
    never, full = _worker("never"), _worker("full")
    never.caution = 1.0
    policy.offer(never)
    assert _chosen(policy) == "never"
    _hold(full, 1000)
    policy.offer(full)
    assert _chosen(policy) == "never"


def test_cooling_workers_are_left_alone_until_their_time() -> None:
    policy = LeastExpected()
    a, b = _worker("a"), _worker("b")
    a.cooling_until, b.cooling_until = 2.0, 1.0
    policy.offer(a)
    policy.offer(b)
    assert (_chosen(policy, now=0.0), policy.ready_at()) == (None, 1.0)
    assert (_chosen(policy, now=1.0), policy.ready_at()) == ("b", 2.0)
    policy.withdraw(b)
    assert (_chosen(policy, now=1.5), policy.ready_at()) == (None, 2.0)
    a.cooling_until = 0.0  # it accepted
    policy.offer(a)
    assert (_chosen(policy, now=1.5), policy.ready_at()) == ("a", None)


def test_the_forced_go_to_the_least_busy_cooling_or_not() -> None:
    policy = LeastBusy()
    a, b = _worker("a"), _worker("b", slots=4)
    a.cooling_until = b.cooling_until = 9.0
    _hold(a, 1)
    _hold(b, 1)
    policy.offer(a)
    policy.offer(b)
    assert _chosen(policy) == "b"


def test_outdated_entries_do_not_pile_up() -> None:
    policy = LeastExpected()
    workers = [_worker(f"{n}") for n in range(4)]
    for _ in range(2000):
        for worker in workers:
            policy.offer(worker)
    assert len(policy._ranked) <= 64 + 8 * len(workers)


def test_a_choice_among_ten_thousand_looks_at_few() -> None:
    """No work for each worker: what `rank` is asked for is counted."""
    asked = 0

    class Counting(LeastExpected):
        def rank(self, worker) -> float:
            nonlocal asked
            asked += 1
            return super().rank(worker)

    policy = Counting()
    workers = [_worker(f"{n}") for n in range(10_000)]
    for worker in workers:
        policy.offer(worker)
    asked = 0
    for _ in range(1000):
        chosen = policy.choose(Random(1), 0.0, NOBODY)
        assert isinstance(chosen, WorkerRecord)
        _hold(chosen, chosen.busy + 1)
        policy.offer(chosen)
    assert asked <= 2000


# --- the table ------------------------------------------------------------------------------------


def test_the_modes_are_what_users_are_told() -> None:
    assert set(MODES) >= {"random", "balanced", "redraw"}
    random, balanced, redraw = (MODES[name] for name in ("random", "balanced", "redraw"))
    assert (random.may_refuse, balanced.may_refuse, redraw.may_refuse) == (False, True, True)
    assert (balanced.after_refusal, redraw.after_refusal) == (AfterRefusal.COOL, AfterRefusal.REDRAW)
    assert (balanced.refusals_max, redraw.refusals_max) == (16, 64)


def test_modes_are_found_by_name_and_alias() -> None:
    for word in ("balanced", "load", "load-balancing"):
        assert find(word) is MODES["balanced"]
    with pytest.raises(UsageError, match="unknown mode 'redrew' \\(did you mean 'redraw'\\?\\)"):
        find("redrew")


# --- what a worker's record learns ----------------------------------------------------------------


def test_cooling_is_free_once_then_doubles_to_its_cap_and_is_reset() -> None:
    worker = _worker("a")
    cooled_ms = []
    for _ in range(10):
        worker.cool(now=5.0, live=4)
        cooled_ms.append(round(1000 * max(0.0, worker.cooling_until - 5.0), 6))
    assert cooled_ms == [0, 1, 2, 4, 8, 16, 32, 50, 50, 50]
    worker.accepted()
    worker.cool(now=6.0, live=4)
    assert worker.cooling_until == 0.0
    worker.cool(now=6.0, live=4)
    assert worker.cooling_until == pytest.approx(6.001)


def test_a_large_fleet_cools_longer() -> None:
    worker = _worker("a")
    for _ in range(80):
        worker.cool(now=0.0, live=1000)
    assert worker.cooling_until == 1000 / limits.COOL_PROBES_PER_S


def test_a_probe_starts_the_cooling_anew_without_counting() -> None:
    worker = _worker("a")
    worker.cool(now=0.0, live=4)
    worker.probed(now=1.0, live=4)
    assert worker.cooling_until == 0.0  # one refusal is free
    worker.cool(now=1.0, live=4)
    worker.probed(now=2.0, live=4)
    assert worker.cooling_until == pytest.approx(2.001)


def test_prefetch_follows_the_service_time_within_its_bounds() -> None:
    one = limits.PREFETCH_S
    for service_s, expected in ((1e-6, limits.PREFETCH_MAX), (one, 2), (one / 2, 4), (10.0, 1)):
        worker = _worker("a")
        worker.learn_service(service_s, service_s)
        assert worker.prefetch == expected


def test_pace_compares_a_worker_with_the_others() -> None:
    slow = _worker("a")
    for _ in range(100):
        slow.learn_service(0.2, 0.1)
    assert slow.pace == pytest.approx(2.0, rel=0.01)


def test_caution_is_the_share_of_bad_answers() -> None:
    worker = _worker("a")
    for n in range(1000):
        worker.learn_caution(n % 4 == 0)
    assert worker.caution == pytest.approx(0.25, abs=0.08)
