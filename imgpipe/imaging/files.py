"""Reads a file that becomes part of a recipe: the one place where making a recipe opens anything."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from imgpipe import limits


def read(path: str) -> bytes:
    """The bytes of a regular file; of a longer one than allowed just so many that this can be told.

    Raises
    ------
    OSError
        It cannot be read, or is no regular file (a pipe would wait for ever).
    ValueError
        The path holds a NUL.
    """
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise OSError("it is no regular file")
    with Path(path).open("rb") as file:
        return file.read(limits.EMBEDDED_MAX + 1)


def relative_to(file: str) -> Callable[[str], bytes]:
    """`read` for paths that are relative to the folder of ``file``; absolute ones are taken as they are."""
    return lambda path: read(str(Path(file).parent / path))
