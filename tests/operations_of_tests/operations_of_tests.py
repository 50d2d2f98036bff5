"""Operations that misbehave, as an installed package would: segfault, abort, exit, hang, sleep, grow;
or tell: noted.

``tests.operations_of_tests.FOLDER`` on ``sys.path`` or PYTHONPATH is all it takes to install them.
Those that end their process do so for images of one width only, so that one image of a folder can be the
culprit: the one of ``width`` pixels, or any if that is 0.
"""

import ctypes
import os
import signal
import time
from dataclasses import replace
from typing import Annotated, Any

from imgpipe.errors import Note
from imgpipe.imaging import processing, task
from imgpipe.imaging.operations import Doc, OneOf, Range, operation

Width = Annotated[int, Range(0, 65_535), Doc("only images this wide; 0: all")]
kept: list[bytearray] = []

if "DEADLY" in os.environ:  # a package that takes down whoever imports it
    os.abort()


def is_meant(image: Any, width: int) -> bool:
    return width in (0, image.shape[1])


@operation(version=1, example="segfault:width=7")
def segfault(image: Any, *, width: Width = 0) -> Any:
    """Reads address 0."""
    if is_meant(image, width):
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        ctypes.string_at(0)
    return image


@operation(version=1, example="abort:width=7")
def abort(image: Any, *, width: Width = 0) -> Any:
    """Aborts, as a failed assertion in a library does."""
    if is_meant(image, width):
        os.abort()
    return image


@operation(version=1, example="exit:width=7")
def exit_(image: Any, *, width: Width = 0) -> Any:
    """Leaves the process, with code 3."""
    if is_meant(image, width):
        os._exit(3)
    return image


@operation(version=1, example="hang:width=7")
def hang(image: Any, *, width: Width = 0) -> Any:
    """Never ends."""
    while is_meant(image, width):
        signal.pause()
    return image


@operation(version=1, example="sleep:seconds=0.5")
def sleep(image: Any, *, seconds: Annotated[float, Range(0.0, 60.0), Doc("how long")] = 0.1) -> Any:
    """Takes its time."""
    time.sleep(seconds)
    return image


@operation(version=1, example="gate:width=7")
def gate(image: Any, *, width: Width = 0) -> Any:
    """Makes a file in $GATE that says it has begun, and waits for ``$GATE/open``."""
    if is_meant(image, width):
        folder = os.environ["GATE"]
        open(os.path.join(folder, f"begun-{os.getpid()}"), "w").close()
        while not os.path.exists(os.path.join(folder, "open")):
            time.sleep(0.001)
    return image


@operation(version=1, example="counted:width=7")
def counted(image: Any, *, width: Width = 0) -> Any:
    """Adds a line to ``$GATE/ran``; ends its process like `segfault` does."""
    with open(os.path.join(os.environ["GATE"], "ran"), "a") as file:
        file.write(f"{image[0, 0, 0]}\n")
    return segfault(image, width=width)


@operation(version=1, example="ignores")
def ignores(image: Any) -> Any:
    """Fails unless its process ignores the signals meant for its worker."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(os.getpid(), number)
        if signal.getsignal(number) is not signal.SIG_IGN:
            raise RuntimeError(f"signal {number} is not ignored")
    return image


@operation(version=1, example="grow:mb=100")
def grow(image: Any, *, mb: Annotated[int, Range(1, 100_000), Doc("megabytes")] = 64) -> Any:
    """Takes memory and keeps it."""
    kept.append(bytearray(b"\1") * (mb << 20))
    return image


@operation(version=1, example="noted:kind=alpha")
def noted(image: Any, *, kind: Annotated[str, OneOf(*Note), Doc("of note")] = "warning") -> Any:
    """Leaves a note, as codecs do: one that names the picture by its first pixel."""
    notes.append((kind, f"of {image[0, 0, 0]}"))
    return image


def run_noting(*arguments: Any, **options: Any) -> Any:
    notes.clear()
    outcome = processing.run(*arguments, **options)
    return replace(outcome, notes=(*outcome.notes, *notes))


notes: list[tuple[str, str]] = []
task.run = run_noting  # type: ignore[attr-defined]  # in the process that loads this package
