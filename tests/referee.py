"""A second opinion on the scheduler: it sees what goes in and what comes out, and keeps books of its own.

`Referee` keeps `tests.books` of every worker and of what must have become of every image.
Every call that tells the scheduler something goes through it; after each, `turn` drains the outbox and holds
every message, fact and ended job against the books. It reads one thing of the scheduler's own: a worker's
``prefetch``, which is a matter of tuning and not of right or wrong.
"""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import Any

from imgpipe import limits
from imgpipe.errors import Kind
from imgpipe.facts import Ended, ImageDone, ImageFailed
from imgpipe.protocol import (
    Cancel,
    DelayedExecute,
    Draining,
    Execute,
    Forget,
    Job,
    JobReady,
    Offer,
)
from imgpipe.scheduling import placement
from imgpipe.scheduling.records import JobRecord, JobSpec
from imgpipe.scheduling.scheduler import Scheduler
from tests.books import Image, Seat, Work, message_of


class Referee:
    """Tells the scheduler what happens, and holds what it decides against the books."""

    def __init__(self, names: tuple[str, ...] = ("a", "b", "c")) -> None:
        self.scheduler = Scheduler(Random(7), epoch=3)
        self.now = 0.0
        self.jobs: list[Work] = []
        self.seats = {name: Seat(name) for name in names}
        self.answers: list[tuple[str, Any]] = []  # what was answered: to be said again
        self.sent: list[tuple[str, Any]] = []  # by the last turn
        self.facts: list[tuple[str, Any]] = []  # all that were told
        self._attempts: set[int] = set()
        self._to_cancel: set[int] = set()

    # --- workers --------------------------------------------------------------------------------

    def join(
        self,
        name: str,
        slots: int,
        operations: tuple[str, ...] = ("edges",),
        codecs: tuple[str, ...] = ("webp",),
        pixels: int = 0,
    ) -> None:
        seat = self.seats.setdefault(name, Seat(name))
        if seat.state != "gone":
            self._empty(seat)
        self.seats[name] = Seat(name, "live", slots, operations, codecs, pixels)
        offer = Offer(slots, operations, codecs, ("data",), pixels=pixels)
        self.scheduler.joined(name, offer, self.now)

    def lose(self, name: str) -> None:
        seat = self.seats[name]
        self._empty(seat)
        self.seats[name] = Seat(name, "gone", 1, seat.operations, seat.codecs, seat.pixels, gone_at=self.now)
        self.scheduler.lost(name, self.now)

    def _empty(self, seat: Seat) -> None:
        for image in seat.images:
            image.losses += 1
            lost_for_good = image.losses >= limits.LOSSES_MAX
            self._back(image, f"failed {seat.name}" if lost_for_good else "queued")

    def suspect(self, name: str, silent: bool) -> None:
        seat = self.seats[name]
        if seat.state in ("live", "suspect"):
            seat.state = "suspect" if silent else "live"
        self.scheduler.suspected(name, silent, self.now)

    def drain(self, name: str) -> None:
        self.seats[name].state, self.seats[name].gone_at = "draining", self.now
        self._say(name, Draining())

    def ready(self, name: str, job: str, ready: bool) -> None:
        seat = self.seats[name]
        seat.asked.remove(job)
        (seat.sees.add if ready else seat.sees.discard)(job)
        self._say(name, JobReady(job, ready, "" if ready else "no such folder"))

    def _say(self, name: str, message: Any) -> None:
        self.scheduler.received(name, message, self.now)

    def say_again(self, name: str, message: Any) -> None:
        """A late or doubled or forged answer: the books do not change."""
        self._say(name, message)

    # --- answers --------------------------------------------------------------------------------

    def answer(self, kind: str, images: list[Image]) -> None:
        """One message of this kind for these images, which one worker holds for one job."""
        seat, job = images[0].seat, images[0].job
        assert seat is not None
        message = message_of(kind, job.id, images)
        if kind == "unseen":
            seat.sees.discard(job.id)
        else:
            self.answers.append((seat.name, message))
        for image in images:
            self._settle(kind, seat, image)
        self._say(seat.name, message)

    def _settle(self, kind: str, seat: Seat, image: Image) -> None:
        job = image.job
        if kind == "beyond":
            kind = self._beyond(seat, image)
        image.tries += kind in ("done", "failed", "crashed")
        job.sums[f"rejections {seat.name}"] += kind == "rejected"
        if kind == "waiting":
            seat.drop(image)
            seat.waiting.append(image)
        elif kind == "done":
            self._back(image, f"done {seat.name}")
        elif kind == "failed" or (kind == "crashed" and (image.tries > job.spec.retries or job.stopping)):
            self._back(image, f"failed {seat.name}")
        else:
            job.sums[f"retries {seat.name}"] += kind == "crashed"
            self._back(image, "queued")

    def _beyond(self, seat: Seat, image: Image) -> str:
        """It goes on to whoever allows more than this worker, if anyone does who sees the folders."""
        image.refused.append((seat.pixels, seat.codecs))
        return "passed on" if self._others(image) and not image.job.stopping else "failed"

    def _back(self, image: Image, outcome: str) -> None:
        """A held image leaves its worker."""
        assert image.seat is not None
        image.seat.drop(image)
        image.seat = image.attempt = None
        image.state = outcome.split()[0]
        if image.state == "queued" and image.job.stopping:
            image.state = "cancelled"
        image.job.sums[outcome] += image.state in ("done", "failed")

    def wake(self, image: Image) -> None:
        """Its delay is over: to the head of its worker's ready queue. Nobody is told."""
        assert image.seat is not None
        image.seat.waiting.remove(image)
        image.seat.ready.insert(0, image)
        image.seat.start()

    # --- jobs -----------------------------------------------------------------------------------

    def submit(
        self,
        mode: str = "balanced",
        priority: int = 0,
        retries: int = 1,
        needs: tuple[str, ...] = (),
        empty: bool = False,
        formats: tuple[str, ...] = (),
    ) -> Work:
        name = f"job{len(self.jobs)}"
        constants = Job(name, empty, "data", b"in", "data", b"out", (), 60.0, ())
        work = Work(JobSpec(constants, placement.find(mode), needs, formats, retries, priority))
        self.jobs.append(work)
        self.scheduler.submit(work.spec, self.now)
        return work

    def found(self, work: Work, count: int) -> None:
        batch = []
        for number in range(work.total, work.total + count):
            work.images[number] = image = Image(work, number)
            batch.append((image.name, 10))
        work.total += count
        self.scheduler.found(work.id, batch, self.now)

    def collided(self, work: Work) -> None:
        work.total += 1
        work.sums["failed "] += 1
        self.scheduler.failed_early(work.id, b"twice", Kind.COLLISION, "the same output", self.now)

    def exhausted(self, work: Work, problem: str) -> None:
        work.listed = True
        if problem and not work.stopping:
            work.state = "failed"
        self.scheduler.exhausted(work.id, self.now, 0, "" if work.stopping else problem)

    def cancel(self, work: Work, drain: bool) -> None:
        work.stopping, work.state = True, "cancelled"
        for image in work.images.values():
            if image.state == "queued":
                image.state = "cancelled"
            elif image.state == "held" and not drain:
                assert image.attempt is not None
                self._to_cancel.add(image.attempt)
                self._back(image, "cancelled")
        self.scheduler.cancel(work.id, drain, self.now)

    # --- what is held against the books ---------------------------------------------------------

    def turn(self) -> bool:
        """Drain the outbox, and check everything. Whether anything was sent."""
        box = self.scheduler.outbox(self.now)
        self.sent = box.messages
        for name, message in box.messages:
            self._sent(name, message)
        assert not self._to_cancel, f"never told to stop: {self._to_cancel}"
        for job, facts in box.facts:
            for fact in facts:
                self.facts.append((job, fact))
                self._told(self._work(job), fact)
        for record in box.ended:
            self._ended(record)
        for job in box.hungry:
            assert not self._work(job).listed
            assert not self._work(job).stopping
        self._check_all()
        return bool(box.messages or box.facts)

    def _sent(self, name: str, message: Any) -> None:
        seat = self.seats[name]
        assert seat.state != "gone", f"sent to the departed: {message}"
        match message:
            case Execute() | DelayedExecute():
                self._assigned(seat, message)
            case Cancel():
                self._cancelled(seat, message)
            case Job():
                seat.asked.append(message.job)
            case _:
                assert isinstance(message, Forget)

    def _assigned(self, seat: Seat, message: Execute | DelayedExecute) -> None:
        work = self._work(message.job)
        assert seat.state == "live", f"work for a {seat.state} worker"
        assert message.job in seat.sees, "work for one who does not see the folders"
        assert set(work.spec.operations) <= set(seat.operations), "work for one who lacks the operation"
        assert type(message) is DelayedExecute or work.spec.mode.may_refuse
        for number, attempt, name, _ in message.items:
            image = work.images[number]
            assert image.state == "queued", f"assigned while {image.state}"
            assert attempt not in self._attempts, "an attempt came twice"
            assert (attempt >> 32, name) == (3, image.name)
            if not seat.may_have(image):
                assert not self._others(image), "given once more to one who refused it"
            self._attempts.add(attempt)
            image.state, image.attempt, image.seat = "held", attempt, seat
            image.count += 1
            seat.credit[attempt] = image
            seat.ready.append(image)
        seat.start()
        prefetch = self.scheduler.fleet.workers[seat.name].prefetch
        assert 0 <= prefetch <= limits.PREFETCH_MAX
        assert len(seat.credit) <= seat.slots + prefetch, "over its credit"

    def _others(self, image: Image) -> list[Seat]:
        """Who may have it: now, when heard again, when it has looked at the folders, or when it is back."""
        return [
            seat for seat in self.seats.values() if seat.may_have(image) and self._stands(seat, image.job)
        ]

    def _stands(self, seat: Seat, work: Work) -> bool:
        if seat.state in ("live", "suspect"):
            return work.id in seat.sees or work.id in seat.asked
        able = set(work.spec.operations) <= set(seat.operations) and set(work.spec.codecs) <= set(seat.codecs)
        return able and self.now < seat.gone_at + limits.ABSENT_S

    def _cancelled(self, seat: Seat, message: Cancel) -> None:
        for _, attempt in message.tokens:
            assert attempt in self._to_cancel, f"told to stop for nothing: {attempt}"
            self._to_cancel.remove(attempt)

    def _told(self, work: Work, fact: Any) -> None:
        assert not work.ended, f"told after the end: {fact}"
        if isinstance(fact, ImageDone | ImageFailed):
            outcome = "done" if isinstance(fact, ImageDone) else "failed"
            work.told[f"{outcome} {fact.worker}"] += 1
            if fact.name != b"twice":
                image = work.images[int(fact.name)]
                assert (image.state, image.count, image.tries) == (outcome, fact.attempts, fact.tries)
                noted = () if getattr(fact, "kind", "") == Kind.LOST else image.notes
                assert fact.notes == noted
                work.notes.update({kind for kind, _ in noted})

    def _ended(self, record: JobRecord) -> None:
        work = self._work(record.id)
        assert not work.ended, "ended twice"
        work.ended = True
        end = record.summary()
        rows = {row[0]: row for row in end.workers}
        for name, _, rejections, retries, _, _ in rows.values():
            assert rejections == work.sums[f"rejections {name}"]
            assert retries == work.sums[f"retries {name}"]
        for name, row in rows.items():
            assert (row[1], row[4]) == (work.sums[f"done {name}"], work.sums[f"failed {name}"])
        assert self._totals(end) == self._totals_of(work)
        assert dict(end.notes) == work.notes

    def _totals(self, end: Ended) -> tuple[Any, ...]:
        return end.state, end.total, end.done, end.failed, end.remaining, end.rejections, end.retries

    def _totals_of(self, work: Work) -> tuple[Any, ...]:
        done, failed = _sum(work.sums, "done"), _sum(work.sums, "failed")
        left = work.total - done - failed
        rejections, retries = _sum(work.sums, "rejections"), _sum(work.sums, "retries")
        return work.state, work.total, done, failed, left, rejections, retries

    def _check_all(self) -> None:
        for work in self.jobs:
            for outcome in ("done", "failed"):
                expected = {key: n for key, n in work.sums.items() if n and key.startswith(outcome)}
                assert {k: n for k, n in work.told.items() if k.startswith(outcome)} == expected
            assert work.ended == work.is_over, f"{work.id} ended: {work.ended}, over: {work.is_over}"
            self._check_conserving(work)
        for seat in self.seats.values():
            assert len(seat.running) <= seat.slots
        deadline = self.scheduler.deadline()
        assert deadline is None or deadline > self.now, "virtual time stands still"

    def _check_conserving(self, work: Work) -> None:
        """In `random`, no image is left while a worker that may have it has room."""
        queued = [image for image in work.images.values() if image.state == "queued"]
        if work.spec.mode.name != "random":
            return
        for seat in self.seats.values():
            prefetch = self.scheduler.fleet.workers[seat.name].prefetch if seat.state == "live" else 0
            wanted = any(seat.may_have(image) or not self._others(image) for image in queued)
            able = wanted and seat.state == "live" and work.id in seat.sees
            assert not able or len(seat.credit) >= seat.slots + prefetch, "a worker stands idle"

    # --- for scenarios --------------------------------------------------------------------------

    def give(self, count: int, **options: Any) -> Work:
        """A job of this many images, seen by every live worker, and handed out as far as it goes."""
        work = self.submit(**options)
        if count:
            self.found(work, count)
        self.exhausted(work, "")
        self.turn()
        self.look()
        return work

    def look(self) -> None:
        """Everyone who was asked sees the folders."""
        for seat in self.seats.values():
            for job in list(seat.asked):
                self.ready(seat.name, job, True)
        self.turn()

    def held(self, name: str) -> list[Image]:
        """What a worker was sent and has not answered, in order."""
        return list(self.seats[name].credit.values())

    def told(self, work: Work, kind: type) -> list[Any]:
        """The facts of one kind that were told of a job."""
        return [fact for job, fact in self.facts if job == work.id and type(fact) is kind]

    def _work(self, job: str) -> Work:
        return self.jobs[int(job.removeprefix("job"))]

    # --- the end of all faults ------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.scheduler.elapsed(self.now)

    def heal(self) -> None:
        """No more faults: a healthy worker joins, everyone answers, time passes; and every job must end."""
        for work in self.jobs:
            if not work.listed and not work.ended:
                self.exhausted(work, "")
        self.join("healer", 2)
        for _ in range(500):
            if not self.turn() and not self._let_work():
                if all(work.ended for work in self.jobs):
                    return
                deadline = self.scheduler.deadline()
                assert deadline is not None, "nothing is to come, and a job has not ended"
                self.pass_time(math.nextafter(deadline, math.inf) - self.now)
        raise AssertionError("the jobs do not end")

    def _let_work(self) -> bool:
        worked = False
        for seat in list(self.seats.values()):
            if seat.state == "suspect":
                self.suspect(seat.name, False)
            for job in list(seat.asked):
                self.ready(seat.name, job, True)
                worked = True
            for image in list(seat.waiting):
                self.wake(image)
            for image in seat.images:
                if image in seat.running:
                    self.answer("done", [image])
                    worked = True
        return worked


def _sum(sums: Counter[str], what: str) -> int:
    return sum(count for key, count in sums.items() if key.split(" ")[0] == what)
