"""A recipe: what is to be done to every image of a job. A checked list of steps, and the options beside them.

It has three spellings that mean the same value: ``--op`` words (`Recipe.from_options`), TOML
(`Recipe.from_toml`) and an array on the wire (`Recipe.array`). The value is canonical: every parameter is
filled in and typed, so the same work is equal, and has the same hash, whatever its spelling::

    [2, [[name, version, [[parameter, value], …]], …], format or nil, quality, name, metadata, …]

What follows the steps are `recipe_toml.OPTIONS`; the array grows only at its end. Words and TOML are checked
against the table of operations where the user is. An array is checked for its shape alone, and its format
hardly: a coordinator passes on recipes whose operations and formats only its workers have. `Recipe.bind`
finds the functions, where the pixels are.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import msgpack

from imgpipe import limits
from imgpipe.errors import ProtocolError, UsageError
from imgpipe.imaging import codecs, naming, recipe_toml
from imgpipe.imaging.codecs import QUALITY, checked_format
from imgpipe.imaging.operations import Operation, Step, find, parse
from imgpipe.imaging.pixels import Image
from imgpipe.imaging.recipe_toml import METADATA, OPTIONS, PAGES, Option
from imgpipe.schema import WORD, elided

LAYOUT = 2  # of the array; another layout is another number
DEFAULT = "edges"


@dataclass(frozen=True, slots=True)
class Program:
    """A recipe whose operations have been found: called with an image, it gives the processed one.

    ``steps`` are ``(name, function of one image)``. ``colour8`` says how images are to be decoded for it, and
    ``resampled``, where the first step averages over the whole picture, from which width and height to which.
    ``embedded`` are ``(name of a step, image file within it)``: they are decoded here too.
    """

    steps: tuple[tuple[str, Callable[[Image], Image]], ...]
    colour8: bool
    resampled: Callable[[int, int], tuple[int, int]] | None = None
    luma: bool = False
    embedded: tuple[tuple[str, bytes], ...] = ()

    def __call__(self, image: Image) -> Image:
        for _, step in self.steps:
            image = step(image)
        return image


@dataclass(frozen=True, slots=True)
class Recipe:
    """Steps in the order of work, and what `recipe_toml.OPTIONS` says beside them, in the same order.

    ``format`` None is that of the input; ``pixels_max`` 0 is the limit of the machine that does it.
    """

    steps: tuple[Step, ...]
    format: str | None = None
    quality: int = QUALITY
    name: str = naming.MIRRORED
    metadata: str = METADATA[0]
    pages: str = PAGES[0]
    strict: bool = False
    pixels_max: int = 0
    luma: bool = False

    @classmethod
    def from_options(
        cls,
        operations: Sequence[str] = (),
        format: str | None = None,
        quality: int = QUALITY,
        **options: Any,
    ) -> Recipe:
        """What ``--op`` and the options of commands say; no operations means the default, `edges`.

        ``options`` are the further fields of a recipe, by name.

        Raises
        ------
        UsageError
            An operation, a parameter or the format is unknown, a value is not allowed, or embedded images are
            too large together.
        """
        steps = tuple(_parsed(operations or (DEFAULT,)))
        if len(steps) > limits.OPERATION_MAX:
            raise UsageError(f"{len(steps)} operations: a recipe has at most {limits.OPERATION_MAX}")
        return cls(steps).changed(format=format, quality=quality, **options)

    @classmethod
    def from_toml(cls, text: str, file: str) -> Recipe:
        """What a recipe file says.

        ``file`` is its path: errors begin with it, and paths in the text are relative to its folder.

        Raises
        ------
        UsageError
            The text is wrong. The message names file, step, field, what was expected, and the nearest name.
        """
        steps, options = recipe_toml.read(text, file)
        return cls(steps or (parse(DEFAULT),)).changed(**options)

    @classmethod
    def from_array(cls, array: Any) -> Recipe:
        """The recipe that came over the wire. Its operations and its format need not be known here.

        Raises
        ------
        ProtocolError
            It does not have the shape of a recipe.
        """
        if not _is_recipe(array) or len(msgpack.packb(array)) > limits.RECIPE_MAX:
            raise ProtocolError(f"expected a recipe [{LAYOUT}, steps, {_LAYOUT_WORDS}], got {elided(array)}")
        steps = tuple(Step(name, version, parameters) for name, version, parameters in array[1])
        return cls(steps, *array[2 : 2 + len(OPTIONS)])

    def changed(self, **options: Any) -> Recipe:
        """The same with these fields, by name, each checked.

        Raises
        ------
        UsageError
            A value is not allowed, or the whole is too large to be sent.
        TypeError
            There is no such field.
        """
        return _of_bounded_size(replace(self, **{**options, **recipe_toml.checked(options)}))

    def array(self) -> tuple[Any, ...]:
        """Nested tuples of text, bytes, numbers, flags and None, for msgpack."""
        steps = tuple((step.name, step.version, step.parameters) for step in self.steps)
        return (LAYOUT, steps, *(getattr(self, option.name) for option in OPTIONS))

    @property
    def operations(self) -> tuple[str, ...]:
        """Names, in the order of work."""
        return tuple(step.name for step in self.steps)

    @property
    def may_collide(self) -> bool:
        """Whether two inputs may have one output."""
        if not naming.is_parted(self.name):
            return True
        return self.format is not None and "{name}" not in self.name

    @property
    def collides_by_suffix(self) -> bool:
        """Whether two inputs that have one output differ in their suffix alone."""
        return naming.is_parted(self.name)

    @property
    def hash(self) -> str:
        """32 hexadecimal digits: the same for the same work, on every machine and in every version.

        ``pixels_max`` is not part of it: it changes no output. An option that is added later must join only
        where it is not at its default, so that the work of older recipes keeps its hash.
        """
        options = (getattr(self, option.name) for option in OPTIONS if option.name != "pixels_max")
        packed: bytes = msgpack.packb(_signless((self.array()[1], *options)))
        return hashlib.blake2b(packed, digest_size=16).hexdigest()

    def target(self, name: bytes) -> bytes:
        """The relative name of the output of ``name``. A suffix that already means the format stays.

        Raises
        ------
        ImageError
            ``unwritable``: no file can be called what the template makes of this name.
        """
        if self.format is None and self.name == naming.MIRRORED:
            return name
        file = name.rpartition(b"/")[2]
        suffix = codecs.suffix_of(file)
        stem = file[: -len(suffix) - 1] if suffix else file
        return naming.rendered(self.name, name, stem, self._ext(suffix, file[len(stem) :]))

    def _ext(self, suffix: str, own: bytes) -> bytes:
        """The output's suffix with its dot; ``own`` is the input's, as it is spelled."""
        if self.format is None or self.format == suffix:
            return own
        if suffix in codecs.CODECS and codecs.CODECS[suffix] is codecs.CODECS.get(self.format):
            return own
        return b"." + self.format.encode()

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
        words = [f"--op {shlex.quote(str(step))}" for step in self.steps]
        for option in OPTIONS:
            value = getattr(self, option.name)
            if value != option.default:
                words.append(
                    f"--{option.key}" if value is True else f"--{option.key} {shlex.quote(str(value))}"
                )
        return " ".join(words)


def _parsed(operations: Sequence[str]) -> Iterator[Step]:
    """Steps as they are spelled; where there are several, an error says which."""
    for number, words in enumerate(operations, 1):
        try:
            yield parse(words)
        except UsageError as error:
            raise UsageError(f"step {number}: {error}" if len(operations) > 1 else str(error)) from None


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
    first, step = found[0]
    resampled = first.resampled(first.arguments(step))
    embedded = tuple(_embedded(recipe))
    return Program(steps, first.colour8, resampled, recipe.luma and first.luma, embedded)


def _embedded(recipe: Recipe) -> Iterator[tuple[str, bytes]]:
    for step in recipe.steps:
        yield from ((step.name, value) for _, value in step.parameters if isinstance(value, bytes))


def _applied(operation: Operation, arguments: Mapping[str, Any]) -> Callable[[Image], Image]:
    return lambda image: operation(image, **arguments)


_LAYOUT_WORDS = ", ".join(option.key for option in OPTIONS)


def _signless(value: Any) -> Any:
    """The same with 0.0 for -0.0: they are equal and are packed differently."""
    if type(value) is tuple:
        return tuple(map(_signless, value))
    return value + 0.0 if type(value) is float else value


def _is_recipe(array: Any) -> bool:
    if type(array) is not tuple or len(array) < 2 + len(OPTIONS) or array[0] != LAYOUT:
        return False
    steps = array[1]
    return (
        type(steps) is tuple
        and 0 < len(steps) <= limits.OPERATION_MAX
        and all(map(_is_step, steps))
        and all(map(_is_allowed, OPTIONS, array[2:]))
    )


def _is_allowed(option: Option, value: Any) -> bool:
    if option.name == "format":  # which formats there are is for the workers to say
        return value is None or (type(value) is str and value.isalnum() and WORD.accepts(value))
    try:
        option.check(value)
    except UsageError:
        return False
    return True


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
