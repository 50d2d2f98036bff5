"""Two thousand hostile files through a real pool: nothing dies, nothing is killed, and each file is told."""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from imgpipe import api, limits
from imgpipe.facts import Ended, Fact, ImageDone, ImageFailed
from imgpipe.imaging.bounds import Bounds
from imgpipe.imaging.recipe import Recipe
from imgpipe.local import LocalCluster
from tests.bombs import DONE
from tests.good_files import Good, good_files
from tests.hostile import Case, hostile
from tests.pictures import of, summed
from tests.processes import children

SEED = 1
#: Bytes a pool process may have held: itself, OpenCV and NumPy are 120 MB; no file here needs 300 MB more.
MEMORY_MAX = 512 << 20


def test_there_are_enough_and_no_two_have_one_output() -> None:
    cases = hostile(SEED)
    assert len(cases) >= 2000
    assert len({stem(case.name) for case in cases}) == len(cases)
    assert [case.data for case in hostile(SEED)] == [case.data for case in cases]


@pytest.mark.slow
def test_no_process_dies_and_every_file_gets_one_result_of_the_right_kind(tmp_path: Path) -> None:
    cases = hostile(SEED)
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for case in cases:
        (source / case.name).write_bytes(case.data)
    told, before, after, memory = asyncio.run(done(tmp_path, source, output))

    assert before == after  # the same two processes, from the first file to the last
    assert len(after) == 2
    assert max(memory.values()) <= MEMORY_MAX, memory
    ended = summed(told)  # one result for each file
    assert isinstance(ended, Ended)
    assert (ended.state, ended.total, ended.remaining, ended.retries) == ("done", len(cases), 0, 0)
    ends = dict.fromkeys((fact.name for fact in of(told, ImageDone)), DONE)
    ends |= {fact.name: fact.kind for fact in of(told, ImageFailed)}
    assert unexpected(cases, ends, of(told, ImageFailed)) == []
    assert set(Counter(ends.values())) == {DONE, "unreadable", "truncated", "too_large"}
    for case in cases:
        if case.good:
            compare(case.good, output / f"{stem(case.name)}.png", case.name)


async def done(
    root: Path, source: Path, output: Path
) -> tuple[list[Fact], set[int], set[int], dict[int, int]]:
    """The facts of a job over the folder; the pool's processes before and after; bytes each held at most."""
    me = children(os.getpid())
    request = api.request(source, output, recipe=Recipe.from_options(["identity"], "png"), retries=0)
    bounds = Bounds(memory=limits.MEMORY_MIN)
    async with LocalCluster(slots=2, roots={".": bytes(root)}, bounds=bounds) as cluster:
        before = children(os.getpid()) - me
        job = await cluster.client.submit(request)
        told = [fact async for fact in job.facts()]
        after = children(os.getpid()) - me
        assert all(within_its_limit(pid) for pid in after)
        return told, before, after, {pid: most_memory(pid) for pid in after}


def most_memory(pid: int, field: str = "VmHWM") -> int:
    """The most bytes of physical memory (or of addresses: VmPeak) that a process has held."""
    (line,) = re.findall(rf"^{field}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(line) << 10


def within_its_limit(pid: int) -> bool:
    """Whether a process has a limit of addresses, and has never had more."""
    (limit,) = re.findall(r"^Max address space\s+(\d+) ", Path(f"/proc/{pid}/limits").read_text(), re.M)
    return most_memory(pid, "VmPeak") <= int(limit)


def stem(name: str) -> str:
    return name.rpartition(".")[0]


def unexpected(
    cases: Iterable[Case], ends: dict[bytes, str], failed: Iterable[ImageFailed]
) -> list[tuple[str, str, str]]:
    words = {fact.name: fact.message for fact in failed}
    names = ((case, os.fsencode(case.name)) for case in cases)
    return [(case.name, ends[n], words.get(n, "")) for case, n in names if ends[n] not in case.ends]


def compare(good: Good, path: Path, name: str) -> None:
    """The output, a PNG, with the pixels of the sound file; what cannot be seen does not count."""
    found = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    wanted = good.pixels
    if wanted.dtype == np.float32:
        wanted = np.rint(wanted * 65535).astype(np.uint16)
    assert found is not None, name
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), name
    assert np.abs(seen(found) - seen(wanted)).max() <= good.off, name


def seen(image: Any) -> Any:
    values = image.astype(np.float64)
    return np.where(image[:, :, 3:] > 0, values, 0) if values.ndim == 3 and values.shape[2] == 4 else values


@pytest.mark.parametrize("good", good_files(), ids=lambda good: good.name)
def test_a_sound_file_is_decoded_to_the_pixels_it_was_made_of(good: Good) -> None:
    from imgpipe.imaging import codecs

    (found,) = codecs.decode(good.data).frames
    assert (found.shape, found.dtype) == (good.pixels.shape, good.pixels.dtype)
    assert np.abs(seen(found) - seen(good.pixels)).max() <= good.off
