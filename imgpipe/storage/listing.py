"""The images of a folder, one by one as the directory is read.

A listing holds one open directory for each level it is down, never a list of names: memory is O(depth), the
first image is there before the directory has been read, and nothing is sorted. Links are not followed. What
is not an image to be processed is told as `Passed`, with the reason, so that nothing is left out silently.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from imgpipe import limits
from imgpipe.schema import is_relative, shown
from imgpipe.storage.descriptors import FOLDER
from imgpipe.storage.folder import Folder, reason
from imgpipe.storage.globs import Matcher, matcher


class Entry(NamedTuple):
    """An image to be processed: its name relative to the folder, bytes, time of its last change."""

    name: bytes
    size: int
    mtime_ns: int


class Passed(NamedTuple):
    """What is not processed, and why. A folder passed over counts once, with all that is in it."""

    name: bytes
    why: str
    lost: bool = False  # it may hold images, and could not be looked at


def walk(
    folder: Folder,
    *,
    suffixes: frozenset[bytes],
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    skip: bytes | None = None,
) -> Iterator[Entry | Passed]:
    """The images below a folder, in the order the file system has them.

    ``suffixes`` are in lower case and with their dot; files that have them in any case are images.
    ``include`` narrows that, ``exclude`` wins (`globs`). ``skip`` is a folder below that is not listed and
    not told.

    Raises
    ------
    UsageError
        At once, for a bad pattern.
    OSError
        From the iterator: the folder itself cannot be opened or read. Of folders below that is a `Passed`.
    """
    choice = _Choice(suffixes, matcher(include) if include else None, matcher(exclude) if exclude else None)
    return _walk(folder, choice, skip)


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which files are images to be processed."""

    suffixes: frozenset[bytes]
    included: Matcher | None
    excluded: Matcher | None

    def against(self, name: bytes) -> str:
        """Why a file is not chosen, or nothing."""
        _, dot, suffix = name.rpartition(b".")
        if dot + suffix.lower() not in self.suffixes:
            return "other suffix"
        if self.excluded is None and self.included is None:
            return ""
        path = os.fsdecode(name)
        if self.excluded is not None and self.excluded(path):
            return "excluded"
        return "not included" if self.included is not None and not self.included(path) else ""


class _Level:
    """One open directory of the way down."""

    def __init__(self, name: bytes, descriptor: int) -> None:
        """Takes the descriptor over, and closes it if the directory cannot be read."""
        self.name = name
        self.prefix = name + b"/" if name else b""
        self.descriptor = descriptor
        try:
            self.entries = os.scandir(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def down(self, part: str, name: bytes) -> _Level:
        return _Level(name, os.open(part, FOLDER, dir_fd=self.descriptor))

    def close(self) -> None:
        self.entries.close()
        os.close(self.descriptor)


def _walk(folder: Folder, choice: _Choice, skip: bytes | None) -> Iterator[Entry | Passed]:
    levels = [_Level(b"", folder.open_folder())]
    try:
        while levels:
            found = _step(levels, choice, skip)
            if found is not None:
                yield found
    finally:
        for level in levels:
            level.close()


def _step(levels: list[_Level], choice: _Choice, skip: bytes | None) -> Entry | Passed | None:
    """Read one entry of the deepest open directory; go down or up as it says."""
    level = levels[-1]
    try:
        entry = next(level.entries, None)
    except OSError as error:
        if len(levels) == 1:
            raise
        levels.pop().close()
        return Passed(level.name, reason(error), lost=True)
    if entry is None:
        levels.pop().close()
        return None
    name = level.prefix + os.fsencode(entry.name)
    try:
        return _look(entry, name, levels, choice, skip)
    except OSError as error:
        return Passed(name, reason(error), lost=True)


def _look(
    entry: os.DirEntry[str], name: bytes, levels: list[_Level], choice: _Choice, skip: bytes | None
) -> Entry | Passed | None:
    if name == skip:
        return None
    if not is_relative(name):
        why = f"holds a name too long to be sent: {shown(name)[-60:]}"
        return Passed(levels[-1].name, why, lost=True)
    if entry.name.startswith("."):
        return Passed(name, "hidden")
    if entry.is_symlink():
        return Passed(name, "link")
    if entry.is_dir(follow_symlinks=False):
        return _down(entry, name, levels)
    if not entry.is_file(follow_symlinks=False):
        return Passed(name, "special file")
    why = choice.against(name)
    if why:
        return Passed(name, why)
    status = entry.stat(follow_symlinks=False)
    return Entry(name, status.st_size, status.st_mtime_ns)


def _down(entry: os.DirEntry[str], name: bytes, levels: list[_Level]) -> Passed | None:
    if len(levels) > limits.DEPTH_OF_FOLDERS_MAX:
        return Passed(name, f"more than {limits.DEPTH_OF_FOLDERS_MAX} folders deep", lost=True)
    levels.append(levels[-1].down(entry.name, name))
    return None
