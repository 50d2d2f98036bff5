"""``imgpipe coordinator``: joins the machines of machines.txt into one fleet."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import click

from imgpipe.commands import fleet_file
from imgpipe.commands.base import PORT, Command, checked_by, verbosity
from imgpipe.commands.interrupts import Interrupts, attended
from imgpipe.commands.outcome import say
from imgpipe.loop import run as run_loop
from imgpipe.machines import COORDINATOR_PORT, Address, Machines
from imgpipe.storage import Roots, parse_roots

if TYPE_CHECKING:
    from imgpipe.coordinator import Coordinator

log = logging.getLogger(__name__)

EXAMPLES = (
    ("imgpipe coordinator", "the machines of ./machines.txt"),
    ("imgpipe coordinator -m lab.txt --host 10.0.0.5 --root photos=/mnt/photos", "for other machines"),
)


@click.command("coordinator", cls=Command, examples=EXAMPLES)
@click.option(
    "-m",
    "--machines",
    metavar="FILE",
    callback=checked_by(fleet_file.machines),
    help="The fleet.  [default: ./machines.txt, else ./machine.txt]",
)
@click.option(
    "--host",
    metavar="HOST",
    help="The address to listen on.  [default: its line in the file, else 127.0.0.1]",
)
@click.option(
    "-p", "--port", type=PORT, metavar="N", help="0 picks one.  [default: its line in the file, else 9190]"
)
@click.option("--state", metavar="DIR", help="Where what must survive is kept. It needs the ledger: not yet.")
@click.option(
    "--root",
    multiple=True,
    metavar="NAME=PATH",
    callback=checked_by(lambda specs: parse_roots(specs, os.getcwdb())),
    help="A directory jobs may lie in, and its name everywhere; repeat it.  [default: .=this directory]",
)
@verbosity
def command(
    machines: str | None, host: str | None, port: int | None, state: str | None, root: tuple[str, ...]
) -> int:
    """Join machines into one fleet. It calls the workers that machines.txt names, and takes jobs for them."""
    roots = parse_roots(root, os.getcwdb())
    fleet = _fleet(machines)
    if state is not None:
        log.warning("--state %s: nothing is kept there yet", state)
    known = fleet.coordinator or Address("127.0.0.1", COORDINATOR_PORT)
    at = Address(host or known.host, known.port if port is None else port)

    async def work(interrupts: Interrupts) -> int:
        return await _serve(_made(fleet, at, roots), len(fleet.workers), interrupts)

    return run_loop(attended(work))


def _fleet(file: str | None) -> Machines:
    fleet = fleet_file.machines(file)
    if fleet is None:
        log.warning(
            "no %s here: a fleet without machines; `-m FILE` names one", " and no ".join(fleet_file.FILES)
        )
        return Machines(None, ())
    return fleet


def _made(fleet: Machines, at: Address, roots: Roots) -> Coordinator:
    from imgpipe.coordinator import Coordinator

    return Coordinator(machines=fleet.workers, host=at.host, port=at.port, roots=roots)


async def _serve(coordinator: Coordinator, machines: int, interrupts: Interrupts) -> int:
    host, port = await coordinator.start()
    asked = asyncio.Event()
    interrupts.first = asked.set
    interrupts.leaving = lambda: say("stopping now")
    try:
        print(f"imgpipe coordinator listening on {Address(host, port)}, {machines} machines", flush=True)
        await asked.wait()
        say("leaving: what is in hand is finished first (once more to stop now)")
        await coordinator.drain()
    except BaseException:
        await coordinator.stop()
        raise
    return 0
