"""``imgpipe ops``: the operations, as they are declared."""

from __future__ import annotations

import click

from imgpipe.commands import tables
from imgpipe.commands.base import Command, verbosity
from imgpipe.imaging.operations import Operation, find, table
from imgpipe.imaging.operations.parameters import word_of

EXAMPLES = (
    ("imgpipe ops", "all of them"),
    ("imgpipe ops resize", "one, with its parameters"),
)


@click.command("ops", cls=Command, examples=EXAMPLES)
@click.argument("name", required=False)
@verbosity
def command(name: str | None) -> None:
    """List the operations, or explain one. Its parameters, their ranges and defaults, an example."""
    if name is None:
        rows = [(operation.name, operation.help) for operation in table().values()]
        tables.show(("operation", "what it does"), rows)
    else:
        _explain(find(name))


def _explain(operation: Operation) -> None:
    print(f"{operation.name}: {operation.description}\n")
    rows = [
        (p.name, "required" if p.default is None else word_of(p.default), p.expected, p.doc)
        for p in operation.parameters
    ]
    if rows:
        tables.show(("parameter", "default", "expected", "meaning"), rows)
        print()
    print(f"alpha {operation.alpha.value}; depth {operation.depth.value}")
    print(f"example: imgpipe run photos --op {operation.example}")
