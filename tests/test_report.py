"""Facts folded: however they were told, and whatever of them was missed, the sums are right."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe import limits
from imgpipe.errors import ExitCode, Note
from imgpipe.facts import (
    Ended,
    Fact,
    Found,
    ImageDone,
    ImageFailed,
    Listed,
    Opened,
    Planned,
    Started,
    Stopping,
    Tally,
    WorkerChanged,
)
from imgpipe.records.events import event, named
from imgpipe.records.report import Report
from tests.fakes import JOB

NOTES = st.lists(st.tuples(st.sampled_from([*map(str, Note)]), st.text(max_size=9)), max_size=4).map(tuple)
WORKERS = st.sampled_from(["node1", "node2", "node3"])
COUNTS = st.integers(0, 5)
DONE = st.builds(
    ImageDone,
    name=st.binary(min_size=1, max_size=8),
    worker=WORKERS,
    attempts=st.integers(1, 9),
    tries=st.just(1),
    times=st.tuples(*[st.integers(0, 10**6)] * 5),
    notes=NOTES,
)
FAILED = st.builds(
    ImageFailed,
    name=st.binary(min_size=1, max_size=8),
    kind=st.just("unreadable"),
    message=st.text(max_size=20),
    worker=st.one_of(st.just(""), WORKERS),
    attempts=COUNTS,
    tries=COUNTS,
    notes=NOTES,
)
TALLY = st.builds(
    Tally, worker=WORKERS, rejections=COUNTS, retries=COUNTS, forced=COUNTS, delayed=COUNTS, lost=COUNTS
)
HAPPENINGS = st.lists(st.one_of(DONE, FAILED, TALLY), max_size=60)


def folded(facts: list[Fact]) -> Report:
    report = Report()
    for fact in facts:
        report.fold(fact)
    return report


def row(
    name: str, done: list[ImageDone], failed: list[ImageFailed], tallies: list[Tally]
) -> tuple[str, int, int, int, int, int]:
    mine = [tally for tally in tallies if tally.worker == name]
    return (
        name,
        sum(fact.worker == name for fact in done),
        sum(tally.rejections for tally in mine),
        sum(tally.retries for tally in mine),
        sum(fact.worker == name for fact in failed),
        sum(sum(fact.times) for fact in done if fact.worker == name),
    )


def _has(fact: Any, kind: str) -> bool:
    return any(note[0] == kind for note in fact.notes)


def whole(happened: list[Fact], state: str = "done") -> list[Fact]:
    """A job in which this happened, with its sums worked out anew."""
    done = [fact for fact in happened if isinstance(fact, ImageDone)]
    failed = [fact for fact in happened if isinstance(fact, ImageFailed)]
    tallies = [fact for fact in happened if isinstance(fact, Tally)]
    named = (*(f.worker for f in done), *(f.worker for f in failed), *(f.worker for f in tallies))
    rows = tuple(row(name, done, failed, tallies) for name in sorted(set(named) - {""}))
    total = len(done) + len(failed)
    noted = [str(kind) for kind in Note if any(_has(fact, kind) for fact in (*done, *failed))]
    ended = Ended(
        state=state,
        total=total,
        done=len(done),
        failed=len(failed),
        skipped=0,
        ignored=2,
        remaining=0,
        rejections=sum(tally.rejections for tally in tallies),
        forced=sum(tally.forced for tally in tallies),
        retries=sum(tally.retries for tally in tallies),
        workers=rows,
        notes=tuple((kind, sum(_has(fact, kind) for fact in (*done, *failed))) for kind in noted),
    )
    return [Opened(JOB, "random", b"/in", b"/out", ""), Listed(total, 2), *happened, ended]


@given(HAPPENINGS)
def test_what_is_added_up_is_what_the_end_says(happened: list[Fact]):
    facts = whole(happened)
    before, after = folded(facts[:-1]), folded(facts)
    for name in (
        "total",
        "done",
        "failed",
        "ignored",
        "remaining",
        "rejections",
        "retries",
        "forced",
        "notes",
    ):
        assert getattr(before, name) == getattr(after, name), name
    assert {row.name: row for row in before.workers.values()} == after.workers


@given(HAPPENINGS, st.data())
def test_a_gap_does_not_change_the_sums(happened: list[Fact], data: st.DataObject):
    facts = whole(happened)
    start = data.draw(st.integers(1, len(facts) - 1))
    end = data.draw(st.integers(start, len(facts) - 1))
    gapped, complete = folded(facts[:start] + facts[end:]), folded(facts)
    wanted, got = complete.summary(), gapped.summary()
    assert got == wanted


@given(st.lists(FAILED, max_size=60))
def test_only_the_first_failures_are_kept(failed: list[Fact]):
    report = folded(whole(failed))
    assert report.failures == failed[: limits.FAILED_SHOWN]
    assert report.failed == len(failed)


@given(HAPPENINGS)
def test_every_object_is_json_and_names_survive(happened: list[Fact]):
    for fact in happened:
        found = event(fact)
        if found is None:
            assert isinstance(fact, Tally)
            continue
        again = json.loads(json.dumps(found))
        assert again == found
        name = base64.b64decode(again["name_b64"]) if "name_b64" in again else again["name"].encode()
        assert name == fact.name  # type: ignore[union-attr]


def test_the_objects_of_the_contract():
    done = event(ImageDone(b"a/b.jpg", "node1", 2, 1, (1000, 2000, 3500, 4, 0)))
    assert done == {
        "event": "image",
        "name": "a/b.jpg",
        "status": "done",
        "worker": "node1",
        "attempts": 2,
        "tries": 1,
        "ms": {"read": 1.0, "decode": 2.0, "operate": 3.5, "encode": 0.004, "write": 0.0},
    }
    failed = event(ImageFailed(b"bad.png", "collision", "as a.jpg", "", 0, 0))
    assert failed is not None
    assert list(failed) == ["event", "name", "status", "kind", "message", "worker", "attempts", "tries"]
    assert (failed["worker"], failed["attempts"]) == (None, 0)
    assert event(Planned(b"a.jpg", b"a.webp")) == {"event": "planned", "name": "a.jpg", "target": "a.webp"}


def test_an_object_has_notes_where_there_are_any():
    notes = (("alpha", "JPEG has no transparency"), ("warning", "line 3"))
    told = [
        {"kind": "alpha", "message": "JPEG has no transparency"},
        {"kind": "warning", "message": "line 3"},
    ]
    done = event(ImageDone(b"a", "w", 1, 1, (0,) * 5, notes))
    failed = event(ImageFailed(b"a", "truncated", "", "w", 1, 1, notes))
    assert done is not None
    assert failed is not None
    assert done["notes"] == failed["notes"] == told


def test_an_image_counts_once_for_each_kind():
    notes = (("warning", "line 3"), ("warning", "line 4"), ("pages", "5"))
    failed = ImageFailed(b"a", "truncated", "", "w", 1, 1, notes[:1])
    report = folded([ImageDone(b"a", "w", 1, 1, (0,) * 5, notes), failed])
    assert report.summary()["notes"] == {"warning": 2, "pages": 1}


def test_a_name_that_is_not_utf8():
    assert named(b"caf\xe9.jpg") == {"name": "caf\\xe9.jpg", "name_b64": "Y2Fm6S5qcGc="}
    assert named("café\n.jpg".encode()) == {"name": "café\n.jpg"}


def test_the_summary_has_every_field_of_the_contract():
    report = folded([*whole([ImageDone(b"a", "node1", 1, 1, (1, 1, 1, 1, 1))])[:-1], Started(0.25)])
    report.fold(Ended("done", 1, 1, 0, 0, 2, 0, 3, 1, 0, (("node1", 1, 3, 0, 0, 5),)))
    report.finished(1.5)
    summary = report.summary()
    assert list(summary) == [
        "event", "job", "mode", "total", "done", "failed", "skipped", "ignored", "rejections", "forced",
        "retries", "elapsed_s", "startup_s", "workers", "exit", "remaining", "state", "troubles", "notes",
    ]  # fmt: skip
    assert (summary["elapsed_s"], summary["startup_s"], summary["exit"]) == (1.5, 0.25, 0)
    assert summary["workers"]["node1"] == {
        "done": 1,
        "rejected": 3,
        "failed": 0,
        "retried": 0,
        "busy_s": 0.000005,
    }


def ended(state: str, failed: int = 0, remaining: int = 0) -> Ended:
    return Ended(state, 5, 5 - failed - remaining, failed, 0, 0, remaining, 0, 0, 0, ())


def test_exit_codes():
    assert folded([ended("done")]).exit_code() is ExitCode.DONE
    assert folded([ended("done", failed=2)]).exit_code() is ExitCode.SOME_FAILED
    assert folded([ended("failed", remaining=1)]).exit_code() is ExitCode.UNFINISHED
    cancelled = folded([Stopping("by a client", True), ended("cancelled", remaining=3)])
    assert cancelled.exit_code() is ExitCode.UNFINISHED
    assert cancelled.exit_code(ExitCode.TERMINATED) is ExitCode.TERMINATED
    assert cancelled.remaining == 3
    assert folded([ended("done")]).exit_code(ExitCode.INTERRUPTED) is ExitCode.DONE
    assert folded([]).exit_code() is ExitCode.UNFINISHED


def test_rate_and_what_is_left():
    report = folded([Found(10, 0), Started(1.0), *[ImageDone(b"a", "w", 1, 1, (0,) * 5)] * 4])
    assert report.rate(3.0) == 2.0
    assert report.eta_s(3.0) is None  # more may be found
    report.fold(Listed(10, 0))
    assert report.eta_s(3.0) == 3.0
    assert report.rate(0.5) == 0.0


def test_what_to_do_about_workers():
    gone = WorkerChanged("node2", "10.0.0.2:9091", "gone", 1, "connection refused")
    aside = WorkerChanged("node3", "10.0.0.3:9090", "aside", 1, "it has no root 'photos': start it with …")
    report = folded([gone, aside])
    assert report.waiting() == ["no worker can do the job; it waits until one can:", *report.troubles()]
    assert folded([gone]).waiting()[0].startswith("no live worker; ")
    first, second = report.troubles()
    assert first.startswith("node2 at 10.0.0.2:9091 is gone: connection refused; start it there")
    assert "imgpipe worker --port 9091" in first
    assert second == "node3 at 10.0.0.3:9090 is aside: it has no root 'photos': start it with …"
    report.fold(WorkerChanged("node2", "10.0.0.2:9091", "live", 1))
    assert report.waiting() == []
    assert len(report.troubles()) == 1
    assert "knows of none" in folded([]).waiting()[0]


@pytest.mark.parametrize(
    ("state", "reason", "remedy"),
    [
        ("gone", "refused: worker 'w' is held by coordinator 'x' at 10.0.0.9:1", "stop that one"),
        ("gone", "refused: worker 'w' is held by coordinator 'x' at 10.0.0.9:1", "out of machines.txt"),
        ("gone", "refused: worker 'w' is held by coordinator 'x' at 10.0.0.9:1", "restart this coordinator"),
        ("aside", "photos: no such file or directory", "`--root NAME=PATH` of the same NAME"),
        ("aside", "/out is not the output directory of this job: its mark is not there", "shared directory"),
        ("aside", "/out: no space left on device", "free some space"),
        ("aside", "/out: read-only file system", "make the folder writable"),
        ("aside", "it has no operation glow: install the package that brings it there", ""),
        ("aside", "it does not write avif: start it without that --without, install …", ""),
        ("aside", "glow: the recipe was made with version 2 of this operation, here is version 1: …", ""),
    ],
)
def test_what_helps(state: str, reason: str, remedy: str):
    [line] = folded([WorkerChanged("node2", "10.0.0.2:9091", state, 1, reason)]).troubles()
    said = line.removeprefix(f"node2 at 10.0.0.2:9091 is {state}: {reason}")
    assert remedy in said
    assert bool(said) is bool(remedy)
    assert "imgpipe worker" not in said


def test_workers_of_the_summary_stand_by_name():
    names = ["node3", "node1", "node2"]
    report = folded([WorkerChanged(name, "", "live", 1) for name in names])
    assert list(report.summary()["workers"]) == sorted(names)
