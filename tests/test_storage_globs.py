"""Patterns against two witnesses: `fnmatch` where it means the same, and a matcher that tries every way."""

from __future__ import annotations

import fnmatch
import re
from functools import cache

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from imgpipe.errors import UsageError
from imgpipe.storage.globs import matcher


def matches(pattern: str, path: str) -> bool:
    return matcher([pattern])(path)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.jpg", "a.jpg", True),
        ("*.jpg", "x/y/a.JPG", True),
        ("*.jpg", "a.jpg.png", False),
        ("A.jpg", "x/a.jpg", True),
        ("x", "x/a.jpg", False),  # without '/': the file's name, not its folder's
        ("x/*", "x/a.jpg", True),
        ("x/*", "x/y/a.jpg", False),
        ("x/*", "w/x/a.jpg", False),
        ("x/**", "x/y/a.jpg", True),
        ("x/", "x/y/a.jpg", True),
        ("X/", "x/a.jpg", True),
        ("/a.jpg", "a.jpg", True),
        ("/a.jpg", "x/a.jpg", False),
        ("**/a.jpg", "a.jpg", True),
        ("**/a.jpg", "x/y/a.jpg", True),
        ("**/a.jpg", "x/ba.jpg", False),
        ("x/**/a.jpg", "x/a.jpg", True),
        ("x/**/a.jpg", "x/y/z/a.jpg", True),
        ("x/**/a.jpg", "xa.jpg", False),
        ("**/raw/**", "x/raw/y/a.jpg", True),
        ("**/raw/**", "x/draw/y/a.jpg", False),
        ("x**g", "x/y/a.jpg", False),  # from the start of the path only …
        ("x/**g", "x/y/a.jpg", True),
        ("**b/c*d/e", "b/c/b/cd/e", True),  # … and not at the first `b/c`
        ("a?c.png", "abc.png", True),
        ("x/a?c", "x/a/c", False),
        ("[a-c]*.jpg", "Bild.jpg", True),
        ("[!a-c]*.jpg", "Bild.jpg", False),
        ("[]x]", "]", True),
        ("[!]x]", "]", False),
        ("[[]", "[", True),
        ("[a-]", "-", True),
        ("[--0]", ".", True),
        ("x[!a]y/z", "x/y/z", False),  # a set never means '/'
        ("x[+-9]y/z", "x/y/z", False),
        ("a.jpg", "abjpg", False),
        ("a+(b).jpg", "a+(b).jpg", True),
        ("a\\b", "a\\b", True),
        ("*", "new\nline", True),
        ("ÄPFEL*", "äpfel.jpg", True),
        ("*.jpg", "caf\udce9.jpg", True),
    ],
)
def test_what_a_pattern_means(pattern, path, expected):
    assert matches(pattern, path) is expected


def test_one_of_several_is_enough():
    match = matcher(["*.png", "x/*"])
    assert match("a.png")
    assert match("x/a.jpg")
    assert not match("a.jpg")
    assert not matcher([])("a.jpg")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "empty pattern"),
        ("/", "empty pattern"),
        ("[", r"'\[' without its '\]'"),
        ("x/[a-z.jpg", r"'\[' without its '\]'"),
        ("[]", r"'\[' without its '\]'"),
        ("[!]", r"'\[' without its '\]'"),
        ("[z-a].jpg", "the range z-a runs backwards"),
    ],
)
def test_a_bad_pattern_is_the_users_error(pattern, message):
    with pytest.raises(UsageError, match=message):
        matcher([pattern])


@given(
    st.text("ab*?.-[]!^\\&|~\n", min_size=1, max_size=10), st.text("ab.-[]!^\\&|~\n", min_size=1, max_size=6)
)
def test_within_a_name_it_is_what_fnmatch_does(pattern, name):
    try:
        ours = matches(pattern, name)
    except UsageError:
        return  # fnmatch takes what is wrong literally
    if "[" in pattern:
        assume("-" not in pattern)  # it reads the likes of [a--] in its own way
    assert ours == fnmatch.fnmatchcase(name.lower(), pattern.lower())


@cache
def witness(pattern: str, path: str, at_start: bool = True) -> bool:
    """The table of the module's docstring, word for word; every gap is tried at every length."""
    if not pattern:
        return not path
    if at_start and pattern.startswith("**/"):
        cuts = [end + 1 for end, character in enumerate(path) if character == "/"]
        return any(witness(pattern[3:], path[cut:]) for cut in [0, *cuts])
    if pattern.startswith("*"):
        across = pattern.startswith("**")
        rest = pattern[2:] if across else pattern[1:]
        reach = len(path) if across or "/" not in path else path.index("/")
        return any(witness(rest, path[length:], False) for length in range(reach + 1))
    fits = bool(path) and (path[0] == pattern[0] or (pattern[0] == "?" and path[0] != "/"))
    return fits and witness(pattern[1:], path[1:], pattern[0] == "/")


PATTERNS = st.lists(st.sampled_from(["a", "b", "/", "*", "**", "**/", "/**/", "?"]), min_size=1, max_size=9)
PATHS = st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=5)


@settings(max_examples=2000)
@given(PATTERNS, PATHS)
@example(["**", "b", "/", "a", "*", "b", "/", "b"], ["b", "a", "b", "ab", "b"])
def test_shortest_first_finds_what_trying_every_way_finds(pieces, parts):
    pattern = re.sub(r"\*{3,}", "**", "".join(pieces)).strip("/") or "a"
    path = "/".join(parts) if "/" in pattern else parts[-1]
    assert matches(pattern, path) == witness(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 100 + "b", "a" * 255),
        ("**/" + "*a" * 100 + "b", "a" * 255),
        ("**a" * 80 + "/b", ("a" * 200 + "/") * 19),
        ("**/a/" * 50 + "b", "a/" * 500),
        ("**a*a/*a*" * 25 + "b", ("a" * 20 + "/") * 150),
    ],
)
def test_no_pattern_stops_the_listing(pattern, path):
    assert not matches(pattern, path)  # tried out in all ways, this would outlive the universe
