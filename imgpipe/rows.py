"""What stands in messages beside words and numbers: the rows of batches, and the shapes that check them.

Rows are plain tuples. There is one for each image and each message about it, so their checks are written to
be fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from imgpipe import limits
from imgpipe.errors import Kind
from imgpipe.notes import Notes, is_notes
from imgpipe.schema import COUNT, FLAG, NAME, TEXT, Shape, all_counts, integer, is_relative, octets, rows

#: One image for a worker: ``(task, attempt, name, size in bytes)``.
Item = tuple[int, int, bytes, int]
#: ``(task, attempt)``.
Token = tuple[int, int]
#: ``(task, attempt, read, decode, operate, encode, write)``, the last five in microseconds; then the notes,
#: only where there are any.
DoneRow = tuple[int, int, int, int, int, int, int] | tuple[int, int, int, int, int, int, int, Notes]
#: ``(task, attempt, kind, message, again)``; ``again``: another process might do better. Then notes as above,
#: and ``beyond``: it is more than this worker allows, and one that allows more would do better.
FailedRow = (
    tuple[int, int, str, str, bool]
    | tuple[int, int, str, str, bool, Notes]
    | tuple[int, int, str, str, bool, Notes, bool]
)

_KINDS = frozenset(map(str, Kind))
_KIND = Shape("kind of failure", lambda v: type(v) is str and v in _KINDS)


TIME = integer(0, limits.TIME_MAX_US)


def _is_done(row: tuple[Any, ...]) -> bool:
    timed = all_counts(row[:7]) and max(row[2:7]) <= limits.TIME_MAX_US
    return timed and (len(row) == 7 or is_notes(row[7]))


def _is_failed(row: tuple[Any, ...]) -> bool:
    task, attempt, kind, message, again = row[:5]
    told = all_counts((task, attempt)) and _KIND.accepts(kind) and TEXT.accepts(message)
    noted = len(row) == 5 or is_notes(row[5])
    return told and FLAG.accepts(again) and noted and (len(row) < 7 or FLAG.accepts(row[6]))


def _is_item(row: tuple[Any, ...]) -> bool:
    task, attempt, name, size = row[:4]
    return all_counts((task, attempt, size)) and type(name) is bytes and is_relative(name)


Items = Annotated[tuple[Item, ...], rows(COUNT, COUNT, NAME, COUNT, whole=_is_item)]
Tokens = Annotated[tuple[Token, ...], rows(COUNT, COUNT, whole=all_counts)]
DoneRows = Annotated[tuple[DoneRow, ...], rows(COUNT, COUNT, TIME, TIME, TIME, TIME, TIME, whole=_is_done)]
FailedRows = Annotated[tuple[FailedRow, ...], rows(COUNT, COUNT, _KIND, TEXT, FLAG, whole=_is_failed)]
Samples = Annotated[tuple[tuple[bytes, int], ...], rows(NAME, COUNT)]
Nonce = Annotated[bytes, octets(64)]


def _is_plain(value: Any, depth: int = 5) -> bool:
    """Arrays of text, bytes, numbers, flags and nothing, not too deep: what a recipe is made of."""
    if type(value) is tuple:
        return depth > 0 and len(value) <= 256 and all(_is_plain(v, depth - 1) for v in value)
    return value is None or type(value) in (str, bytes, int, float, bool)


Recipe = Annotated[tuple[Any, ...], Shape("recipe", lambda v: type(v) is tuple and _is_plain(v))]


def batches(all_rows: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """A long batch cut into ones that a message may hold."""
    for start in range(0, len(all_rows), limits.BATCH_MAX):
        yield tuple(all_rows[start : start + limits.BATCH_MAX])
