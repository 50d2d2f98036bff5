"""The shared words, seen from both sides."""

import os
import subprocess
import sys
from collections.abc import Iterator
from time import monotonic

import pytest

from imgpipe.pool import cell
from imgpipe.pool.cell import Cell


@pytest.fixture
def sides() -> Iterator[tuple[Cell, Cell]]:
    descriptor = cell.create()
    parent, process = Cell(descriptor), Cell(descriptor)
    os.close(descriptor)
    yield parent, process
    parent.close()
    process.close()


def test_what_is_run_is_seen(sides: tuple[Cell, Cell]) -> None:
    parent, process = sides
    assert parent.running() is None
    before = monotonic()
    process.begin(2**40, 2**63 - 1)
    running = parent.running()
    assert running is not None
    assert (running.serial, running.token) == (1, (2**40, 2**63 - 1))
    assert before - 1e-6 <= running.start <= monotonic()
    process.end()
    assert parent.running() is None


def test_commits_are_valid_until_they_are_not(sides: tuple[Cell, Cell]) -> None:
    parent, process = sides
    process.begin(1, 1)
    assert not process.still_valid()  # nobody has said so yet
    parent.renew(monotonic() + 60)
    assert process.still_valid()
    parent.renew(monotonic() - 0.001)
    assert not process.still_valid()


def test_one_image_is_written_off_and_the_next_is_not(sides: tuple[Cell, Cell]) -> None:
    """The same token again, as another coordinator might use it."""
    parent, process = sides
    parent.renew(monotonic() + 60)
    process.begin(1, 1)
    running = parent.running()
    assert running is not None
    parent.write_off(running.serial)
    assert not process.still_valid()
    process.end()
    process.begin(1, 1)
    assert process.still_valid()


def test_the_words_survive_the_process() -> None:
    descriptor = cell.create()
    code = f"import os; from imgpipe.pool.cell import Cell; Cell({descriptor}).begin(3, 4); os.abort()"
    ended = subprocess.run([sys.executable, "-c", code], pass_fds=(descriptor,), check=False)
    assert ended.returncode == -6
    parent = Cell(descriptor)
    os.close(descriptor)
    running = parent.running()
    assert running is not None
    assert running.token == (3, 4)
    parent.close()


def test_the_mailbox_keeps_what_fits_until_it_is_discarded(sides: tuple[Cell, Cell]) -> None:
    parent, process = sides
    assert parent.kept() == b""
    assert process.keep(b"one")
    assert process.keep(b"two")
    assert parent.kept() == b"onetwo"
    assert not process.keep(b"x" * cell.SIZE)
    assert parent.kept() == b"onetwo"
    process.discard()
    assert parent.kept() == b""
    room = cell.SIZE
    while not process.keep(b"x" * room):
        room -= 1
    assert parent.kept() == b"x" * room
    assert not process.keep(b"x")
    parent.renew(1.0)  # the words are elsewhere
    assert parent.kept() == b"x" * room
