"""What there is to tell of a picture beside its end: notes, pairs ``(kind, text)``.

A kind is one of `errors.Note`; the text is for people, and says what this one picture lost or was. Notes
travel untouched from the process that made them to whoever follows the job. What is summed up is images:
one with three warnings counts once. `SENTENCES` holds the words for such sums, and nothing else does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from imgpipe import limits
from imgpipe.errors import Note

Notes = tuple[tuple[str, str], ...]

_KINDS = frozenset(map(str, Note))

#: What is said of a picture's file, and so is true of one that has no output.
_OF_INPUTS = frozenset(map(str, (Note.SUFFIX, Note.WARNING)))

_NOT_CARRIED = ": it cannot be read from the input, or the output's format does not carry it"

#: By kind, what one image did, what several did, and what there is to know or to do about it.
SENTENCES: Mapping[str, tuple[str, str, str]] = {
    Note.ALPHA: (
        "lost its transparency",
        "lost their transparency",
        ": the output's format has none, a step drops it, or the input's is not read",
    ),
    Note.DEPTH: (
        "has fewer bits a channel, or fewer colours, than its input",
        "have fewer bits a channel, or fewer colours, than their inputs",
        ": the output's format holds no more, or a step gives no more",
    ),
    Note.EXIF: ("lost its EXIF data", "lost their EXIF data", _NOT_CARRIED),
    Note.ICC: (
        "lost its colour profile",
        "lost their colour profiles",
        f"{_NOT_CARRIED}, or pixels became others than it is for; colours may look different",
    ),
    Note.XMP: ("lost its XMP data", "lost their XMP data", _NOT_CARRIED),
    Note.IPTC: ("lost its IPTC data", "lost their IPTC data", _NOT_CARRIED),
    Note.COLOURS: (
        "was converted without the colour profile it was meant for",
        "were converted without the colour profiles they were meant for",
        ": look at the colours",
    ),
    Note.PAGES: (
        "has more pages than the first",
        "have more pages than the first",
        "; --pages all keeps them, but for those of a JPEG",
    ),
    Note.TIMING: (
        "lost how long or how often its frames are shown",
        "lost how long or how often their frames are shown",
        ": the output's format does not say it",
    ),
    Note.SUFFIX: (
        "is of another format than its suffix says",
        "are of other formats than their suffixes say",
        " (--json or -v names them)",
    ),
    Note.WARNING: ("had decoder warnings", "had decoder warnings", " (--json or -v names them)"),
}


def is_kind(value: Any) -> bool:
    return type(value) is str and value in _KINDS


def is_notes(value: Any) -> bool:
    """Whether this is a tuple of pairs within every limit."""
    return type(value) is tuple and len(value) <= limits.NOTES_MAX and all(map(_is_note, value))


def _is_note(value: Any) -> bool:
    if type(value) is not tuple or len(value) < 2 or not is_kind(value[0]):
        return False
    return type(value[1]) is str and len(value[1]) <= limits.NOTE_MAX


def fitted(notes: Iterable[tuple[str, str]]) -> Notes:
    """As much of these notes as a message may hold, in text that can be sent."""
    cut = ((str(kind), text.encode(errors="replace").decode()[: limits.NOTE_MAX]) for kind, text in notes)
    return tuple(cut)[: limits.NOTES_MAX]


def of_input(notes: Iterable[tuple[str, str]]) -> Notes:
    """Those that are true of a picture without output: it has lost nothing."""
    return tuple(note for note in notes if note[0] in _OF_INPUTS)


def kinds(notes: Notes) -> set[str]:
    """What an image with these notes counts for."""
    return {note[0] for note in notes}


def sentences(counts: Mapping[str, int]) -> list[str]:
    """A line for each kind, in the order of `errors.Note`, about that many images."""
    return [_sentence(kind, counts[kind]) for kind in SENTENCES if counts.get(kind)]


def _sentence(kind: str, count: int) -> str:
    one, several, advice = SENTENCES[kind]
    return f"1 image {one}{advice}" if count == 1 else f"{count} images {several}{advice}"
