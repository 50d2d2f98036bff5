"""A recipe: what is to be done to every image of a job. A checked list of steps, and the output's format.

It has three spellings that mean the same value: ``--op`` words (`Recipe.from_options`), TOML
(`Recipe.from_toml`) and an array on the wire (`Recipe.array`). The value is canonical: every parameter is
filled in and typed, so the same work is equal, and has the same hash, whatever its spelling::

    [1, [[name, version, [[parameter, value], …]], …], format or nil, quality]

Words and TOML are checked against the table of operations where the user is. An array is checked for its
shape alone: a coordinator passes on recipes whose operations only its workers have. `Recipe.bind` finds the
functions, where the pixels are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgpack

from imgpipe import limits
from imgpipe.errors import ProtocolError, UsageError
from imgpipe.imaging import codecs, recipe_toml
from imgpipe.imaging.codecs import QUALITY, checked_format, checked_quality
from imgpipe.imaging.operations import Operation, Step, find, parse
from imgpipe.imaging.pixels import Image
from imgpipe.schema import WORD, elided

#: Defaults, and the words that may be given instead.
NAME = "{dir}/{stem}{ext}"
METADATA, METADATA_WORDS = "keep", ("keep", "strip")
PAGES, PAGES_WORDS = "first", ("first", "all", "error")

LAYOUT = 1  # of the array; another layout is another number
DEFAULT = "edges"


@dataclass(frozen=True, slots=True)
class Program:
    """A recipe whose operations have been found: called with an image, it gives the processed one.

    ``steps`` are ``(name, function of one image)``. ``colour8`` says how images are to be decoded for it.
    """

    steps: tuple[tuple[str, Callable[[Image], Image]], ...]
    colour8: bool

    def __call__(self, image: Image) -> Image:
        for _, step in self.steps:
            image = step(image)
        return image


@dataclass(frozen=True, slots=True)
class Recipe:
    """Steps in the order of work, an output format (None: that of the input) and a quality, 1 … 100.

    ``name`` is the template of an output's relative name. ``metadata`` is ``keep`` or ``strip``, ``pages``
    ``first``, ``all`` or ``error``. ``strict``: what a decoder warns of is a failure. ``pixels_max``, unless 0,
    lowers the limit of the machine that does it.
    """

    steps: tuple[Step, ...]
    format: str | None = None
    quality: int = QUALITY
    name: str = NAME
    metadata: str = METADATA
    pages: str = PAGES
    strict: bool = False
    pixels_max: int = 0

    @classmethod
    def from_options(
        cls, operations: Sequence[str] = (), format: str | None = None, quality: int = QUALITY
    ) -> Recipe:
        """What ``--op``, ``--format`` and ``--quality`` say; no operations means the default, `edges`.

        Raises
        ------
        UsageError
            An operation, a parameter or the format is unknown, a value is not allowed, or embedded images are
            too large together.
        """
        steps = tuple(parse(words) for words in operations or (DEFAULT,))
        if len(steps) > limits.OPERATION_MAX:
            raise UsageError(f"{len(steps)} operations: a recipe has at most {limits.OPERATION_MAX}")
        return _of_bounded_size(cls(steps, checked_format(format), checked_quality(quality)))

    @classmethod
    def from_toml(cls, text: str, file: str) -> Recipe:
        """What a recipe file says; ``file`` is its name, for errors.

        Raises
        ------
        UsageError
            The text is wrong. The message names file, step, field, what was expected, and the nearest name.
        """
        steps, format_, quality = recipe_toml.read(text, file)
        return _of_bounded_size(cls(steps or (parse(DEFAULT),), format_, quality))

    @classmethod
    def from_array(cls, array: Any) -> Recipe:
        """The recipe that came over the wire. Its operations need not be known here.

        Raises
        ------
        ProtocolError
            It does not have the shape of a recipe.
        """
        if not _is_recipe(array) or len(msgpack.packb(array)) > limits.RECIPE_MAX:
            raise ProtocolError(f"expected a recipe [{LAYOUT}, steps, format, quality], got {elided(array)}")
        steps = tuple(Step(name, version, parameters) for name, version, parameters in array[1])
        return cls(steps, array[2], array[3])

    def array(self) -> tuple[Any, ...]:
        """Nested tuples of text, bytes, numbers, flags and None, for msgpack."""
        steps = tuple((step.name, step.version, step.parameters) for step in self.steps)
        return (LAYOUT, steps, self.format, self.quality)

    @property
    def operations(self) -> tuple[str, ...]:
        """Names, in the order of work."""
        return tuple(step.name for step in self.steps)

    @property
    def changes_suffix(self) -> bool:
        """Whether outputs may be named other than their inputs, and so may collide."""
        return self.format is not None

    @property
    def hash(self) -> str:
        """32 hexadecimal digits: the same for the same work, on every machine and in every version."""
        packed: bytes = msgpack.packb(self.array())
        return hashlib.blake2b(packed, digest_size=16).hexdigest()

    def target(self, name: bytes) -> bytes:
        """The relative name of the output of ``name``. A suffix that already means the format stays."""
        suffix = codecs.suffix_of(name)
        if self.format is None or self.format == suffix:
            return name
        if suffix in codecs.CODECS and codecs.CODECS[suffix] is codecs.CODECS.get(self.format):
            return name
        stem = name[: len(name) - len(suffix) - 1] if suffix else name
        return stem + b"." + self.format.encode()

    def bind(self) -> Program:
        """The functions this recipe names, with their parameters.

        Raises
        ------
        UsageError
            An operation or the format is not known here, or in another version, or a package does not load.
        """
        return _bound(self)

    def __str__(self) -> str:
        """As options of a command."""
        words = [f"--op {step}" for step in self.steps]
        if self.format is not None:
            words.append(f"--format {self.format}")
        if self.quality != QUALITY:
            words.append(f"--quality {self.quality}")
        return " ".join(words)


def _of_bounded_size(recipe: Recipe) -> Recipe:
    """The same, if it fits into a message. Each image file within it is bounded; there may be several."""
    size = len(msgpack.packb(recipe.array()))
    if size > limits.RECIPE_MAX:
        found = f"the recipe has {size // 1024} KiB with the image files in it"
        raise UsageError(f"{found}: at most {limits.RECIPE_MAX // 1024} KiB; take smaller ones")
    return recipe


@lru_cache(maxsize=64)
def _bound(recipe: Recipe) -> Program:
    checked_format(recipe.format)
    found = [(find(step.name), step) for step in recipe.steps]
    steps = tuple((step.name, _applied(operation, operation.arguments(step))) for operation, step in found)
    return Program(steps, colour8=bool(found) and found[0][0].colour8)


def _applied(operation: Operation, arguments: Mapping[str, Any]) -> Callable[[Image], Image]:
    return lambda image: operation(image, **arguments)


def _is_recipe(array: Any) -> bool:
    if type(array) is not tuple or len(array) < 4 or array[0] != LAYOUT:
        return False
    _, steps, format_, quality = array[:4]
    return (
        type(steps) is tuple
        and 0 < len(steps) <= limits.OPERATION_MAX
        and all(map(_is_step, steps))
        and (format_ is None or (type(format_) is str and format_.isalnum()))
        and type(quality) is int
        and 1 <= quality <= 100
    )


def _is_step(step: Any) -> bool:
    if type(step) is not tuple or len(step) != 3:
        return False
    name, version, parameters = step
    typed = WORD.accepts(name) and type(version) is int and type(parameters) is tuple
    return typed and all(map(_is_pair, parameters))


def _is_pair(pair: Any) -> bool:
    return (
        type(pair) is tuple
        and len(pair) == 2
        and type(pair[0]) is str
        and type(pair[1]) in (int, float, str, bool, bytes)
    )
