"""Bytes → bytes: decode, apply a recipe, encode. Pure and public: any engine can run it.

Whatever goes wrong with a picture comes back as a value (`Outcome.failure`), never as an exception: an
operation may come from another package and raise anything, and a codec of ours may have a fault. What went
right, but not wholly as the picture's owner might expect, stands beside the result (`Outcome.notes`).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from pathlib import PurePath
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeVar

from imgpipe import limits
from imgpipe.errors import ImageError, Kind, Note
from imgpipe.facts import Times
from imgpipe.imaging import pixels, shortage
from imgpipe.imaging.codecs import WRITABLE, Ceiling, Picture, Remark, codec, decode, encode, inspect
from imgpipe.imaging.codecs.decoding import refusal, switched_off
from imgpipe.imaging.hearing import Hearing
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image
from imgpipe.imaging.recipe import Program, Recipe
from imgpipe.notes import Notes

if TYPE_CHECKING:
    import cv2
else:
    cv2 = lazy("cv2")

_T = TypeVar("_T")
_DEFAULT = Ceiling()
_METADATA = (Note.EXIF, Note.ICC, Note.XMP, Note.IPTC)


def prepare() -> None:
    """Loads OpenCV and NumPy now, for a process that works on one image at a time.

    Threads of their own would fight with the other processes.
    """
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_WARNING)  # `hearing` tells them


@dataclass(frozen=True, slots=True)
class Outcome:
    """Either the encoded result or why there is none, and microseconds by stage (`facts.STAGES`).

    ``notes`` are pairs of a kind (`errors.Note`) and a text for people.
    """

    data: bytes | None
    failure: ImageError | None
    times: Times
    notes: Notes = ()


def process(data: bytes, recipe: Recipe, suffix: str, ceiling: Ceiling = _DEFAULT) -> Outcome:
    """What ``recipe`` makes of the encoded image ``data`` from a file with ``suffix`` (``"jpg"``).

    The result is in the recipe's format, or else in that of ``suffix``. Of the times, read and write are 0.
    Descriptor 2 of this process is listened on while a decoder is at work: what it says there alone tells a
    damaged picture from a sound one. Threads take turns with it.

    Raises
    ------
    UsageError
        The recipe cannot be done here, whatever the image.
    """
    program, output = recipe.bind(), recipe.format or suffix
    lowered = ceiling.lowered(recipe.pixels_max)
    return run(data, program, output, recipe, lowered, named=suffix, hearing=own_hearing())


@cache
def own_hearing() -> Hearing:
    """The one of this process: descriptor 2 is there once."""
    return Hearing()


def run(
    data: bytes,
    program: Program,
    suffix: str,
    recipe: Recipe,
    ceiling: Ceiling = _DEFAULT,
    *,
    named: str = "",
    hearing: Hearing | None = None,
) -> Outcome:
    """`process`, with the recipe bound already: for loops.

    ``suffix`` is the output's, ``named`` the input's; ``ceiling`` has been lowered to what the recipe allows.
    With ``hearing``, what decoders warn of is among the notes, and a failure where the recipe is strict.
    """
    work = _Work(data, program, recipe, ceiling, named, hearing)
    failure = result = None
    shortage.forget()
    try:
        result = work.encoded(suffix)
    except ImageError as error:
        failure = _judged(error, short=shortage.seen())
    except MemoryError:
        failure = ImageError(Kind.TOO_LARGE, "out of memory", again=True)
    except Exception as error:  # of a codec, and our own: no picture may end a process that serves others
        failure = ImageError(Kind.UNREADABLE, _tellable(_fault(error)))
    return Outcome(result, failure, work.times(), tuple(work.notes))


@dataclass(slots=True)
class _Work:
    """One image on its way; ``marks`` are taken after each stage, ``notes`` gathered in each."""

    data: bytes
    program: Program
    recipe: Recipe
    ceiling: Ceiling
    named: str
    hearing: Hearing | None
    marks: list[int] = field(default_factory=lambda: [perf_counter_ns()])
    notes: list[Remark] = field(default_factory=list)

    def encoded(self, suffix: str) -> bytes:
        if suffix not in WRITABLE:
            raise ImageError(Kind.OPERATION, f"no codec writes {suffix!r}: choose a --format")
        if (format_ := codec(suffix)).key in self.ceiling.off:
            raise ImageError(Kind.OPERATION, switched_off(format_), beyond=True)
        for step, file in self.program.embedded:
            _hold(step, file, self.ceiling)
        picture = self._picture()
        self.notes += filter(self._matters, picture.remarks)
        self._refuse_warnings()
        self._mark()
        picture.frames = [_applied(self.program, frame) for frame in picture.frames]
        self._mark()
        result = self._written(picture, suffix)
        self._mark()
        return result

    def _decoded(self) -> Picture:
        return decode(
            self.data,
            suffix=self.named,
            pages=self.recipe.pages,
            ceiling=self.ceiling,
            colour8=self.program.colour8,
            resampled=self.program.resampled,
            luma=self.program.luma,
        )

    def _picture(self) -> Picture:
        """The picture. What a decoder gave beside an error is not the whole picture."""
        if self.hearing is None:
            return self._decoded()
        with self.hearing.turn:
            picture = self._heard(self.hearing, self._decoded)
            said = self.hearing.said
            if self.hearing.cut_short:
                raise ImageError(Kind.TRUNCATED, f"its pixels end early: {said}")
            if self.hearing.failed:
                raise ImageError(Kind.UNREADABLE, f"damaged: {said}")
            return picture

    def _written(self, picture: Picture, suffix: str) -> bytes:
        work = partial(encode, picture, suffix, self.recipe.quality, self.recipe.metadata)
        if self.hearing is None:
            result, remarks = work()
        else:
            with self.hearing.turn:
                result, remarks = self._heard(self.hearing, work, "its encoder: ")
        self.notes += remarks
        return result

    def _heard(self, hearing: Hearing, work: Callable[[], _T], whose: str = "") -> _T:
        """What ``work`` gives; what it says meanwhile is noted."""
        try:
            with hearing.listening():
                return work()
        finally:
            if hearing.said:
                self.notes.append((str(Note.WARNING), whose + hearing.said))

    def _matters(self, remark: Remark) -> bool:
        """It is no loss of what was to be stripped."""
        return self.recipe.metadata != "strip" or remark[0] not in _METADATA

    def _refuse_warnings(self) -> None:
        if not self.recipe.strict:
            return
        if warnings := [text for kind, text in self.notes if kind == Note.WARNING]:
            said = "; ".join(warnings)
            raise ImageError(Kind.UNREADABLE, f"its decoder warned, and the recipe is strict: {said}")

    def _mark(self) -> None:
        self.marks.append(perf_counter_ns())

    def times(self) -> Times:
        """Microseconds; a stage that was not reached took none."""
        start, decoded, operated, encoded = self.marks + [perf_counter_ns()] * (4 - len(self.marks))
        return (
            0,
            (decoded - start) // 1000,
            (operated - decoded) // 1000,
            (encoded - operated) // 1000,
            0,
        )


@lru_cache(maxsize=16)
def _hold(step: str, file: bytes, ceiling: Ceiling) -> None:
    """Hold an image file within a recipe to what holds for the pictures; its step decodes it later."""
    try:
        inspect(file, ceiling=ceiling)
    except ImageError as error:
        said = f"{step}: its own image: {error.message}"
        raise ImageError(Kind.OPERATION, said, beyond=error.beyond) from None


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


def _judged(error: ImageError, *, short: bool) -> ImageError:
    """What is told of a failure. OpenCV tells of some lack of memory as of a picture it cannot read."""
    if short and error.kind in (Kind.UNREADABLE, Kind.TRUNCATED, Kind.OPERATION):
        return ImageError(Kind.TOO_LARGE, "out of memory", again=True)
    return ImageError(error.kind, _tellable(error.message), again=error.again, beyond=error.beyond)


def _fault(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    at = f"{PurePath(place.filename).name}:{place.lineno}"
    return f"a fault of imgpipe's own ({type(error).__name__} at {at}: {error}): report it with this file"


def _tellable(message: str) -> str:
    """Text that fits in a message, whatever an exception had to say."""
    return message.encode(errors="replace").decode()[: limits.TEXT_MAX]
