"""What ``try`` tells: on the sheet, as text, and as one JSON object. All three are told by a `Story`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imgpipe.commands.amounts import about, duration, size
from imgpipe.commands.job_options import Asked
from imgpipe.commands.words import count, entries
from imgpipe.errors import ExitCode
from imgpipe.imaging.recipe import Recipe
from imgpipe.imaging.sheet import Cell, Side
from imgpipe.jobs.intake import Plan
from imgpipe.notes import sentences
from imgpipe.records.events import named, noted
from imgpipe.sampling.estimate import CONFIDENCE, Range
from imgpipe.schema import shown
from imgpipe.trial.gathering import Listed
from imgpipe.trial.looking import Look
from imgpipe.trial.results import Estimate, Tried

_ASSUMPTION = (
    "The whole lies in the ranges about four times in five, if the other images are like those tried, nothing"
    " else keeps this machine busy, and its disks stay as fast as they were for the sample."
)
_LEGEND = (
    "Left before, right after; bytes are those of the file. Below, the milliseconds that a process took for "
    "it, why this image is in the sample, and what it lost or what is odd about its file."
)
_STAGE_MIN_MS, _STAGE_MIN_SHARE = 0.5, 0.02  # a stage that took less is not told on the sheet


@dataclass(frozen=True, slots=True)
class Story:
    """A trial that is over; ``notes`` has the number of images for each kind of note."""

    plan: Plan
    found: Listed
    tried: Sequence[Tried]
    estimate: Estimate
    notes: Mapping[str, int]

    @property
    def failed(self) -> list[Tried]:
        return [one for one in self.tried if one.failure is not None]

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.SOME_FAILED if self.failed else ExitCode.DONE

    @property
    def recipe(self) -> str:
        return str(Recipe.from_array(self.plan.request.recipe))

    # --- the sheet ------------------------------------------------------------------------------

    def heading(self) -> list[str]:
        part = f"{len(self.tried)} of " if self._is_part else "all of "
        images = count(self.found.survey.count, "image")
        return [
            f"imgpipe try: {part}{images} in {shown(self.plan.source.path)}",
            f"What is done to each: {self.recipe}",
            _LEGEND,
        ]

    @property
    def _is_part(self) -> bool:
        return len(self.tried) < self.found.survey.count

    def cells(self) -> list[Cell]:
        return [_cell(one) for one in self.tried]

    def footing(self) -> list[str]:
        return [f"The whole folder: {self.forecast()}", self._outcome(), *self._assumption()]

    def _outcome(self) -> str:
        done = len(self.tried) - len(self.failed)
        return f"Tried here: {done} of {count(len(self.tried), 'image')} done, {len(self.failed)} failed."

    def _assumption(self) -> Iterator[str]:
        if self._is_part:
            yield _ASSUMPTION

    def forecast(self) -> str:
        time, output = about(self.estimate.seconds, duration), about(self.estimate.output, size)
        return f"{time} with {count(self.estimate.slots, 'slot')}; {output} of output"

    # --- text -----------------------------------------------------------------------------------

    def text(self, path: bytes, quiet: bool) -> Iterator[str]:
        survey = self.found.survey
        if not quiet:
            sums = f"{count(survey.count, 'image')}, {size(survey.bytes)}, {entries(self.found.ignored)}"
            yield f"{shown(self.plan.source.path)}: {sums}"
            yield self._outcome()
        yield from (f"  {shown(one.file.name)}: {one.failure}" for one in self.failed)
        if not quiet:
            yield from (f"  {line}" for line in sentences(self.notes))
        yield f"The whole folder: {self.forecast()}"
        if not quiet:
            yield from self._assumption()
        yield f"Look at {shown(path)}"

    # --- json -----------------------------------------------------------------------------------

    def object(self, path: bytes) -> dict[str, Any]:
        survey = self.found.survey
        return {
            "event": "try",
            "source": shown(self.plan.source.path),
            "sheet": shown(path),
            "recipe": self.recipe,
            "total": survey.count,
            "bytes": survey.bytes,
            "ignored": self.found.ignored,
            "not_looked_at": self.found.lost_count,
            "tried": len(self.tried),
            "failed": len(self.failed),
            "notes": dict(self.notes),
            "images": [_image(one) for one in self.tried],
            "estimate": _estimate(self.estimate),
            "exit": int(self.exit_code),
        }


def nothing_in(plan: Plan, found: Listed) -> str:
    """Why there is nothing to try."""
    hint = "; `imgpipe run -n --list-ignored` names them" if found.ignored else ""
    return f"no images in {shown(plan.source.path)}, {entries(found.ignored)}{hint}"


def tell(story: Story, path: bytes, asked: Asked) -> ExitCode:
    """Print it; the exit code it deserves."""
    if asked.json:
        print(json.dumps(story.object(path)), flush=True)
    else:
        print("\n".join(story.text(path, asked.quiet)), flush=True)
    return story.exit_code


# --- one image on the sheet ---------------------------------------------------------------------


def _cell(one: Tried) -> Cell:
    if one.after is not None:
        after = _side("after", one.after)
    else:
        after = Side(None, f"failed: {one.failure}", ("no result",))
    lines = [*_times(one), *_notes(one)]
    return Cell(
        shown(one.file.name), _side("before", one.before), after, lines, alarm=one.failure is not None
    )


def _side(which: str, look: Look) -> Side:
    pixels = f"{which} {look.width} × {look.height}" if look.width else which
    kind = ", ".join((f"{size(look.size)} {look.format}", *look.traits))
    return Side(look.image, look.problem, (pixels, kind))


def _times(one: Tried) -> Iterator[str]:
    if one.ms:
        whole = sum(one.ms.values())
        least = max(_STAGE_MIN_MS, _STAGE_MIN_SHARE * whole)
        stages = ", ".join(f"{name} {ms:.0f}" for name, ms in one.ms.items() if ms >= least)
        yield f"{whole:.0f} ms{f' ({stages})' if stages else ''}"


def _notes(one: Tried) -> Iterator[str]:
    if one.why:
        yield f"chosen: {', '.join(one.why)}"
    notes = [*(message for _, message, *_ in one.notes), *one.before.notes]
    if notes:
        yield f"note: {'; '.join(notes)}"


# --- one image in the object --------------------------------------------------------------------


def _image(one: Tried) -> dict[str, Any]:
    status = "done" if one.failure is None else "failed"
    object_: dict[str, Any] = named(one.file.name) | {"status": status, "chosen": list(one.why)}
    if one.failure is not None:
        object_ |= {"kind": str(one.failure.kind), "message": one.failure.message}
    object_ |= {"before": _look(one.before), "after": None if one.after is None else _look(one.after)}
    return object_ | {"ms": {stage: round(ms, 3) for stage, ms in one.ms.items()}} | noted(one.notes)


def _look(look: Look) -> dict[str, Any]:
    known = {"width": look.width, "height": look.height, "format": look.format, "traits": list(look.traits)}
    notes = {"notes": list(look.notes)} if look.notes else {}
    return {"bytes": look.size} | (known if look.format else {}) | notes


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "slots": estimate.slots,
        "seconds": _range(estimate.seconds, 3),
        "output_bytes": _range(estimate.output, None),
        "confidence": CONFIDENCE,
    }


def _range(range_: Range, digits: int | None) -> dict[str, Any]:
    return {name: round(getattr(range_, name), digits) for name in ("about", "low", "high")}
