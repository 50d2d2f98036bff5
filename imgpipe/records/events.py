"""Facts as ``--json`` objects, and file names as JSON text."""

from __future__ import annotations

import base64
from typing import Any

from imgpipe.facts import STAGES, Fact, Ignored, ImageDone, ImageFailed, Planned
from imgpipe.notes import Notes


def event(fact: Fact) -> dict[str, Any] | None:
    """The ``--json`` object of a fact that has one: an image's end, a line of a dry run, an ignored entry."""
    match fact:
        case ImageDone():
            spent = {stage: us / 1000 for stage, us in zip(STAGES, fact.times, strict=False)}
            return _image(fact, "done") | _work(fact) | {"ms": spent} | noted(fact.notes)
        case ImageFailed():
            why = {"kind": fact.kind, "message": fact.message}
            return _image(fact, "failed") | why | _work(fact) | noted(fact.notes)
        case Planned():
            planned = {"event": "planned"} | named(fact.name) | {"target": text(fact.target)}
            return planned | ({"problem": fact.problem} if fact.problem else {})
        case Ignored():
            return {"event": "ignored"} | named(fact.name) | {"why": fact.why}
        case _:
            return None


def _image(fact: ImageDone | ImageFailed, status: str) -> dict[str, Any]:
    return {"event": "image"} | named(fact.name) | {"status": status}


def _work(fact: ImageDone | ImageFailed) -> dict[str, Any]:
    return {"worker": fact.worker or None, "attempts": fact.attempts, "tries": fact.tries}


def noted(notes: Notes) -> dict[str, Any]:
    """Notes of an image, where it has any."""
    told = [{"kind": kind, "message": message} for kind, message, *_ in notes]
    return {"notes": told} if told else {}


def named(name: bytes) -> dict[str, str]:
    """A file name for JSON: as it is where it is UTF-8; else escaped, with its bytes beside it."""
    try:
        return {"name": name.decode()}
    except UnicodeDecodeError:
        return {"name": text(name), "name_b64": base64.b64encode(name).decode()}


def text(name: bytes) -> str:
    """A file name as JSON text: what is not UTF-8 is escaped (``\\xNN``), and JSON escapes the rest."""
    return name.decode("utf-8", "backslashreplace")
