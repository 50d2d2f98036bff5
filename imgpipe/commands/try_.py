"""``imgpipe try``: a few images of a folder done here, to be looked at before all of them are."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

import click

from imgpipe import api, limits, storage
from imgpipe.client import Client
from imgpipe.commands import sheet_file, trial_output
from imgpipe.commands.base import SEED, Command, Whole, checked_by
from imgpipe.commands.interrupts import Interrupts, attended
from imgpipe.commands.job_options import Asked, fixed, job_options
from imgpipe.commands.machine_options import check_format, machine_options
from imgpipe.commands.outcome import say
from imgpipe.commands.progress import progress_of, ticking
from imgpipe.commands.words import count
from imgpipe.errors import UnfinishedError, UsageError
from imgpipe.facts import Ended, Fact, ImageDone, Started, WorkerChanged
from imgpipe.imaging import sheet
from imgpipe.imaging.bounds import Bounds
from imgpipe.imaging.naming import MIRRORED
from imgpipe.imaging.recipe import Recipe
from imgpipe.jobs.intake import Plan, understand
from imgpipe.loop import run as run_loop
from imgpipe.protocol import SubmitRequest
from imgpipe.records.report import Report
from imgpipe.sampling.choice import Sample
from imgpipe.schema import shown
from imgpipe.trial import repeating
from imgpipe.trial.gathering import Copy, Listed, chosen, copied, listed
from imgpipe.trial.results import Reading, Tried, estimated

EXAMPLES = (
    ("imgpipe try photos", "what edges, the default, would do: look at imgpipe-try.png"),
    ("imgpipe try photos --op thumbnail --format webp -n 24", "24 images, other work"),
    ("imgpipe try photos -P recipe.toml -o /tmp/night.jpg -j 8", "how long a night on 8 processes would be"),
    ("imgpipe try photos --json", "times, sizes and the estimate, for scripts"),
)

SHEET = "imgpipe-try.png"
SAMPLE = 12

#: What `run` is told of a job's place and order has no meaning here.
_FIXED = {
    "output": None,
    "mode": api.MODE,
    "existing": api.EXISTING,
    "priority": 0,
    "dry_run": False,
    "list_ignored": False,
}


@click.command("try", cls=Command, examples=EXAMPLES)
@click.option("--json", is_flag=True, help="One object on stdout: each image, and the estimate.")
@fixed("json", **_FIXED)
@job_options
@click.option(
    "-o",
    "--sheet",
    metavar="FILE",
    default=SHEET,
    show_default=True,
    callback=checked_by(sheet_file.checked_suffix),
    help="The contact sheet: png, jpg or webp. It replaces an older sheet, and no other file.",
)
@click.option(
    "-n",
    "--sample",
    type=Whole(limits.TRIED_MIN, limits.TRIED_MAX),
    metavar="N",
    default=SAMPLE,
    show_default=True,
    help="How many images are tried. More of them make the estimate's range narrower.",
)
@click.option(
    "-j",
    "--slots",
    type=Whole(1, limits.SLOTS_MAX),
    metavar="N",
    help="Processes in all, here and in the estimate.  [default: CPUs]",
)
@click.option(
    "--seed",
    type=SEED,
    metavar="N",
    default=0,
    show_default=True,
    help="Another number draws other images.",
)
@machine_options
def command(asked: Asked, sheet: str, sample: int, slots: int | None, seed: int, bounds: Bounds) -> int:
    """Try a few images of a folder here, and estimate the whole.

    The largest and the smallest, some of each format, odd ones, and a random draw. A contact sheet shows
    each before and after, with its sizes and times. Nothing is written but the sheet.
    """
    check_format(Recipe.from_array(asked.request.recipe), bounds)
    plan = understand("try", asked.request, storage.Roots(api.private_roots(asked.request)))
    path = api.absolute(sheet)
    sheet_file.check(path, plan.source.path)
    rng = Random(seed)
    found = _listed(plan, sample, rng, asked.quiet)
    trial = _Trial(asked, plan, found, slots or api.cpu_count(), bounds)
    with plan.source.open() as folder:
        picked = chosen(folder, found.survey, sample, rng)
        return trial.run(folder, picked, path)


def _listed(plan: Plan, room: int, rng: Random, quiet: bool) -> Listed:
    said_at = time.monotonic()

    def told(found: Listed) -> None:
        nonlocal said_at
        if not quiet and time.monotonic() - said_at >= limits.REPORT_EVERY_S:
            said_at = time.monotonic()
            say(f"{count(found.survey.count, 'image')} found so far")

    try:
        found = listed(plan, room, rng, told)
    except OSError as error:
        raise UsageError(f"{shown(plan.source.path)}: {storage.reason(error)}") from None
    for line in found.lost:
        say(f"cannot be looked at, so images there are not in the estimate: {line}")
    if not found.survey.count:
        raise UsageError(trial_output.nothing_in(plan, found))
    return found


@dataclass(frozen=True, slots=True)
class _Trial:
    """What is tried, with how many processes, and what each of them may take."""

    asked: Asked
    plan: Plan
    found: Listed
    slots: int
    bounds: Bounds

    def run(self, folder: storage.Folder, sample: Sample, path: bytes) -> int:
        """Try the sample, write the sheet, tell of it; the exit code it deserves."""
        if not self.asked.quiet:
            say(f"{count(self.found.survey.count, 'image')} found, {len(sample.files)} are tried")
        with _Desk() as desk:
            copies = desk.copy(folder, sample)
            report = Report()
            facts, costs, code = self._work(desk, report)
            if code is not None:
                return code
            tried = self._read(desk, sample, copies, facts, costs)
        estimate = estimated(sample, tried, self.slots, report.startup_s or 0.0)
        story = trial_output.Story(self.plan, self.found, tried, estimate, report.notes)
        sheet_file.write(path, sheet.draw(story.heading(), story.cells(), story.footing()))
        return trial_output.tell(story, path, self.asked)

    def _work(self, desk: _Desk, report: Report) -> tuple[list[Fact], Mapping[bytes, float], int | None]:
        """The facts of a job on the copies, and `repeating.costs`; if a signal stopped it, the exit code."""
        request = self._request(desk.path)
        facts: list[Fact] = []
        costs: Mapping[bytes, float] = {}

        def told(fact: Fact) -> None:
            facts.append(fact)
            report.fold(fact)

        async def work(interrupts: Interrupts) -> int:
            nonlocal costs
            interrupts.leaving = lambda: say("stopped: there is no sheet")
            async with api.embedded(request, slots=self.slots, bounds=self.bounds) as cluster:
                with ticking(progress_of(self.asked), report):
                    took_s = await _follow(cluster.client, request, told)
                    costs = repeating.of_the_dead(facts, took_s, self.slots)
                    costs |= await self._repeated(desk, cluster.client, facts)
            return 0

        code = run_loop(attended(work))
        if not code and report.state != "done":
            raise UnfinishedError(f"the sample was not finished: {report.problem or report.state}")
        return facts, costs, code or None

    async def _repeated(self, desk: _Desk, client: Client, facts: Sequence[Fact]) -> Mapping[bytes, float]:
        """What images of the sample take in a crowd: nothing of those that are slow, or killed a process."""
        done = [fact for fact in facts if isinstance(fact, ImageDone) and fact.tries == 1]
        recipe = self._recipe
        with desk.folder(b"out") as output:
            written = sum(output.size(recipe.target(one.name)) for one in done)
        number = repeating.rounds(done, written, self.slots, repeating.Room.of(desk.path))
        if not number:
            return {}
        place = desk.path + b"/again"
        try:
            names = (one.name for one in done)
            repeating.lay_out(desk.path + b"/input_dir", place + b"/input_dir", names, number)
        except OSError:
            return {}
        mirrored = recipe.changed(name=MIRRORED)  # whatever it is, the rounds must not collide
        request = replace(self._request(place), recipe=mirrored.array())
        again: list[Fact] = []
        try:
            async with asyncio.timeout(limits.REPEATED_WAIT_S):
                took_s = await _follow(client, request, again.append)
        except (TimeoutError, UsageError):
            return {}
        if not (isinstance(again[-1], Ended) and again[-1].state == "done"):
            return {}
        return repeating.costs(again, took_s, self.slots)

    def _request(self, place: bytes) -> SubmitRequest:
        return replace(self.asked.request, source=place, output=place + b"/out", include=(), exclude=())

    @property
    def _recipe(self) -> Recipe:
        return Recipe.from_array(self.asked.request.recipe)

    def _read(
        self,
        desk: _Desk,
        sample: Sample,
        copies: dict[bytes, Copy],
        facts: Sequence[Fact],
        costs: Mapping[bytes, float],
    ) -> list[Tried]:
        side = sheet.layout_of(len(sample.files)).side
        with desk.folder(b"input_dir") as source, desk.folder(b"out") as output:
            reading = Reading(self._recipe, source, output, side, self.asked.request.timeout_s, costs)
            return reading.tried(sample, copies, facts)


async def _follow(client: Client, request: SubmitRequest, told: Callable[[Fact], None]) -> float:
    """A job from its beginning to its end; the seconds since its first image was handed out.

    Raises
    ------
    UsageError
        There is no room for its results. Other jobs wait for some; nobody else will make it for this one.
    """
    job = await client.submit(request)
    began = time.perf_counter()
    async for batch in job.batches():
        for fact in batch:
            began = time.perf_counter() if isinstance(fact, Started) else began
            if isinstance(fact, WorkerChanged) and fact.state == "aside":
                raise UsageError(f"the sample cannot be done: {fact.reason}; {_ELSEWHERE}")
            told(fact)
    return time.perf_counter() - began


class _Desk:
    """A directory for copies and results, which is gone afterwards.

    The copies lie in its ``input_dir``: so an ``input_dir`` among their own names is not taken for SOURCE.
    """

    def __init__(self) -> None:
        try:
            self._directory = tempfile.TemporaryDirectory(prefix="imgpipe-try-")
        except OSError as error:
            raise UsageError(f"no temporary directory: {storage.reason(error)}; {_ELSEWHERE}") from None
        self.path = os.fsencode(os.path.abspath(self._directory.name))

    def __enter__(self) -> _Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def folder(self, name: bytes) -> storage.Folder:
        return storage.Folder(self.path, name, make=True)

    def copy(self, source: storage.Folder, sample: Sample) -> dict[bytes, Copy]:
        try:
            with self.folder(b"input_dir") as target:
                return copied(source, target, sample.files)
        except OSError as error:
            where, why = shown(self.path), storage.reason(error)
            raise UsageError(f"cannot copy the sample to {where}: {why}; {_ELSEWHERE}") from None


_ELSEWHERE = "set TMPDIR to a directory with room for the sample and its results"
