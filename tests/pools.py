"""What tests of the pool and of the worker share: a job's folders, and an owner that remembers."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from imgpipe.imaging.bounds import USUAL, Bounds
from imgpipe.imaging.operations import Step
from imgpipe.imaging.recipe import Recipe
from imgpipe.pool.parent import Pool
from imgpipe.protocol import Done, Failed, Job, JobReady, Returned, Unseen, encode
from imgpipe.rows import Item, Token
from imgpipe.storage import nonce_name

JOB = "abcdefghij"
LONG = 20.0  # seconds a test waits for anything before it fails


def recipe(operation: str, version: int = 1, **parameters: Any) -> tuple[Any, ...]:
    """A recipe of one operation as it travels; nothing here needs to know the operation."""
    steps = (Step(operation, version, tuple(sorted(parameters.items()))),)
    return Recipe(steps).array()


def job_of(
    steps: tuple[Any, ...] = (), *, empty: bool = False, timeout_s: float = 60.0, job: str = JOB
) -> Job:
    return Job(job, empty, "r", b"in", "r", b"out", steps, timeout_s, ())


class Site:
    """A root with the folders of a job, and images of chosen widths: ``<number>.png``."""

    def __init__(self, root: Path, widths: Iterable[int] = (), job: str = JOB) -> None:
        self.roots = {"r": str(root).encode()}
        self.source, self.output = root / "in", root / "out"
        for folder in (self.source, self.output):
            folder.mkdir(exist_ok=True)
        (self.output / nonce_name(job).decode()).touch()
        self.items: list[Item] = []
        for width in widths:
            self.add(width)

    def add(self, width: int) -> Item:
        number = len(self.items)
        name = f"{number}.png"
        cv2.imwrite(str(self.source / name), np.full((4, width, 3), number, np.uint8))
        self.items.append((number, number + 1000, name.encode(), (self.source / name).stat().st_size))
        return self.items[-1]

    def outputs(self) -> set[int]:
        return {int(path.stem) for path in self.output.glob("*.png")}


class Answers:
    """The owner of a pool: what it was told, sorted, and waiting for it."""

    def __init__(self) -> None:
        self.done: list[Token] = []
        self.failed: dict[Token, tuple[str, str, bool]] = {}
        self.returned: list[Token] = []
        self.unseen: list[tuple[Token, str]] = []
        self.ready: list[JobReady] = []
        self.broke: list[str] = []
        self._changed = asyncio.Event()

    def answered(self, message: Any, body: bytes) -> None:
        assert encode(message)[4:] == body
        match message:
            case Done():
                self.done += [row[:2] for row in message.rows]
            case Failed():
                self.failed |= {row[:2]: row[2:5] for row in message.rows}
            case Returned():
                self.returned += message.tokens
            case Unseen():
                self.unseen += [(token, message.why) for token in message.tokens]
            case JobReady():
                self.ready.append(message)
        self._changed.set()

    def broken(self, why: str) -> None:
        self.broke.append(why)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONG):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


class Rig:
    """A started pool that knows one job, and its owner."""

    def __init__(self, site: Site, job: Job, slots: int = 2, bounds: Bounds = USUAL) -> None:
        self.site, self.message, self.slots, self.bounds = site, job, slots, bounds
        self.answers = Answers()

    async def __aenter__(self) -> "Rig":
        self.pool = Pool(self.slots, self.site.roots, self.answers, self.bounds)
        async with asyncio.timeout(LONG):
            await self.pool.start()
        self.pool.renew(float(1 << 32))
        self.job()
        await self.answers.until(lambda: bool(self.answers.ready))
        return self

    async def __aexit__(self, *_: object) -> None:
        async with asyncio.timeout(LONG):
            await self.pool.close()

    def job(self) -> None:
        self.pool.job(self.message, encode(self.message)[4:])

    def put(self, items: Iterable[Item] | None = None, **options: Any) -> None:
        self.pool.put(self.message.job, self.site.items if items is None else items, **options)

    async def settled(self, count: int) -> None:
        """So many images have been answered."""
        answers = self.answers
        await answers.until(
            lambda: len(answers.done) + len(answers.failed) + len(answers.returned) >= count,
        )


async def appears(found: Callable[[], Any]) -> Any:
    """Wait for something another process does that sends no word of it: a file, an end."""
    async with asyncio.timeout(LONG):
        while not (result := found()):  # noqa: ASYNC110  # nothing could set an event
            await asyncio.sleep(0.002)
    return result


class Gate:
    """The other side of the operation ``gate``: $GATE must be its folder when the pool starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def begun(self, count: int = 1) -> set[int]:
        """The ids of the processes that wait at the gate, once there are so many."""

        def waiting() -> list[Path]:
            return found if len(found := list(self.folder.glob("begun-*"))) >= count else []

        return {int(path.name.partition("-")[2]) for path in await appears(waiting)}

    def open(self) -> None:
        (self.folder / "open").touch()
