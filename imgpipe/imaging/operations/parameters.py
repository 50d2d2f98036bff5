"""The parameters of operations: typed, ranged, documented, checked.

A parameter is a keyword of an operation's function, and its annotation says everything about it::

    size: Annotated[int, Range(1, 999), Doc("side of the kernel in pixels")] = 3
    long: Annotated[int | None, Range(1, 999), Doc("longer side in pixels")] = None

The second may be left out, and is None then. The type is ``int``, ``float``, ``bool``, ``str`` (with `OneOf`
or `Text`) or one of `kinds`. A value has two spellings, which mean the same: a word (``--op blur:size=5``)
and a plain value (TOML, the wire). `Parameter.value` checks both and gives back the one plain value that
stands for them: what is compared, hashed and sent.

A `File` is written as a path. It is read while the recipe is made, by whatever reader is given; its bytes are
the plain value. Where no reader is given, as for a recipe from the wire, nothing but bytes is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import Parameter as Argument
from types import NoneType
from typing import Annotated, Any, TypeAlias, get_args, get_origin

from imgpipe import limits
from imgpipe.errors import UsageError, nearest
from imgpipe.imaging.codecs import identify
from imgpipe.imaging.operations.kinds import COLOURS, EXPECTED, PERCENT_MAX, Colour, File, Length

#: A checked value as it is compared, hashed and sent.
Plain: TypeAlias = int | float | str | bool | bytes
#: A path → the bytes of that file; it may raise `OSError` or `ValueError`.
Reader: TypeAlias = Callable[[str], bytes]


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


@dataclass(frozen=True, slots=True)
class Text:
    """Free text of 1 … ``limit`` characters, all of them out of ``characters``."""

    limit: int
    characters: str

    def __contains__(self, value: str) -> bool:
        return 1 <= len(value) <= self.limit and not self.stranger(value)

    def stranger(self, value: str) -> str:
        """The first character that is not allowed, or nothing."""
        return next((character for character in value if character not in self.characters), "")


_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")
_NUMBERS = (int, float)


def _from_word(kind: type, word: str) -> Any:
    """The plain value a word stands for; the word itself where it stands for none of this kind."""
    if kind is bool:
        return True if word.lower() in _TRUE else False if word.lower() in _FALSE else word
    if kind not in _NUMBERS:
        return word
    try:
        return kind(word)
    except ValueError:
        return word


@dataclass(frozen=True, slots=True)
class Parameter:
    """A keyword of an operation.

    ``default`` is None where there is none: then the parameter is `required`, unless it is ``optional``.
    """

    name: str
    kind: type
    doc: str
    default: Plain | None
    range: Range | None = None
    choices: tuple[str | int, ...] = ()
    text: Text | None = None
    optional: bool = False

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is None and not self.optional

    @property
    def expected(self) -> str:
        """What may be given, in words."""
        if self.choices:
            return " or ".join(map(str, self.choices))
        if self.text is not None:
            return f'a text of 1 to {self.text.limit} characters (quoted, "a, b", where it has a comma)'
        if self.kind is Length and self.range is not None:
            return f"pixels from {self.range.low:g} to {self.range.high:g}, or a share such as 5%"
        if self.kind in EXPECTED:
            return EXPECTED[self.kind]
        if self.kind is File:
            return f"the path of an image file of at most {limits.EMBEDDED_MAX // 1024} KiB"
        return "true or false" if self.kind is bool else self._number_expected()

    def _number_expected(self) -> str:
        noun = "integer" if self.kind is int else "number"
        if self.range is None:
            return f"a {noun}" if self.kind is float else f"an {noun}"
        article = "an odd" if self.range.odd else "a" if self.kind is float else "an"
        return f"{article} {noun} from {self.range.low:g} to {self.range.high:g}"

    def value(self, operation: str, given: Any, *, word: bool = False, files: Reader | None = None) -> Plain:
        """The plain value of ``given``, a word or a plain value; ``files`` reads what is given as a path.

        Raises
        ------
        UsageError
            It is not allowed. The message names operation, parameter, what was expected, and what was given.
        """
        plain, hint = self._checked(_from_word(self.kind, given) if word else given, files)
        if plain is None:
            raise UsageError(f"{operation}: {self.name}: expected {self.expected}, got {given!r:.80}{hint}")
        return plain

    def _checked(self, given: Any, files: Reader | None) -> tuple[Plain | None, str]:
        """The plain value; or None, and a hint at what is wrong."""
        if self.kind is File:
            return _contents(given, files)
        plain = self._plain(given)
        return plain, "" if plain is not None else self._hint(given)

    def _hint(self, given: Any) -> str:
        if self.text is not None and isinstance(given, str):
            stranger = self.text.stranger(given)
            return f": no way to draw {stranger!r}" if stranger else f": {len(given)} characters"
        return nearest(str(given), COLOURS if self.kind is Colour else map(str, self.choices))

    def _plain(self, given: Any) -> Plain | None:
        if self.kind in EXPECTED:
            return self._spelled(given)
        value: Any = given
        if self.kind is float and type(value) is int and abs(value) < 2**53:
            value = float(value)
        plain: Plain = value
        return plain if self._allows(value) else None

    def _spelled(self, given: Any) -> str | None:
        value = self.kind.read(given)  # type: ignore[attr-defined]  # every kind in EXPECTED has it
        if value is None or (self.kind is Length and not self._holds(value)):
            return None
        return str(value)

    def _holds(self, length: Length) -> bool:
        allowed = self.range or Range(-PERCENT_MAX, PERCENT_MAX)
        if not length.percent:
            return length.value in allowed
        # A share has the range's sign, not its size: 65535 pixels are a bound, 65535 % are a mistake.
        at_least = -PERCENT_MAX if allowed.low < 0 else 0
        return at_least <= length.value <= PERCENT_MAX and (length.value != 0 or allowed.low <= 0)

    def _allows(self, value: Any) -> bool:
        exactly: type = type(value)  # a bool is no integer here
        if exactly is not self.kind:
            return False
        if self.choices:
            return value in self.choices
        if self.text is not None:
            return value in self.text
        return self.range is None or value in self.range

    def argument(self, plain: Plain | None) -> Any:
        """What the function is called with; None where it was left out."""
        if plain is None or self.kind not in EXPECTED:
            return plain
        return self.kind.read(plain)  # type: ignore[attr-defined]  # as above

    def __str__(self) -> str:
        default = "" if self.default is None else f" (default {word_of(self.default)})"
        if self.optional:
            default = " (may be left out)"
        return f"{self.name}: {self.doc}; {self.expected}{default}"


def _contents(given: Any, files: Reader | None) -> tuple[bytes | None, str]:
    """The bytes of an image file, given as such or as its path; or None, and why."""
    if isinstance(given, str):
        if files is None:
            return None, ": no file is read here"
        try:
            given = files(given)
        except (OSError, ValueError) as error:
            return None, f": {_why(error, given)}"
    if type(given) is not bytes:
        return None, ""
    if len(given) > limits.EMBEDDED_MAX:
        return None, ": it is larger"
    return (given, "") if identify(given) is not None else (None, ": it is no image of a known format")


def _why(error: OSError | ValueError, path: str) -> str:
    """What is wrong with a file, and where it was looked for if that is not what was written."""
    place = getattr(error, "filename", None) or path
    return f"{getattr(error, 'strerror', None) or error}{'' if place == path else f' ({place})'}"


def word_of(plain: Plain) -> str:
    """How a plain value is written after ``--op NAME:parameter=``; bytes cannot be, and are counted."""
    if isinstance(plain, bytes):
        return f"<{len(plain)} bytes>"
    if isinstance(plain, bool):
        return str(plain).lower()
    word = str(plain)
    unsafe = "," in word or word.startswith('"') or word != word.strip()
    return '"' + word.replace('"', '""') + '"' if unsafe else word


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
    optional = NoneType in get_args(kind)
    if optional:
        (kind,) = set(get_args(kind)) - {NoneType}
    doc = next((extra.text for extra in extras if isinstance(extra, Doc)), "")
    choices = next((extra.values for extra in extras if isinstance(extra, OneOf)), ())
    allowed = next((extra for extra in extras if isinstance(extra, Range)), None)
    text = next((extra for extra in extras if isinstance(extra, Text)), None)
    bare = Parameter(argument.name, kind, doc, None, allowed, choices, text, optional)
    if not doc or not _is_bounded(bare):
        raise TypeError(f"{where}: {argument.name} needs a known type, a Doc, and a Range, OneOf or Text")
    if argument.default is Argument.empty or (optional and argument.default is None):
        return bare
    return _with_default(bare, argument.default, where)


def _is_bounded(bare: Parameter) -> bool:
    if bare.kind is str:
        return bool(bare.choices or bare.text)
    if bare.kind in _NUMBERS or bare.kind is Length:
        return bare.range is not None or bool(bare.choices)
    return bare.kind is bool or bare.kind is File or bare.kind in EXPECTED


def _with_default(bare: Parameter, default: Any, where: str) -> Parameter:
    given = str(default) if bare.kind in EXPECTED else default
    try:
        plain = bare.value(where, given)
    except UsageError as error:
        raise TypeError(f"the default of {error}") from None
    return replace(bare, default=plain)
