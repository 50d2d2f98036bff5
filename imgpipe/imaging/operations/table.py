"""The table of operations: built in ones, and those of installed packages.

A package adds an operation by an entry point in the group ``imgpipe.operations``: its name is the
operation's, its value names the decorated function (``my_package.module:function``). A package is imported
only when a recipe names its operation, or when the whole table is shown; one that does not load is an error
for those who need it and a warning for everyone else. Where a name is taken by a built-in operation, that
one is used.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from imgpipe.errors import UsageError, nearest
from imgpipe.imaging import files as disk
from imgpipe.imaging.operations import (
    arrangement,
    colour,
    edges,
    filters,
    geometry,
    noise,
    overlay,
    shape,
    threshold,
    tone,
    warping,
)
from imgpipe.imaging.operations.declare import Operation, Reader, Step

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "imgpipe.operations"
FAMILIES: tuple[ModuleType, ...] = (
    edges,
    geometry,
    arrangement,
    warping,
    overlay,
    colour,
    tone,
    threshold,
    filters,
    noise,
    shape,
)

_log = logging.getLogger(__name__)

BUILT_IN: Mapping[str, Operation] = {
    value.name: value
    for family in FAMILIES
    for value in vars(family).values()
    if type(value) is Operation  # isinstance would ask a lazy module for its class, and so load it
}


@cache
def _installed() -> Mapping[str, EntryPoint]:
    """Entry points by name, nothing imported yet."""
    from importlib.metadata import entry_points  # 15 ms, and most recipes never get here

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        holder = BUILT_IN.get(point.name) or found.get(point.name)
        if holder is None:
            found[point.name] = point
        else:
            other = "the built-in one" if isinstance(holder, Operation) else f"that of {_package(holder)}"
            _log.warning("operation %r of %s is not used: %s is", point.name, _package(point), other)
    return found


def _package(point: EntryPoint) -> str:
    return f"package {point.dist.name} {point.dist.version}" if point.dist else f"{point.value}"


@cache
def _loaded(point: EntryPoint) -> Operation:
    try:
        value = point.load()
    except (Exception, SystemExit) as error:  # whatever someone else's module does at its top level
        problem = f"{type(error).__name__}: {error}"
    else:
        if isinstance(value, Operation):
            return replace(value, name=point.name)
        problem = f"{point.value} is no function decorated with @operation"
    raise UsageError(f"operation {point.name!r} of {_package(point)} cannot be loaded: {problem:.500}")


def names() -> tuple[str, ...]:
    """The name of every operation there is here; no package is imported for it."""
    return (*BUILT_IN, *sorted(_installed()))


def find(name: str) -> Operation:
    """The operation of this name.

    Raises
    ------
    UsageError
        There is none, and which name is nearest; or the package that has it does not load, and why.
    """
    built_in = BUILT_IN.get(name)
    if built_in is not None:
        return built_in
    point = _installed().get(name)
    if point is None:
        raise UsageError(
            f"unknown operation {name!r:.80}{nearest(name, names())}; `imgpipe ops` lists them all"
        )
    return _loaded(point)


def table() -> dict[str, Operation]:
    """Every operation by name. Packages that do not load are left out, with a warning in the log."""
    whole = dict(BUILT_IN)
    for name, point in sorted(_installed().items()):
        try:
            whole[name] = _loaded(point)
        except UsageError as error:
            _log.warning("%s", error)
    return whole


#: ``parameter=value``. A value in double quotes may hold commas, and a quote where it is doubled.
_PAIR = re.compile(r"""\s*([^=,]*?)\s*=\s*(?:"((?:[^"]|"")*)"|((?!")[^,]*?))\s*(?:,|\Z)""")


def parse(words: str, files: Reader | None = disk.read) -> Step:
    """The step that ``NAME[:parameter=value,…]`` spells, checked.

    A value that has a comma, or blanks at its ends, is put in double quotes, and a double quote in it is
    doubled: ``label:text="Say ""cheese"", please"``. ``files`` reads what is given as the path of a file.

    Raises
    ------
    UsageError
        The operation or a parameter is unknown, or a value is not allowed.
    """
    name, _, rest = words.strip().partition(":")
    if "=" in name:
        raise UsageError(
            f"expected NAME or NAME:parameter=value, got {name!r:.80}, with no colon before the ="
        )
    operation = find(name.strip())
    return operation.step(_pairs(operation, rest), words=True, files=files)


def _pairs(operation: Operation, rest: str) -> dict[str, str]:
    given: dict[str, str] = {}
    while rest := rest.lstrip(", "):
        found = _PAIR.match(rest)
        if found is None:
            raise UsageError(f"{operation.name}: {_no_pair(operation, rest)}")
        parameter, quoted, bare = found.groups()
        if parameter in given:
            raise UsageError(f"{operation.name}: {parameter} is given twice")
        given[parameter] = bare if quoted is None else quoted.replace('""', '"')
        rest = rest[found.end() :]
    return given


def _no_pair(operation: Operation, rest: str) -> str:
    word = rest.partition(",")[0].strip()
    if "=" in word:
        return (
            f"the quotes of {rest!r:.80} do not fit: a value in double quotes ends with one, others doubled"
        )
    example = f", as in {operation.example}" if operation.parameters else ""
    return f"expected parameter=value, got {word!r:.80}{example}"
