"""Temporary names, nonces, collisions."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.errors import ImageError, Kind
from imgpipe.storage import Collisions, Folder, folds_case, nonce_name, temporary_name


def test_names_carry_job_and_attempt():
    assert temporary_name("abcdefghij", (7 << 32) | 1) == b".imgpipe-abcdefghij-30064771073.tmp"
    assert nonce_name("abcdefghij") == b".imgpipe-abcdefghij"


def test_folds_case_leaves_nothing(tmp_path):
    with Folder(os.fsencode(tmp_path), b"") as folder:
        folds = folds_case(folder)
    assert os.listdir(tmp_path) == []
    (tmp_path / "a").touch()
    assert folds == (tmp_path / "A").exists()


def test_folds_case_where_it_does(tmp_path, monkeypatch):
    with Folder(os.fsencode(tmp_path), b"") as folder:
        exists = folder.exists
        monkeypatch.setattr(folder, "exists", lambda name: exists(name.lower()))
        assert folds_case(folder)


def test_folds_case_where_nothing_can_be_written(tmp_path):
    (tmp_path / "x").mkdir()
    with Folder(os.fsencode(tmp_path), b"x") as folder:
        (tmp_path / "x").rmdir()
        with pytest.raises(FileNotFoundError):
            folds_case(folder)


def test_where_no_suffix_changes_nothing_collides():
    collisions = Collisions(may_collide=False, folds_case=False)
    assert collisions.first(b"a.jpg", b"a.jpg") is None
    assert collisions.first(b"A.jpg", b"A.jpg") is None


def test_the_first_input_is_named():
    collisions = Collisions(may_collide=True, folds_case=False)
    assert collisions.first(b"x/a.JPG", b"x/a.webp") is None
    assert collisions.first(b"a.png", b"a.webp") is None
    assert collisions.first(b"x/a.png", b"x/a.webp") == b"x/a.JPG"
    assert collisions.first(b"x/a.tiff", b"x/a.webp") == b"x/a.JPG"
    assert collisions.first(b"x/A.png", b"x/A.webp") is None
    assert collisions.first(b"x/a.JPG", b"x/a.webp") is None  # listed twice: itself


@pytest.mark.parametrize("may_collide", [False, True])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Photo.jpg", "pHOTO.JPG"),
        ("ÄPFEL.jpg", "äpfel.jpg"),
        ("\u00e4.jpg", "a\u0308.jpg"),
        ("K.jpg", "\u212a.jpg"),
    ],
)
def test_names_that_differ_only_in_case(may_collide, one, other):
    collisions = Collisions(may_collide, folds_case=True)
    assert collisions.first(one.encode(), one.encode()) is None
    assert collisions.first(other.encode(), other.encode()) == one.encode()
    assert collisions.first(b"\xff.jpg", b"\xff.jpg") is None
    assert collisions.first(b"\xfe.jpg", b"\xfe.jpg") is None


SUFFIXES = st.sampled_from([b".jpg", b".JPG", b".png", b".tiff", b".webp"])
STEMS = st.binary(min_size=1, max_size=2).map(lambda stem: b"x/" + stem.translate(None, b"/.\0") + b"s")


@given(st.lists(st.tuples(STEMS, SUFFIXES)))
def test_the_same_as_a_plain_dictionary(names):
    collisions = Collisions(may_collide=True, folds_case=False)
    first: dict[bytes, bytes] = {}
    for stem, suffix in names:
        earlier = first.setdefault(stem, stem + suffix)
        expected = None if earlier == stem + suffix else earlier
        assert collisions.first(stem + suffix, stem + b".webp") == expected


def test_outputs_without_the_folder_of_their_input():
    collisions = Collisions(may_collide=True, folds_case=False, by_suffix=False)
    assert collisions.first(b"x/a.jpg", b"a.jpg") is None
    assert collisions.first(b"x/A.jpg", b"A.jpg") is None
    assert collisions.first(b"y/a.jpg", b"a.jpg") == b"x/a.jpg"
    assert collisions.first(b"x/a.jpg", b"a.jpg") is None  # listed twice: itself


def test_more_spellings_of_suffixes_than_there_are_numbers():
    collisions = Collisions(may_collide=True, folds_case=False)
    for number in range(5000):
        assert collisions.first(b"%d.s%d" % (number, number), b"%d.webp" % number) is None
    assert collisions.first(b"4000.png", b"4000.webp") == b"4000.s4000"
    assert collisions.first(b"4999.png", b"4999.webp") is not None  # which one is not known any more


def test_few_bytes_are_kept_of_a_name():
    collisions = Collisions(may_collide=True, folds_case=False)
    for number in range(20_000):
        collisions.first(b"folder/image-%d.jpg" % number, b"folder/image-%d.webp" % number)
    assert sum(len(bucket) * bucket.itemsize for bucket in collisions._hashed.values()) == 20_000 * 8


@pytest.mark.parametrize(
    ("folds", "target", "refused"),
    [
        (False, b"in/x.jpg", True),
        (False, b"in/a/b/x.jpg", True),
        (False, b"In/x.jpg", False),
        (True, b"In/x.jpg", True),
        (False, b"inside/x.jpg", False),
        (False, b"a/in/x.jpg", False),
        (False, b"in", False),
        (False, b"x.jpg", False),
    ],
)
def test_no_output_lies_among_the_inputs(folds, target, refused):
    collisions = Collisions(may_collide=False, folds_case=folds, inputs=b"in")
    if not refused:
        return collisions.refuse_input(target)
    with pytest.raises(ImageError, match="SOURCE") as caught:
        collisions.refuse_input(target)
    assert caught.value.kind is Kind.UNWRITABLE
