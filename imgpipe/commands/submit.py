"""``imgpipe submit``: a job for a running coordinator."""

from __future__ import annotations

import json as json_lines

import click

from imgpipe.client import Client, Job
from imgpipe.commands.attending import attend
from imgpipe.commands.base import Command, checked_by
from imgpipe.commands.fleet_file import coordinator_at
from imgpipe.commands.interrupts import Interrupts, attended
from imgpipe.commands.job_options import Asked, job_options
from imgpipe.loop import run as run_loop

EXAMPLES = (
    ("imgpipe submit data/input --mode random", "the coordinator of machines.txt; edges, the default"),
    ("imgpipe submit photos -c 10.0.0.5 -o small --op thumbnail:size=200", "a coordinator by address"),
    ("imgpipe submit photos --detach", "print the job's id and leave"),
)


@click.command("submit", cls=Command, examples=EXAMPLES)
@job_options
@click.option(
    "-c",
    "--coordinator",
    metavar="HOST:PORT",
    callback=checked_by(coordinator_at),
    help="Where it is.  [default: the line in machines.txt, else 127.0.0.1:9190]",
)
@click.option("--detach", is_flag=True, help="Print the job's id and leave; the job goes on.")
def command(asked: Asked, coordinator: str | None, detach: bool) -> int:
    """Process a folder of images on a running fleet. Its coordinator and workers must see the folder."""
    address = coordinator_at(coordinator)

    async def work(interrupts: Interrupts) -> int:
        async with await Client.connect(address) as client:
            if detach:
                return await _leave(client, asked)
            return await attend(client, asked, interrupts, leaving=_leaving)

    return run_loop(attended(work))


def _leaving(job: Job | None) -> str:
    if job is None:
        return "leaving now; `imgpipe status` shows whether the coordinator took the job"
    return f"leaving now; job {job.id} was asked to stop, and finishes what is in hand"


async def _leave(client: Client, asked: Asked) -> int:
    job = await client.submit(asked.request)
    await job.close()
    print(json_lines.dumps({"event": "accepted", "job": job.id}) if asked.json else job.id)
    return 0
