"""``imgpipe run``: a job on this machine, with nothing to start first."""

from __future__ import annotations

import click

from imgpipe import api, limits
from imgpipe.client import Job
from imgpipe.commands.attending import attend
from imgpipe.commands.base import SECONDS, SEED, Command, Probabilities, Whole
from imgpipe.commands.interrupts import Interrupts, attended
from imgpipe.commands.job_options import Asked, job_options
from imgpipe.commands.machine_options import check_format, machine_options
from imgpipe.imaging.bounds import Bounds
from imgpipe.imaging.recipe import Recipe
from imgpipe.loop import run as run_loop

EXAMPLES = (
    ("imgpipe run photos", "edges, the default; results go to output_dir beside photos"),
    (
        "imgpipe run photos -o small --op resize:size=800x --format webp",
        "smaller, in another format, elsewhere",
    ),
    ("imgpipe run -n photos", "what would be done"),
    ("imgpipe run photos --load .8,.6,.5,.2 --delay 0.3 --mode random", "four simulated machines"),
    ("imgpipe run photos --json | tail -n 1", "the summary, for scripts"),
)


@click.command("run", cls=Command, examples=EXAMPLES)
@job_options
@click.option(
    "-j",
    "--slots",
    type=Whole(1, limits.SLOTS_MAX),
    metavar="N",
    help="Processes in all.  [default: CPUs]",
)
@click.option(
    "--load",
    type=Probabilities(),
    default="0",
    show_default=True,
    help="A worker for each value, with that simulated load.",
)
@click.option(
    "--delay",
    type=SECONDS,
    default=api.DELAY_S,
    show_default=True,
    metavar="S",
    help="Seconds that a simulated load delays an image.",
)
@click.option("--seed", type=SEED, metavar="N", help="Makes refusals and delays repeatable.")
@machine_options
def command(
    asked: Asked,
    slots: int | None,
    load: tuple[float, ...],
    delay: float,
    seed: int | None,
    bounds: Bounds,
) -> int:
    """Process a folder of images on this machine. Nothing has to be started first."""

    check_format(Recipe.from_array(asked.request.recipe), bounds)

    async def work(interrupts: Interrupts) -> int:
        cluster = api.embedded(
            asked.request, slots=slots, loads=load, delay_s=delay, seed=seed, bounds=bounds
        )
        async with cluster:
            return await attend(cluster.client, asked, interrupts, leaving=_leaving)

    return run_loop(attended(work))


def _leaving(job: Job | None) -> str:
    return "leaving now; what was in hand is not done"
