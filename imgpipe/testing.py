"""What every operation must do, as a test. A package that brings operations calls it in its own tests::

    from imgpipe.testing import check_operation

    def test_halftone():
        check_operation("halftone")

It says in an `AssertionError` what an operation did that it did not declare, on which image, and with which
parameters. Images and parameters are drawn from a seed, so what is found is found again. Needs NumPy and what
the operation needs, and no test framework. Hypothesis can draw instead, and will find a smaller case:
`check_result` judges one image.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from itertools import product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from imgpipe.errors import ImageError, UsageError
from imgpipe.imaging import catalogue, pixels
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.operations import (
    Alpha,
    Channels,
    Colour,
    Corners,
    Depth,
    Length,
    Operation,
    Parameter,
    Ratio,
    Size,
    Step,
    find,
    parse,
)
from imgpipe.imaging.pixels import WHITE, Image, has_alpha
from imgpipe.imaging.recipe import Recipe

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

ROUNDS = 10  # each is nine images: three depths, and grey, colour, colour with alpha
_SIDE_MAX = 24  # pixels of the images drawn
_RESULT_MAX = 1_000_000  # pixels of the results asked for, where the size is declared
_BAD: tuple[Any, ...] = (None, [], float("nan"), 10**400)  # not a value of any parameter


def check_operation(name: str, *, rounds: int = ROUNDS, seed: int = 0) -> None:
    """Holds an operation to its declaration, on images of every kind, down to one pixel.

    ``name`` is the one in the table: the package has to be installed, as it will be on workers. An operation
    may refuse an image by raising `ImageError`, but not all of them.

    Raises
    ------
    AssertionError
        It does something else than it declares, or the declaration is of no use; and where.
    UsageError
        There is no such operation, or its package does not load.
    """
    operation = find(name)
    example = check_declaration(operation)
    random, done = Random(seed), 0
    for number in range(rounds):
        for depth, channels in product(WHITE, (1, 3, 4)):
            step = example if number == 0 else drawn_step(operation, example, random)
            image = drawn_image(random, depth, channels)
            done += _is_done(operation, image, step)
    _demand(done > 0, f"{name} refuses every image it is given")


def _is_done(operation: Operation, image: Image, step: Step) -> bool:
    arguments = operation.arguments(step)
    try:
        if operation.size is not None:
            width, height = operation.size(image.shape[1], image.shape[0], **arguments)
            if width * height > _RESULT_MAX:
                return False
        check_result(operation, image, arguments)
    except ImageError:
        return False
    except AssertionError as error:
        raise AssertionError(f"{step} of {image.dtype} {image.shape}: {error}") from None
    return True


# --- one image ----------------------------------------------------------------------------------


def check_result(operation: Operation, image: Image, arguments: Mapping[str, Any]) -> Image:
    """What the operation makes of ``image``, when it is as declared.

    Raises
    ------
    AssertionError
        It is not, and how.
    ImageError
        The operation refuses this image.
    """
    before = image.copy()
    result = operation(image, **arguments)
    _demand(np.array_equal(image, before, equal_nan=True), "its input was changed")
    _demand(not pixels.problem(result), pixels.problem(result))
    _demand(not np.shares_memory(result, image), "its result is a view of its input")
    again = operation(image, **arguments)
    _demand(np.array_equal(result, again, equal_nan=True), "it is not deterministic")
    _check_kind(operation, image, result)
    if operation.size is not None:
        expected = operation.size(image.shape[1], image.shape[0], **arguments)
        _demand(result.shape[1::-1] == expected, f"its size is {result.shape[1::-1]}, declared {expected}")
    return result


def _check_kind(operation: Operation, image: Image, result: Image) -> None:
    depth = "uint8" if operation.depth is Depth.EIGHT else image.dtype
    _demand(result.dtype == depth, f"its depth is {result.dtype}, declared {depth}")
    alpha = has_alpha(image) and operation.alpha is not Alpha.DROPPED
    _demand(has_alpha(result) == alpha, f"it has {'no' if alpha else 'an'} alpha channel")
    declared = _channels(operation, image)
    _demand(alpha or _count(result) == declared, f"it has {_count(result)} channels, declared {declared}")
    if alpha and operation.alpha in (Alpha.KEPT, Alpha.SEEN, Alpha.WEIGHED):
        _demand(np.array_equal(result[:, :, 3], image[:, :, 3]), "its alpha is not what it was")


def _channels(operation: Operation, image: Image) -> int:
    return {Channels.KEPT: min(3, _count(image)), Channels.GREY: 1, Channels.COLOUR: 3}[operation.channels]


def _count(image: Image) -> int:
    return 1 if image.ndim == 2 else int(image.shape[2])


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:  # no assert statement: those are gone under -O
        raise AssertionError(otherwise)


# --- the declaration ----------------------------------------------------------------------------


def check_declaration(operation: Operation) -> Step:
    """That people can find their way with it: help, an example that is one, bad values refused by name.

    Gives back the example's step. Every file it names is taken to be a small picture.

    Raises
    ------
    AssertionError
        Something is missing, or wrong.
    """
    name = operation.name
    _demand(operation.version >= 1, f"{name}: version {operation.version}: count from 1")
    good = 10 < len(operation.help) < 100 and operation.help[0].isupper()
    _demand(good, f"{name}: its help is no sentence of 10 to 100 letters: {operation.help!r}")
    with tempfile.TemporaryDirectory() as folder, standing_in(operation, Path(folder)):
        step = parse(operation.example)
    _demand(step.name == name, f"{name}: its example is of {step.name}: {operation.example}")
    _demand(
        Recipe.from_array(Recipe((step,)).array()).steps == (step,), f"{name}: its example cannot be sent"
    )
    for parameter in operation.parameters:
        for bad in _BAD:
            _check_refused(operation, step, parameter, bad)
    return step


def _check_refused(operation: Operation, step: Step, parameter: Parameter, bad: Any) -> None:
    try:
        operation.step({**dict(step.parameters), parameter.name: bad})
    except UsageError as error:
        blamed = f"{operation.name}: {parameter.name}: expected"
        _demand(str(error).startswith(blamed), f"{blamed} …, got {bad!r:.20}; it says: {error}")
    else:
        _demand(False, f"{operation.name}: {parameter.name}: {bad!r:.20} is taken for a value")


@contextmanager
def standing_in(operation: Operation, folder: Path) -> Iterator[None]:
    """In ``folder``, where every file that the operation's example names is a small picture."""
    kinds = {parameter.name: parameter.kind.__name__ for parameter in operation.parameters}
    for name, path in catalogue.pairs(operation.example):
        if kinds.get(name) == "File":
            (folder / path).write_bytes(_disc())
    with chdir(folder):
        yield


def _disc() -> bytes:
    """A PNG of 96×96: a white ring on an orange disc, transparent around it."""
    y, x = np.indices((96, 96)) - 47.5
    distance = np.hypot(y, x)
    image = np.zeros((96, 96, 4), np.uint8)
    image[distance < 46] = (0, 140, 255, 255)
    image[np.abs(distance - 28) < 7] = (255, 255, 255, 255)
    return bytes(cv2.imencode(".png", image)[1])


# --- what is drawn ------------------------------------------------------------------------------


def drawn_image(random: Random, depth: str, channels: int) -> Image:
    """``(H, W)`` or ``(H, W, channels)`` of noise from black to white, 1 … 24 pixels a side."""
    sides = random.randint(1, _SIDE_MAX), random.randint(1, _SIDE_MAX)
    shape = sides if channels == 1 else (*sides, channels)
    values = np.random.default_rng(random.getrandbits(32)).random(shape) * WHITE[depth]
    image: Image = values.astype(depth)
    return image


def drawn_step(operation: Operation, example: Step, random: Random) -> Step:
    """Parameters within their ranges, often at an end; the example, where they contradict each other."""
    given = dict(example.parameters)
    for parameter in operation.parameters:
        if random.random() < 0.7:
            given |= _drawn(parameter, random)
    try:
        return operation.step(given)
    except UsageError:
        return example


def _drawn(parameter: Parameter, random: Random) -> dict[str, Any]:
    """A value by name; nothing for kinds of values that only the example knows: texts and files."""
    if parameter.choices:
        return {parameter.name: random.choice(parameter.choices)}
    if parameter.kind in _SOME:
        return {parameter.name: random.choice(_SOME[parameter.kind])}
    if parameter.kind in (int, float) and parameter.range is not None:
        return {parameter.name: _number(parameter, random)}
    return {}


_SOME: Mapping[type, tuple[Any, ...]] = {
    bool: (True, False),
    Size: ("7x", "x5", "1x1", "1x40", "40x1", "12x9"),
    Colour: ("#000000", "#ffffff", "#336699", "#33669980", "#00000000"),
    Length: ("0", "1", "3", "25%", "50%", "100%"),
    Ratio: ("1:1", "16:9", "2:3"),
    Corners: ("0,0 1,0 1,1 0,1", "0.25,0 1,0.5 0.75,1 0,0.75"),
}


def _number(parameter: Parameter, random: Random) -> float:
    assert parameter.range is not None
    low, high = parameter.range.low, parameter.range.high
    if parameter.kind is float:
        return float(random.choice([low, high, random.uniform(low, high)]))
    number = random.choice([int(low), int(high), random.randint(int(low), int(high))])
    if number not in parameter.range:  # even, and odd ones only
        number += 1 if number < high else -1
    return number
