"""Sizes in words and back, a machine's share, and a limit that a process is really held to."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe import limits, memory
from imgpipe.errors import UsageError
from imgpipe.memory import in_words, size_of


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ("0", 0),
        ("2000000000", 2_000_000_000),
        ("2GiB", 2 << 30),
        ("2 gib", 2 << 30),
        ("1500MB", 1_500_000_000),
        ("1.5G", 3 << 29),
        ("64k", 65_536),
        ("64kB", 64_000),
        ("1TiB", 1 << 40),
        ("10B", 10),
        (" 7m ", 7 << 20),
    ],
)
def test_sizes_as_people_write_them(words: str, size: int):
    assert size_of(words) == size


@pytest.mark.parametrize(
    "words",
    ["", "GiB", "-1", "1,5G", "2 gigabytes", "1e9", "2GiBB", "2iB", "inf", "nan", "٣G", "1.G", "9" * 400],
)
def test_what_no_size_is(words: str):
    with pytest.raises(UsageError, match="expected a size as in 2GiB"):
        size_of(words)


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_a_usage_error(words: str):
    try:
        assert size_of(words) >= 0
    except UsageError:
        return


@given(st.integers(0, 1 << 45))
def test_a_size_in_words_is_nearly_that_size(size: int):
    words = in_words(size).removesuffix(" bytes").removesuffix(" byte")
    assert size_of(words) == pytest.approx(size, rel=0.05, abs=1)


def test_every_slot_has_the_same_share_and_never_too_little(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "physical", lambda: 64 << 30)
    assert memory.share(4) == 16 << 30
    assert memory.share(1000) == limits.MEMORY_MIN


def test_a_container_may_have_less_than_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files = (tmp_path / "v2", tmp_path / "v1")
    monkeypatch.setattr(memory, "_CONTAINER", files)
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert memory.physical() == whole
    files[0].write_text("max\n")
    files[1].write_text(f"{1 << 62}\n")
    assert memory.physical() == whole
    files[0].write_text("123456789\n")
    assert memory.physical() == 123_456_789


def test_what_this_process_holds_is_what_the_kernel_says():
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    assert memory.address_space() == pytest.approx(int(status["VmSize"].split()[0]) * 1024, rel=0.05)
    assert memory.resident() == pytest.approx(int(status["VmRSS"].split()[0]) * 1024, rel=0.05)
    grown = bytearray(32 << 20)
    assert memory.address_space() >= int(status["VmSize"].split()[0]) * 1024 + len(grown)


BOUNDED = """
import resource
from imgpipe import memory
memory.bound(200 << 20)
kept = bytearray(100 << 20)
try:
    bytearray(150 << 20)
except MemoryError:
    print("refused", *resource.getrlimit(resource.RLIMIT_AS))
memory.bound(1 << 40)
print(bytearray(150 << 20)[0] if resource.getrlimit(resource.RLIMIT_AS)[0] > 1 << 39 else "stricter")
"""


def test_a_process_is_held_to_its_allowance_and_goes_on():
    """A stricter limit stays: here the first of two."""
    command = [sys.executable, "-c", BOUNDED]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    first, second = done.stdout.splitlines()
    words, soft, hard = first.split()
    assert (words, int(hard)) == ("refused", resource.RLIM_INFINITY)
    assert 200 << 20 < int(soft) < 800 << 20
    assert second == "stricter"


def test_a_system_that_does_not_tell_is_not_limited(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "address_space", lambda: 0)
    before = resource.getrlimit(resource.RLIMIT_AS)
    memory.bound(1)
    assert resource.getrlimit(resource.RLIMIT_AS) == before
