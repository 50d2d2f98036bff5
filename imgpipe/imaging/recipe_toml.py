"""Recipes as TOML files, and what a recipe says beside its steps::

    [[step]]
    op = "thumbnail"
    size = 200

    [input]
    pages = "all"

    [output]
    format = "webp"
    name = "{dir}/{stem}-small{ext}"

Steps are done in order; the keys beside ``op`` are its parameters. Without steps the default is done. The
keys of the other two tables are `OPTIONS`, each declared once: its check, its default, and how it reads as
JSON Schema. Keywords of `Recipe`, the wire and the schema for editors are made from that table.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from imgpipe import limits
from imgpipe.errors import UsageError, nearest
from imgpipe.imaging import files as disk
from imgpipe.imaging import naming
from imgpipe.imaging.codecs import QUALITY, WRITABLE, checked_format, checked_quality
from imgpipe.imaging.operations import Step, find
from imgpipe.imaging.operations.parameters import Reader
from imgpipe.schema import elided

#: Words that may be given; the first is the default.
METADATA = ("keep", "strip")
PAGES = ("first", "all", "error")

_PIXELS_MAX = limits.IMAGE_SIDE_MAX**2


@dataclass(frozen=True, slots=True)
class Option:
    """One of them: keyword ``name`` of `Recipe`, ``key`` in ``[table]``, and ``--key`` of commands.

    ``check`` gives back the checked value, or raises `UsageError`. ``schema`` may be narrower than it: an
    editor proposes ``png``, and ``.PNG`` is taken too.
    """

    name: str
    table: str
    default: Any
    doc: str
    check: Callable[[Any], Any]
    schema: Mapping[str, Any]

    @property
    def key(self) -> str:
        return "max-pixels" if self.name == "pixels_max" else self.name  # qualifiers last, but not for people


def _word_of(name: str, words: tuple[str, ...]) -> Callable[[Any], str]:
    def check(given: Any) -> str:
        if type(given) is not str or given not in words:
            hint = nearest(given, words) if isinstance(given, str) else ""
            raise UsageError(f"{name}: expected {' or '.join(words)}, got {elided(given)}{hint}")
        return given

    return check


def _flag_of(name: str) -> Callable[[Any], bool]:
    def check(given: Any) -> bool:
        if type(given) is not bool:
            raise UsageError(f"{name}: expected true or false, got {elided(given)}")
        return given

    return check


def _pixels(given: Any) -> int:
    if type(given) is not int or not 0 <= given <= _PIXELS_MAX:
        raise UsageError(f"max-pixels: expected an integer from 0 to {_PIXELS_MAX}, got {elided(given)}")
    return given


#: In the order they have on the wire: a new one goes to the end.
OPTIONS: tuple[Option, ...] = (
    Option(
        "format",
        "output",
        None,
        "the output's format, by its suffix; without it, the input's",
        checked_format,
        {"enum": sorted(WRITABLE)},
    ),
    Option(
        "quality",
        "output",
        QUALITY,
        "of the output, for JPEG, WebP and AVIF; WebP and AVIF of 100 are without loss",
        checked_quality,
        {"type": "integer", "minimum": 1, "maximum": 100},
    ),
    Option(
        "name",
        "output",
        naming.MIRRORED,
        "the output's name below the output directory, from {dir}, {stem}, {name} and {ext}",
        naming.checked_template,
        naming.SCHEMA,
    ),
    Option(
        "metadata",
        "output",
        METADATA[0],
        "whether EXIF, colour profile, XMP and IPTC are carried over",
        _word_of("metadata", METADATA),
        {"enum": list(METADATA)},
    ),
    Option(
        "pages",
        "input",
        PAGES[0],
        "of files with several pages or frames: the first, all, or none of them and the image fails",
        _word_of("pages", PAGES),
        {"enum": list(PAGES)},
    ),
    Option(
        "strict",
        "input",
        False,
        "what a decoder warns of is a failure",
        _flag_of("strict"),
        {"type": "boolean"},
    ),
    Option(
        "pixels_max",
        "input",
        0,
        "pixels of an image, all frames together; 0 is the limit of the machine, which this can only lower",
        _pixels,
        {"type": "integer", "minimum": 0, "maximum": _PIXELS_MAX},
    ),
    Option(
        "luma",
        "input",
        False,
        "decode JPEGs in grey where the first step needs brightness alone: faster, values may differ by 1",
        _flag_of("luma"),
        {"type": "boolean"},
    ),
)

TABLES = ("input", "output")


def keys(table: str) -> str:
    """The keys of a table, in words."""
    *first, last = (option.key for option in OPTIONS if option.table == table)
    return f"{', '.join(first)} and {last}"


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """These options by name, each checked.

    Raises
    ------
    UsageError
        A value is not allowed. The message begins with the option's key.
    """
    return {option.name: option.check(given[option.name]) for option in OPTIONS if option.name in given}


def read(text: str, file: str) -> tuple[tuple[Step, ...], dict[str, Any]]:
    """Steps and `OPTIONS` by name of a recipe file.

    ``file`` is its path: errors begin with it, and paths in the text are relative to its folder.

    Raises
    ------
    UsageError
        The text is wrong. The message names file, step, field, what was expected, and the nearest name.
    """
    try:
        return _read(_loaded(text), disk.relative_to(file))
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None


def _loaded(text: str) -> dict[str, Any]:
    try:
        whole = tomllib.loads(text)
    except RecursionError:
        raise UsageError("tables or lists are nested too deep") from None
    except ValueError as error:  # a TOMLDecodeError, or an integer of more digits than Python reads
        raise UsageError(str(error)) from None
    _refuse_long_integers(whole)
    return whole


def _refuse_long_integers(value: Any) -> None:
    """TOML's integers have 64 bits; ``tomllib`` reads longer ones, which Python will not even print."""
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise UsageError("an integer of more than 64 bits")
    inner = value.values() if type(value) is dict else value if type(value) is list else ()
    for one in inner:
        _refuse_long_integers(one)


def _read(whole: dict[str, Any], files: Reader) -> tuple[tuple[Step, ...], dict[str, Any]]:
    _known(whole, ("step", *TABLES), "table", "[[step]], [input] and [output]")
    steps = whole.get("step", [])
    if type(steps) is not list:
        raise UsageError(f"step: expected tables [[step]], got {elided(steps)}")
    if len(steps) > limits.OPERATION_MAX:
        raise UsageError(f"step: expected at most {limits.OPERATION_MAX} steps, got {len(steps)}")
    options: dict[str, Any] = {}
    for table in TABLES:
        options |= _options(table, whole.get(table, {}))
    return tuple(_step(number, step, files) for number, step in enumerate(steps, 1)), options


def _step(number: int, fields: Any, files: Reader) -> Step:
    name = fields.get("op") if isinstance(fields, dict) else None
    if type(name) is not str:
        raise UsageError(f'step {number}: op: expected the name of an operation, as in op = "edges"')
    try:
        return find(name).step({key: value for key, value in fields.items() if key != "op"}, files=files)
    except UsageError as error:
        raise UsageError(f"step {number}: {error}") from None


def _options(table: str, fields: Any) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise UsageError(f"{table}: expected a table [{table}], got {elided(fields)}")
    names = {option.key: option.name for option in OPTIONS if option.table == table}
    for option in OPTIONS:
        if option.key in fields and option.table != table:
            raise UsageError(f"{table}: {option.key} belongs to the table [{option.table}]")
    _known(fields, tuple(names), "field", keys(table), f"{table}: ")
    try:
        return checked({names[key]: value for key, value in fields.items()})
    except UsageError as error:
        raise UsageError(f"{table}: {error}") from None


def _known(given: Iterable[str], known: tuple[str, ...], noun: str, expected: str, where: str = "") -> None:
    for name in given:
        if name not in known:
            hint = nearest(name, known)
            raise UsageError(f"{where}unknown {noun} {elided(name)}{hint}; expected {expected}")
