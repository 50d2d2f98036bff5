"""What a declaration of an operation is, and everything derived from it.

An operation is one decorated function::

    @operation(version=1, example="blur:size=5", alpha=Alpha.FILTERED)
    def blur(image: Image, *, size: Annotated[int, Range(1, 999), Doc("side in pixels")] = 3) -> Image:
        \"\"\"Blurs with a box: every pixel becomes the mean of its neighbours.\"\"\"
        return cv2.blur(image, (size, size))

Nothing is said twice. The signature gives the parameters, their checks and their help; the docstring gives
the text; the decorator says what a signature cannot: the version (raise it when the same parameters give
other pixels), an example, what becomes of alpha, depth, channels and size, and what must hold between
parameters. `Operation` carries alpha past the function as declared, so most functions never see it, and
refuses a result of too many pixels before the function is called. A function must not change its input.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeAlias, get_type_hints

from imgpipe import limits
from imgpipe.errors import ImageError, Kind, UsageError, nearest
from imgpipe.imaging import files as disk
from imgpipe.imaging.operations.kinds import Colour, Corners, File, Length, Ratio, Size
from imgpipe.imaging.operations.parameters import (
    Doc,
    OneOf,
    Parameter,
    Plain,
    Range,
    Reader,
    Text,
    parameter_of,
    word_of,
)
from imgpipe.imaging.pixels import Image, beside_alpha, colour, has_alpha, over_black, premultiplied, weighed

__all__ = [
    "Alpha",
    "Averages",
    "Channels",
    "Check",
    "Colour",
    "Corners",
    "Depth",
    "Doc",
    "File",
    "Length",
    "OneOf",
    "Operation",
    "Parameter",
    "Range",
    "Ratio",
    "Reader",
    "Size",
    "SizeOf",
    "Step",
    "Text",
    "always",
    "never",
    "one_of",
    "operation",
    "refuse_huge",
    "same_size",
]


class Alpha(enum.Enum):
    """What becomes of an alpha channel."""

    KEPT = "is kept as it is"  # the function is given the colours alone
    MOVED = "moves with its pixels"  # the function is given four channels
    FILTERED = "is filtered too, and weights the colours"  # four channels of float32, premultiplied
    WEIGHED = "is kept as it is, and weights the colours"  # the same four, and alpha is put back
    BLENDED = "is blended with that of what lies above"  # the function is given four channels
    SEEN = "is kept as it is, and colours count as seen on black"  # the function is given those colours
    DROPPED = "is dropped"  # the function is given the colours alone


_CARRY = {
    Alpha.KEPT: beside_alpha,
    Alpha.FILTERED: premultiplied,
    Alpha.WEIGHED: weighed,
    Alpha.SEEN: over_black,
}


class Depth(enum.Enum):
    """What becomes of the depth of pixels."""

    KEPT = "is kept"
    EIGHT = "becomes 8 bits"


class Channels(enum.Enum):
    """How many channels of colour the result has; one with alpha always has three and alpha."""

    KEPT = "are kept"
    GREY = "become one"
    COLOUR = "become three"


#: ``(width, height, **arguments)`` of a picture → width and height of what an operation makes of it.
#: It raises `ImageError` where there is nothing to make of a picture of this size.
SizeOf: TypeAlias = Callable[..., tuple[int, int]]
#: ``(**arguments)`` → whether every pixel of the result is a mean over its share of the whole picture.
Averages: TypeAlias = Callable[..., bool]
#: ``(**arguments)`` → what is wrong between them, or nothing.
Check: TypeAlias = Callable[..., str]


def same_size(width: int, height: int, **arguments: Any) -> tuple[int, int]:
    return width, height


def always(**arguments: Any) -> bool:
    return True


def never(**arguments: Any) -> bool:
    return False


def _no_check(**arguments: Any) -> str:
    return ""


def refuse_huge(operation: str, made: tuple[int, int], width: int, height: int) -> None:
    """Refuses to make a picture of this width and height of one of ``width`` × ``height``.

    Raises
    ------
    ImageError
        ``too_large``: it would have more pixels than `limits.PIXELS_MAX` and twice the image's.
    """
    wide, high = made
    # Twice its own are always granted: a square needs them when it is turned.
    if wide * high > max(limits.PIXELS_MAX, 2 * width * height):
        what = f"{operation}: would make {wide}x{high} of {width}x{height} pixels"
        raise ImageError(Kind.TOO_LARGE, f"{what}: at most {limits.PIXELS_MAX} pixels are made")


@dataclass(frozen=True, slots=True)
class OneGiven:
    """A check: exactly one of these optional parameters is given."""

    names: tuple[str, ...]

    def __call__(self, **arguments: Any) -> str:
        given = [name for name in self.names if arguments[name] is not None]
        if len(given) == 1:
            return ""
        got = f"got {' and '.join(given)}" if given else "none is"
        return f"exactly one of {', '.join(self.names)} must be given, {got}"


def one_of(*names: str) -> OneGiven:
    """A check: exactly one of these optional parameters is given."""
    return OneGiven(names)


@dataclass(frozen=True, slots=True)
class Step:
    """An operation's name and version with a checked value for each of its parameters, by name."""

    name: str
    version: int
    parameters: tuple[tuple[str, Plain], ...] = ()

    def __str__(self) -> str:
        """As after ``--op``. An embedded file shows as ``<N bytes>``: that alone cannot be parsed again."""
        words = ",".join(f"{name}={word_of(value)}" for name, value in self.parameters)
        return f"{self.name}:{words}" if words else self.name


@dataclass(frozen=True)
class Operation:
    """A declared operation. Calling it applies it; keywords are the arguments of its function.

    ``luma`` says that it needs the picture's brightness alone, grey with the weights of BT.601.
    ``colour8`` says that it works on what OpenCV's plain colour decoding gives (BGR, uint8): where it is the
    first step, images are decoded that way. ``size`` is None where it depends on what is in the picture.
    ``scales`` says for which arguments the whole picture is averaged down to ``size``, so that a decoder may
    reduce it first.
    ``check`` says what is wrong between the arguments.
    """

    name: str
    function: Callable[..., Any] = field(repr=False)
    version: int
    example: str
    alpha: Alpha
    depth: Depth
    channels: Channels
    size: SizeOf | None = field(repr=False)
    scales: Averages = field(repr=False)
    colour8: bool
    luma: bool
    check: Check = field(repr=False)
    parameters: tuple[Parameter, ...]
    help: str
    description: str = field(repr=False)

    def __call__(self, image: Image, /, **arguments: Any) -> Image:
        """The image this operation makes of one of shape ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``.

        Raises
        ------
        ImageError
            ``too_large``: the result would have more pixels than `limits.PIXELS_MAX` and twice the image's.
            ``operation``: there is nothing to make of this image.
        """
        self._bound(image, arguments)

        def function(pixels: Image) -> Any:
            return self.function(pixels, **arguments)

        if not has_alpha(image) or self.alpha in (Alpha.MOVED, Alpha.BLENDED):
            result = function(image)
        elif self.alpha is Alpha.DROPPED:
            result = function(colour(image))
        else:
            result = _CARRY[self.alpha](function, image)
        return result  # type: ignore[no-any-return]  # a function of another package may return anything

    def _bound(self, image: Image, arguments: Mapping[str, Any]) -> None:
        if self.size is None or self.size is same_size:
            return
        height, width = image.shape[:2]
        made = self.size(width, height, **{**self._defaults, **arguments})
        refuse_huge(self.name, made, width, height)

    def resampled(self, arguments: Mapping[str, Any]) -> Callable[[int, int], tuple[int, int]] | None:
        """From which width and height to which, where a decoder may reduce the picture first."""
        if self.size is None or not self.scales(**arguments):
            return None
        return partial(self.size, **arguments)

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        return {p.name: p.argument(p.default) for p in self.parameters if p.optional or p.default is not None}

    def step(
        self, given: Mapping[str, Any], *, words: bool = False, files: Reader | None = disk.read
    ) -> Step:
        """This operation with these parameters, all checked, defaults filled in.

        ``files`` reads what is given as the path of a file; with None no path is taken, only bytes.

        Raises
        ------
        UsageError
            A parameter is unknown, missing or not allowed, alone or beside another; named, with what was
            expected.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                raise UsageError(f"{self.name}: unknown parameter {name!r:.80}{nearest(name, known)}; {has}")
        found = ((p.name, self._value(p, given, words, files)) for p in self.parameters)
        values = {name: value for name, value in found if value is not None}
        if wrong := self.check(**self._arguments(values)):
            raise UsageError(f"{self.name}: {wrong}, as in {self.example}")
        return Step(self.name, self.version, tuple(sorted(values.items())))

    def _value(
        self, parameter: Parameter, given: Mapping[str, Any], words: bool, files: Reader | None
    ) -> Plain | None:
        if parameter.name in given:
            return parameter.value(self.name, given[parameter.name], word=words, files=files)
        if parameter.required:
            raise UsageError(f"{self.name}: {parameter.name} must be given: {parameter.expected}")
        return parameter.default

    def _arguments(self, values: Mapping[str, Plain]) -> dict[str, Any]:
        return {p.name: p.argument(values.get(p.name)) for p in self.parameters}

    def arguments(self, step: Step) -> dict[str, Any]:
        """The keywords a step of this operation is called with, checked again.

        Raises
        ------
        UsageError
            The step was made by another version of this operation, or its parameters are not allowed.
        """
        if step.version != self.version:
            raise UsageError(
                f"{self.name}: the recipe was made with version {step.version} of this operation, here is "
                f"version {self.version}: install the same version of its package on every machine"
            )
        # No reader: a recipe comes from whoever may speak to us, and names no file of this machine.
        return self._arguments(dict(self.step(dict(step.parameters), files=None).parameters))


def operation(
    *,
    version: int,
    example: str,
    alpha: Alpha = Alpha.KEPT,
    depth: Depth = Depth.KEPT,
    channels: Channels = Channels.KEPT,
    size: SizeOf | None = same_size,
    scales: Averages = never,
    colour8: bool = False,
    luma: bool = False,
    check: Check = _no_check,
) -> Callable[[Callable[..., Any]], Operation]:
    """Decorator: declares the function below it as an operation named like it (``_`` at its end is dropped).

    Raises
    ------
    TypeError
        The declaration is wrong: no docstring, or a parameter without type, range or text.
    """

    def declare(function: Callable[..., Any]) -> Operation:
        name = function.__name__.rstrip("_").replace("_", "-")
        text = inspect.cleandoc(function.__doc__ or "")
        if not text:
            raise TypeError(f"{name} needs a docstring: its first sentence is its help")
        return Operation(
            name=name,
            function=function,
            version=version,
            example=example,
            alpha=alpha,
            depth=depth,
            channels=channels,
            size=size,
            scales=scales,
            colour8=colour8,
            luma=luma,
            check=check,
            parameters=_parameters(function, name),
            help=_first_sentence(text),
            description=text,
        )

    return declare


def _parameters(function: Callable[..., Any], where: str) -> tuple[Parameter, ...]:
    hints = get_type_hints(function, include_extras=True)
    arguments = list(inspect.signature(function).parameters.values())[1:]
    return tuple(parameter_of(argument, hints.get(argument.name), where) for argument in arguments)


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".")
