"""Notes: what fits in a message, what a failed image keeps, and the words for sums."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe import limits
from imgpipe.errors import Note
from imgpipe.notes import SENTENCES, fitted, is_kind, is_notes, kinds, of_input, sentences

PAIRS = st.lists(st.tuples(st.sampled_from(list(Note)), st.text(max_size=600)), max_size=40)


@given(PAIRS)
def test_whatever_is_noted_fits_in_a_message_and_keeps_its_beginning(pairs: list[tuple[str, str]]):
    notes = fitted(pairs)
    assert is_notes(notes)
    assert len(notes) == min(len(pairs), limits.NOTES_MAX)
    for (kind, text), (given_kind, given_text) in zip(notes, pairs, strict=False):
        assert (type(kind), kind) == (str, str(given_kind))
        assert text == given_text[: limits.NOTE_MAX]
    assert fitted(notes) == notes


def test_a_text_that_cannot_be_sent_is_made_into_one_that_can():
    [(_, text)] = fitted([(Note.WARNING, "\udcff" + "long " * 100)])
    assert text.startswith("?long")
    assert len(text.encode()) == limits.NOTE_MAX


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        ("alpha", "gone"),
        (("alpha",),),
        (["alpha", "gone"],),
        (("beta", "gone"),),
        ((b"alpha", "gone"),),
        (("alpha", b"gone"),),
        (("alpha", None),),
        (("alpha", "x" * (limits.NOTE_MAX + 1)),),
        (("alpha", "gone"),) * (limits.NOTES_MAX + 1),
    ],
)
def test_what_no_notes_are(wrong: Any):
    assert not is_notes(wrong)


def test_a_pair_may_grow_at_its_end():
    grown: Any = (("alpha", "gone", 7), ("alpha", "again"), ("exif", ""))
    assert is_notes(grown)
    assert kinds(grown) == {"alpha", "exif"}


def test_an_image_without_output_has_lost_nothing():
    every = tuple((kind, "") for kind in Note)
    assert {kind for kind, _ in of_input(every)} == {"suffix", "warning"}


def test_every_kind_has_its_words_and_nothing_else_has():
    assert list(SENTENCES) == list(Note)
    assert all(map(is_kind, map(str, Note)))


def test_sums_in_words():
    counts = {"warning": 2, "pages": 12, "alpha": 1, "icc": 0}
    assert sentences(counts) == [
        "1 image lost its transparency: the output's format has none, a step drops it, or the input's "
        "is not read",
        "12 images have more pages than the first; --pages all keeps them, but for those of a JPEG",
        "2 images had decoder warnings (--json or -v names them)",
    ]
    for kind in Note:
        [one], [several] = sentences({kind: 1}), sentences({kind: 3})
        assert re.match(r"1 image (lost|has|had|was|is) ", one)
        assert re.match(r"3 images (lost|have|had|were|are) ", several)
