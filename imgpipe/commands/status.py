"""``imgpipe status``: the fleet and its jobs."""

from __future__ import annotations

import json as json_lines
from typing import Any

import click

from imgpipe.client import Client
from imgpipe.commands import tables
from imgpipe.commands.base import Command, checked_by, verbosity
from imgpipe.commands.fleet_file import coordinator_at
from imgpipe.commands.interrupts import Interrupts, attended
from imgpipe.commands.words import count
from imgpipe.loop import run as run_loop
from imgpipe.machines import Address
from imgpipe.protocol import Status
from imgpipe.records.events import text
from imgpipe.schema import shown

EXAMPLES = (
    ("imgpipe status", "of the coordinator in machines.txt"),
    ("imgpipe status -c 10.0.0.5 --json", "of another, for scripts"),
)

WORKER = ("name", "address", "state", "slots", "in_flight", "waiting", "done", "why")
JOB = ("job", "mode", "state", "source", "output", "total", "done", "failed", "remaining", "why")


@click.command("status", cls=Command, examples=EXAMPLES)
@click.option(
    "-c",
    "--coordinator",
    metavar="HOST:PORT",
    callback=checked_by(coordinator_at),
    help="Where it is.  [default: the line in machines.txt, else 127.0.0.1:9190]",
)
@click.option("--json", is_flag=True, help="One object on stdout.")
@verbosity
def command(coordinator: str | None, json: bool) -> int:
    """Show a fleet and its jobs."""
    address = coordinator_at(coordinator)

    async def work(interrupts: Interrupts) -> int:
        async with await Client.connect(address) as client:
            status = await client.status()
        if json:
            print(json_lines.dumps(as_object(status)))
        else:
            _show(status, address)
        return 0

    return run_loop(attended(work))


def as_object(status: Status) -> dict[str, Any]:
    """For scripts: fields are only ever added."""
    return {
        "coordinator": status.name,
        "version": status.version,
        "epoch": status.epoch,
        "workers": [_record(WORKER, row) for row in status.workers],
        "jobs": [_record(JOB, row) for row in status.jobs],
    }


def _record(names: tuple[str, ...], row: tuple[Any, ...]) -> dict[str, Any]:
    cells = (text(cell) if isinstance(cell, bytes) else cell for cell in row)
    return dict(zip(names, cells, strict=False))


def _show(status: Status, address: Address) -> None:
    live = sum(row[2] == "live" for row in status.workers)
    print(f"coordinator {status.name} at {address}: {live} of {count(len(status.workers), 'worker')} live")
    for names, rows in ((WORKER, status.workers), (JOB, status.jobs)):
        if rows:
            print()
            headers = [name.replace("_", " ") for name in names]
            tables.show(headers, [[_cell(cell) for cell in row[: len(names)]] for row in rows])


def _cell(cell: Any) -> Any:
    return shown(cell) if isinstance(cell, bytes) else cell
