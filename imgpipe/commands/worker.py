"""``imgpipe worker``: processes images on this machine."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

import click

from imgpipe import api, limits
from imgpipe.commands.base import PORT, PROBABILITY, SECONDS, SEED, Command, Whole, checked_by, verbosity
from imgpipe.commands.interrupts import Interrupts, attended
from imgpipe.commands.machine_options import PIXELS, machine_options
from imgpipe.commands.outcome import say
from imgpipe.errors import UsageError
from imgpipe.imaging.bounds import Bounds
from imgpipe.loop import run as run_loop
from imgpipe.machines import WORKER_PORT, Address
from imgpipe.storage import parse_roots

if TYPE_CHECKING:
    from imgpipe.worker import Worker

_NAME_MAX = 256  # characters: what a name may have on the wire

EXAMPLES = (
    ("imgpipe worker --load 0.2 --port 9090", "on this machine, with a simulated load"),
    ("imgpipe worker --host 10.0.0.7 --root photos=/mnt/photos", "for a coordinator on another machine"),
)


def _check_name(name: str) -> None:
    """As machines.txt has it, where a name is a word."""
    if not (0 < len(name) <= _NAME_MAX and name.isprintable() and name.split() == [name] and "#" not in name):
        rule = f"1 to {_NAME_MAX} printable characters, without blanks and '#'"
        raise UsageError(f"name {name[:40]!r}: expected {rule}")


@click.command("worker", cls=Command, examples=EXAMPLES)
@click.option(
    "-p", "--port", type=PORT, metavar="N", default=WORKER_PORT, show_default=True, help="0 picks one."
)
@click.option(
    "--host", metavar="HOST", default="127.0.0.1", show_default=True, help="The address to listen on."
)
@click.option(
    "--load",
    type=PROBABILITY,
    metavar="P",
    default=0.0,
    show_default=True,
    help="Simulated load, 0 to 1: the chance to refuse an image, and the chance to delay one.",
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
@click.option(
    "-j", "--slots", type=Whole(1, limits.SLOTS_MAX), metavar="N", help="Processes.  [default: CPUs]"
)
@click.option(
    "--name",
    metavar="NAME",
    callback=checked_by(_check_name),
    help="What it is called where machines.txt has no name.  [default: this host's]",
)
@click.option(
    "--root",
    multiple=True,
    metavar="NAME=PATH",
    callback=checked_by(lambda specs: parse_roots(specs, os.getcwdb())),
    help="A directory it may touch, and its name on every machine; repeat it.  [default: .=this directory]",
)
@click.option(
    "--max-pixels",
    type=PIXELS,
    metavar="N",
    default=limits.PIXELS_MAX,
    show_default=True,
    help="Pictures with more pixels, all frames together, are refused. A job may only lower it.",
)
@machine_options
@verbosity
def command(bounds: Bounds, max_pixels: int, **options: Any) -> int:
    """Process images for a coordinator. It calls; this listens, and starts one process for each slot."""
    roots = parse_roots(options.pop("root"), os.getcwdb())

    async def work(interrupts: Interrupts) -> int:
        worker = _made(roots=roots, bounds=bounds.limited(max_pixels), **options)
        return await _serve(worker, options, interrupts)

    return run_loop(attended(work))


def _made(
    *, host: str, port: int, name: str | None, slots: int | None, delay: float, **options: Any
) -> Worker:
    from imgpipe.worker import Worker

    options |= {"name": name or socket.gethostname(), "slots": slots or api.cpu_count(), "delay_s": delay}
    return Worker(host, port, **options)


async def _serve(worker: Worker, options: dict[str, Any], interrupts: Interrupts) -> int:
    port = await worker.start()
    slots = options["slots"] or api.cpu_count()
    where = Address(options["host"], port)
    print(
        f"imgpipe worker {worker.name} listening on {where}, {slots} slots, load {options['load']:g}",
        flush=True,
    )
    draining: list[asyncio.Task[None]] = []

    def drain() -> None:
        say("leaving: what is in hand is finished first (once more to stop now)")
        draining.append(asyncio.ensure_future(worker.drain()))

    interrupts.first = drain
    interrupts.leaving = lambda: say("stopping now")
    await worker.serve()
    return 0
