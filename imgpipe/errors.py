"""The ways things go wrong, by who must act.

::

    ImgpipeError
    ├── UsageError      the user, now: words, a recipe, roots, machines.txt, a taken port   exit 2
    ├── UnfinishedError the user, later: no coordinator, refused, connection lost           exit 4
    ├── FaultError      the administrator: this machine cannot do its part              exit 1
    ├── ProtocolError   the peer: that connection closes, and nothing else happens
    └── ImageError      the picture: it travels as a value and ends as a result

Everything else is a fault of imgpipe's own: it propagates (exit 1).
"""

from __future__ import annotations

from difflib import get_close_matches
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """What a command's exit code tells a script."""

    DONE = 0
    FAULT = 1
    USAGE = 2
    SOME_FAILED = 3
    UNFINISHED = 4
    INTERRUPTED = 130
    TERMINATED = 143


class Kind(StrEnum):
    """Why an image has no output. The values are part of ``--json``."""

    UNREADABLE = "unreadable"  # no decoder takes it
    TRUNCATED = "truncated"  # it ends before its pixels do
    TOO_LARGE = "too_large"  # over the pixel, byte or memory limit
    CRASHED = "crashed"  # its process died
    TIMEOUT = "timeout"  # its process was killed at the time limit
    OPERATION = "operation"  # a step of the recipe refused it
    MISSING = "missing"  # gone since it was listed
    UNWRITABLE = "unwritable"  # its output could not be written
    COLLISION = "collision"  # another input has the same output
    EXISTS = "exists"  # an output is already there, and --existing error
    LOST = "lost"  # worker after worker died under it


class Note(StrEnum):
    """What became of a picture that is done, but not wholly as its owner might expect. Part of ``--json``."""

    ALPHA = "alpha"  # the output has no place for transparency, or a step dropped it
    DEPTH = "depth"  # fewer bits in the output than in the input
    EXIF = "exif"  # … this was not carried over,
    ICC = "icc"  # … or this, or what a file says of its colours instead of a profile,
    XMP = "xmp"  # … or this
    IPTC = "iptc"  # … or this
    COLOURS = "colours"  # converted without the colour profile they were meant for (CMYK)
    PAGES = "pages"  # the file has more pages or frames than were read
    TIMING = "timing"  # frames lost how long each is shown, or how often all are
    SUFFIX = "suffix"  # the suffix names another format than the file has
    WARNING = "warning"  # what a decoder had to say


class ImgpipeError(Exception):
    """The root of every error imgpipe raises on purpose."""


class UsageError(ImgpipeError):
    """What the user asked for cannot be done as asked; the message says what would."""


class UnfinishedError(ImgpipeError):
    """The work was asked for correctly and is not finished."""


class FaultError(ImgpipeError):
    """This machine cannot do its part: processes that do not start, a library that is broken."""


class ProtocolError(ImgpipeError):
    """A peer broke the protocol: its connection is closed, nothing else happens."""


class ImageError(ImgpipeError):
    """One image cannot be processed.

    ``again`` says that another process or worker might do better (a crash, a time-out, no memory);
    ``beyond``, that only a machine which allows more would (a limit or a format of this one refuses it).
    """

    def __init__(self, kind: Kind, message: str, *, again: bool = False, beyond: bool = False) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message
        self.again = again
        self.beyond = beyond

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def nearest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'blur'?)`` for the known name nearest to ``word`` in any case, or nothing."""
    names = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), names, n=1)
    return f" (did you mean {names[close[0]]!r}?)" if close else ""
