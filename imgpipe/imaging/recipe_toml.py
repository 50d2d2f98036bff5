"""Recipes as TOML files::

    [[step]]
    op = "thumbnail"
    size = 200

    [output]
    format = "webp"
    quality = 80

Steps are done in order; the keys beside ``op`` are its parameters. Without steps the default is done.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Any

from imgpipe import limits
from imgpipe.errors import UsageError, nearest
from imgpipe.imaging.codecs import QUALITY, checked_format, checked_quality
from imgpipe.imaging.operations import Step, find
from imgpipe.schema import elided


def read(text: str, file: str) -> tuple[tuple[Step, ...], str | None, int]:
    """Steps, format and quality of a recipe file; ``file`` is its name, for errors.

    Raises
    ------
    UsageError
        The text is wrong. The message names file, step, field, what was expected, and the nearest name.
    """
    try:
        return _read(text)
    except (UsageError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{file}: {error}") from None


def _read(text: str) -> tuple[tuple[Step, ...], str | None, int]:
    whole = tomllib.loads(text)
    _known(whole, ("step", "output"), "table", "[[step]] and [output]")
    steps = whole.get("step", [])
    if type(steps) is not list:
        raise UsageError(f"step: expected tables [[step]], got {elided(steps)}")
    if len(steps) > limits.OPERATION_MAX:
        raise UsageError(f"step: expected at most {limits.OPERATION_MAX} steps, got {len(steps)}")
    checked = tuple(_step(number, step) for number, step in enumerate(steps, 1))
    return checked, *_output(whole.get("output", {}))


def _step(number: int, fields: Any) -> Step:
    name = fields.get("op") if isinstance(fields, dict) else None
    if type(name) is not str:
        raise UsageError(f'step {number}: op: expected the name of an operation, as in op = "edges"')
    try:
        return find(name).step({key: value for key, value in fields.items() if key != "op"})
    except UsageError as error:
        raise UsageError(f"step {number}: {error}") from None


def _output(fields: Any) -> tuple[str | None, int]:
    if not isinstance(fields, dict):
        raise UsageError(f"output: expected a table [output], got {elided(fields)}")
    _known(fields, ("format", "quality"), "field", "format and quality", "output: ")
    try:
        return checked_format(fields.get("format")), checked_quality(fields.get("quality", QUALITY))
    except UsageError as error:
        raise UsageError(f"output: {error}") from None


def _known(given: Iterable[str], known: tuple[str, ...], noun: str, expected: str, where: str = "") -> None:
    for name in given:
        if name not in known:
            hint = nearest(name, known)
            raise UsageError(f"{where}unknown {noun} {elided(name)}{hint}; expected {expected}")
