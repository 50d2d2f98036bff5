"""What all commands share: help with its examples first, ``-v``, defaults from a file, checks of values."""

from __future__ import annotations

import logging
import math
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from imgpipe.commands import settings
from imgpipe.errors import UsageError
from imgpipe.scheduling.placement import MODES

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
        wrong: UsageError | None = None
        try:
            ctx.default_map = self._defaults(ctx)
        except UsageError as error:
            wrong = error
        rest = super().parse_args(ctx, args)
        if wrong is not None:  # not before: --help leaves there, whatever the file says
            raise wrong
        return rest

    def _defaults(self, ctx: click.Context) -> dict[str, Any]:
        name = self.name or ""
        group = ctx.parent and ctx.parent.command
        known = group.list_commands(ctx) if isinstance(group, click.Group) else [name]
        return settings.checked(settings.read(known).get(name, {}), name, self.params)


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


def checked_by(
    check: Callable[[Any], object], named: str = ""
) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback for an option: what ``check`` says of a value that was given is said with its place.

    ``named`` is the option, where ``check`` does not name it itself.
    """

    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value is None or value == ():
            return value
        try:
            check(value)
        except UsageError as error:
            where = settings.place(context, parameter) or named
            raise UsageError(f"{where}: {error}" if where else str(error)) from None
        return value

    return callback


_POWER = re.compile(r"([0-9]{1,9})[eE]([0-9]{1,2})\Z")


class Whole(click.IntRange):
    """A whole number within bounds: ``100000000``, or ``1e8``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            if isinstance(value, str) and (found := _POWER.match(value)):
                value = int(found[1]) * 10 ** int(found[2])
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            self.fail(f"expected a whole number{_bounds(self)}, got {str(value)!r}", param, ctx)


class Number(click.FloatRange):
    """A number within bounds, and never nan, which compares as if it were within all of them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(super().convert(value, param, ctx))
        except click.BadParameter:
            number = math.nan
        if math.isnan(number):
            self.fail(f"expected a number{_bounds(self)}, got {str(value)!r}", param, ctx)
        return number


def _bounds(range_: click.IntRange | click.FloatRange) -> str:
    low = "" if range_.min is None else f" {'above' if range_.min_open else 'from'} {range_.min}"
    return low if range_.max is None else f"{low}{', up' if range_.min_open else ''} to {range_.max}"


class Probabilities(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """``P[,P…]``."""

    name = "P[,P…]"
    takes_lists = True  # in imgpipe.toml

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str):
            value = value.split(",")
        elif not isinstance(value, list | tuple):
            value = [value]
        if not value:
            self.fail("expected one or more numbers from 0 to 1", param, ctx)
        return tuple(PROBABILITY.convert(part, param, ctx) for part in value)


PROBABILITY = Number(0, 1)
SECONDS = Number(0, 10_000_000)  # a season
PORT = Whole(0, 65535)
SEED = Whole(0)

_TAUGHT = ("random", "balanced", "redraw")

#: The modes as help lists them: the simplest first, then others as they are declared.
MODE_NAMES = "|".join([*_TAUGHT, *(name for name in MODES if name not in _TAUGHT)])
