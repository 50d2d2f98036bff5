"""Handing out: which job is next, which of its images, to which worker, and whether it may refuse.

Jobs: the highest priority first, then the one that was given the least slot time. An assignment is charged
with the mean time of the job's images, or, while that is unknown, with the mean of the others'; so a small
job that comes in the middle of a large one gets its share at once. Images: first come, first served, but
what came back goes first. Workers: as the job's mode says (`placement`).
"""

from __future__ import annotations

import math
from collections import deque
from random import Random

from imgpipe import limits
from imgpipe.facts import Started
from imgpipe.rows import Item
from imgpipe.scheduling.automaton import TRANSITIONS, Event
from imgpipe.scheduling.fleet import Fleet
from imgpipe.scheduling.placement import AfterRefusal, Candidate, LeastBusy, Policy
from imgpipe.scheduling.records import NOBODY, JobRecord, Task, WorkerRecord

#: Slot time charged for an image when nothing is known yet of any job: only ratios matter.
_UNKNOWN_SERVICE_S = 0.001

#: ``(worker, job, must accept, alone)``: what may travel in one message.
Address = tuple[str, str, bool, bool]


class HandOut:
    """Gives queued tasks to workers with room.

    Attributes
    ----------
    assigned : dict
        What was given out since it was last cleared, by `Address`.
    deadline : float
        When more might be given out though nothing has happened; infinite if never.
    """

    def __init__(self, jobs: dict[str, JobRecord], fleet: Fleet, rng: Random, epoch: int) -> None:
        self.assigned: dict[Address, list[Item]] = {}
        self.deadline = math.inf
        self._clocks: dict[int, float] = {}  # for each priority: slot time given to the job served last
        self._jobs = jobs
        self._fleet = fleet
        self._rng = rng
        self._serial = epoch << 32
        self._cooling_until = math.inf  # of workers chosen in this run that may not be asked yet

    def start_of(self, priority: int) -> float:
        """The slot time a job of this priority is taken to have had when it comes, or comes back."""
        if not self._jobs:
            self._clocks.clear()
        return self._clocks.get(priority, 0.0)

    def run(self, now: float) -> None:
        """Assign until no job has both a task and a worker for it."""
        self._cooling_until = math.inf
        waiting = []
        for job in self._jobs.values():
            if job.paused_until <= now:
                self._unpause(job)
            if job.has_queued:
                waiting.append(job)
        while waiting:
            job = self._next_job(waiting)
            if not self._place_next(job, now) or not job.has_queued:
                waiting.remove(job)
        ready_at = min((_ready_at(job) for job in self._jobs.values()), default=math.inf)
        self.deadline = min(ready_at, self._cooling_until)
        if any(job.reserved for job in self._jobs.values()):
            self.deadline = min(self.deadline, self._fleet.absent_until(now))

    def _next_job(self, waiting: list[JobRecord]) -> JobRecord:
        chosen = min(waiting, key=lambda job: (-job.spec.priority, job.served)) if waiting[1:] else waiting[0]
        priority = chosen.spec.priority
        if chosen.served > self._clocks.get(priority, 0.0):
            self._clocks[priority] = chosen.served
        return chosen

    def _place_next(self, job: JobRecord, now: float) -> bool:
        """Assign the task at the head of a queue, or let it wait; False if no worker can take any."""
        for barred in [*job.reserved] if job.reserved else ():
            queue, names = job.reserved[barred], self._fleet.within(barred)
            # Whoever could have these is gone for good: anyone may, and say once more that it is too much.
            for_all = job.eligible <= names and self._fleet.able(job, now) <= names
            if self._place(queue, now, NOBODY if for_all else names):
                if not queue:
                    del job.reserved[barred]
                return True
        return bool(job.queue) and self._place(job.queue, now, NOBODY)

    def _place(self, queue: deque[Task], now: float, barred: frozenset[str]) -> bool:
        """The same for one queue, whose tasks none of the ``barred`` must have."""
        task = queue[0]
        job = task.job
        forced = _is_to_be_forced(task, barred)
        policy = self._forced_policy(job) if forced else job.policy
        worker = self._chosen(policy, task, now, barred)
        if worker is None or not (forced or self._may_ask(job, worker, now)):
            return False
        queue.popleft()
        if not forced and task.refusers and _pauses(job) and policy.all_within(task.refusers | barred):
            self._pause(task, now)
        else:
            self._assign(task, self._fleet.workers[worker.name], forced, now)
        return True

    def _chosen(self, policy: Policy, task: Task, now: float, barred: frozenset[str]) -> Candidate | None:
        """The next worker; one that the task should avoid if need be, but none that it must not have."""
        if not barred:
            return policy.choose(self._rng, now, _unwanted(task))
        worker = policy.choose(self._rng, now, _unwanted(task) | barred)
        if worker is None or worker.name not in barred:
            return worker
        worker = policy.choose(self._rng, now, barred)
        return None if worker is None or worker.name in barred else worker

    def _may_ask(self, job: JobRecord, worker: Candidate, now: float) -> bool:
        """Policies of modes that cool heed it themselves; one that does not must not ask for ever."""
        if not _cools(job) or worker.cooling_until <= now:
            return True
        self._cooling_until = min(self._cooling_until, worker.cooling_until)
        return False

    def _forced_policy(self, job: JobRecord) -> LeastBusy:
        if job.forced_policy is None:
            job.forced_policy = LeastBusy()
            for worker in self._fleet.workers.values():  # a set's order would differ from run to run
                self._fleet.changed(worker)
        return job.forced_policy

    def _pause(self, task: Task, now: float) -> None:
        task.refusers.clear()
        task.job.paused.append(task)
        task.job.paused_until = min(task.job.paused_until, now + limits.REDRAW_PAUSE_S)

    def _unpause(self, job: JobRecord) -> None:
        for task in reversed(job.paused):
            job.enqueue(task, front=True)
        job.paused.clear()
        job.paused_until = math.inf

    def _assign(self, task: Task, worker: WorkerRecord, forced: bool, now: float) -> None:
        job = task.job
        task.state = TRANSITIONS[task.state, Event.ASSIGN].target
        self._serial += 1
        task.attempts[self._serial] = worker
        task.count += 1
        worker.held[self._serial] = task
        must_accept = forced or not job.spec.mode.may_refuse
        if _cools(job) and not must_accept:
            worker.probed(now, self._fleet.live)
        items = self.assigned.setdefault((worker.name, job.id, must_accept, task.alone), [])
        items.append((task.number, self._serial, task.name, task.size))
        job.served += job.service_s or self._typical_service_s()
        if forced:
            job.forced += 1
            job.counts_of(worker.name).forced += 1
        if not job.started:
            job.started = True
            job.tell(Started(max(0.0, now - job.opened_at)))
        self._fleet.changed(worker)

    def _typical_service_s(self) -> float:
        known = [job.service_s for job in self._jobs.values() if job.service_s]
        return sum(known) / len(known) if known else _UNKNOWN_SERVICE_S


def _is_to_be_forced(task: Task, barred: frozenset[str]) -> bool:
    """It was refused often, and everyone who may have it refused last."""
    job = task.job
    if task.refusals < job.spec.mode.refusals_max:
        return False
    if barred:
        others = job.eligible - barred
        return bool(others) and others <= job.refusing
    return len(job.refusing) >= len(job.eligible)


def _cools(job: JobRecord) -> bool:
    return job.spec.mode.after_refusal is AfterRefusal.COOL


def _pauses(job: JobRecord) -> bool:
    """Whether its images wait a moment once everyone with room has refused them."""
    return job.spec.mode.may_refuse and not _cools(job)


def _unwanted(task: Task) -> frozenset[str]:
    """Workers the task is rather not given to."""
    avoids = task.job.spec.mode.after_refusal is AfterRefusal.AVOID
    return task.avoid | task.refusers if avoids and task.refusers else task.avoid


def _ready_at(job: JobRecord) -> float:
    """When more of this job might be given out though nothing has happened."""
    ready_at = job.policy.ready_at() if job.has_queued else None
    return job.paused_until if ready_at is None else min(ready_at, job.paused_until)
