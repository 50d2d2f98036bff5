"""What decoders say on descriptor 2, heard instead of shown.

libtiff, libjpeg, libpng and OpenCV write warnings there, without a file's name and up to 140 KB for one TIFF.
While an image is decoded the descriptor leads into memory of a fixed size; what stands there afterwards is
told with the image. A write that finds no more room fails, and is lost.

The descriptor belongs to the whole process: threads take turns, and what another thread writes there at that
moment is taken for a decoder's words.
"""

from __future__ import annotations

import fcntl
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from imgpipe import limits

_SHOWN_MAX = 300  # characters of all warnings of one image that are told with it
_PREFIX = re.compile(
    r"^\[ *[A-Z]+: *\d+@[0-9.]+\] (?:global )?(?:\S+:\d+ )?(?:\S+ )??", re.M
)  # OpenCV's: time and place
_ERROR = re.compile(rb"^\[ERROR: *\d", re.M)  # OpenCV's log, libtiff's errors in it
_CUT_SHORT = re.compile(rb"premature end", re.I)  # libjpeg: it goes on in grey


class Hearing:
    """Listens on descriptor 2 while `listening` lasts. Who has the ``turn`` may, and reads what was said."""

    def __init__(self) -> None:
        self.turn = Lock()
        self._memory = _memory()
        self._text = b""

    def close(self) -> None:
        os.close(self._memory)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """What is written to descriptor 2 within the block is `said` after it."""
        shown = os.dup(2)
        os.lseek(self._memory, 0, os.SEEK_SET)
        os.dup2(self._memory, 2)
        try:
            yield
        finally:
            os.dup2(shown, 2)
            os.close(shown)
            written = os.lseek(self._memory, 0, os.SEEK_CUR)
            self._text = os.pread(self._memory, written, 0) if written else b""

    @property
    def said(self) -> str:
        """The latest warnings in a line, without OpenCV's time and place; nothing if there were none."""
        lines = [line.strip() for line in _PREFIX.sub("", self._text.decode("utf-8", "replace")).splitlines()]
        told = dict.fromkeys(filter(None, lines))  # the same warning may come for every row
        text = "; ".join(told)
        return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}… ({len(lines)} lines)"

    @property
    def failed(self) -> bool:
        """A decoder has told of an error, whatever it gave: libtiff leaves black what it cannot unpack."""
        return _ERROR.search(self._text) is not None

    @property
    def cut_short(self) -> bool:
        """A decoder has told that the pixels end early."""
        return _CUT_SHORT.search(self._text) is not None


def _memory() -> int:
    """The descriptor of memory of a fixed size."""
    if sys.platform == "linux":
        memory = os.memfd_create("imgpipe-hearing", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(memory, limits.WARNINGS_MAX)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
        return memory
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
