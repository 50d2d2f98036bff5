"""The workers, and what each can be given: who is live, who sees which job's folders, who has room.

Before a job's first assignment to a worker, `Job` asks it whether it sees the folders. Until it says yes it
gets none of the job's images; if it says no it stands ASIDE for that job, and is asked again, less and less
often. A job's ``eligible`` set and its policy are kept true here, incrementally.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any

from imgpipe import limits
from imgpipe.facts import WorkerChanged
from imgpipe.protocol import Offer
from imgpipe.scheduling.automaton import Sight, WorkerState
from imgpipe.scheduling.records import Ability, JobRecord, View, WorkerRecord


class Fleet:
    """Worker records by name, and their standing with every unfinished job."""

    def __init__(self, jobs: dict[str, JobRecord], send: Callable[[str, Any], None]) -> None:
        self.workers: dict[str, WorkerRecord] = {}
        self.live = 0
        self._jobs = jobs
        self._send = send
        self._within: dict[frozenset[Ability], frozenset[str]] = {}  # until the next offer
        self._asks: list[tuple[float, str, str]] = []  # when to ask which worker again about which job

    # --- workers come and go --------------------------------------------------------------------

    def know(self, name: str, address: str) -> WorkerRecord:
        """A worker there should be, though nobody has heard of it yet."""
        worker = self.workers.get(name)
        if worker is None:
            worker = self.workers[name] = WorkerRecord(name, address)
            self._tell_all(worker)
        return worker

    def joined(self, worker: WorkerRecord, offer: Offer, address: str) -> None:
        worker.address = address or worker.address
        worker.slots = max(1, offer.slots)
        worker.reset(offer)
        self._within.clear()
        self.become(worker, WorkerState.LIVE, "")
        for job in self._jobs.values():
            if job.introduced:
                self.ask(worker, job)

    def become(self, worker: WorkerRecord, state: WorkerState, why: str) -> None:
        """Change a worker's state; a change nobody could notice tells nobody."""
        why = why[: limits.TEXT_MAX]
        if (worker.state, worker.why) == (state, why):
            return
        self.live += (state is WorkerState.LIVE) - (worker.state is WorkerState.LIVE)
        worker.state, worker.why = state, why
        for job in self._jobs.values():
            self._recount(worker, job)
        self._tell_all(worker)

    # --- who can do what ------------------------------------------------------------------------

    def introduce(self, job: JobRecord) -> None:
        """The job's constants are complete: ask every live worker."""
        job.introduced = True
        for worker in self.workers.values():
            if worker.state is not WorkerState.GONE:
                self.ask(worker, job)

    def ask(self, worker: WorkerRecord, job: JobRecord) -> None:
        lacks = _lacks(worker.offer, job) if worker.offer else "it has made no offer"
        known = worker.sights.get(job.id)
        view = worker.sights[job.id] = known or View(Sight.ASKED)
        if lacks:
            view.sight, view.why = Sight.UNABLE, lacks
            job.tell(self.seen_as(worker, job))
        else:
            view.sight = Sight.ASKED
            self._send(worker.name, job.constants)

    def answered(self, worker: WorkerRecord, job: JobRecord, ready: bool, why: str, now: float) -> None:
        """The worker sees the job's folders, or does not, or no longer does."""
        view = worker.sights.setdefault(job.id, View(Sight.ASKED))
        before = (view.sight, view.why)
        if ready:
            view.sight, view.why, view.retry_s = Sight.READY, "", limits.ASIDE_MIN_S
        else:
            if view.sight is not Sight.ASIDE:  # else it is to be asked again already
                heapq.heappush(self._asks, (now + view.retry_s, worker.name, job.id))
                view.retry_s = min(2 * view.retry_s, limits.ASIDE_MAX_S)
            view.sight, view.why = Sight.ASIDE, why
        self._recount(worker, job)
        if (view.sight, view.why) != before:
            job.tell(self.seen_as(worker, job))

    def ask_again(self, now: float) -> None:
        """Those who stood aside long enough are asked once more."""
        while self._asks and self._asks[0][0] <= now:
            _, name, job_id = heapq.heappop(self._asks)
            worker, job = self.workers.get(name), self._jobs.get(job_id)
            if worker is None or job is None or worker.state is WorkerState.GONE:
                continue
            view = worker.sights.get(job_id)
            if view is not None and view.sight is Sight.ASIDE:
                self.ask(worker, job)

    def ask_at(self) -> float | None:
        return self._asks[0][0] if self._asks else None

    def able(self, job: JobRecord, now: float) -> set[str]:
        """Who may do images of the job, now or before long: also who is silent, or has been asked whether it
        sees the folders, or leaves or has gone and may come back."""
        return {name for name, worker in self.workers.items() if self._may(worker, job, now)}

    def _may(self, worker: WorkerRecord, job: JobRecord, now: float) -> bool:
        if worker.state in (WorkerState.LIVE, WorkerState.SUSPECT):
            view = worker.sights.get(job.id)
            return view is not None and view.sight in (Sight.ASKED, Sight.READY)
        offer = worker.last_offer
        return offer is not None and now < worker.gone_at + limits.ABSENT_S and not _lacks(offer, job)

    def absent_until(self, now: float) -> float:
        """When the next of those that leave or have gone is waited for no more; infinite if there is none."""
        ends = (worker.gone_at + limits.ABSENT_S for worker in self.workers.values())
        return min((end for end in ends if end > now), default=math.inf)

    def within(self, abilities: frozenset[Ability]) -> frozenset[str]:
        """Who allows no more than one of these does."""
        found = self._within.get(abilities)
        if found is None:
            found = self._within[abilities] = frozenset(
                name
                for name, worker in self.workers.items()
                if worker.last_offer is not None and any(map(worker.ability.within, abilities))
            )
        return found

    # --- who has room ---------------------------------------------------------------------------

    def changed(self, worker: WorkerRecord) -> None:
        """Its room, its speed or its mood changed: tell every policy it stands in."""
        has_room = worker.room > 0 and worker.state is WorkerState.LIVE
        for job in self._jobs.values():
            eligible = has_room and worker.name in job.eligible
            for policy in job.policies():
                if eligible:
                    policy.offer(worker)
                else:
                    policy.withdraw(worker)

    def _recount(self, worker: WorkerRecord, job: JobRecord) -> None:
        view = worker.sights.get(job.id)
        if worker.state is WorkerState.LIVE and view is not None and view.sight is Sight.READY:
            job.eligible.add(worker.name)
        else:
            job.eligible.discard(worker.name)
            job.refusing.discard(worker.name)
        self.changed(worker)

    # --- words ----------------------------------------------------------------------------------

    def seen_as(self, worker: WorkerRecord, job: JobRecord) -> WorkerChanged:
        """The worker's state as this job sees it."""
        view = worker.sights.get(job.id)
        if worker.state is WorkerState.LIVE and view is not None and view.why:
            state, why = "aside", view.why
        else:
            state, why = str(worker.state), worker.why
        return WorkerChanged(worker.name, worker.address, state, worker.slots, why)

    def _tell_all(self, worker: WorkerRecord) -> None:
        for job in self._jobs.values():
            job.tell(self.seen_as(worker, job))


def _lacks(offer: Offer, job: JobRecord) -> str:
    """What the worker would need to be given this job, or nothing."""
    spec, constants = job.spec, job.spec.constants
    missing = [name for name in spec.operations if name not in offer.operations]
    if missing:
        named = ", ".join(missing)[: limits.TEXT_MAX // 2]
        return f"it has no operation {named}: install the package that brings it there"
    missing = [suffix for suffix in spec.codecs if suffix not in offer.codecs]
    if missing:
        named = ", ".join(missing)
        return (
            f"it does not write {named}: start it without that --without, install a newer imgpipe there, "
            "or choose another --format"
        )
    if constants.empty:
        return ""
    for root in (constants.source_root, constants.output_root):
        if root not in offer.roots:
            return f"it has no root {root!r}: start it with --root {root}=PATH"
    return ""
