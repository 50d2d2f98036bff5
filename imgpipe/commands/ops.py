"""``imgpipe ops``: the operations, as they are declared."""

from __future__ import annotations

import json as json_lines
import shlex
from collections.abc import Iterable
from typing import Any

import click

from imgpipe.commands import tables
from imgpipe.commands.base import Command, verbosity
from imgpipe.errors import UsageError
from imgpipe.imaging import catalogue, recipe_schema
from imgpipe.imaging.operations import Operation, find, table

EXAMPLES = (
    ("imgpipe ops", "all of them, by family"),
    ("imgpipe ops resize", "one, with its parameters"),
    ("imgpipe ops --schema > recipe.schema.json", "for an editor that checks recipe files"),
)


@click.command("ops", cls=Command, examples=EXAMPLES)
@click.argument("name", required=False)
@click.option("--json", is_flag=True, help="An object a line on stdout, one for each operation.")
@click.option(
    "--schema",
    is_flag=True,
    help="The JSON Schema of recipe files. A file whose first line is "
    '"#:schema ./recipe.schema.json" is checked by it in editors that know Taplo.',
)
@verbosity
def command(name: str | None, json: bool, schema: bool) -> None:
    """List the operations, or explain one. Its parameters, their ranges and defaults, an example."""
    if schema:
        if name is not None or json:
            raise UsageError("--schema is about all operations, and JSON already: give it alone")
        print(json_lines.dumps(recipe_schema.schema(table().values()), indent=2, ensure_ascii=False))
        return
    chosen = list(table().values()) if name is None else [find(name)]
    if json:
        for family in catalogue.families(chosen):
            for operation in family.operations:
                print(json_lines.dumps(_object(operation, family.title)))
    elif name is None:
        _list(chosen)
    else:
        _explain(chosen[0])


def _list(operations: Iterable[Operation]) -> None:
    for number, family in enumerate(catalogue.families(operations)):
        print(f"{'' if number == 0 else chr(10)}{family.title}: {family.about}")
        tables.show(("operation", "what it does"), [(o.name, o.help) for o in family.operations])
    print("\n`imgpipe ops NAME` explains one.")


def _explain(operation: Operation) -> None:
    print(f"{operation.name}: {operation.description}\n")
    rows = [(p.name, catalogue.default_of(p), p.expected, p.doc) for p in operation.parameters]
    if rows:
        tables.show(("parameter", "default", "expected", "meaning"), rows)
        print()
    for what, effect in catalogue.effects(operation):
        print(f"{what} {effect}")
    print(f"\nexample: imgpipe run photos --op {shlex.quote(operation.example)}")
    print(f"in a recipe file:\n\n{catalogue.toml_example(operation)}")


def _object(operation: Operation, family: str) -> dict[str, Any]:
    return {
        "name": operation.name,
        "family": family,
        "version": operation.version,
        "help": operation.help,
        "description": operation.description,
        "parameters": recipe_schema.parameters(operation),
        "required": [p.name for p in operation.parameters if p.required],
        **dict(catalogue.effects(operation)),
        "example": operation.example,
        "toml": catalogue.toml_example(operation),
    }
