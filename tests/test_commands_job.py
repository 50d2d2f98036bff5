"""A job's options and output: ``submit`` and a coordinator of the test. Request, words, exit code."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgpipe.blocking import portal
from imgpipe.cli import main
from imgpipe.connection import Stream
from imgpipe.facts import Ended, Fact, ImageDone, ImageFailed, Listed, Opened, Stopping, Tally, WorkerChanged
from imgpipe.imaging.recipe import Recipe
from imgpipe.imaging.recipe_toml import OPTIONS, TABLES
from imgpipe.protocol import CancelJob, Declined, Finished, SubmitRequest
from tests.fakes import ACCEPTED, JOB, FakeCoordinator, facts_of, message, telling

DATA = Path(__file__).parent.parent / "data" / "input"


class Listening:
    """A fake coordinator on a port."""

    def __init__(self, fake: FakeCoordinator) -> None:
        self.fake = fake
        self.server = portal().call(fake.door.listen, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        portal().call(self.server.close)
        for stream in self.fake.streams:
            portal().call(stream.close, "the test has ended")


@pytest.fixture
def serve() -> Iterator[Any]:
    made: list[Listening] = []

    def start(answer: Any) -> Listening:
        made.append(Listening(FakeCoordinator(answer)))
        return made[-1]

    yield start
    for listening in made:
        listening.close()


def submit(address: str, *words: str) -> int:
    return main(["submit", "/in", "-c", address, *words])


# --- what is asked for --------------------------------------------------------------------------


def test_options_become_a_request(serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    there = serve(telling(facts_of(1)))
    words = [
        "--op",
        "grayscale",
        "--op",
        "blur:size=5",
        "--format",
        "png",
        "--quality",
        "80",
        "--mode",
        "load",
    ]
    words += [
        "--include",
        "*.jpg",
        "--include",
        "a/*",
        "--exclude",
        "b*",
        "--existing",
        "redo",
        "--priority",
        "-3",
    ]
    words += ["--retries", "0", "--timeout", "2.5", "-o", "../out/./x/"]
    assert main(["submit", "photos/../in/", "-c", there.address, *words]) == 0
    recipe = Recipe.from_options(["grayscale", "blur:size=5"], "png", 80)
    assert there.fake.said == [
        SubmitRequest(
            source=os.fsencode(tmp_path / "in"),
            output=os.fsencode(tmp_path.parent / "out" / "x"),
            recipe=recipe.array(),
            mode="balanced",
            include=("*.jpg", "a/*"),
            exclude=("b*",),
            existing="redo",
            retries=0,
            timeout_s=2.5,
            priority=-3,
        )
    ]


def test_a_recipe_file(serve: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    there = serve(telling(facts_of(1)))
    file = tmp_path / "recipe.toml"
    file.write_text('[[step]]\nop = "blur"\nsize = 5\n[output]\nformat = "webp"\n')
    assert submit(there.address, "-P", str(file), "--quality", "50") == 0
    assert there.fake.said[0].recipe == Recipe.from_options(["blur:size=5"], "webp", 50).array()
    assert submit(there.address, "-P", str(file), "--op", "blur") == 2
    file.write_text('[[step]]\nop = "blurr"\n')
    assert submit(there.address, "-P", str(file)) == 2
    assert "recipe.toml: step 1: unknown operation 'blurr'" in capsys.readouterr().err


def test_the_help_of_recipe_names_every_key_of_its_tables(capsys: pytest.CaptureFixture[str]):
    assert main(["run", "--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    for table in TABLES:
        assert f"[{table}] with {', '.join(o.key for o in OPTIONS if o.table == table)}" in words.replace(
            " and ", ", "
        )


# --- what is printed ----------------------------------------------------------------------------


def failing(count: int) -> list[Fact]:
    failed = [
        ImageFailed(b"%d.png" % n, "unreadable", "no decoder takes it", "node1", 1, 1) for n in range(count)
    ]
    ended = Ended("done", count, 0, count, 0, 3, 0, 7, 0, 0, (("node1", 0, 7, 0, count, 0),))
    away = WorkerChanged(
        "node2", "10.0.0.2:9090", "aside", 2, "it has no root 'x': start it with --root x=PATH"
    )
    opened = Opened(JOB, "balanced", b"/in", b"/out", "")
    return [opened, away, Listed(count, 3), Tally("node1", rejections=7), *failed, ended]


def test_text(serve: Any, capsys: pytest.CaptureFixture[str]):
    assert submit(serve(telling(failing(23))).address) == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["worker", "done", "rejected", "retried", "failed", "busy"]
    assert lines[1].split() == ["node1", "0", "7", "0", "23", "0.000", "s"]
    assert lines[3:5] == ["23 images failed:", "  0.png: unreadable: no decoder takes it (on node1)"]
    assert lines[24] == "  … and 3 more (--json names them all)"
    assert lines[25].startswith("node2 at 10.0.0.2:9090 is aside: it has no root 'x'")
    assert lines[26] == "0 of 23 images done, 23 failed, 3 other entries ignored; 7 rejections"
    assert re.fullmatch(r"Time elapsed: \d+\.\d{3}", lines[-1])


def noted() -> list[Fact]:
    gone = ("alpha", "JPEG has no transparency")
    done = [ImageDone(b"%d.png" % n, "node1", 1, 1, (1,) * 5, (gone,)) for n in range(3)]
    failed = ImageFailed(b"bad.png", "truncated", "it ends early", "node1", 1, 1, (("warning", "line 3"),))
    sums = (("alpha", 3), ("warning", 1))
    ended = Ended("done", 4, 3, 1, 0, 0, 0, 0, 0, 0, (("node1", 3, 0, 0, 1, 15),), "", sums)
    return [Opened(JOB, "balanced", b"/in", b"/out", ""), Listed(4, 0), *done, failed, ended]


def test_notes_are_summed_in_words(serve: Any, capsys: pytest.CaptureFixture[str]):
    there = serve(telling(noted()))
    assert submit(there.address) == 3
    out, err = capsys.readouterr()
    assert out.splitlines()[5:7] == [
        "3 images lost their transparency: the output's format has none, a step drops it, or the input's "
        "is not read",
        "1 image had decoder warnings (--json or -v names them)",
    ]
    assert "JPEG has no transparency" not in err
    assert submit(there.address, "-q") == 3
    assert "transparency" not in capsys.readouterr().out


def test_verbose_names_the_images_with_notes(serve: Any, capsys: pytest.CaptureFixture[str]):
    assert submit(serve(telling(noted())).address, "-v") == 3
    out, err = capsys.readouterr()
    for number in range(3):
        assert f"INFO {number}.png: alpha: JPEG has no transparency\n" in err
    assert "INFO bad.png: warning: line 3\n" in err
    assert "JPEG has no transparency" not in out


def test_json_has_notes_and_their_sums(serve: Any, capsys: pytest.CaptureFixture[str]):
    assert submit(serve(telling(noted())).address, "--json") == 3
    *images, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert images[0]["notes"] == [{"kind": "alpha", "message": "JPEG has no transparency"}]
    assert images[3]["notes"] == [{"kind": "warning", "message": "line 3"}]
    assert summary["notes"] == {"alpha": 3, "warning": 1}


def test_quiet(serve: Any, capsys: pytest.CaptureFixture[str]):
    assert submit(serve(telling(failing(1))).address, "-q") == 3
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["1 image failed", "  0.png", "Time elapsed"]
    assert err.startswith("imgpipe: node2 at 10.0.0.2:9090 is aside: it has no root 'x'")


def test_json(serve: Any, capsys: pytest.CaptureFixture[str]):
    assert submit(serve(telling(failing(2))).address, "--json") == 3
    out, err = capsys.readouterr()
    *images, summary = map(json.loads, out.splitlines())
    trouble = "node2 at 10.0.0.2:9090 is aside: it has no root 'x': start it with --root x=PATH"
    assert summary["troubles"] == [trouble]
    assert list(summary)[-2:] == ["troubles", "notes"]
    assert err == f"imgpipe: {trouble}\n"
    assert [(image["name"], image["kind"]) for image in images] == [
        (f"{n}.png", "unreadable") for n in (0, 1)
    ]
    assert (summary["event"], summary["failed"], summary["rejections"], summary["exit"]) == (
        "summary",
        2,
        7,
        3,
    )


def test_no_images(serve: Any, capsys: pytest.CaptureFixture[str]):
    assert submit(serve(telling(facts_of(0))).address) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == "no images in /in; 0 other entries ignored"
    assert last.startswith("Time elapsed: ")


def test_detach(serve: Any, capsys: pytest.CaptureFixture[str]):
    assert submit(serve(telling(facts_of(0))).address, "--detach") == 0
    assert capsys.readouterr().out == f"{JOB}\n"


@pytest.mark.parametrize("code", [2, 4])
def test_declined(serve: Any, code: int, capsys: pytest.CaptureFixture[str]):
    there = serve(lambda stream, said: stream.send(Declined(code, "/in is below none of the roots")))
    assert submit(there.address) == code
    assert capsys.readouterr() == ("", "imgpipe: /in is below none of the roots\n")


@pytest.mark.parametrize(("state", "problem"), [("cancelled", ""), ("failed", "/in: input/output error")])
def test_a_job_that_ends_unfinished(serve: Any, state: str, problem: str, capsys: pytest.CaptureFixture[str]):
    opened = Opened(JOB, "balanced", b"/in", b"/out", "")
    ended = Ended(state, 5, 2, 0, 0, 0, 3, 0, 0, 0, (), problem)
    there = serve(telling([opened, Stopping("stopped by a client", True), ended]))
    assert submit(there.address) == 4
    out = capsys.readouterr().out
    assert problem in out
    assert "Time elapsed: " in out.splitlines()[-1]


@pytest.mark.parametrize(("remaining", "words"), [(0, "stopped by Ctrl-C\n"), (1, "; 1 image not done\n")])
def test_a_job_that_we_stopped(serve: Any, remaining: int, words: str, capsys: pytest.CaptureFixture[str]):
    opened, *_ = facts_of(1)
    ended = Ended("cancelled", 1 + remaining, 1, 0, 0, 0, remaining, 0, 0, 0, ())

    def answer(stream: Stream, said: Any) -> None:
        if isinstance(said, SubmitRequest):
            stream.send(ACCEPTED)
            stream.send(message(0, [opened]))
            os.kill(os.getpid(), signal.SIGINT)
        else:
            stream.send(message(1, [Stopping("stopped by a client", True), ended]))
            stream.send(Finished(JOB, 1.0))

    assert submit(serve(answer).address) == 130
    out = capsys.readouterr().out
    assert f"job {JOB}: stopped by Ctrl-C" in out
    assert words in out
    assert "by a client" not in out


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_stops_the_job_and_the_summary_is_printed(
    serve: Any, signum: int, code: int, capsys: pytest.CaptureFixture[str]
):
    facts = [*facts_of(1)[:2], Ended("cancelled", 5, 1, 0, 0, 0, 4, 0, 0, 0, ())]

    def answer(stream: Stream, said: Any) -> None:
        match said:
            case SubmitRequest():
                stream.send(ACCEPTED)
                stream.send(message(0, facts[:2]))
                os.kill(os.getpid(), signum)
            case CancelJob():
                assert said == CancelJob(JOB, True)
                stream.send(message(2, facts[2:]))
                stream.send(Finished(JOB, 1.0))

    assert submit(serve(answer).address, "--json") == code
    out, err = capsys.readouterr()
    assert json.loads(out)["remaining"] == 4
    assert json.loads(out)["exit"] == code
    assert "stopping" in err


def test_the_second_signal_leaves_at_once(serve: Any, capsys: pytest.CaptureFixture[str]):
    def answer(stream: Stream, said: Any) -> None:
        if isinstance(said, SubmitRequest):
            stream.send(ACCEPTED)
        os.kill(os.getpid(), signal.SIGINT)

    assert submit(serve(answer).address) == 130
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == (
        f"imgpipe: leaving now; job {JOB} was asked to stop, and finishes what is in hand"
    )
