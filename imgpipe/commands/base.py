"""What all commands share: help with its examples first, ``-v``, defaults from a file, types of values."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from imgpipe.commands import settings

Function = TypeVar("Function", bound=Callable[..., Any])

#: ``(command line, what it does)``.
Examples = Sequence[tuple[str, str]]

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class WithExamples(click.Command):
    """Its help begins with examples."""

    examples: Examples = ()

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_help_text(ctx, formatter)
        formatter.write_paragraph()
        for line, words in self.examples:
            formatter.write(f"  # {words}\n  {line}\n\n")
        self.format_usage(ctx, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)


class Command(WithExamples):
    """A command; what its table in ``imgpipe.toml`` says is the default of its options."""

    def __init__(self, *arguments: Any, examples: Examples = (), **keywords: Any) -> None:
        super().__init__(*arguments, **{"context_settings": CONTEXT, **keywords})
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.default_map and not {"-h", "--help"}.intersection(args):
            ctx.default_map = settings.checked(dict(ctx.default_map), self.name or "", self.params)
        return super().parse_args(ctx, args)


# --- -v -----------------------------------------------------------------------------------------


class _Stderr(logging.Handler):
    """Lines on whatever stderr is just now: a progress display that is drawn there moves aside for them."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


def log_to_stderr(verbose: int, quiet: bool = False) -> None:
    """What went wrong; with ``verbose`` 1 what happens, with 2 every message; errors alone when ``quiet``."""
    handler = _Stderr()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("imgpipe")
    logger.handlers[:] = [handler]
    usual = logging.ERROR if quiet else logging.WARNING
    logger.setLevel([usual, logging.INFO, logging.DEBUG][min(verbose, 2)])


def verbosity(function: Function) -> Function:
    """Adds ``-v``."""

    def told(context: click.Context, option: click.Parameter, verbose: int) -> None:
        log_to_stderr(verbose, bool(context.params.get("quiet")))

    return click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=told,
        help="Say more on stderr; -vv: every message. Errors with a traceback.",
    )(function)


# --- values -------------------------------------------------------------------------------------


class Number(click.FloatRange):
    """A number within bounds, and never nan, which compares as if it were within all of them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


class Probabilities(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """``P[,P…]``."""

    name = "P[,P…]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str):
            value = value.split(",")
        elif not isinstance(value, list | tuple):
            value = [value]
        return tuple(PROBABILITY.convert(part, param, ctx) for part in value)


PROBABILITY = Number(0, 1)
SECONDS = Number(0, 10_000_000)  # a season
PORT = click.IntRange(0, 65535)
SEED = click.IntRange(0)
