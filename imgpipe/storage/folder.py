"""A directory below a root: nothing outside the root is opened, and no output is ever half there.

*Inside.* The root may be reached through links: whoever named it chose so. Below it every part of a name is
opened on its own, relative to the descriptor of the part before and never through a link; so a link that is
swapped in between a look and an open is refused as well. Images come folder by folder, so the descriptors of
the folders used last are kept (`KeptOpen`). What fails because of them is tried once more without: a folder
removed or replaced since then answers ENOENT or ESTALE, and is opened again from the root down; where no
descriptor is left, all are given up.

*Whole.* A commit writes a temporary file beside its target and renames it: readers see the old file or the
new one. The rename is also the fence: whoever removes the temporary file first has taken the attempt's right
to commit, and the attempt sees that as ``False``, not as an error.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Self, TypeVar

from imgpipe import limits
from imgpipe.errors import ImageError, Kind
from imgpipe.storage.descriptors import (
    CREATE,
    READ,
    ROOT,
    Data,
    KeptOpen,
    create_anew,
    discard,
    fill,
    open_below,
    read_whole,
)

_STALE = (errno.ENOENT, errno.ESTALE)
_NONE_LEFT = (errno.EMFILE, errno.ENFILE)
_ABSENT = (FileNotFoundError, NotADirectoryError)
_NO_NAME = (b"", b".", b"..")
_PROBE_SIZE = 4096  # bytes: one block, so that a full disk is noticed

Result = TypeVar("Result")


def reason(error: OSError) -> str:
    """Why the operating system said no, in its own words, to stand in the middle of a sentence."""
    words = error.strerror or str(error)
    return words[:1].lower() + words[1:]


class Folder:
    """A directory below a root, and the files below it, by relative name (bytes, parts joined by ``/``).

    Names are checked: one that is absolute or has ``..`` in it raises ValueError. Everything else that goes
    wrong with a file raises OSError, where nothing else is said. Not for several threads at once.
    """

    def __init__(
        self, root: bytes, relative: bytes, *, make: bool = False, kept: KeptOpen | None = None
    ) -> None:
        """``root`` is absolute, ``relative`` below it (``b""``: the root), and made if missing with ``make``.

        Folders given the same ``kept`` share its room.

        Raises
        ------
        OSError
            It is missing, no directory, behind a link below the root, or cannot be read.
        """
        self.root = root
        self.relative = relative
        self.path = os.path.join(root, relative) if relative else root
        self._kept = KeptOpen(limits.DIRECTORY_CACHE) if kept is None else kept
        try:
            self._kept.keep(self, b"", self._open_fresh(b"", make))
        except OSError as error:
            words = error.strerror
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                words = "Not a directory (links below a root are not followed)"
            raise OSError(error.errno, words, self.path) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Folder({self.root!r}, {self.relative!r})"

    def close(self) -> None:
        """Give all descriptors back. A later use opens anew."""
        self._kept.close_of(self)

    def open_folder(self, folder: bytes = b"") -> int:
        """A new descriptor of a folder below, opened from the root down. The caller closes it."""
        return self._open_fresh(folder, make=False)

    def read(self, name: bytes, size_max: int) -> bytes:
        """All bytes of a regular file.

        Raises
        ------
        ImageError
            `Kind.TOO_LARGE` over ``size_max`` bytes, before it is read; `Kind.UNREADABLE` if it is a link, a
            directory, a FIFO or a device.
        """
        folder, last = _split(name)
        try:
            file = self._lasting(folder, lambda at: os.open(last, READ, dir_fd=at))
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO):
                raise ImageError(Kind.UNREADABLE, "not a regular file") from None
            raise
        try:
            return read_whole(file, size_max)
        finally:
            os.close(file)

    def size(self, name: bytes) -> int:
        """Bytes of a file; of a link, the link's own."""
        folder, last = _split(name)
        status = self._lasting(folder, lambda at: os.stat(last, dir_fd=at, follow_symlinks=False))
        return status.st_size

    def exists(self, name: bytes) -> bool:
        """Whether there is anything of that name."""
        try:
            self.size(name)
        except _ABSENT:
            return False
        return True

    def remove(self, name: bytes) -> bool:
        """Remove a file, or a link itself; False if there was none."""
        folder, last = _split(name)
        try:
            self._lasting(folder, lambda at: os.unlink(last, dir_fd=at))
        except _ABSENT:
            return False
        return True

    def create(self, name: bytes, data: Data = b"") -> None:
        """Make a file that is not there yet (FileExistsError if it is)."""
        folder, last = _split(name)
        at, file = self._lasting(folder, lambda at: (at, os.open(last, CREATE, 0o666, dir_fd=at)))
        try:
            fill(file, data, fsync=False)
        except BaseException:
            discard(at, last)
            raise

    def commit(
        self,
        name: bytes,
        temporary: bytes,
        data: Data,
        still_valid: Callable[[], bool],
        fsync: bool = False,
    ) -> bool:
        """Put ``data`` in place of ``name`` at once and whole; make the folders its name goes through.

        ``temporary`` is a file name without a folder. ``still_valid`` is asked when all is written, just
        before the rename. With ``fsync`` the file survives a power loss once this returns.

        Returns False, with nothing changed, if it was no longer valid or if someone removed the temporary
        file meanwhile. The temporary file is gone in every case.
        """
        if b"/" in temporary:
            raise ValueError(f"not the name of a file: {temporary!r}")
        folder, last = _split(name)
        # a duplicate: what `still_valid` does with this folder may close the one that is kept
        at, file = self._lasting(folder, lambda at: _begun(at, temporary), make=True)
        committed = False
        try:
            fill(file, data, fsync)
            committed = still_valid() and self._renamed(folder, at, temporary, last)
            if committed and fsync:
                os.fsync(at)
        finally:
            if not committed:
                discard(at, temporary)
            os.close(at)
        return committed

    def problem(self) -> str:
        """Why no file can be written here (``read-only file system``, …), or nothing. Found by trying."""
        probe = b".imgpipe-probe-%b" % os.urandom(4).hex().encode()
        try:
            self.create(probe, bytes(_PROBE_SIZE))
            self.remove(probe)
        except OSError as error:
            return reason(error)
        return ""

    def _lasting(self, folder: bytes, act: Callable[[int], Result], make: bool = False) -> Result:
        try:
            return act(self._at(folder, make))
        except OSError as error:
            if not self._given_up(error):
                raise
        return act(self._at(folder, make))

    def _given_up(self, error: OSError) -> bool:
        """Whether descriptors that are kept may have caused this; then they are closed."""
        if error.errno in _STALE:
            self.close()
        elif error.errno in _NONE_LEFT:
            self._kept.close()
        else:
            return False
        return True

    def _at(self, folder: bytes, make: bool = False) -> int:
        descriptor = self._kept.use(self, folder)
        if descriptor < 0:
            descriptor = self._descend(folder, make)
            self._kept.keep(self, folder, descriptor)
        return descriptor

    def _descend(self, folder: bytes, make: bool) -> int:
        if not folder:
            return self._open_fresh(b"", make=False)
        known = folder.rpartition(b"/")[0]
        while known and not self._kept.holds(self, known):
            known = known.rpartition(b"/")[0]
        rest = folder[len(known) + 1 :] if known else folder
        return open_below(self._at(known), rest, make)

    def _open_fresh(self, folder: bytes, make: bool) -> int:
        try:
            return self._open_from_root(folder, make)
        except OSError as error:
            if error.errno not in _NONE_LEFT:
                raise
        self._kept.close()
        return self._open_from_root(folder, make)

    def _open_from_root(self, folder: bytes, make: bool) -> int:
        root = os.open(self.root, ROOT)
        try:
            return open_below(root, b"/".join(filter(None, (self.relative, folder))), make)
        finally:
            os.close(root)

    def _renamed(self, folder: bytes, at: int, temporary: bytes, last: bytes) -> bool:
        try:
            os.rename(temporary, last, src_dir_fd=at, dst_dir_fd=at)
        except FileNotFoundError:
            if not self._is_current(folder, at):
                raise  # not fenced off: the folder itself has been removed or replaced
            return False
        return True

    def _is_current(self, folder: bytes, at: int) -> bool:
        try:
            fresh = self.open_folder(folder)
        except OSError:
            return False
        try:
            return os.path.samestat(os.fstat(fresh), os.fstat(at))
        finally:
            os.close(fresh)


def _begun(at: int, temporary: bytes) -> tuple[int, int]:
    """A duplicate of a folder's descriptor, and the new file in it."""
    own = os.dup(at)
    try:
        return own, create_anew(own, temporary)
    except BaseException:
        os.close(own)
        raise


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Folder and last part. The folder is checked when it is opened."""
    folder, _, last = name.rpartition(b"/")
    if last in _NO_NAME or (not folder and name[:1] == b"/"):
        raise ValueError(f"not the relative name of a file: {name!r}")
    return folder, last
