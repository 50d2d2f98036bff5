"""What a request for a job means on this machine: its folders, its roots, and the files around it.

Everything here touches the file system and may be slow: the coordinator calls it in a thread. Nothing here
decides about images.

A job's output directory holds the *nonce* ``.imgpipe-<job>`` while the job lives: a worker that finds it
there sees the same directory, and an attempt that no longer finds it must not commit. `clean` removes it,
and by name the temporary file of every attempt that was written off, before anyone is told that the job has
ended.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from imgpipe import storage
from imgpipe.errors import UsageError
from imgpipe.imaging.codecs import READABLE
from imgpipe.imaging.recipe import Recipe
from imgpipe.protocol import Job, SubmitRequest
from imgpipe.scheduling.placement import find
from imgpipe.scheduling.records import JobSpec
from imgpipe.schema import shown
from imgpipe.storage.globs import matcher

log = logging.getLogger(__name__)

SUFFIXES = frozenset(f".{suffix}".encode() for suffix in READABLE)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder: where it is here, and how to name it to others."""

    path: bytes
    root: str = ""
    root_path: bytes = b"/"
    relative: bytes = b""

    def open(self, *, make: bool = False) -> storage.Folder:
        return storage.Folder(self.root_path, self.relative, make=make)


@dataclass(frozen=True, slots=True)
class Plan:
    """A request, understood."""

    spec: JobSpec
    request: SubmitRequest
    recipe: Recipe
    source: Place
    output: Place
    nesting: storage.Nesting

    @property
    def job(self) -> str:
        return self.spec.job

    @property
    def empty(self) -> bool:
        return self.request.count > 0

    @property
    def writes(self) -> bool:
        return not (self.empty or self.request.dry_run)


def understand(job: str, request: SubmitRequest, roots: storage.Roots) -> Plan:
    """The plan for a request.

    Raises
    ------
    UsageError
        It cannot be done as asked; the message says what could.
    ProtocolError
        Its recipe is none.
    """
    recipe = Recipe.from_array(request.recipe)
    mode = find(request.mode)
    for patterns in (request.include, request.exclude):
        matcher(patterns)  # it says what is wrong with one, and where the user can still be told
    if request.existing not in ("skip", "redo", "error"):
        raise UsageError(f"existing: expected skip, redo or error, got {request.existing!r}")
    if request.count:
        source = output = Place(b"")
        nesting = storage.Nesting()
    else:
        source, output, nesting = _places(request, roots)
    constants = Job(
        job=job,
        empty=request.count > 0,
        source_root=source.root,
        source=source.relative,
        output_root=output.root,
        output=output.relative,
        recipe=recipe.array(),
        timeout_s=request.timeout_s,
        samples=(),
    )
    operations = () if request.count else tuple(dict.fromkeys(recipe.operations))
    codecs = () if recipe.format is None else (recipe.format,)
    spec = JobSpec(constants, mode, operations, codecs, request.retries, request.priority)
    return Plan(spec, request, recipe, source, output, nesting)


def _places(request: SubmitRequest, roots: storage.Roots) -> tuple[Place, Place, storage.Nesting]:
    roots.locate(request.source)  # before anything there is looked at
    listed, default = storage.layout(request.source)
    source = _place(listed, roots)
    try:
        with source.open() as folder:
            folder.exists(b".imgpipe")  # whether entries can be looked at: a listing alone does not tell
    except OSError as error:
        raise UsageError(
            f"{shown(listed)}: {storage.reason(error)}; SOURCE is a directory of images"
        ) from None
    output = _place(request.output or default, roots)
    return source, output, storage.check_output(source.path, output.path)


def _place(path: bytes, roots: storage.Roots) -> Place:
    root, relative = roots.locate(path)
    return Place(path, root, roots[root], relative)


def prepare(plan: Plan) -> storage.Collisions:
    """Make the output directory and put the nonce there.

    Raises
    ------
    UsageError
        Nothing can be written there.
    """
    if plan.empty:
        return storage.Collisions(may_collide=False, folds_case=False)
    try:
        with plan.output.open(make=True) as folder:
            folder.create(storage.nonce_name(plan.job), plan.source.path)
            folds = storage.folds_case(folder)
    except OSError as error:
        raise UsageError(
            f"cannot write to the output {shown(plan.output.path)}: {storage.reason(error)}"
        ) from None
    return collisions(plan, folds)


def collisions(plan: Plan, folds_case: bool) -> storage.Collisions:
    """What notices outputs of one name, in an output directory that folds case or does not."""
    recipe = plan.recipe
    return storage.Collisions(
        recipe.may_collide, folds_case, by_suffix=recipe.collides_by_suffix, inputs=plan.nesting.source
    )


def sampled(plan: Plan, names: Iterable[bytes]) -> list[tuple[bytes, int]]:
    """Those of these names that are there now, with their sizes now: what a worker should look for."""
    found = []
    with suppress(OSError), plan.source.open() as folder:
        for name in names:
            with suppress(OSError):
                found.append((name, folder.size(name)))
    return found


def clean(plan: Plan, written_off: Iterable[tuple[bytes, int]]) -> None:
    """Remove the nonce, then what attempts that were written off may have left. What is gone is gone."""
    _remove_all(plan, [storage.nonce_name(plan.job)])
    sweep(plan, written_off)


def sweep(plan: Plan, written_off: Iterable[tuple[bytes, int]]) -> None:
    """Remove what attempts that were written off may have left, while the job goes on."""
    _remove_all(plan, [_temporary(plan, name, attempt) for name, attempt in written_off])


def _temporary(plan: Plan, name: bytes, attempt: int) -> bytes:
    directory, slash, _ = plan.recipe.target(name).rpartition(b"/")
    return directory + slash + storage.temporary_name(plan.job, attempt)


def _remove_all(plan: Plan, names: list[bytes]) -> None:
    if plan.empty or not names:
        return
    where = shown(plan.output.path)
    try:
        with plan.output.open() as folder:
            for name in names:
                _remove(folder, name)
    except OSError as error:
        log.warning("job %s: cannot clean up in %s: %s", plan.job, where, storage.reason(error))


def _remove(folder: storage.Folder, name: bytes) -> None:
    try:
        folder.remove(name)
    except OSError as error:
        log.warning("cannot remove %s in %s: %s", shown(name), shown(folder.path), storage.reason(error))


def overlaps(one: bytes, other: bytes) -> bool:
    """Whether one of two output directories is, or lies in, the other."""
    return (one + b"/").startswith(other + b"/") or (other + b"/").startswith(one + b"/")
