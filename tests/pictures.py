"""Folders of pictures, and the referee of what must become of them: `check`.

Whatever happened to a fleet, every image has exactly one result fact, and every output is what plain OpenCV
calls (`edges`, from its description) make of the input.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from imgpipe import api
from imgpipe.facts import Ended, Fact, ImageDone, ImageFailed, Tally
from imgpipe.imaging.recipe import Recipe

T = TypeVar("T")


def of(told: Iterable[Fact], kind: type[T]) -> list[T]:
    return [fact for fact in told if isinstance(fact, kind)]


def edges(picture: Any) -> Any:
    """What the default operation does, in plain OpenCV calls."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    found = cv2.Canny(cv2.blur(grey, (3, 3)), 10, 30, apertureSize=5)
    result: Any = np.uint8(picture / 2.0)
    result[found > 0] = (0, 255, 0)
    return result


class Site:
    """A folder of pictures in a fresh directory, and the folder for their results beside it."""

    def __init__(self, home: Path, count: int = 0, width: int = 24, output: Path | None = None) -> None:
        self.source, self.output = home / "in", output or home / "out"
        self.source.mkdir(parents=True)
        self._rng = np.random.default_rng(count)
        for number in range(count):
            self.add(f"{number}.png", width)

    def add(self, name: str, width: int = 24) -> None:
        blocks = self._rng.integers(0, 256, (3, (width + 7) // 8, 3), np.uint8)
        picture = np.kron(blocks, np.ones((8, 8, 1), np.uint8))[:, :width]
        ok, data = cv2.imencode(".png", picture)
        assert ok
        path = self.source / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.tobytes())

    def first_pixel(self, name: bytes) -> int:
        """The blue of a picture's first pixel."""
        return int(_pixels(self.source, name)[0, 0, 0])

    def request(self, operations: Sequence[str], **options: Any) -> Any:
        return api.request(self.source, self.output, recipe=Recipe.from_options(operations), **options)

    @property
    def names(self) -> set[bytes]:
        files = (path for path in self.source.rglob("*") if path.is_file())
        return {os.fsencode(path.relative_to(self.source)) for path in files}

    def outputs(self) -> set[bytes]:
        """All there is below the output, hidden or not."""
        files = (path for path in self.output.rglob("*") if not path.is_dir())
        return {os.fsencode(path.relative_to(self.output)) for path in files}


def check(
    told: list[Fact],
    site: Site,
    failed: Mapping[bytes, str] | None = None,
    *,
    names: set[bytes] | None = None,
    reference: Callable[[Any], Any] = edges,
    state: str = "done",
) -> Ended:
    """One result for each image: as ``failed`` says by name, else an output with the pixels of ``reference``.

    Nothing else is in the output directory: no temporary file, no nonce.
    """
    failed, names = failed or {}, site.names if names is None else names
    ended = summed(told)
    assert (ended.state, ended.remaining, ended.problem) == (state, 0, "")
    assert {fact.name: fact.kind for fact in of(told, ImageFailed)} == failed
    done = {fact.name for fact in of(told, ImageDone)}
    assert done == names - set(failed)
    assert site.outputs() == done
    for name in done:
        assert np.array_equal(_pixels(site.output, name), reference(_pixels(site.source, name))), name
    return ended


def summed(told: list[Fact]) -> Ended:
    """The last fact, if it agrees with all facts before it: one result for each image."""
    ended = told[-1]
    assert isinstance(ended, Ended)
    assert len(of(told, Ended)) == 1
    done, failed, tallies = of(told, ImageDone), of(told, ImageFailed), of(told, Tally)
    results = Counter([fact.name for fact in done] + [fact.name for fact in failed])
    assert set(results.values()) <= {1}
    assert (ended.done, ended.failed) == (len(done), len(failed))
    assert ended.total == ended.done + ended.failed + ended.skipped + ended.remaining
    assert ended.rejections == sum(fact.rejections for fact in tallies)
    assert ended.forced == sum(fact.forced for fact in tallies)
    assert ended.retries == sum(fact.retries for fact in tallies)
    assert {row[0]: row[1] for row in ended.workers if row[1]} == Counter(fact.worker for fact in done)
    return ended


def _pixels(folder: Path, name: bytes) -> Any:
    data = (folder / os.fsdecode(name)).read_bytes()
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
