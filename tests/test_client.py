"""The client against a coordinator that says, breaks off and forgets what the test wants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe import api, limits
from imgpipe.blocking import Blocking
from imgpipe.client import Client, Job
from imgpipe.connection import Stream
from imgpipe.errors import UnfinishedError, UsageError
from imgpipe.facts import ImageFailed
from imgpipe.loop import run
from imgpipe.protocol import (
    Accepted,
    CancelJob,
    Declined,
    Finished,
    Follow,
    Status,
    StatusRequest,
    SubmitRequest,
)
from tests.fakes import ACCEPTED, JOB, FakeCoordinator, facts_of, message, telling

REQUEST = api.request("/in")


def followed(fake: FakeCoordinator) -> tuple[list[Any], Job]:
    """Every fact of one job, and the job."""

    async def main() -> tuple[list[Any], Job]:
        async with Client.adopt(fake.door.caller) as client:
            job = await client.submit(REQUEST)
            try:
                return [fact async for fact in job.facts()], job
            finally:
                await job.close()

    return run(main())


def test_a_job_is_submitted_and_told_to_its_end():
    facts = facts_of(5)
    fake = FakeCoordinator(telling(facts))
    told, job = followed(fake)
    assert told == facts
    assert fake.said == [REQUEST]
    assert (job.id, job.source, job.output, job.missed) == (JOB, b"/in", b"/out", 0)
    assert job.elapsed_s is not None
    assert job.elapsed_s != 1.0  # our own measure, not the coordinator's


def test_a_coordinator_that_is_not_understood_is_not_dialled_again():
    def answer(stream: Stream, said: Any) -> None:
        stream.send(ACCEPTED)
        stream.send_frame(b"\0\0\0\2\x91\x7b")

    fake = FakeCoordinator(answer)
    with pytest.raises(UnfinishedError, match="another language: protocol error: unknown message kind 123"):
        followed(fake)
    assert len(fake.streams) == 1


@given(
    images=st.integers(0, 12),
    cuts=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.booleans()), max_size=5),
)
def test_every_fact_comes_once_wherever_the_connection_breaks(images: int, cuts: list[tuple[int, int, bool]]):
    """At each connection the coordinator tells some, some again, and then breaks off, politely or not."""
    facts = facts_of(images)
    rest = iter(cuts)

    def answer(stream: Stream, said: Any) -> None:
        first = said.first if isinstance(said, Follow) else 0
        stream.send(ACCEPTED)
        cut = next(rest, None)
        if cut is None:
            stream.send(message(max(0, first - 2), facts[max(0, first - 2) :]))
            stream.send(Finished(JOB, 1.0))
            return
        count, again, polite = cut
        start = max(0, first - again)
        stream.send(message(start, facts[start : first + count]))
        (stream.close if polite else stream.abort)("the test breaks off")

    fake = FakeCoordinator(answer)
    with contextlib.suppress(UnfinishedError):  # broken off before the job was accepted: no second submit
        told, job = followed(fake)
        assert told == facts
        assert job.missed == 0
    assert sum(isinstance(said, SubmitRequest) for said in fake.said) == 1


def test_facts_that_nobody_kept_are_counted():
    facts = facts_of(20)

    def answer(stream: Stream, said: Any) -> None:
        stream.send(ACCEPTED)
        if isinstance(said, Follow):
            assert said.first == 3
            stream.send(message(10, facts[10:]))
            stream.send(Finished(JOB, 1.0))
        else:
            stream.send(message(0, facts[:3]))
            stream.close("gone")

    told, job = followed(FakeCoordinator(answer))
    assert told == [*facts[:3], *facts[10:]]
    assert job.missed == 7


@pytest.mark.parametrize(("code", "error"), [(2, UsageError), (4, UnfinishedError)])
def test_a_declined_request(code: int, error: type[Exception]):
    fake = FakeCoordinator(lambda stream, said: stream.send(Declined(code, "not like this")))
    with pytest.raises(error, match="not like this"):
        followed(fake)


def test_a_job_that_is_forgotten_while_we_were_away():
    def answer(stream: Stream, said: Any) -> None:
        if isinstance(said, Follow):
            stream.send(Declined(2, "there is no such job"))
        else:
            stream.send(ACCEPTED)
            stream.close("restarting")

    with pytest.raises(UnfinishedError, match="no such job"):
        followed(FakeCoordinator(answer))


def test_refused_at_the_hello():
    fake = FakeCoordinator(telling([]))
    fake.refuses = "no clients on Sundays"
    with pytest.raises(UnfinishedError, match="no clients on Sundays"):
        followed(fake)


def test_somebody_else_listens_there():
    with pytest.raises(UnfinishedError, match="found a worker"):
        followed(FakeCoordinator(telling([]), role="worker"))


def test_the_coordinator_leaves_before_it_answers():
    fake = FakeCoordinator(lambda stream, said: stream.close("bye"))
    with pytest.raises(UnfinishedError, match="left before it answered"):
        followed(fake)


def test_nobody_listens():
    with socket.socket() as bound:  # taken, and nobody accepts there
        bound.bind(("127.0.0.1", 0))
        unused_address = f"127.0.0.1:{bound.getsockname()[1]}"
    with pytest.raises(UnfinishedError) as raised:
        run(Client.connect(unused_address))
    words = str(raised.value)
    assert unused_address in words
    assert "imgpipe coordinator" in words
    assert "imgpipe run" in words


def test_a_coordinator_that_does_not_come_back():
    async def main() -> None:
        fake = FakeCoordinator(lambda stream, said: stream.send(ACCEPTED))
        server = await fake.door.listen("127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = await Client.connect(f"127.0.0.1:{port}", reconnect_s=0.0)
        job = await client.submit(REQUEST)
        server.close()
        fake.streams[0].close("switched off")
        with pytest.raises(UnfinishedError, match="not back after 0 s"):
            await job.report()

    run(main())


def test_cancelling_is_said_again_after_a_reconnect():
    facts = facts_of(1, state="cancelled")

    def answer(stream: Stream, said: Any) -> None:
        match said:
            case SubmitRequest():
                stream.send(ACCEPTED)
                stream.send(message(0, facts[:1]))
            case CancelJob() if len(fake.streams) == 1:
                stream.close("gone before it was heard")
            case CancelJob():
                stream.send(message(1, facts[1:]))
                stream.send(Finished(JOB, 1.0))

    fake = FakeCoordinator(answer)

    async def main() -> Any:
        async with Client.adopt(fake.door.caller) as client:
            job = await client.submit(REQUEST)
            job.cancel(drain=False)
            return await job.report()

    report = run(main())
    assert report.state == "cancelled"
    assert fake.said[1:] == [CancelJob(JOB, False), Follow(JOB, 1), CancelJob(JOB, False)]


def test_a_slow_reader_holds_the_coordinator_back():
    failed = ImageFailed(b"a.jpg", "unreadable", "x" * limits.TEXT_MAX, "node1", 1, 1)
    messages = 200  # of 400 KB each: far more than all buffers on the way
    batch = [failed] * 200

    async def main() -> None:
        room = asyncio.Event()
        held_back = asyncio.Event()
        sent = 0

        async def tell(stream: Stream) -> None:
            nonlocal sent
            for number in range(messages):
                stream.send(message(number * len(batch), batch))
                sent += 1
                await asyncio.sleep(0)  # one turn of the loop: what was sent is written
                if not stream.writable:
                    held_back.set()
                    room.clear()
                    await room.wait()
            stream.send(Finished(JOB, 1.0))

        def answer(stream: Stream, said: Any) -> None:
            stream.send(ACCEPTED)
            telling_all.append(asyncio.ensure_future(tell(stream)))

        telling_all: list[asyncio.Task[None]] = []
        fake = FakeCoordinator(answer)
        fake.on_drained = room.set
        async with Client.adopt(fake.door.caller) as client:
            job = await client.submit(REQUEST)
            await held_back.wait()
            assert sent < messages
            count = 0
            async for facts in job.batches():
                count += len(facts)
        assert count == messages * len(batch)

    run(main())


def test_status_comes_in_parts_and_is_one():
    worker = ("node1", "127.0.0.1:9090", "live", 2, 0, 0, 5, "")
    job = (JOB, "balanced", "running", b"/in", b"/out", 10, 5, 0, 5, "")

    def answer(stream: Stream, said: Any) -> None:
        assert said == StatusRequest()
        stream.send(Status("fake", "0.1.0", 1, (worker,), (), True))
        stream.send(Status("fake", "0.1.0", 1, (), (job,), False))

    async def main() -> Status:
        async with Client.adopt(FakeCoordinator(answer).door.caller) as client:
            return await client.status()

    assert run(main()) == Status("fake", "0.1.0", 1, (worker,), (job,))


def test_following_a_job_of_somebody_else():
    facts = facts_of(3)

    def answer(stream: Stream, said: Any) -> None:
        assert said == Follow("abcd", 2)
        stream.send(Accepted(JOB, b"/in", b"/out"))
        stream.send(message(2, facts[2:]))
        stream.send(Finished(JOB, 7.5))

    async def main() -> tuple[list[Any], float | None]:
        async with Client.adopt(FakeCoordinator(answer).door.caller) as client:
            job = await client.follow("abcd", 2)
            return [fact async for fact in job.facts()], job.elapsed_s

    assert run(main()) == (facts[2:], 7.5)


def test_blocking_has_the_same_names():
    facts = facts_of(4)
    fake = FakeCoordinator(telling(facts))
    with Blocking(Client).adopt(fake.door.caller) as client:
        job = client.submit(REQUEST)
        assert job.id == JOB
        assert list(job.facts()) == facts
        assert client.submit(REQUEST).report().done == 4
        fake.refuses = "enough"
        with pytest.raises(UnfinishedError, match="enough"):
            client.submit(REQUEST)
