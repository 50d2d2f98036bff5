"""A job followed to its end by a command: handed in, watched, told of, and stopped when asked to."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable

from imgpipe.client import Client, Job
from imgpipe.commands.interrupts import Interrupts
from imgpipe.commands.job_options import Asked
from imgpipe.commands.outcome import say
from imgpipe.commands.output import Output, output_of
from imgpipe.commands.progress import progress_of, ticking
from imgpipe.facts import Fact
from imgpipe.records.report import Report


async def attend(
    client: Client, asked: Asked, interrupts: Interrupts, *, leaving: Callable[[Job | None], str]
) -> int:
    """Hand in the job, tell of it to its end; the exit code it deserves.

    ``leaving`` says what becomes of a job that is left before its end (None: it was not answered yet).
    """
    interrupts.first = _wait_for_the_job
    interrupts.leaving = lambda: say(leaving(None))
    job = await client.submit(asked.request)
    interrupts.leaving = lambda: say(leaving(job))
    interrupts.first = lambda: _stop(job)
    if interrupts.code is not None:
        _stop(job)
    report, output = Report(), output_of(asked)
    try:
        with ticking(progress_of(asked), report):
            async for batch in job.batches():
                await _tell(output, report, batch)
    finally:
        await job.close()
    report.finished(job.elapsed_s or 0.0)
    if job.missed:
        say(f"{job.missed} facts of the job were lost on the way; the sums are right all the same")
    output.close(report, interrupts.code)
    return report.exit_code(interrupts.code)


def _wait_for_the_job() -> None:
    """A signal between the request and its answer: leaving now could leave a job behind."""
    say("stopping as soon as the job is taken (once more to leave now)")


def _stop(job: Job) -> None:
    say("stopping: what is in hand is finished first (once more to leave now)")
    job.cancel(drain=True)


async def _tell(output: Output, report: Report, batch: Iterable[Fact]) -> None:
    lines = []
    for fact in batch:
        report.fold(fact)
        line = output.line(fact)
        if line is not None:
            lines.append(line)
    if lines:  # a reader that is slow must not stop the loop, on which a whole cluster may live
        await asyncio.to_thread(_write, "\n".join(lines) + "\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
