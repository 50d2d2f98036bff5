"""What a person sees meanwhile, given a report and a time."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from pathlib import Path

import pytest

from imgpipe import limits
from imgpipe.api import request
from imgpipe.commands.job_options import Asked
from imgpipe.commands.progress import (
    LiveProgress,
    PlainProgress,
    Progress,
    clock,
    drawn,
    headline,
    progress_of,
    ticking,
)
from imgpipe.facts import Fact, Found, ImageDone, ImageFailed, Listed, Started, Stopping, Tally, WorkerChanged
from imgpipe.records.report import Report

LIVE = WorkerChanged("node1", "10.0.0.1:9090", "live", 2)
GONE = WorkerChanged("node1", "10.0.0.1:9090", "gone", 2, "connection refused")


def report_of(*facts: Fact) -> Report:
    report = Report()
    for fact in facts:
        report.fold(fact)
    return report


def test_the_headline():
    done = [ImageDone(b"a", "node1", 1, 1, (0,) * 5)] * 4
    report = report_of(Found(10, 0), Started(1.0), *done)
    assert headline(report, 3.0) == "4 of 10 found so far done, 2.0 images/s"
    for fact in (Listed(245, 0), ImageFailed(b"b", "missing", "", "node1", 1, 0), Stopping("enough", True)):
        report.fold(fact)
    assert headline(report, 3.5) == "4 of 245 done, 1 failed, 2.0 images/s, 2:00 left, stopping"


@pytest.mark.parametrize(("seconds", "shown"), [(0.4, "0:00"), (65, "1:05"), (7209, "2:00:09")])
def test_clock(seconds: float, shown: str):
    assert clock(seconds) == shown


def test_a_plain_line_now_and_then(capsys: pytest.CaptureFixture[str]):
    progress, report = PlainProgress(), report_of(LIVE, Found(10, 0))
    for second in range(1, 26):
        progress.show(report, float(second))
    assert capsys.readouterr().err.count("0 of 10 found so far done") == 25 // limits.REPORT_EVERY_S


def test_that_nobody_works_is_said_once_each_time(capsys: pytest.CaptureFixture[str]):
    progress, report = Progress(), report_of(GONE, Found(10, 0))
    for change in (GONE, GONE, LIVE, GONE, GONE):
        report.fold(change)
        progress.show(report, 1.0)
    err = capsys.readouterr().err
    assert err.count("no live worker") == 2
    assert err.count("10.0.0.1:9090 is gone: connection refused") == 2


def test_what_is_drawn_fits_a_terminal():
    workers = [WorkerChanged(f"node{n}", "10.0.0.1:9090", "aside", 2, "x" * 200) for n in range(40)]
    lines = printed(report_of(Listed(10, 0), *workers))
    assert len(lines) <= 24
    assert "… and 35 more workers" in lines
    assert "no worker can do the job; it waits until one can:" in lines
    assert sum(line.startswith("node") and " at 10.0.0.1:9090 is aside" in line for line in lines) == 3
    live = [WorkerChanged(f"node{n}", "10.0.0.1:9090", "live", 2, "x" * 200) for n in range(17)]
    lines = printed(report_of(Listed(10, 0), *live))
    assert len(lines) <= 24
    assert lines[-1] == "… and 1 more worker"


def printed(report: Report) -> list[str]:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=80, height=24)
    console.print(drawn(report, 1.0))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]  # it is the StringIO
    return text.splitlines()


def test_delays_are_drawn():
    lines = printed(report_of(LIVE, Listed(10, 0), Tally("node1", rejections=3, delayed=7)))
    header, row = (
        next(line for line in lines if line.strip().startswith(word)) for word in ("worker", "node1")
    )
    cells = dict(zip(header.split(), row.split(), strict=True))
    assert (cells["rejected"], cells["delayed"]) == ("3", "7")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("to_file", [True, False])
def test_a_live_display_is_not_mixed_with_lines(
    to_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "stderr", Terminal())
    reading, writing = os.pipe()
    target = open(tmp_path / "out", "w") if to_file else open(writing, "w")  # noqa: SIM115  # with, below
    with target, open(reading):
        monkeypatch.setattr(sys, "stdout", target)
        for lines in (True, False):
            progress = progress_of(Asked(request("/in", dry_run=lines)))
            progress.close()
            assert isinstance(progress, LiveProgress) is (to_file or not lines)


def test_ticking_ends_with_its_block():
    shown: list[float] = []
    enough = asyncio.Event()

    class Ticks(Progress):
        every_s = 0.0

        def show(self, report: Report, elapsed_s: float) -> None:
            shown.append(elapsed_s)
            enough.set()

        def close(self) -> None:
            shown.append(-1.0)

    async def main() -> int:
        with ticking(Ticks(), Report()):
            await enough.wait()
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    assert shown[0] >= 0.0
    assert shown[-1] == -1.0
