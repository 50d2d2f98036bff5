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

A shared coordinator must not be stopped by ``*a*a*a*a*b``: tried out in all ways, that takes for ever. But a
gap need only be as short as can be if another gap, at least as wide, follows the text after it: the second
makes up for all that the first leaves. Such a gap and its text become an atomic group, which is never tried
again. So the ``*`` of one *block* (the text between two ``**``) are atomic but for the last, and so are whole
blocks but for the last; a ``**`` is tried anew for the ``*`` after it, which reach less far.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from imgpipe.errors import UsageError

_WITHIN = "[^/]*?"
_ACROSS = ".*?"
_FOLDERS = "(?:.*?/)??"
_WIDE = (_ACROSS, _FOLDERS)
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
    compiled = [_compiled(_as_text(pattern)) for pattern in patterns]

    def matches(path: str) -> bool:
        name = path.rpartition("/")[2]
        return any(regex.fullmatch(path if whole else name) for regex, whole in compiled)

    return matches


def _as_text(pattern: str) -> str:
    if not pattern.isascii() and any("\ud800" <= character <= "\udfff" for character in pattern):
        raise UsageError(f"pattern {pattern!r}: expected text; `?` matches a byte that is not UTF-8")
    return pattern


def _compiled(pattern: str) -> tuple[re.Pattern[str], bool]:
    """The regular expression, and whether it is for the whole path."""
    meant = pattern.removeprefix("/")
    if meant.endswith("/"):
        meant += "**"
    if not meant:
        raise UsageError(f"empty pattern {pattern!r}: expected a glob like '*.jpg' or 'raw/**'")
    pieces = [_piece(token, pattern) for token in _TOKEN.findall(meant)]
    return re.compile(_translated(pieces), re.IGNORECASE | re.DOTALL), "/" in pattern


def _translated(pieces: list[str]) -> str:
    *blocks, last = map(_block, _groups(pieces, _WIDE))
    return "".join(f"(?>{block})" for block in blocks) + last


def _block(pieces: list[str]) -> str:
    """Fixed text with ``*`` in it, after a wide gap or at the start of the pattern."""
    first, *middle = map("".join, _groups(pieces, (_WITHIN,)))
    last = middle.pop() if middle else ""
    return first + "".join(f"(?>{gap_and_text})" for gap_and_text in middle) + last


def _groups(pieces: list[str], gaps: tuple[str, ...]) -> Iterator[list[str]]:
    """Cut before each gap: what stands before the first one, then every gap with what follows it."""
    group: list[str] = []
    for piece in pieces:
        if piece in gaps:
            yield group
            group = []
        group.append(piece)
    yield group


def _piece(token: str, pattern: str) -> str:
    """One token of a pattern as a regular expression."""
    if token.startswith("**"):
        return _FOLDERS if token.endswith("/") else _ACROSS
    if token == "*":
        return _WITHIN
    if token == "?":
        return "[^/]"
    if token.startswith("["):
        return _set(token, pattern)
    return re.escape(token)


def _set(token: str, pattern: str) -> str:
    negated = token.startswith("[!")
    members = token[2 if negated else 1 : -1]
    if not members:
        raise UsageError(f"pattern {pattern!r}: '[' without its ']' (write '[[]' for the character itself)")
    body = "".join(_members(members, pattern))
    return f"(?!/)[{'^' if negated else ''}{body}]"


def _members(members: str, pattern: str) -> Iterator[str]:
    at = 0
    while at < len(members):
        low, high = members[at], members[at]
        if members[at + 1 : at + 2] == "-" and at + 2 < len(members):
            high = members[at + 2]
            if high < low:
                raise UsageError(f"pattern {pattern!r}: the range {low}-{high} runs backwards")
            at += 2
        at += 1
        yield re.escape(low) if low == high else f"{re.escape(low)}-{re.escape(high)}"
