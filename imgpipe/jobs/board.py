"""The coordinator's jobs: taking one in, feeding it with names, ending it, and finding it again.

Between a request and the first image stand two looks at the file system (`intake`), each in a thread;
between the last image and `Finished` stands the cleaning up. Everything in between is plain calls of the
scheduler. A *dry run* is a job the scheduler never hears of: its listing goes straight into its journal.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from itertools import islice
from typing import Any

from imgpipe import limits
from imgpipe.connection import Stream
from imgpipe.errors import Kind, UnfinishedError, UsageError
from imgpipe.facts import Fact, Found, Ignored, Listed, Opened, Planned
from imgpipe.jobs import intake
from imgpipe.jobs.following import Followed
from imgpipe.jobs.listing import Batch, Listing
from imgpipe.loop import in_thread
from imgpipe.protocol import SubmitRequest
from imgpipe.scheduling.records import JobRecord
from imgpipe.scheduling.scheduler import Scheduler
from imgpipe.schema import shown
from imgpipe.storage import Collisions, Roots

log = logging.getLogger(__name__)

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # base 32
_ID_LENGTH = 10  # contract
_PREFIX_LENGTH = 4  # contract: of an id, to name a job by

Spawn = Callable[[Coroutine[Any, Any, None]], None]


class LiveJob:
    """A job between its request and the time nobody asks about it any more."""

    def __init__(self, plan: intake.Plan) -> None:
        self.plan = plan
        self.opened_at = time.monotonic()
        self.followed = Followed(plan.job)
        self.listing: Listing | None = None
        self.fed = 0  # empty tasks found so far
        self.sweeps: list[asyncio.Future[None]] = []  # clean-ups under way
        self.record: JobRecord | None = (
            None  # its sums; of a dry run, of which the scheduler never hears, too
        )

    def row(self, reasons: list[str]) -> tuple[Any, ...]:
        """For `Status`. ``reasons`` are why workers do not see its folders."""
        plan, record = self.plan, self.record
        sums = (record.total, record.done, record.failed, record.remaining) if record else (0, 0, 0, 0)
        state = record.state if record else "opening"
        paths = (plan.source.path, plan.output.path)
        return (plan.job, plan.spec.mode.name, state, *paths, *sums, self._why(reasons)[:1000])

    def _why(self, reasons: list[str]) -> str:
        record = self.record
        if record is None or record.problem:
            return record.problem if record else ""
        if record.ended or record.eligible or self.plan.request.dry_run:
            return ""
        if not record.introduced:
            return "waiting for its first names"
        return "; ".join(["no worker can do it yet", *reasons])


class Jobs:
    """All jobs of a coordinator, by id.

    ``wake`` asks for a flush of the scheduler's outbox; ``spawn`` runs a coroutine that the coordinator owns.
    """

    def __init__(self, scheduler: Scheduler, roots: Roots, wake: Callable[[], None], spawn: Spawn) -> None:
        self.closed = ""  # why no new jobs are taken, or nothing
        self._scheduler = scheduler
        self._roots = roots
        self._wake = wake
        self._spawn = spawn
        self._jobs: dict[str, LiveJob] = {}
        self._one_ended = asyncio.Event()

    def __iter__(self) -> Iterator[LiveJob]:
        return iter(self._jobs.values())

    def __getitem__(self, job: str) -> LiveJob:
        return self._jobs[job]

    def find(self, word: str) -> LiveJob:
        """The job of this id, or the one whose id begins so.

        Raises
        ------
        UsageError
            There is none, or more than one.
        """
        found = [job for name, job in self._jobs.items() if name.startswith(word)]
        if word in self._jobs:
            found = [self._jobs[word]]
        if len(found) == 1 and len(word) >= _PREFIX_LENGTH:
            return found[0]
        what = "several jobs begin so" if len(found) > 1 else "there is no such job"
        raise UsageError(f"job {word[:40]!r}: {what}; `imgpipe status` lists them")

    # --- taking in ------------------------------------------------------------------------------

    async def accept(self, request: SubmitRequest) -> LiveJob:
        """Take a job in.

        Raises
        ------
        UsageError
            It cannot be done as asked.
        UnfinishedError
            Not now: another job writes there, there are too many, or we are leaving.
        ProtocolError
            Its recipe is none.
        """
        self._refuse_if_busy()
        plan = await in_thread(intake.understand, self._new_id(), request, self._roots)
        self._refuse_if_busy(plan)
        job = self._jobs[plan.job] = LiveJob(plan)  # from here on its output is taken
        try:
            if request.dry_run:
                self._open_dry(job)
            else:
                self._open(job, await in_thread(intake.prepare, plan))
        except BaseException:
            del self._jobs[plan.job]
            raise
        log.info("job %s: %s → %s", plan.job, shown(plan.source.path), shown(plan.output.path))
        return job

    def _refuse_if_busy(self, plan: intake.Plan | None = None) -> None:
        running = [job for job in self if not job.followed.finished]
        if self.closed:
            raise UnfinishedError(f"{self.closed}, and takes no new jobs")
        if len(running) >= limits.JOBS_MAX:
            raise UnfinishedError(f"{limits.JOBS_MAX} jobs are running: wait for one to end")
        if plan is None or not plan.writes:
            return
        for job in running:
            if job.plan.writes and intake.overlaps(job.plan.output.path, plan.output.path):
                raise UnfinishedError(
                    f"job {job.plan.job} is writing to {shown(job.plan.output.path)}: "
                    "wait for its end, or give another output with -o"
                )

    def _new_id(self) -> str:
        while True:
            made = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
            if made not in self._jobs:
                return made

    def _open(self, job: LiveJob, collisions: Collisions) -> None:
        now = time.monotonic()
        job.followed.add([_opened(job.plan)], now)
        job.record = self._scheduler.submit(job.plan.spec, now)
        if job.plan.empty:
            self._make_names(job, now)
        else:
            job.listing = Listing(job.plan, collisions, partial(self._listed, job))
            job.listing.want(job.record.window)

    def _open_dry(self, job: LiveJob) -> None:
        plan = job.plan
        job.followed.add([_opened(plan)], time.monotonic())
        job.record = JobRecord(plan.spec, job.opened_at, plan.spec.mode.policy())
        # Whether the output folds case is found by writing there, which a dry run does not.
        collisions = intake.collisions(plan, folds_case=False)
        job.listing = Listing(plan, collisions, partial(self._planned, job, job.record))
        job.listing.want(job.record.window)

    # --- names ----------------------------------------------------------------------------------

    def feed(self, hungry: list[str]) -> None:
        """Ask for more names where there is room for them and nobody is too far behind to hear of them."""
        now = time.monotonic()
        dry = [job.plan.job for job in self if job.plan.request.dry_run]
        for name in (*hungry, *dry):
            job = self._jobs[name]
            if job.followed.holds_back(now) or job.record is None:
                continue
            if job.listing is not None:
                job.listing.want(job.record.window)
            else:
                self._make_names(job, now)
                self._wake()

    def _make_names(self, job: LiveJob, now: float) -> None:
        """Empty tasks need no listing: their names are numbers."""
        record, count = job.record, job.plan.request.count
        while record is not None and record.wants_names and job.fed < count:
            end = min(job.fed + limits.LISTING_BATCH, count)
            self._scheduler.found(job.plan.job, [(b"%d" % n, 0) for n in range(job.fed, end)], now)
            job.fed = end
        if job.fed >= count:
            self._scheduler.exhausted(job.plan.job, now)

    def _listed(self, job: LiveJob, batch: Batch) -> None:
        """The listing has handed over a batch."""
        now, name, record = time.monotonic(), job.plan.job, job.record
        assert record is not None
        ignored = record.ignored + len(batch.ignored)
        if job.plan.request.list_ignored:
            job.followed.add([Ignored(found, why) for found, why in batch.ignored], now)
        for failed, kind, words in batch.failed:
            self._scheduler.failed_early(name, failed, kind, words, now)
        if batch.last:
            self._scheduler.exhausted(name, now, ignored, batch.problem[: limits.TEXT_MAX])
        else:
            self._scheduler.found(name, batch.images, now, ignored)
        self._wake()

    def _planned(self, job: LiveJob, sums: JobRecord, batch: Batch) -> None:
        """A batch of a dry run."""
        target = job.plan.recipe.target
        facts: list[Fact] = [Planned(name, target(name)) for name, _ in batch.images]
        for name, kind, words in batch.failed:
            facts.append(Planned(name, target(name) if kind is Kind.COLLISION else b"", words))
        if job.plan.request.list_ignored:
            facts += [Ignored(name, why) for name, why in batch.ignored]
        sums.total += len(batch.images) + len(batch.failed)
        sums.failed += len(batch.failed)
        sums.ignored += len(batch.ignored)
        facts.append(Found(sums.total, sums.ignored))
        if batch.last:
            sums.problem = batch.problem[: limits.TEXT_MAX]
            sums.state = "failed" if sums.problem else "done"
            facts.append(Listed(sums.total, sums.ignored, sums.problem))
        job.followed.add(facts, time.monotonic())
        if batch.last:
            self._finish(job, sums)
        self._wake()

    def not_seen(self, name: str) -> None:
        """A worker does not see the folders: have it asked, the next time, for what is there now."""
        job = self._jobs.get(name)
        if job is not None and job.plan.writes and job.record is not None and not job.record.ended:
            self._spawn(self._sample_again(job, job.record))

    async def _sample_again(self, job: LiveJob, record: JobRecord) -> None:
        names = [name for name, _ in record.samples] + [task.name for task in islice(record.queue, 3)]
        fresh = await in_thread(intake.sampled, job.plan, names)
        record.samples[:] = fresh[:3]

    # --- ending ---------------------------------------------------------------------------------

    def cancel(self, job: LiveJob, drain: bool, why: str) -> None:
        """Hand out nothing more of it; with ``drain`` what is in hand may end."""
        if job.record is None or job.record.ended:
            return
        if job.listing is not None:
            job.listing.stop()
        if job.plan.request.dry_run:
            job.record.state = "cancelled"
            self._finish(job, job.record)
        self._scheduler.cancel(job.plan.job, drain, time.monotonic(), why)
        self._wake()

    async def close(self, why: str, drain: bool) -> None:
        """Take no new jobs, cancel those there are, and wait until all are cleaned up and told.

        With ``drain``, what is in hand ends first, however long that takes; without, nothing is waited for
        but the cleaning up.
        """
        self.closed = why
        for job in list(self):
            self.cancel(job, drain, why)
        async with asyncio.timeout(None if drain else limits.CLEAN_UP_S):
            while not all(job.followed.finished for job in self if job.record is not None):
                self._one_ended.clear()
                await self._one_ended.wait()

    def ended(self, record: JobRecord) -> None:
        """The scheduler has ended a job."""
        self._spawn(self._wind_up(self._jobs[record.id], record))

    async def _wind_up(self, job: LiveJob, record: JobRecord) -> None:
        """Clean up its files, then tell."""
        if job.listing is not None:
            job.listing.stop()
        await asyncio.gather(*job.sweeps, in_thread(intake.clean, job.plan, record.written_off))
        self._finish(job, record)

    def _finish(self, job: LiveJob, record: JobRecord) -> None:
        now = time.monotonic()
        record.ended = True
        job.followed.add([record.summary()], now)
        job.followed.finish(now - job.opened_at, now)
        log.info("job %s: %s", job.plan.job, record.state)
        finished = [
            other.plan.job for other in self if other.followed.finished and not other.followed.followers
        ]
        for name in finished[: -limits.FINISHED_JOBS_MAX]:
            del self._jobs[name]
        self._one_ended.set()

    # --- followers ------------------------------------------------------------------------------

    def tell(self, name: str, facts: list[Fact]) -> None:
        job = self._jobs[name]
        job.followed.add(facts, time.monotonic())
        if job.record is not None and len(job.record.written_off) > limits.WRITTEN_OFF_MAX:
            # Where image after image takes its process down, what is to be cleaned up must not pile up.
            swept, job.record.written_off = job.record.written_off, []
            job.sweeps = [sweep for sweep in job.sweeps if not sweep.done()]
            job.sweeps.append(in_thread(intake.sweep, job.plan, swept))

    def push(self, stream: Stream) -> None:
        """The stream takes more again."""
        for job in self:
            job.followed.push(time.monotonic(), stream)

    def leave(self, stream: Stream) -> None:
        for job in self:
            job.followed.leave(stream)


def _opened(plan: intake.Plan) -> Opened:
    words = str(plan.recipe)[:250]
    return Opened(plan.job, plan.spec.mode.name, plan.source.path, plan.output.path, words)
