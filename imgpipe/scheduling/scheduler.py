"""The state of the whole cluster, and every decision about it.

A plain synchronous object: it knows every job, task and worker, and no sockets, clock, files or randomness
of its own. What happened goes in by plain calls with the time as an argument; `outbox` says what is to be
sent, told and done about it; `deadline` says when to call `elapsed` next. The coordinator joins it to
sockets, the simulation to a virtual clock, and both run this very object.

The life of a task stands in `automaton.TRANSITIONS`. The one rule everything follows from: an attempt lives
from its assignment until its worker answers for it, is lost, or is told to drop it; an answer for an attempt
that is not alive changes nothing. ``(task, attempt)`` is a fencing token, and attempts never repeat:
``attempt = (epoch << 32) + serial``.

Its parts: `fleet` (who is live and sees what), `handout` (what goes where next), `records` (what is
remembered).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from imgpipe import limits
from imgpipe.errors import Kind, ProtocolError
from imgpipe.facts import Found, ImageDone, ImageFailed, Listed, Stopping
from imgpipe.notes import Notes
from imgpipe.protocol import (
    Cancel,
    DelayedExecute,
    Done,
    Draining,
    Execute,
    Failed,
    Forget,
    JobReady,
    Offer,
    Rejected,
    Returned,
    Unseen,
    Waiting,
)
from imgpipe.rows import Token, batches
from imgpipe.scheduling.automaton import TERMINAL, TRANSITIONS, Event, State, WorkerState
from imgpipe.scheduling.fleet import Fleet
from imgpipe.scheduling.handout import HandOut
from imgpipe.scheduling.placement import AfterRefusal
from imgpipe.scheduling.records import JobRecord, JobSpec, Outbox, Task, WorkerRecord


class Scheduler:
    """Every decision about the cluster."""

    def __init__(self, rng: Random, epoch: int = 0) -> None:
        self.jobs: dict[str, JobRecord] = {}
        self.late = 0  # answers for attempts that were no longer alive
        self.fleet = Fleet(self.jobs, self._send)
        self._handout = HandOut(self.jobs, self.fleet, rng, epoch)
        self._sent: list[tuple[str, Any]] = []
        self._cancelled: dict[tuple[str, str], list[Token]] = {}
        self._ended: list[JobRecord] = []
        self._answers: dict[type, Callable[[WorkerRecord, JobRecord, Any, float], None]] = {
            Done: self._done,
            Failed: self._failed,
            Rejected: self._rejected,
            Waiting: self._waiting,
            Returned: self._returned,
            Unseen: self._unseen,
            JobReady: self._job_ready,
        }

    # --- what happened: workers -----------------------------------------------------------------

    def known(self, worker: str, address: str, now: float) -> None:
        """There should be such a worker; nobody has heard of it yet."""
        self.fleet.know(worker, address)

    def unreachable(self, worker: str, why: str, now: float) -> None:
        """No stream to it, and this is why."""
        record = self.fleet.workers[worker]
        if record.state is WorkerState.GONE:
            self.fleet.become(record, WorkerState.GONE, why)

    def joined(self, worker: str, offer: Offer, now: float, address: str = "") -> None:
        """A stream to this worker is open, and this is its offer."""
        record = self.fleet.know(worker, address)
        if record.state is not WorkerState.GONE:
            self.lost(worker, now, "another stream took its place")
        self.fleet.joined(record, offer, address)
        for job in self.jobs.values():
            job.paused_until = min(job.paused_until, now)

    def lost(self, worker: str, now: float, why: str = "connection lost") -> None:
        """Its stream has ended: what it held goes elsewhere."""
        record = self.fleet.workers[worker]
        if record.state is WorkerState.GONE:
            return
        self.fleet.become(record, WorkerState.GONE, why)
        held = [*record.held.items(), *record.waiting.items()]
        record.reset(None)
        record.gone_at = now
        self._unsend(worker)
        for attempt, task in reversed(held):  # to the front one by one: reversed keeps their order
            self._lose(record, attempt, task)

    def suspected(self, worker: str, silent: bool, now: float) -> None:
        """It has been silent for some beats, or was heard again: nothing new for it meanwhile."""
        record = self.fleet.workers[worker]
        if silent and record.state is WorkerState.LIVE:
            self.fleet.become(record, WorkerState.SUSPECT, "silent")
        elif not silent and record.state is WorkerState.SUSPECT:
            self.fleet.become(record, WorkerState.LIVE, "")

    def received(self, worker: str, message: Any, now: float) -> None:
        """A worker's message.

        Raises
        ------
        ProtocolError
            A worker does not say such a thing.
        """
        record = self.fleet.workers[worker]
        if record.state is WorkerState.GONE:
            self.late += 1
            return
        if isinstance(message, Draining):
            record.gone_at = now
            self.fleet.become(record, WorkerState.DRAINING, message.why or "leaving")
            return
        answer = self._answers.get(type(message))
        if answer is None:
            raise ProtocolError(f"a worker does not send {type(message).__name__}")
        job = self.jobs.get(message.job)
        if job is None:
            self.late += 1
            return
        answer(record, job, message, now)
        self.fleet.changed(record)

    # --- what happened: jobs --------------------------------------------------------------------

    def submit(self, spec: JobSpec, now: float) -> JobRecord:
        """A new job. Its names come by `found`, until `exhausted`."""
        job = JobRecord(spec, now, spec.mode.policy(), served=self._handout.start_of(spec.priority))
        self.jobs[job.id] = job
        for worker in self.fleet.workers.values():
            job.tell(self.fleet.seen_as(worker, job))
        if spec.constants.empty:
            self.fleet.introduce(job)
        return job

    def found(self, job: str, batch: Sequence[tuple[bytes, int]], now: float, ignored: int = 0) -> None:
        """The listing has found these images ``(name, size)``; ``ignored`` other entries in all so far."""
        record = self.jobs.get(job)
        if record is None or record.stopping:
            return
        if not record.has_queued:
            record.served = max(record.served, self._handout.start_of(record.spec.priority))
        for name, size in batch:
            record.enqueue(Task(record, record.total, name, size))
            record.total += 1
        record.live += len(batch)
        record.ignored = max(record.ignored, ignored)
        record.tell(Found(record.total, record.ignored))
        self._introduce(record, batch)

    def failed_early(self, job: str, name: bytes, kind: Kind, message: str, now: float) -> None:
        """The listing has found an image that is never to be assigned (a collision)."""
        record = self.jobs.get(job)
        if record is None or record.stopping:
            return
        record.total += 1
        record.failed += 1
        record.tell(ImageFailed(name, kind, message, "", 0, 0))

    def exhausted(self, job: str, now: float, ignored: int = 0, problem: str = "") -> None:
        """The listing has ended; ``problem`` is why it ended early."""
        record = self.jobs.get(job)
        if record is None or record.listed:
            return
        record.listed = True
        record.ignored = max(record.ignored, ignored)
        record.problem = problem
        record.tell(Listed(record.total, record.ignored, problem))
        self._end_if_over(record)

    def cancel(self, job: str, drain: bool, now: float, reason: str = "cancelled") -> None:
        """Hand out nothing more of this job; with ``drain``, what is in hand may end."""
        record = self.jobs.get(job)
        if record is None:
            return
        record.stopping, record.state = True, "cancelled"
        record.tell(Stopping(reason, drain))
        for task in record.take_all():
            self._happened(task, Event.CANCEL)
        if not drain:
            for worker in self.fleet.workers.values():
                for task in [t for t in (*worker.held.values(), *worker.waiting.values()) if t.job is record]:
                    if task.state not in TERMINAL:
                        self._happened(task, Event.CANCEL)
        self._end_if_over(record)

    def elapsed(self, now: float) -> None:
        """`deadline` has come."""
        self.fleet.ask_again(now)

    # --- what is to be done ---------------------------------------------------------------------

    def outbox(self, now: float) -> Outbox:
        """Hand out what can be handed out, and give everything decided since the last call."""
        self._handout.run(now)
        box = Outbox()
        for (worker, job), tokens in self._cancelled.items():  # first: a `Forget` may follow
            for batch in batches(tokens):
                box.messages.append((worker, Cancel(job, batch)))
        box.messages += self._sent
        self._sent.clear()
        for (worker, job, forced, alone), items in self._handout.assigned.items():
            kind = DelayedExecute if forced else Execute
            for batch in batches(items):
                box.messages.append((worker, kind(job, batch, alone)))
        self._handout.assigned.clear()
        self._cancelled.clear()
        for record in (*self.jobs.values(), *self._ended):
            if record.facts or record.counts:
                box.facts.append((record.id, record.take_facts()))
        box.ended, self._ended = self._ended, []
        box.hungry = [job.id for job in self.jobs.values() if job.wants_names]
        return box

    def deadline(self) -> float | None:
        """When to call `elapsed` and `outbox` next, if nothing happens before."""
        at = min(self._handout.deadline, self.fleet.ask_at() or math.inf)
        return None if at == math.inf else at

    # --- answers --------------------------------------------------------------------------------

    def _take(self, worker: WorkerRecord, job: JobRecord, number: int, attempt: int) -> Task | None:
        """The task of a live attempt, taken from its worker; None (and counted) if it is not alive."""
        task = worker.held.get(attempt) or worker.waiting.get(attempt)
        if task is None or task.number != number or task.job is not job:
            self.late += 1
            return None
        if worker.held.pop(attempt, None) is None:
            del worker.waiting[attempt]
        del task.attempts[attempt]
        return task

    def _done(self, worker: WorkerRecord, job: JobRecord, message: Done, now: float) -> None:
        sums = job.sums_of(worker.name)
        for row in message.rows:
            was_delayed = row[1] in worker.waiting
            task = self._take(worker, job, row[0], row[1])
            if task is None:
                continue
            task.tries += 1
            self._happened(task, Event.DONE)
            times = row[2:7]
            busy_us = sum(times)
            job.done += 1
            worker.done += 1
            sums.done += 1
            sums.busy_us += busy_us
            notes = row[7] if len(row) > 7 else ()
            job.note(notes)
            job.tell(ImageDone(task.name, worker.name, task.count, task.tries, times, notes))
            self._accepted(worker, job, was_delayed, now)
            job.learn_service(busy_us / 1e6)
            worker.learn_service(busy_us / 1e6, job.service_s)
        self._end_if_over(job)

    def _failed(self, worker: WorkerRecord, job: JobRecord, message: Failed, now: float) -> None:
        for row in message.rows:
            number, attempt, kind, words, again = row[:5]
            notes = row[5] if len(row) > 5 else ()
            was_delayed = attempt in worker.waiting
            task = self._take(worker, job, number, attempt)
            if task is None:
                continue
            self._accepted(worker, job, was_delayed, now)
            if len(row) > 6 and row[6] and self._passed_on(worker, task, now):
                continue
            task.tries += 1
            if again:
                self._broke(worker, task, attempt, kind, words, notes)
            else:
                self._fail(worker, task, Event.FAILED, kind, words, notes)
        self._end_if_over(job)

    def _passed_on(self, worker: WorkerRecord, task: Task, now: float) -> bool:
        """It is more than the worker allows: free, and for those that allow more, while there is one."""
        job = task.job
        barred = task.barred | {worker.ability}
        if job.stopping or self.fleet.able(job, now) <= self.fleet.within(barred):
            return False
        task.barred = barred
        self._happened(task, Event.RETURNED)
        return True

    def _broke(
        self, worker: WorkerRecord, task: Task, attempt: int, kind: str, words: str, notes: Notes
    ) -> None:
        """Its process died under it: another try, on another worker and alone, while tries are left."""
        job = task.job
        job.written_off.append((task.name, attempt))
        if task.tries > job.spec.retries or job.stopping:
            self._fail(worker, task, Event.BROKE_FOR_GOOD, kind, words, notes)
            return
        task.avoid |= {worker.name}
        task.alone = True
        job.sums_of(worker.name).retries += 1
        job.counts_of(worker.name).retries += 1
        self._happened(task, Event.BROKE)

    def _fail(
        self, worker: WorkerRecord, task: Task, event: Event, kind: str, words: str, notes: Notes = ()
    ) -> None:
        job = task.job
        self._happened(task, event)
        job.failed += 1
        job.sums_of(worker.name).failed += 1
        job.note(notes)
        job.tell(ImageFailed(task.name, kind, words, worker.name, task.count, task.tries, notes))

    def _rejected(self, worker: WorkerRecord, job: JobRecord, message: Rejected, now: float) -> None:
        for number, attempt, *_ in message.tokens:
            task = self._take(worker, job, number, attempt)
            if task is None:
                continue
            task.refusals += 1
            task.refusers.add(worker.name)
            if worker.name in job.eligible:
                job.refusing.add(worker.name)
            job.sums_of(worker.name).rejections += 1
            job.counts_of(worker.name).rejections += 1
            worker.learn_caution(True)
            if job.spec.mode.after_refusal is AfterRefusal.COOL:
                worker.cool(now, self.fleet.live)
            self._happened(task, Event.REFUSED)
        self._end_if_over(job)

    def _waiting(self, worker: WorkerRecord, job: JobRecord, message: Waiting, now: float) -> None:
        """Delayed images give their credit back, as many as one worker may keep waiting."""
        for number, attempt, *_ in message.tokens:
            task = worker.held.get(attempt)
            if task is None or task.number != number or task.job is not job:
                self.late += 1
                continue
            if len(worker.waiting) < limits.WAITING_MAX:
                worker.waiting[attempt] = worker.held.pop(attempt)
            job.counts_of(worker.name).delayed += 1
            self._accepted(worker, job, True, now, learn=True)

    def _accepted(
        self, worker: WorkerRecord, job: JobRecord, delayed: bool, now: float, learn: bool = False
    ) -> None:
        """Not a refusal. A delayed image was counted when it said so, and not again at its end."""
        worker.accepted()
        job.refusing.discard(worker.name)
        if learn or not delayed:
            worker.learn_caution(delayed)
        if job.paused:
            job.paused_until = now

    def _returned(self, worker: WorkerRecord, job: JobRecord, message: Returned, now: float) -> None:
        self._give_back(worker, job, message.tokens)
        self._end_if_over(job)

    def _unseen(self, worker: WorkerRecord, job: JobRecord, message: Unseen, now: float) -> None:
        for task, attempt in self._give_back(worker, job, message.tokens):
            job.written_off.append((task.name, attempt))
        self.fleet.answered(worker, job, False, message.why, now)
        self._end_if_over(job)

    def _give_back(
        self, worker: WorkerRecord, job: JobRecord, tokens: Iterable[tuple[int, ...]]
    ) -> list[tuple[Task, int]]:
        given = []
        for number, attempt, *_ in reversed(tuple(tokens)):
            task = self._take(worker, job, number, attempt)
            if task is not None:
                task.avoid |= {worker.name}
                self._happened(task, Event.RETURNED)
                given.append((task, attempt))
        return given

    def _lose(self, worker: WorkerRecord, attempt: int, task: Task) -> None:
        """The worker is gone: free for the image, but not for ever."""
        job = task.job
        del task.attempts[attempt]
        task.losses += 1
        task.avoid |= {worker.name}
        job.written_off.append((task.name, attempt))
        job.counts_of(worker.name).lost += 1
        if task.losses >= limits.LOSSES_MAX and not task.attempts:
            words = f"{task.losses} workers died while they held it, the last was {worker.name}"
            self._fail(worker, task, Event.TOO_MANY_LOSSES, Kind.LOST, words)
        else:
            self._happened(task, Event.LOST)
        self._end_if_over(job)

    def _job_ready(self, worker: WorkerRecord, job: JobRecord, message: JobReady, now: float) -> None:
        self.fleet.answered(worker, job, message.ready, message.why, now)

    # --- the automaton --------------------------------------------------------------------------

    def _happened(self, task: Task, event: Event) -> None:
        """Move a task as the table says, with what it means for queue, other attempts and job."""
        transition = TRANSITIONS[task.state, event]
        if transition.target is State.QUEUED and task.attempts:
            return  # another attempt is still alive
        if transition.target is State.QUEUED and task.job.stopping:
            transition = TRANSITIONS[task.state, Event.CANCEL]
        task.state = transition.target
        if task.state is State.QUEUED:
            task.job.enqueue(task, front=transition.front)
        elif task.state in TERMINAL:
            task.job.live -= 1
            task.job.cancelled += task.state is State.CANCELLED
            self._write_off(task)

    def _write_off(self, task: Task) -> None:
        """The other attempts of a task that has ended: told to stop, forgotten, credit back."""
        for attempt, worker in task.attempts.items():
            if worker.held.pop(attempt, None) is None:
                worker.waiting.pop(attempt, None)
            task.job.written_off.append((task.name, attempt))
            self._cancelled.setdefault((worker.name, task.job.id), []).append((task.number, attempt))
            self.fleet.changed(worker)
        task.attempts.clear()

    def _introduce(self, job: JobRecord, batch: Sequence[tuple[bytes, int]]) -> None:
        """The first names are what workers look for to know that they see the folder."""
        if not job.introduced and batch:
            job.samples.extend(batch[:3])
            self.fleet.introduce(job)

    def _end_if_over(self, job: JobRecord) -> None:
        if job.live or job.ended or not (job.listed or job.stopping):
            return
        job.ended = True
        if job.state == "running":
            job.state = "failed" if job.problem else "done"
        del self.jobs[job.id]
        self._ended.append(job)
        for worker in self.fleet.workers.values():
            if worker.sights.pop(job.id, None) is not None and worker.state is not WorkerState.GONE:
                self._send(worker.name, Forget(job.id))

    def _send(self, worker: str, message: Any) -> None:
        self._sent.append((worker, message))

    def _unsend(self, worker: str) -> None:
        """What was meant for a stream that has ended is not for the next one."""
        self._sent[:] = [sent for sent in self._sent if sent[0] != worker]
        for address in [address for address in self._cancelled if address[0] == worker]:
            del self._cancelled[address]
