"""Roots, the layout of SOURCE, and output against SOURCE."""

from __future__ import annotations

import os
import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.errors import UsageError
from imgpipe.storage import Nesting, Roots, check_output, layout, parse_roots


@pytest.fixture
def top(tmp_path):
    return os.fsencode(tmp_path)


# --- parse_roots --------------------------------------------------------------------------------


def test_without_options_the_current_directory_is_the_root():
    assert dict(parse_roots([], b"/home/ada")) == {".": b"/home/ada"}


def test_paths_are_absolute_and_links_stay(tmp_path, top):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a")
    roots = parse_roots(["one=a//b/.", "two=link", f"three={tmp_path}/a/../a/", "four=."], top)
    assert dict(roots) == {"one": top + b"/a/b", "two": top + b"/link", "three": top + b"/a", "four": top}


def test_a_path_may_hold_an_equals_sign_and_bytes_that_are_no_text(top):
    os.mkdir(top + b"/a=\xff")
    assert parse_roots([os.fsdecode(b"x=a=\xff")], top)["x"] == top + b"/a=\xff"


@pytest.mark.parametrize("spec", ["photos", "=photos", "photos=", "", "="])
def test_another_form_is_refused_with_the_expected_one(top, spec):
    with pytest.raises(UsageError, match="expected NAME=PATH"):
        parse_roots([spec], top)


@pytest.mark.parametrize("name", ["a/b", "a\nb", "n" * 65])
def test_a_name_that_nobody_could_type(top, name):
    with pytest.raises(UsageError, match="expected a NAME"):
        parse_roots([f"{name}=."], top)


def test_a_path_that_is_no_directory(tmp_path, top):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="none does not exist"):
        parse_roots(["x=none"], top)
    with pytest.raises(UsageError, match="file is not a directory"):
        parse_roots(["x=file"], top)


def test_a_name_given_twice(top):
    with pytest.raises(UsageError, match="'x' already"):
        parse_roots(["x=.", "x=/"], top)


# --- locate -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/data", ("data", b"")),
        (b"/data/", ("data", b"")),
        (b"/data/a/b", ("data", b"a/b")),
        (b"//data/./a//b/", ("data", b"a/b")),
        (b"/data/photos/x", ("photos", b"x")),
        (b"/data/photos", ("photos", b"")),
        (b"/data/photosets", ("data", b"photosets")),
        (b"/data/photos/../x", ("data", b"x")),
        (b"/data/\xff", ("data", b"\xff")),
    ],
)
def test_the_longest_match_wins(path, expected):
    assert Roots({"data": b"/data", "photos": b"/data/photos/"}).locate(path) == expected


def test_the_root_of_all():
    roots = Roots({"all": b"/"})
    assert roots.locate(b"/") == ("all", b"")
    assert roots.locate(b"/a/b") == ("all", b"a/b")


@pytest.mark.parametrize("path", [b"/", b"/dat", b"/database", b"/data/../etc", b"/data/../../data2"])
def test_outside_is_refused(path):
    with pytest.raises(UsageError, match=re.escape("(data = /data)")):
        Roots({"data": b"/data"}).locate(path)


@pytest.mark.parametrize("path", [b"", b"data/a", b"../data", b"/data/\0"])
def test_only_absolute_paths_can_be_located(path):
    with pytest.raises(UsageError, match="expected an absolute path"):
        Roots({"data": b"/data"}).locate(path)


@pytest.mark.parametrize("below", [b"p" * 256, b"p/" * 2048 + b"p"])
def test_a_path_that_no_file_system_takes(below):
    with pytest.raises(UsageError, match="too long a path"):
        Roots({"data": b"/data"}).locate(b"/data/" + below)


def test_the_options_in_the_message_do_help(tmp_path, top):
    """Typed as they stand there, they make roots that hold the path and all that was held before."""
    for name in ("home", "my photos", "other/my photos", "third"):
        (tmp_path / name).mkdir(parents=True)
    for path in (top + b"/my photos", top + b"/other/my photos", top + b"/third/not/yet"):
        roots = parse_roots([], top + b"/home")
        with pytest.raises(UsageError) as caught:
            roots.locate(path)
        words = shlex.split(str(caught.value).partition("every worker with ")[2])
        roots = parse_roots(words[1::2], b"/")
        assert set(words[::2]) == {"--root"}
        name, relative = roots.locate(path)
        assert os.path.join(roots[name], relative).rstrip(b"/") == path
        assert roots.locate(top + b"/home/x") == (".", b"x")
        roots.locate(os.path.dirname(path) + b"/output_dir")  # where the results go if nothing else is said


PARTS = st.lists(st.binary(min_size=1, max_size=4).map(lambda part: part.translate(None, b"/\0.") or b"x"))


@given(PARTS, PARTS)
def test_locate_takes_apart_what_join_put_together(above, below):
    root = b"/" + b"/".join(above)
    relative = b"/".join(below)
    assert Roots({"r": root}).locate(os.path.join(root, relative)) == ("r", relative)


# --- layout, check_output -----------------------------------------------------------------------


def test_any_folder_of_images(tmp_path, top):
    (tmp_path / "data" / "input").mkdir(parents=True)
    for spelled in (b"/data/input", b"/data/input/", b"//data/./input"):
        assert layout(top + spelled) == (top + b"/data/input", top + b"/data/output_dir")


def test_a_base_with_input_dir(tmp_path, top):
    (tmp_path / "data" / "input_dir").mkdir(parents=True)
    for spelled in (b"/data", b"/data/", b"/data/input_dir"):
        assert layout(top + spelled) == (top + b"/data/input_dir", top + b"/data/output_dir")


def test_a_file_called_input_dir_is_no_layout(tmp_path, top):
    (tmp_path / "input_dir").touch()
    assert layout(top)[0] == top


def test_a_missing_source_is_not_the_layouts_business(top):
    assert layout(top + b"/none") == (top + b"/none", top + b"/output_dir")


def test_output_elsewhere_or_inside(top):
    assert check_output(top + b"/in", top + b"/out") == Nesting()
    assert check_output(top + b"/in", top + b"/in2") == Nesting()
    assert check_output(top + b"/in/", top + b"/in/out/") == Nesting(output=b"out")
    assert check_output(top + b"/in", top + b"/in/x/\xff") == Nesting(output=b"x/\xff")
    assert check_output(top + b"/in/x", top + b"/in") == Nesting(source=b"x")
    assert check_output(top + b"/in", b"/") == Nesting(source=top[1:] + b"/in")


def test_output_that_is_source(tmp_path, top):
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("in")
    for output in (b"/in", b"/in/", b"/in/x/..", b"/link"):
        with pytest.raises(UsageError, match="is SOURCE itself"):
            check_output(top + b"/in", top + output)
    with pytest.raises(UsageError, match="is SOURCE itself"):
        check_output(top + b"/none", top + b"/none")


def test_output_inside_source_through_a_link(tmp_path, top):
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("in")
    assert check_output(top + b"/in", top + b"/link/out") == Nesting(output=b"out")
    assert check_output(top + b"/link/x", top + b"/in") == Nesting(source=b"x")


def test_folders_lie_where_their_links_lead(tmp_path, top):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("in/deep")
    assert check_output(top + b"/in", top + b"/link") == Nesting(output=b"deep")
    assert check_output(top + b"/link", top + b"/in") == Nesting(source=b"deep")
