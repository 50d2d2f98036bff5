"""Names imgpipe makes itself, and outputs that would have the same name.

A temporary file carries job and attempt, so that the coordinator can remove by name what an attempt it wrote
off has left behind, or has not yet renamed: the rename then finds nothing, and the attempt is fenced off.

Two inputs collide when their outputs have one name. Where every output keeps its input's name there can be
none, and nothing is remembered. Where suffixes change, ``a.jpg`` and ``a.png`` both become ``a.webp``; names
stream past by the million, so what is kept of each is 8 bytes: its hash, and a number for the input's
suffix, from which the first input's name is made again. Where the file system folds case, or outputs are
named without the folder of their input, the first input's name cannot be made again, and the whole name is
kept; both are rare.
"""

from __future__ import annotations

import os
import unicodedata
from array import array
from bisect import bisect_left
from hashlib import blake2b

from imgpipe.errors import ImageError, Kind
from imgpipe.schema import shown
from imgpipe.storage.folder import Folder

_HASH_BITS, _CODE_BITS = 52, 12  # with the bucket's 16 bits: one false collision in 10⁷ jobs of 10⁷ names
_CODE_MAX = (1 << _CODE_BITS) - 1  # spellings of suffixes: ``.tiff`` has 16


def temporary_name(job: str, attempt: int) -> bytes:
    """The file an attempt writes beside its target before it renames it."""
    return b".imgpipe-%b-%d.tmp" % (job.encode(), attempt)


def nonce_name(job: str) -> bytes:
    """The file in the output directory by which a worker knows that it sees the right one."""
    return b".imgpipe-%b" % job.encode()


def folds_case(folder: Folder) -> bool:
    """Whether the file system takes ``a`` and ``A`` for one name there. Found by trying.

    Raises
    ------
    OSError
        Nothing can be written there.
    """
    probe = b".imgpipe-case-%b" % os.urandom(4).hex().encode()
    folder.create(probe)
    try:
        return folder.exists(probe.upper())
    finally:
        folder.remove(probe)


class Collisions:
    """Finds inputs whose outputs have the same name, or would replace an input, as names stream by."""

    def __init__(
        self, may_collide: bool, folds_case: bool, *, by_suffix: bool = True, inputs: bytes | None = None
    ) -> None:
        """``may_collide``: some outputs may have one name; ``folds_case``: see `folds_case`.

        ``by_suffix``: two inputs whose outputs have one name differ in their suffix alone. ``inputs``: where
        the folder of inputs lies in that of the outputs, if it does.
        """
        self._may_collide = may_collide
        self._key = _folded if folds_case else bytes
        self._inputs = None if inputs is None else self._key(inputs) + b"/"
        whole = folds_case or (may_collide and not by_suffix)
        self._spelled: dict[bytes, bytes] | None = {} if whole else None
        self._hashed: dict[int, array[int]] = {}
        self._codes: dict[bytes, int] = {}
        self._suffixes: list[bytes] = []

    def refuse_input(self, target: bytes) -> None:
        """Refuse an output that would lie among the inputs: one of them may have its name.

        Raises
        ------
        ImageError
            ``unwritable``.
        """
        if self._inputs is not None and self._key(target).startswith(self._inputs):
            raise ImageError(
                Kind.UNWRITABLE,
                f"its output {shown(target)} would lie in SOURCE, and might replace an image there: "
                "give another directory with -o",
            )

    def first(self, source: bytes, target: bytes) -> bytes | None:
        """The earlier input that has the same output, or None: then this one is remembered as the first.

        ``target`` is the output's relative name.
        """
        if self._spelled is not None:
            earlier = self._spelled.setdefault(self._key(target), source)
        elif self._may_collide:
            earlier = self._first_hashed(source, target)
        else:
            return None
        return None if earlier == source else earlier  # a listing may show one file twice

    def _first_hashed(self, source: bytes, target: bytes) -> bytes:
        stem, suffix = os.path.splitext(source)
        digest = int.from_bytes(blake2b(target, digest_size=9).digest())
        bucket = self._hashed.setdefault(digest >> 56, array("Q"))
        high = (digest >> 4 & (1 << _HASH_BITS) - 1) << _CODE_BITS
        place = bisect_left(bucket, high)
        if place < len(bucket) and bucket[place] >> _CODE_BITS == high >> _CODE_BITS:
            return stem + self._suffixes[bucket[place] & _CODE_MAX]
        bucket.insert(place, high | self._code(suffix))
        return source

    def _code(self, suffix: bytes) -> int:
        code = self._codes.get(suffix)
        if code is None and len(self._suffixes) <= _CODE_MAX:
            code = self._codes[suffix] = len(self._suffixes)
            self._suffixes.append(suffix)
        return 0 if code is None else code  # more spellings than there are: the message names another


def _folded(name: bytes) -> bytes:
    """One key for all spellings that some folding file system takes for one: rather one too many refused."""
    text = unicodedata.normalize("NFD", name.decode("utf-8", "surrogateescape")).casefold()
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogateescape")
