"""Bytes → bytes: decode, apply a recipe, encode. Pure and public: any engine can run it.

Whatever goes wrong with a picture comes back as a value (`Outcome.failure`), never as an exception: an
operation may come from another package and raise anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING

from imgpipe import limits
from imgpipe.errors import ImageError, Kind
from imgpipe.facts import Times
from imgpipe.imaging import pixels
from imgpipe.imaging.codecs import WRITABLE, decode, encode
from imgpipe.imaging.codecs.ceiling import Ceiling
from imgpipe.imaging.codecs.decoding import refusal
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image
from imgpipe.imaging.recipe import Program, Recipe
from imgpipe.notes import Notes

if TYPE_CHECKING:
    import cv2
else:
    cv2 = lazy("cv2")


def prepare() -> None:
    """Loads OpenCV and NumPy now, for a process that works on one image at a time.

    Threads of their own would fight with the other processes. Decoders' warnings go to descriptor 2, up to
    140 KB for one file and without its name: what they mean comes back as a failure.
    """
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Either the encoded result or why there is none, and microseconds by stage (`facts.STAGES`).

    ``notes`` are pairs of a kind (`errors.Note`) and a text for people.
    """

    data: bytes | None
    failure: ImageError | None
    times: Times
    notes: Notes = ()


def process(data: bytes, recipe: Recipe, suffix: str) -> Outcome:
    """What ``recipe`` makes of the encoded image ``data`` from a file with ``suffix`` (``"jpg"``).

    The result is in the recipe's format, or else in that of ``suffix``. Of the times, read and write are 0.

    Raises
    ------
    UsageError
        The recipe cannot be done here, whatever the image.
    """
    return run(data, recipe.bind(), recipe.format or suffix, recipe, Ceiling())


def run(data: bytes, program: Program, suffix: str, recipe: Recipe, ceiling: Ceiling) -> Outcome:
    """`process`, with ``recipe`` bound to ``program`` already: for loops. ``suffix`` is the output's."""
    marks = [perf_counter_ns()]
    try:
        result = _encoded(data, program, suffix, recipe.quality, marks)
        failure = None
    except ImageError as error:
        result, failure = None, ImageError(error.kind, _tellable(error.message), again=error.again)
    except MemoryError:
        result, failure = None, ImageError(Kind.TOO_LARGE, "out of memory", again=True)
    marks += [perf_counter_ns()] * (4 - len(marks))
    start, decoded, operated, encoded = marks
    spent = ((decoded - start) // 1000, (operated - decoded) // 1000, (encoded - operated) // 1000)
    return Outcome(result, failure, (0, *spent, 0))


def _encoded(data: bytes, program: Program, suffix: str, quality: int, marks: list[int]) -> bytes:
    if suffix not in WRITABLE:
        raise ImageError(Kind.OPERATION, f"no codec writes {suffix!r}")
    image = decode(data, colour8=program.colour8)
    marks.append(perf_counter_ns())
    image = _applied(program, image)
    marks.append(perf_counter_ns())
    result = encode(image, suffix, quality)
    marks.append(perf_counter_ns())
    return result


def _applied(program: Program, image: Image) -> Image:
    for name, step in program.steps:
        try:
            image = step(image)
        except (ImageError, MemoryError):
            raise
        except cv2.error as error:
            raise refusal(error, Kind.OPERATION, f"{name}: ") from None
        except (Exception, SystemExit) as error:  # from another package: it may be anything
            raise ImageError(Kind.OPERATION, f"{name}: {str(error) or type(error).__name__}") from None
        if wrong := pixels.problem(image):
            raise ImageError(Kind.OPERATION, f"{name}: {wrong}")
    return image


def _tellable(message: str) -> str:
    """Text that fits in a message, whatever an exception had to say."""
    return message.encode(errors="replace").decode()[: limits.TEXT_MAX]
