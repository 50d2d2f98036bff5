"""The patterns of ``--include`` and ``--exclude``.

==========  ===========================================================================
``*``       any characters within one part of a path
``?``       one character, not ``/``
``[a-z]``   one character of a set, ``[!a-z]`` one that is not in it; never ``/``
``**``      any characters, ``/`` too
``**/``     at the start of a part: any number of folders, or none
==========  ===========================================================================

A pattern without ``/`` is matched against the file name, one with ``/`` against the whole relative path (a
leading ``/`` changes nothing else; ``raw/`` means ``raw/**``). Case never matters.

A shared coordinator must not be stopped by ``*a*a*a*a*b``. A gap needs to be tried at its shortest only, if what
follows it is another gap at least as wide: whatever the longer one leaves for the rest, the shorter leaves too.
So each such gap, with the fixed text after it, becomes an atomic group, and matching stays near linear. The texts
between two ``**`` are *blocks* (`_block`) and the gaps inside are ``*``: shortest first holds among the
``*`` of a block, and among the blocks, but not between a ``**`` and the ``*`` after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from imgpipe.errors import UsageError

_WITHIN = "[^/]*?"
_ACROSS = ".*?"
_FOLDERS = "(?:.*?/)??"
_TOKEN = re.compile(r"(?<![^/])\*\*+/|\*\*+|\*|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)

#: Whether a relative path (as text) is meant.
Matcher = Callable[[str], bool]


def matcher(patterns: Iterable[str]) -> Matcher:
    """Whether any of the patterns means a path.

    Raises
    ------
    UsageError
        An empty pattern, a ``[`` without its ``]``, a range that runs backwards.
    """
    compiled = [_compiled(pattern) for pattern in patterns]

    def matches(path: str) -> bool:
        name = path.rpartition("/")[2]
        return any(regex.fullmatch(path if whole else name) for regex, whole in compiled)

    return matches


def _compiled(pattern: str) -> tuple[re.Pattern[str], bool]:
    """The regular expression, and whether it is for the whole path."""
    whole = "/" in pattern
    meant = pattern.removeprefix("/")
    if meant.endswith("/"):
        meant += "**"
    if not meant:
        raise UsageError(f"the pattern {pattern!r} is empty: expected a glob like '*.jpg' or 'raw/**'")
    return re.compile(_translated(meant, pattern), re.IGNORECASE | re.DOTALL), whole


def _translated(meant: str, pattern: str) -> str:
    pieces = list(_pieces(meant, pattern))
    bounds = [at for at, piece in enumerate(pieces) if piece in (_ACROSS, _FOLDERS)]
    parts = [_block(pieces[: bounds[0]] if bounds else pieces)]
    for start, end in zip(bounds, [*bounds[1:], len(pieces)], strict=True):
        block = pieces[start] + _block(pieces[start + 1 : end])
        parts.append(block if end == len(pieces) else f"(?>{block})")
    return "".join(parts)


def _block(pieces: list[str]) -> str:
    """Fixed text with ``*`` in it: every gap but the last is shortest first and for good."""
    first, *others = "\0".join(pieces).replace("\0", "\0\0").split(f"\0{_WITHIN}\0")
    raise NotImplementedError(first, others)


def _pieces(meant: str, pattern: str) -> Iterator[str]:
    raise NotImplementedError
