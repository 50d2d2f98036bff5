"""The parameters of operations: typed, ranged, documented, checked.

A parameter is a keyword of an operation's function, and its annotation says everything about it::

    size: Annotated[int, Range(1, 999), Doc("side of the kernel in pixels")] = 3

Its type is ``int``, ``float``, ``bool``, ``str`` (with `OneOf`) or `Size`. A value has two spellings, which
mean the same: a word (``--op blur:size=5``) and a plain value (TOML, the wire). `Parameter.value` checks both
and gives back the one plain value that stands for them: what is compared, hashed and sent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from inspect import Parameter as Argument
from typing import Annotated, Any, NamedTuple, TypeAlias, get_args, get_origin

from imgpipe.errors import UsageError, nearest

#: A checked value as it is compared, hashed and sent.
Plain: TypeAlias = int | float | str | bool

SIDE_MAX = 65_535  # pixels: the most a JPEG can hold, and a mistake in most other formats


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from ``low`` to ``high``, both allowed; ``odd`` ones only, for kernels with a centre."""

    low: float
    high: float
    odd: bool = False

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high and not (self.odd and value % 2 == 0)


@dataclass(frozen=True, slots=True)
class Doc:
    """What a parameter means, with its unit: a phrase without a full stop."""

    text: str


class OneOf:
    """One of these words or integers."""

    def __init__(self, *values: str | int) -> None:
        self.values = values


class Size(NamedTuple):
    """Width and height in pixels, written ``800x600``, ``800x`` or ``x600``; one left out is 0 here."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width or ''}x{self.height or ''}"


_SIZE = re.compile(r"([0-9]{0,5})[x×]([0-9]{0,5})\Z")
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def _size(value: Any) -> Size | None:
    found = _SIZE.match(value) if isinstance(value, str) else None
    if found is None:
        return None
    size = Size(int(found[1] or 0), int(found[2] or 0))
    return size if any(size) and max(size) <= SIDE_MAX else None


def _from_word(kind: type, word: str) -> Any:
    """The plain value a word stands for; the word itself where it stands for none of this kind."""
    if kind is bool:
        return True if word.lower() in _TRUE else False if word.lower() in _FALSE else word
    if kind is str or kind is Size:
        return word
    try:
        return kind(word)
    except ValueError:
        return word


@dataclass(frozen=True, slots=True)
class Parameter:
    """A keyword of an operation. ``default`` is None where it must be given."""

    name: str
    kind: type
    doc: str
    default: Plain | None
    range: Range | None = None
    choices: tuple[str | int, ...] = ()

    @property
    def expected(self) -> str:
        """What may be given, in words."""
        if self.choices:
            return " or ".join(map(str, self.choices))
        if self.kind is Size:
            return f"a size such as 800x600, 800x or x600, sides up to {SIDE_MAX}"
        if self.kind is bool:
            return "true or false"
        noun = "integer" if self.kind is int else "number"
        if self.range is None:
            return f"a {noun}" if self.kind is float else f"an {noun}"
        article = "an odd" if self.range.odd else "a" if self.kind is float else "an"
        return f"{article} {noun} from {self.range.low:g} to {self.range.high:g}"

    def value(self, operation: str, given: Any, *, word: bool = False) -> Plain:
        """The plain value of ``given``, a word or a plain value.

        Raises
        ------
        UsageError
            It is not allowed. The message names operation, parameter, what was expected, and what was given.
        """
        plain = self._plain(_from_word(self.kind, given) if word else given)
        if plain is None:
            hint = nearest(str(given), map(str, self.choices))
            raise UsageError(f"{operation}: {self.name}: expected {self.expected}, got {given!r:.80}{hint}")
        return plain

    def _plain(self, given: Any) -> Plain | None:
        value: Any = given
        if self.kind is Size:
            size = _size(value)
            return None if size is None else str(size)
        if self.kind is float and type(value) is int and abs(value) < 2**53:
            value = float(value)
        plain: Plain = value
        return plain if self._allows(value) else None

    def _allows(self, value: Any) -> bool:
        exactly: type = type(value)  # a bool is no integer here
        if exactly is not self.kind:
            return False
        if self.choices:
            return value in self.choices
        return self.range is None or value in self.range

    def argument(self, plain: Plain) -> Any:
        """What the function is called with."""
        return _size(plain) if self.kind is Size else plain

    def __str__(self) -> str:
        default = "" if self.default is None else f" (default {word_of(self.default)})"
        return f"{self.name}: {self.doc}; {self.expected}{default}"


def word_of(plain: Plain) -> str:
    """How a plain value is written after ``--op NAME:parameter=``."""
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def parameter_of(argument: Argument, annotation: Any, where: str) -> Parameter:
    """The parameter that a keyword of a function declares.

    Raises
    ------
    TypeError
        The declaration itself is wrong: an unknown type, no `Doc`, no range, a default out of range.
    """
    if get_origin(annotation) is not Annotated or argument.kind is not Argument.KEYWORD_ONLY:
        raise TypeError(f"{where}: {argument.name} must be a keyword with Annotated[type, …, Doc(…)]")
    kind, *extras = get_args(annotation)
    doc = next((extra.text for extra in extras if isinstance(extra, Doc)), "")
    choices = next((extra.values for extra in extras if isinstance(extra, OneOf)), ())
    allowed = next((extra for extra in extras if isinstance(extra, Range)), None)
    bounded = bool(choices) if kind is str else allowed or choices or kind in (bool, Size)
    if kind not in (int, float, str, bool, Size) or not doc or not bounded:
        raise TypeError(f"{where}: {argument.name} needs a known type, a Doc, and a Range or OneOf")
    bare = Parameter(argument.name, kind, doc, None, allowed, choices)
    if argument.default is Argument.empty:
        return bare
    return _with_default(bare, argument.default, where)


def _with_default(bare: Parameter, default: Any, where: str) -> Parameter:
    given = str(default) if bare.kind is Size else default
    try:
        plain = bare.value(where, given)
    except UsageError as error:
        raise TypeError(f"the default of {error}") from None
    return Parameter(bare.name, bare.kind, bare.doc, plain, bare.range, bare.choices)
