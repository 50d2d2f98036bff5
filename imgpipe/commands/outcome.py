"""Whatever a command ends in, as one line on stderr and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable

import click

from imgpipe.commands import settings
from imgpipe.errors import ExitCode, FaultError, UnfinishedError, UsageError


def outcome(command: Callable[[], int | None]) -> int:
    """Run it, and give the exit code it deserves. Tracebacks are shown with ``-v`` only."""
    try:
        code = command()
        sys.stdout.flush()
        return code or ExitCode.DONE
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except (KeyboardInterrupt, click.Abort):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except Exception as error:
        return _failed(_innermost(error))


def say(words: str) -> None:
    """A message for people: one line on stderr."""
    print(f"imgpipe: {words}", file=sys.stderr, flush=True)


def _reader_gone() -> int:
    """Whoever read stdout has left: nothing more can be said, and the interpreter must not try."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.UNFINISHED


def _innermost(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _failed(error: Exception) -> int:
    if logging.getLogger("imgpipe").isEnabledFor(logging.INFO):
        traceback.print_exception(error)
    match error:
        case click.BadParameter() if where := settings.place(error.ctx, error.param):
            say(f"{where}: {error.message}")
            return ExitCode.USAGE
        case click.ClickException():
            say(error.format_message() + _where_help_is(error))
            return ExitCode.USAGE
        case UsageError():
            say(str(error))
            return ExitCode.USAGE
        case UnfinishedError():
            say(str(error))
            return ExitCode.UNFINISHED
        case FaultError():
            say(str(error))
            return ExitCode.FAULT
    name = type(error).__name__
    say(f"a fault of imgpipe's own: {name}: {error}. Please report it, with what -v shows.")
    return ExitCode.FAULT


def _where_help_is(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f" (`{context.command_path} --help` has examples)" if context is not None else ""
