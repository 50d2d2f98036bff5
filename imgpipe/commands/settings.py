"""``imgpipe.toml`` in the current directory: defaults for options, a table for each command::

    [run]
    slots = 4
    op = ["grayscale", "blur:size=5"]

A flag beats an environment variable beats this file. An unknown table or key is an error.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

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
        A key is not an option of the command.
    """
    options = {option.name: option for option in parameters if isinstance(option, click.Option)}
    defaults = {}
    for key, value in table.items():
        option = options.get(key.replace("-", "_"))
        if option is None or option.name is None:
            known = [name.replace("_", "-") for name in options if name]
            raise UsageError(f"{FILE}: [{command}]: unknown option {key!r}{nearest(key, known)}")
        single = option.multiple and not isinstance(value, list)
        defaults[option.name] = [value] if single else value
    return defaults
