"""One call for a job: what `imgpipe.run` is, and how options become a request.

The defaults of a job's options are here, for programs and for the command line alike.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imgpipe import limits
from imgpipe.blocking import portal
from imgpipe.errors import UsageError
from imgpipe.imaging.bounds import USUAL, Bounds
from imgpipe.imaging.recipe import Recipe
from imgpipe.protocol import SubmitRequest
from imgpipe.records.report import Report
from imgpipe.scheduling.placement import find
from imgpipe.storage import layout
from imgpipe.storage.globs import matcher

if TYPE_CHECKING:
    from imgpipe.local import LocalCluster

MODE = "balanced"
EXISTING = "skip"
RETRIES = 1
TIMEOUT_S = 60.0
DELAY_S = limits.DELAY_S

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def request(
    source: Path,
    output: Path | None = None,
    *,
    recipe: Recipe | None = None,
    mode: str = MODE,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    existing: str = EXISTING,
    retries: int = RETRIES,
    timeout_s: float = TIMEOUT_S,
    priority: int = 0,
    dry_run: bool = False,
    list_ignored: bool = False,
) -> SubmitRequest:
    """What is sent to a coordinator. Paths are made absolute; links are not resolved.

    Raises
    ------
    UsageError
        There is no such mode, a pattern is none, or a path is empty.
    """
    for patterns in (include, exclude):
        matcher(patterns)
    return SubmitRequest(
        source=absolute(source),
        output=b"" if output is None else absolute(output),
        recipe=(recipe or Recipe.from_options()).array(),
        mode=find(mode).name,
        include=tuple(include),
        exclude=tuple(exclude),
        existing=existing,
        retries=retries,
        timeout_s=timeout_s,
        priority=priority,
        dry_run=dry_run,
        list_ignored=list_ignored,
    )


def absolute(path: Path) -> bytes:
    name = os.fsencode(path)
    if not name:
        raise UsageError("an empty path: expected a directory ('.' is the current one)")
    return os.path.abspath(name)


def private_roots(asked: SubmitRequest) -> dict[str, bytes]:
    """The two roots of a job that only this machine does: SOURCE's, and its output's.

    A root has to be there, and an output may not be yet: its root is then the nearest directory above it.
    """
    output = asked.output or layout(asked.source)[1]
    return {"source": _existing(asked.source), "output": _existing(output)}


def _existing(path: bytes) -> bytes:
    while not os.path.isdir(path) and path != b"/":
        path = os.path.dirname(path)
    return path


def cpu_count() -> int:
    """CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def embedded(
    asked: SubmitRequest,
    *,
    slots: int | None = None,
    loads: Sequence[float] = (0.0,),
    delay_s: float = DELAY_S,
    seed: int | None = None,
    bounds: Bounds = USUAL,
) -> LocalCluster:
    """A cluster of this process for one job, with private roots.

    A job that asks for more pixels than is usual gets them: its owner is at this machine.
    """
    from imgpipe.local import LocalCluster

    roots = private_roots(asked)
    return LocalCluster(
        slots=slots or cpu_count(),
        loads=loads,
        delay_s=delay_s,
        seed=seed,
        roots=roots,
        bounds=bounds.raised(Recipe.from_array(asked.recipe).pixels_max),
    )


def run(
    source: Path,
    output: Path | None = None,
    *,
    operations: str | Sequence[str] = (),
    recipe: Recipe | None = None,
    format: str | None = None,
    quality: int | None = None,
    name: str | None = None,
    metadata: str | None = None,
    pages: str | None = None,
    strict: bool | None = None,
    luma: bool | None = None,
    pixels_max: int | None = None,
    mode: str = MODE,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    retries: int = RETRIES,
    timeout_s: float = TIMEOUT_S,
    slots: int | None = None,
    loads: Sequence[float] = (0.0,),
    delay_s: float = DELAY_S,
    seed: int | None = None,
) -> Report:
    """Process a directory of images on this machine, as ``imgpipe run`` does, and wait for the end.

    Parameters
    ----------
    operations
        Words as after ``--op``: ``["grayscale", "blur:size=5"]``; one alone may be a text. Or give a
        ``recipe``; the options from ``format`` to ``pixels_max`` beat what it says.
    name
        Template of an output's name, such as ``"{dir}/{stem}-small{ext}"``: see `imgpipe.imaging.naming`.
    metadata, pages, strict, luma
        As the options of the command: ``keep`` or ``strip``; ``first``, ``all`` or ``error``; whether what a
        decoder warns of is a failure; whether brightness alone is decoded where no more is needed.
    pixels_max
        Pictures with more pixels, all frames together, are refused: 100,000,000 if nothing is said.
    slots
        Pool processes in all; without it, as many as there are CPUs.
    loads
        One worker for each, with that simulated load, 0 to 1.

    Returns
    -------
    Report
        ``done``, ``failed``, ``failures``, ``elapsed_s``, ``summary()`` and more.

    Raises
    ------
    UsageError
        It cannot be done as asked. A picture that cannot be processed raises nothing: see ``failures``.
    """
    options = {
        "format": format,
        "quality": quality,
        "name": name,
        "metadata": metadata,
        "pages": pages,
        "strict": strict,
        "luma": luma,
        "pixels_max": pixels_max,
    }
    if recipe is not None and operations:
        raise UsageError("operations and recipe both say what is done to each image: give one of them")
    words = [operations] if isinstance(operations, str) else operations
    steps = recipe or Recipe.from_options(words)
    steps = steps.changed(**{key: value for key, value in options.items() if value is not None})
    asked = request(
        source,
        output,
        recipe=steps,
        mode=mode,
        include=include,
        exclude=exclude,
        retries=retries,
        timeout_s=timeout_s,
    )
    report: Report = portal().call(_embedded, asked, slots, loads, delay_s, seed)
    return report


async def _embedded(
    asked: SubmitRequest, slots: int | None, loads: Sequence[float], delay_s: float, seed: int | None
) -> Report:
    async with embedded(asked, slots=slots, loads=loads, delay_s=delay_s, seed=seed) as cluster:
        job = await cluster.client.submit(asked)
        return await job.report()
