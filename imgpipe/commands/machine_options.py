"""What a machine is given to images, declared once for ``worker``, ``run`` and ``try``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from imgpipe import limits
from imgpipe.commands.base import Whole, checked_by
from imgpipe.errors import UsageError
from imgpipe.imaging.bounds import Bounds, switched_off
from imgpipe.imaging.codecs.ceiling import Ceiling
from imgpipe.imaging.recipe import Recipe
from imgpipe.memory import in_words, size_of

#: Of a picture, all its frames together.
PIXELS = Whole(1, limits.IMAGE_SIDE_MAX**2)


def checked_size(words: str) -> int:
    """Bytes for ``--max-memory``.

    Raises
    ------
    UsageError
        It is no size, or less than a process can work with.
    """
    size = size_of(words)
    if size < limits.MEMORY_LEAST:
        raise UsageError(f"expected at least {in_words(limits.MEMORY_LEAST)}, got {in_words(size)}")
    return size


OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--max-memory",
        metavar="SIZE",
        callback=checked_by(checked_size, "--max-memory"),
        help="What each process may take for an image, beyond what it starts with: 2GiB, 1500MB, …  "
        f"[default: this machine's memory / slots, at least {in_words(limits.MEMORY_MIN)}]",
    ),
    click.option(
        "--without",
        multiple=True,
        metavar="FORMAT",
        callback=checked_by(switched_off, "--without"),
        help="A format that is neither read nor written here; repeat it.",
    ),
)


def machine_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: the command takes these options, and is called with ``bounds``."""

    @functools.wraps(function)
    def bounded(*arguments: Any, max_memory: str | None, without: tuple[str, ...], **options: Any) -> Any:
        memory = 0 if max_memory is None else checked_size(max_memory)
        bounds = Bounds(Ceiling(off=switched_off(without)), memory)
        return function(*arguments, bounds=bounds, **options)

    for option in reversed(OPTIONS):
        bounded = option(bounded)
    return bounded


def check_format(recipe: Recipe, bounds: Bounds) -> None:
    """Where there is no other worker, nobody must wait for one that has the recipe's format.

    Raises
    ------
    UsageError
        The format is switched off.
    """
    if recipe.format is not None and recipe.format not in bounds.suffixes:
        raise UsageError(f"--format {recipe.format} is switched off here by --without: give one of the two")
