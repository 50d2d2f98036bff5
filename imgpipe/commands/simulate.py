"""``imgpipe simulate``: the same scheduler in virtual time."""

from __future__ import annotations

import json as json_lines
from typing import Any

import click

from imgpipe import api
from imgpipe.commands.base import (
    MODE_NAMES,
    PROBABILITY,
    SECONDS,
    SEED,
    Command,
    Probabilities,
    Whole,
    checked_by,
    verbosity,
)
from imgpipe.commands.words import count
from imgpipe.errors import UsageError
from imgpipe.limits import SLOTS_MAX
from imgpipe.scheduling.placement import find
from imgpipe.scheduling.simulation import SimulationSpec, simulate

EXAMPLES = (
    (
        "imgpipe simulate --loads .8,.6,.5,.2 --slots 6 --tasks 6 --service 0 --mode redraw --trials 1000",
        "six images on four workers, beside the closed form",
    ),
    ("imgpipe simulate --workers 1000 --tasks 1000000 --load 0.3", "a fleet that you do not have"),
    ("imgpipe simulate --workers 20 --mtbf 600 --mttr 60 --tasks 100000", "with workers that die"),
)


@click.command("simulate", cls=Command, examples=EXAMPLES)
@click.option("--loads", type=Probabilities(), help="A worker for each value, with that load.")
@click.option("--workers", type=Whole(1, 1_000_000), metavar="N", help="Instead: so many.  [default: 4]")
@click.option("--load", type=PROBABILITY, metavar="P", help="… each with this load.  [default: 0]")
@click.option("--slots", type=Whole(1, SLOTS_MAX), metavar="N", default=2, show_default=True, help="Of each.")
@click.option(
    "--tasks", type=Whole(0), metavar="M", default=1000, show_default=True, help="Images of the job."
)
@click.option(
    "--service",
    type=SECONDS,
    default=0.1,
    show_default=True,
    metavar="S",
    help="Mean seconds an image takes.",
)
@click.option(
    "--delay",
    type=SECONDS,
    default=api.DELAY_S,
    show_default=True,
    metavar="S",
    help="Seconds that a load delays an image.",
)
@click.option("--mode", metavar=MODE_NAMES, default=api.MODE, show_default=True, callback=checked_by(find))
@click.option("--trials", type=Whole(1), metavar="K", default=1, show_default=True, help="So many jobs.")
@click.option(
    "--seed", type=SEED, metavar="N", default=0, show_default=True, help="The same seed, the same output."
)
@click.option("--mtbf", type=SECONDS, metavar="S", help="Mean seconds a worker lives.  [default: for ever]")
@click.option("--mttr", type=SECONDS, metavar="S", help="Mean seconds until it returns.  [default: 0]")
@click.option("--json", is_flag=True, help="One object on stdout.")
@verbosity
def command(
    loads: tuple[float, ...] | None,
    workers: int | None,
    load: float | None,
    service: float,
    delay: float,
    mtbf: float | None,
    mttr: float | None,
    json: bool,
    **counts: Any,
) -> None:
    """Run jobs on a simulated fleet. The scheduler is the real one, the time is not."""
    spec = SimulationSpec(
        loads=_loads(loads, workers, load),
        service_s=service,
        delay_s=delay,
        mtbf_s=mtbf or 0.0,
        mttr_s=mttr or 0.0,
        **counts,
    )
    summary = simulate(spec).summary()
    print(json_lines.dumps(summary) if json else _text(spec, summary))


def _loads(loads: tuple[float, ...] | None, workers: int | None, load: float | None) -> tuple[float, ...]:
    if loads is None:
        return (load or 0.0,) * (workers or 4)
    if workers is not None or load is not None:
        raise UsageError(
            "--loads already says how many workers there are and their loads: give one or the other"
        )
    return loads


def _text(spec: SimulationSpec, summary: dict[str, Any]) -> str:
    expected = summary["expected_makespan_s"]
    beside = "no closed form applies" if expected is None else f"closed form: {expected:.3f} s"
    span = summary["makespan_s"]
    workers = f"{count(len(spec.loads), 'worker')} with {count(spec.slots, 'slot')}"
    lines = (
        ("mode", f"{summary['mode']}, {workers}, {count(spec.tasks, 'image')}"),
        (
            "makespan",
            f"{span['mean']:.3f} s ± {span['sem']:.3f} over {count(spec.trials, 'trial')}; {beside}",
        ),
        ("assignments", f"{summary['assignments_per_image']:.3f} an image"),
        ("delayed", f"{100 * summary['delayed_share']:.1f} % of the images"),
        ("rejections", f"{summary['rejections']}, {count(summary['forced'], 'image')} forced"),
    )
    return "\n".join(f"{name:<12} {words}" for name, words in lines)
