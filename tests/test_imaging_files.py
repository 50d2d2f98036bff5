"""The reader of files that become part of a recipe: regular ones, and no more of them than is needed."""

from __future__ import annotations

import os

import pytest

from imgpipe import limits
from imgpipe.imaging import files


def test_a_file_is_read_whole(tmp_path):
    (tmp_path / "logo").write_bytes(b"logo")
    assert files.read(str(tmp_path / "logo")) == b"logo"


def test_no_more_is_read_than_shows_that_it_is_too_large(tmp_path):
    (tmp_path / "large").write_bytes(bytes(limits.EMBEDDED_MAX + 9))
    assert len(files.read(str(tmp_path / "large"))) == limits.EMBEDDED_MAX + 1


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(make, tmp_path):
    make(tmp_path / "odd")
    with pytest.raises(OSError, match="no regular file"):
        files.read(str(tmp_path / "odd"))


def test_a_missing_file_and_a_path_that_is_none_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.read(str(tmp_path / "missing"))
    with pytest.raises(ValueError, match="null"):
        files.read("a\0b")
