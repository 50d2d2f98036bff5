"""``imgpipe.toml`` in the current directory: defaults for options, a table for each command::

    [run]
    slots = 4
    op = ["grayscale", "blur:size=5"]

A flag beats an environment variable beats this file. An unknown table or key is an error, and so is a value
of another type. What is said wrongly is blamed on the place that said it: see `place`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from imgpipe.errors import UsageError, nearest

FILE = "imgpipe.toml"


def read(commands: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The tables of the file, by command; nothing where there is no file.

    Raises
    ------
    UsageError
        It cannot be read, is no TOML, or has a table for no command.
    """
    try:
        tables = tomllib.loads(Path(FILE).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{FILE}: {error}") from None
    for name, table in tables.items():
        if name not in commands:
            raise UsageError(
                f"{FILE}: unknown table [{name}]{nearest(name, commands)}; there are {', '.join(commands)}"
            )
        if not isinstance(table, dict):
            raise UsageError(f"{FILE}: {name}: expected a table [{name}]")
    return tables


def checked(table: dict[str, Any], command: str, parameters: Iterable[click.Parameter]) -> dict[str, Any]:
    """One command's table as click takes it: names as its parameters have them, lists where many are taken.

    Raises
    ------
    UsageError
        A key is not an option of the command, or its value has another type.
    """
    options = {option.name: option for option in parameters if isinstance(option, click.Option)}
    defaults = {}
    for key, value in table.items():
        option = options.get(key.replace("-", "_"))
        if option is None or option.name is None:
            known = [name.replace("_", "-") for name in options if name]
            raise UsageError(f"{FILE}: [{command}]: unknown option {key!r}{nearest(key, known)}")
        values = value if isinstance(value, list) and _takes_lists(option) else [value]
        expected, types = _expected(option)
        for one in values:
            if type(one) not in types:
                raise UsageError(f"{FILE}: [{command}] {key}: expected {expected}, got {one!r}")
        defaults[option.name] = values if option.multiple else value
    return defaults


def _takes_lists(option: click.Option) -> bool:
    return option.multiple or getattr(option.type, "takes_lists", False)


def _expected(option: click.Option) -> tuple[str, tuple[type, ...]]:
    """Which values an option takes in the file: in words, and as types (a flag is no number)."""
    if option.is_flag:
        return "true or false", (bool,)
    if getattr(option.type, "takes_lists", False):
        return "a number, text, or a list of numbers", (int, float, str)
    if isinstance(option.type, click.IntRange):
        return "a whole number", (int,)
    if isinstance(option.type, click.FloatRange):
        return "a number", (int, float)
    return "text", (str,)


def place(context: click.Context | None, parameter: click.Parameter | None) -> str:
    """Which variable or which line of the file gave a parameter its value; nothing where a word did."""
    if context is None or parameter is None or parameter.name is None:
        return ""
    match context.get_parameter_source(parameter.name):
        case ParameterSource.ENVIRONMENT:
            return f"{context.auto_envvar_prefix}_{parameter.name.upper()}"
        case ParameterSource.DEFAULT_MAP:
            return f"{FILE}: [{context.command.name}] {parameter.name.replace('_', '-')}"
    return ""
