"""Files by descriptor: folders kept open, opens that follow no link, files read whole and written whole."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from imgpipe.errors import ImageError, Kind
from imgpipe.schema import is_folder

ROOT = os.O_RDONLY | os.O_DIRECTORY
FOLDER = ROOT | os.O_NOFOLLOW
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK  # a FIFO without a writer must not hang
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW

Data = bytes | bytearray | memoryview


class KeptOpen:
    """Descriptors of the folders used last, of one owner or of several that share the room.

    Whatever one of them opens may close any of these descriptors: who needs one for longer than a call holds
    a duplicate of it, and those who share are of one thread.
    """

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._open: dict[tuple[object, bytes], int] = {}  # the one used last at the end

    def __len__(self) -> int:
        return len(self._open)

    def holds(self, owner: object, folder: bytes) -> bool:
        return (owner, folder) in self._open

    def use(self, owner: object, folder: bytes) -> int:
        """The descriptor of this folder, now the one used last; -1 if it is not open."""
        key = (owner, folder)
        descriptor = self._open.pop(key, -1)
        if descriptor >= 0:
            self._open[key] = descriptor
        return descriptor

    def keep(self, owner: object, folder: bytes, descriptor: int) -> None:
        """One that is not open yet; the one not used for longest makes room."""
        while len(self._open) >= self._count_max:
            os.close(self._open.pop(next(iter(self._open))))
        self._open[owner, folder] = descriptor

    def close_of(self, owner: object) -> None:
        for key in [key for key in self._open if key[0] is owner]:
            os.close(self._open.pop(key))

    def close(self) -> None:
        """Everybody's."""
        while self._open:
            os.close(self._open.popitem()[1])


def open_below(start: int, folder: bytes, make: bool) -> int:
    """A new descriptor of a folder below another. Every part is a directory and no link, or OSError."""
    if not is_folder(folder):
        raise ValueError(f"not a relative folder: {folder!r}")
    here = os.dup(start)
    try:
        for part in folder.split(b"/") if folder else ():
            below = _open_part(here, part, make)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here


def _open_part(parent: int, part: bytes, make: bool) -> int:
    try:
        return os.open(part, FOLDER, dir_fd=parent)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):  # another process was first
        os.mkdir(part, dir_fd=parent)
    return os.open(part, FOLDER, dir_fd=parent)


def read_whole(file: int, size_max: int) -> bytes:
    """All bytes of a regular file of at most ``size_max``; ImageError for any other."""
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(Kind.UNREADABLE, "not a regular file")
    size = status.st_size
    if size > size_max:
        raise ImageError(Kind.TOO_LARGE, f"a file of {size} bytes, at most {size_max} are read")
    data = os.read(file, size + 1)  # one more: a file that has grown shows at once
    return data if len(data) == size else _read_rest(file, data, size_max)


def _read_rest(file: int, start: bytes, size_max: int) -> bytes:
    """What a read came short of, or what has been written since the file was looked at."""
    data = bytearray(start)
    while len(data) <= size_max and (more := os.read(file, 1 << 20)):
        data += more
    if len(data) > size_max:
        raise ImageError(Kind.TOO_LARGE, f"a file that grew over {size_max} bytes while it was read")
    return bytes(data)


def create_anew(at: int, name: bytes) -> int:
    """A new empty file, open for writing; one that has the name already is removed."""
    try:
        return os.open(name, CREATE, 0o666, dir_fd=at)
    except FileExistsError:
        os.unlink(name, dir_fd=at)
    return os.open(name, CREATE, 0o666, dir_fd=at)


def fill(file: int, data: Data, fsync: bool) -> None:
    """Write all and close; a network file system may report a full disk only when the file is closed."""
    try:
        view = memoryview(data).cast("B")
        written = os.write(file, view)
        while written < len(view):
            written += os.write(file, view[written:])
        if fsync:
            os.fsync(file)
    except BaseException:
        with suppress(OSError):
            os.close(file)
        raise
    os.close(file)


def discard(at: int, name: bytes) -> None:
    """Remove a file on the way out of a failure."""
    with suppress(OSError):  # what made us discard it is what has to be told
        os.unlink(name, dir_fd=at)
