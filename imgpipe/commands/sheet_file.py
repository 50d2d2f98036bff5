"""The file a contact sheet goes to: nothing else is ever overwritten, and no image of SOURCE is added.

A sheet is known again by its XMP metadata, which names the command that made it. So it has one of the formats
that carry XMP and that every browser shows.
"""

from __future__ import annotations

import os

from imgpipe import limits, storage
from imgpipe.api import absolute
from imgpipe.errors import ImageError, UsageError
from imgpipe.imaging.codecs import Picture, encode, inspect, suffix_of
from imgpipe.imaging.codecs.containers.metadata import Metadata
from imgpipe.imaging.pixels import Image
from imgpipe.schema import shown

#: Suffixes of sheets.
SUFFIXES = ("png", "jpg", "jpeg", "webp")

_MARK = b'xmp:CreatorTool="imgpipe try"'
_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" %b/></rdf:RDF></x:xmpmeta>'
) % _MARK


def checked_suffix(path: str) -> str:
    """The suffix of a sheet's file.

    Raises
    ------
    UsageError
        No sheet is written in that format.
    """
    suffix = suffix_of(absolute(path))
    if suffix not in SUFFIXES:
        raise UsageError(f"{path}: expected a file name that ends in .{', .'.join(SUFFIXES)}")
    return suffix


def check(path: bytes, source: bytes) -> None:
    """Whether a sheet can be written to the absolute ``path``, before any work is done for it.

    Raises
    ------
    UsageError
        It cannot: a directory that is not there or cannot be written to, another file in its place, or it
        would be listed as an image of ``source``.
    """
    directory, name = os.path.split(path)
    if _is_inside(directory, source):
        raise UsageError(
            f"the sheet {shown(path)} would lie in SOURCE, and the next run would take it for an image: "
            "give it another place with -o, such as -o ../imgpipe-try.png"
        )
    try:
        with storage.Folder(directory, b"") as folder:
            why = folder.problem() or _holder(folder, name)
    except OSError as error:
        why = storage.reason(error)
    if why:
        raise UsageError(f"cannot write the sheet {shown(path)}: {why}; give another FILE with -o")


def write(path: bytes, image: Image) -> None:
    """Put a sheet at ``path``, at once and whole.

    Raises
    ------
    UsageError
        It cannot be written.
    """
    directory, name = os.path.split(path)
    data, _ = encode(Picture([image], metadata=Metadata(xmp=_XMP)), suffix_of(name))
    temporary = b".imgpipe-sheet-%d.tmp" % os.getpid()
    try:
        with storage.Folder(directory, b"") as folder:
            folder.commit(name, temporary, data, lambda: True)
    except OSError as error:
        raise UsageError(
            f"cannot write the sheet {shown(path)}: {storage.reason(error)}; give another FILE with -o"
        ) from None


def _is_inside(directory: bytes, source: bytes) -> bool:
    inner, outer = os.path.realpath(directory), os.path.realpath(source)
    return os.path.commonpath([inner, outer]) == outer


def _holder(folder: storage.Folder, name: bytes) -> str:
    """What stands in the place of a sheet and is none, or nothing."""
    if not folder.exists(name):
        return ""
    try:
        _, header = inspect(folder.read(name, limits.SHEET_BYTES_MAX))
    except ImageError:
        return _OTHER
    return "" if _MARK in header.metadata.xmp else _OTHER


_OTHER = "there is a file of that name that is no sheet, and it is not overwritten"
