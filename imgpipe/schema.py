"""Typed arrays: a record is declared once, and that declaration checks what arrives.

Everything imgpipe sends is a msgpack array ``[kind, field, …]``. A record is a frozen dataclass whose
fields are annotated with the shapes below; `Registry` derives from that annotation how an array is checked
and turned into the record, and back. Arrays grow only at the end: fields with a default may be missing,
and further fields are ignored.

What is not a known record of the right shape raises `ProtocolError`, which names record, field and what was
expected. Nothing else escapes from here, whatever the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from operator import attrgetter
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from imgpipe import limits
from imgpipe.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class Shape:
    """What one field may hold: words for an error, and the check itself."""

    expected: str
    accepts: Callable[[Any], bool]


def integer(low: int = 0, high: int = 2**63 - 1) -> Shape:
    return Shape(f"integer {low} … {high}", lambda v: type(v) is int and low <= v <= high)


def text(size_max: int) -> Shape:
    return Shape(f"text of at most {size_max} characters", lambda v: type(v) is str and len(v) <= size_max)


def octets(size_max: int) -> Shape:
    return Shape(f"at most {size_max} bytes", lambda v: type(v) is bytes and len(v) <= size_max)


def real(low: float, high: float) -> Shape:
    return Shape(f"number {low} … {high}", lambda v: type(v) in (int, float) and low <= v <= high)


def many(one: Shape, count_max: int = limits.BATCH_MAX) -> Shape:
    def accepts(value: Any) -> bool:
        return type(value) is tuple and len(value) <= count_max and all(map(one.accepts, value))

    return Shape(f"at most {count_max} of ({one.expected})", accepts)


def rows(*columns: Shape, whole: Callable[[tuple[Any, ...]], bool] | None = None) -> Shape:
    """Rows with these leading columns. ``whole`` checks a row at once: the same check, made to be fast."""
    count = len(columns)

    def each(row: tuple[Any, ...]) -> bool:
        return all(column.accepts(cell) for column, cell in zip(columns, row, strict=False))

    check = whole or each
    expected = ", ".join(column.expected for column in columns)
    return many(
        Shape(f"[{expected}]", lambda row: type(row) is tuple and len(row) >= count and check(row)),
    )


def all_counts(row: tuple[Any, ...]) -> bool:
    """`rows` of `COUNT` alone, at a third of the time."""
    return set(map(type, row)) == {int} and min(row) >= 0 and max(row) < 2**63


_PART = rb"(?!\.\.?(?:/|\Z))[^/\0]{1,%d}" % limits.NAME_PART_MAX
_RELATIVE = re.compile(rb"%b(?:/%b)*\Z" % (_PART, _PART))


def is_relative(name: bytes) -> bool:
    """Whether a name stays below the folder it is relative to: no ``..``, no ``.``, never absolute."""
    return len(name) <= limits.NAME_MAX and _RELATIVE.match(name) is not None


def is_folder(path: bytes) -> bool:
    """Whether a relative folder stays below its root; empty is the root itself."""
    return path == b"" or is_relative(path)


def is_absolute(path: bytes) -> bool:
    return path[:1] == b"/" and len(path) <= limits.NAME_MAX and 0 not in path


NAME = Shape("relative name", lambda v: type(v) is bytes and is_relative(v))
FOLDER = Shape("relative folder", lambda v: type(v) is bytes and is_folder(v))
PATH = Shape("absolute path or nothing", lambda v: type(v) is bytes and (v == b"" or is_absolute(v)))
FLAG = Shape("true or false", lambda v: type(v) is bool)
COUNT = integer()
WORD = text(256)
TEXT = text(limits.TEXT_MAX)

Count = Annotated[int, COUNT]
Number = Annotated[int, integer(-(2**63))]
Seconds = Annotated[float, real(0.0, 1e9)]
Probability = Annotated[float, real(0.0, 1.0)]
Word = Annotated[str, WORD]
Text = Annotated[str, TEXT]
Flag = Annotated[bool, FLAG]
Name = Annotated[bytes, NAME]
Folder = Annotated[bytes, FOLDER]
Path = Annotated[bytes, PATH]
Words = Annotated[tuple[str, ...], many(WORD)]

Record = TypeVar("Record")


def _shape_of(annotation: Any, where: str) -> Shape:
    if get_origin(annotation) is Annotated:
        for extra in get_args(annotation)[1:]:
            if isinstance(extra, Shape):
                return extra
    raise TypeError(f"{where} has no Shape in its annotation")


@dataclass(frozen=True, slots=True)
class _Layout:
    record: type
    names: tuple[str, ...]
    shapes: tuple[Shape, ...]
    required: int
    values: Callable[[Any], Any]


def _layout(record: type) -> _Layout:
    hints = get_type_hints(record, include_extras=True)
    declared = fields(record)
    names = tuple(field.name for field in declared)
    shapes = tuple(_shape_of(hints[name], f"{record.__name__}.{name}") for name in names)
    required = sum(field.default is MISSING for field in declared)
    return _Layout(record, names, shapes, required, _getter(names))


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        many_values: Callable[[Any], tuple[Any, ...]] = attrgetter(*names)
        return many_values
    return lambda record: tuple(getattr(record, name) for name in names)


def shown(name: bytes) -> str:
    """A file name as text for people: what is not UTF-8 or not printable is escaped (``\\xNN``)."""
    decoded = name.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in decoded)


def elided(value: Any, size: int = 60) -> str:
    shown = repr(value)
    return shown if len(shown) <= size else f"{shown[: size - 1]}…"


class Registry:
    """The kinds of one family of records (messages, facts): number ↔ class."""

    def __init__(self, family: str) -> None:
        self.family = family
        self.kinds: dict[int, type] = {}
        self._layouts: dict[int, _Layout] = {}
        self._numbers: dict[type, int] = {}

    def kind(self, number: int) -> Callable[[type[Record]], type[Record]]:
        """Class decorator: this record is kind ``number``."""

        def register(record: type[Record]) -> type[Record]:
            if number in self.kinds:
                raise TypeError(f"{self.family} {number} is {self.kinds[number].__name__} already")
            self.kinds[number] = record
            self._layouts[number] = _layout(record)
            self._numbers[record] = number
            return record

        return register

    def number(self, record: type) -> int:
        return self._numbers[record]

    def array(self, record: Any) -> tuple[Any, ...]:
        """``(kind, field, …)``: what is packed."""
        number = self._numbers[type(record)]
        return (number, *self._layouts[number].values(record))

    def record(self, array: Any) -> Any:
        """The record an array stands for, every field checked."""
        self.check(array)
        return self.made(array)

    def made(self, array: tuple[Any, ...]) -> Any:
        """The record an array stands for; it has been checked."""
        layout = self._layouts[array[0]]
        return layout.record(*array[1 : len(layout.names) + 1])

    def check(self, array: Any) -> None:
        """Raise ProtocolError for what is not a known record of the right shape."""
        if type(array) is not tuple or not array or type(array[0]) is not int:
            raise ProtocolError(f"expected an array [kind, …], got {elided(array)}")
        layout = self._layouts.get(array[0])
        if layout is None:
            raise ProtocolError(f"unknown {self.family} kind {array[0]}")
        name, values = layout.record.__name__, array[1 : len(layout.names) + 1]
        if len(values) < layout.required:
            raise ProtocolError(f"{name}: expected {layout.required} fields, got {len(values)}")
        for field, shape, value in zip(layout.names, layout.shapes, values, strict=False):
            if not shape.accepts(value):
                raise ProtocolError(f"{name}.{field}: expected {shape.expected}, got {elided(value)}")

    def layout(self, record: type) -> tuple[tuple[str, Shape], ...]:
        """Field names and shapes of a record, for the documentation and its test."""
        layout = self._layouts[self._numbers[record]]
        return tuple(zip(layout.names, layout.shapes, strict=True))


class Elided:
    """A record's ``str`` is its debug line: its name, and its fields cut short."""

    __slots__ = ()

    def __str__(self) -> str:
        shown = ", ".join(
            f"{field.name}={elided(getattr(self, field.name), 40)}"
            for field in fields(self)  # type: ignore[arg-type]  # every record is a dataclass
        )
        return f"{type(self).__name__}({shown})"
