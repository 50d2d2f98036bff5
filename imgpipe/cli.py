"""The command group: finds and loads ``commands/`` only when called."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import Any

import click

import imgpipe
from imgpipe.commands.base import CONTEXT, WithExamples
from imgpipe.commands.outcome import outcome
from imgpipe.errors import ExitCode, UsageError, nearest

COMMANDS = ("run", "submit", "coordinator", "worker", "try", "ops", "simulate", "status")


class Commands(WithExamples, click.Group):
    """Each command lives in the module of its name (``try_`` where that is a keyword), as ``command``."""

    examples = (
        ("imgpipe run photos", "process a folder on this machine; results go to output_dir beside it"),
        ("imgpipe run photos --op resize:size=800x --format webp -o small", "other work, elsewhere"),
        ("imgpipe try photos", "a few images first: look at the contact sheet"),
        ("imgpipe worker", "on each machine, and then"),
        ("imgpipe coordinator", "on one of them, beside a machines.txt that names them; and then"),
        ("imgpipe submit photos", "process a folder on all of them"),
    )

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"imgpipe.commands.{module}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            there = f"there are {', '.join(COMMANDS)}"
            raise UsageError(f"unknown command {args[0]!r}{nearest(args[0], COMMANDS)}; {there}")
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"imgpipe {imgpipe.__version__}")
        ctx.exit()


@click.group(
    cls=Commands,
    context_settings={**CONTEXT, "auto_envvar_prefix": "IMGPIPE"},
    invoke_without_command=True,
    epilog=(
        "Every option has an environment variable, IMGPIPE_<COMMAND>_<OPTION>, and a key in imgpipe.toml "
        "([command], option = value). A flag beats a variable beats imgpipe.toml."
    ),
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    allow_from_autoenv=False,  # IMGPIPE_VERSION is nobody's wish to see one
    help="Print the version and leave.",
)
@click.pass_context
def group(ctx: click.Context) -> None:
    """Turns a folder of images into processed images, on every machine you have, with one command."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(ExitCode.USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of a command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal's encoding lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if arguments is None else arguments)

    def command() -> int | None:
        with group.make_context("imgpipe", words) as context:
            code: int | None = group.invoke(context)
            return code

    return outcome(command)
