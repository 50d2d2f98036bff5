"""Streams on real sockets of this machine: the hello, heartbeats, joined writes, strangers, dialling."""

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable
from typing import Any

import pytest

from imgpipe import connection, limits, protocol
from imgpipe.connection import Channel, Door, Owner, Stream
from imgpipe.errors import UsageError
from imgpipe.handshake import Identity

WORKER, COORDINATOR = Identity("worker", "w"), Identity("coordinator", "c:1", 5)


class Recorder(Owner):
    """Writes down what it is told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.streams: list[Any] = []
        self.ends: list[str] = []
        self.beats: list[float] = []
        self._changed = asyncio.Event()

    def opened(self, channel: Any) -> None:
        self.streams.append(channel)
        self._changed.set()

    def received(self, channel: Any, message: Any, body: bytes) -> None:
        self.heard.append(message)
        self._changed.set()

    def closed(self, channel: Any, why: str) -> None:
        self.ends.append(why)
        self._changed.set()

    def beat(self, channel: Any, silent_s: float) -> None:
        self.beats.append(silent_s)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


class Pair:
    """A worker that listens and a coordinator that has dialled it."""

    async def __aenter__(self) -> "Pair":
        self.worker, self.coordinator = Recorder(), Recorder()
        self.door = Door(WORKER, self.worker, lambda hello: "")
        self.server = await self.door.listen("127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        self.dialler = Door(COORDINATOR, self.coordinator)
        self.stream = await self.dialler.dial("127.0.0.1", self.port, "node1")
        await self.coordinator.until(lambda: bool(self.coordinator.streams))
        await self.worker.until(lambda: bool(self.worker.streams))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for recorder in (self.worker, self.coordinator):
            for stream in recorder.streams:
                stream.close("the test is over")
                await stream.ended


async def stranger(port: int, data: bytes) -> bytes:
    """What a peer that sends these bytes gets back before it is cut off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_both_sides_learn_who_the_other_is() -> None:
    async def main() -> None:
        async with Pair() as pair:
            assert pair.stream.peer == WORKER
            assert pair.worker.streams[0].peer == COORDINATOR
            assert pair.worker.streams[0].called == "node1"

    asyncio.run(main())


def test_what_is_sent_in_one_turn_is_one_write_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with Pair() as pair:
            writes: list[int] = []
            transport: Any = pair.stream._transport
            monkeypatch.setattr(pair.stream, "_transport", Spy(transport, writes))
            sent = [protocol.JobReady("j", True, str(n)) for n in range(100)]
            for message in sent:
                pair.stream.send(message)
            await pair.worker.until(lambda: len(pair.worker.heard) == 100)
            assert pair.worker.heard == sent
            assert len(writes) == 1
            monkeypatch.undo()

    asyncio.run(main())


class Spy:
    """A transport that counts its writes."""

    def __init__(self, transport: Any, writes: list[int]) -> None:
        self._transport, self._writes = transport, writes

    def write(self, data: bytes) -> None:
        self._writes.append(len(data))
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff\xff\xff\xff",
        protocol.encode(protocol.Done("j", ((0, 1, 1, 1, 1, 1, 1),))),
        protocol.encode(protocol.Welcome(1, "worker", "w")),
        random.Random(1).randbytes(5000),
        b"\0\0\x20\0" + bytes(9000),
    ],
)
def test_a_stranger_is_cut_off_and_nobody_else_notices(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Pair() as pair:
            assert await stranger(pair.port, data) == b""
            assert "closing the connection with 127.0.0.1" in caplog.text
            pair.stream.send(protocol.Forget("still there"))
            await pair.worker.until(lambda: bool(pair.worker.heard))
            assert len(pair.worker.streams) == 1

    asyncio.run(main())


def test_a_protocol_error_after_the_hello_closes_that_connection(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with Pair() as pair:
            pair.stream.send_frame(b"\0\0\0\2\x91\x7b")
            await pair.worker.until(lambda: bool(pair.worker.ends))
            assert "unknown message kind 123" in pair.worker.ends[0]

    asyncio.run(main())


def test_a_refused_peer_is_told_and_does_not_dial_again() -> None:
    async def main() -> None:
        recorder = Recorder()
        server = await Door(WORKER, recorder, lambda hello: f"held, {hello.name}").listen("127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        told: list[str] = []
        dialler = Door(COORDINATOR, Recorder())
        async with asyncio.timeout(10):
            await connection.keep_dialling(dialler, "127.0.0.1", port, "w", told.append, random.Random(1))
        assert told == ["refused: held, c:1"]
        server.close()

    asyncio.run(main())


def test_dialling_goes_on_until_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REDIAL_MIN_S", 0.001)
    monkeypatch.setattr(limits, "REDIAL_MAX_S", 0.004)

    async def main() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        told: list[str] = []
        thrice = asyncio.Event()
        recorder = Recorder()

        def tell(why: str) -> None:
            told.append(why)
            if len(told) == 3:
                thrice.set()

        dialling = asyncio.create_task(
            connection.keep_dialling(
                Door(COORDINATOR, recorder), "127.0.0.1", port, "w", tell, random.Random(1)
            )
        )
        recorder_of_worker = Recorder()
        await thrice.wait()
        server = await Door(WORKER, recorder_of_worker, lambda hello: "").listen("127.0.0.1", port)
        await recorder.until(lambda: bool(recorder.streams))
        assert set(told) == {"connection refused (nothing listens there)"}
        dialling.cancel()
        server.close()
        for stream in (*recorder.streams, *recorder_of_worker.streams):
            stream.close("over")
            await stream.ended

    asyncio.run(main())


def test_silence_is_told_and_then_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HEARTBEAT_S", 0.005)
    monkeypatch.setattr(limits, "DEAD_S", 0.1)

    async def main() -> None:
        async with Pair() as pair:
            await pair.coordinator.until(lambda: len(pair.coordinator.beats) > 5)
            assert pair.coordinator.ends == []  # both beat: nobody is silent for long
            monkeypatch.setattr(pair.worker.streams[0], "send_frame", lambda frame: None)
            await pair.coordinator.until(lambda: bool(pair.coordinator.ends))
            assert "silent for" in pair.coordinator.ends[0]
            assert max(pair.coordinator.beats) > 0.05
            monkeypatch.undo()

    asyncio.run(main())


def test_a_stranger_that_says_nothing_is_gone_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HELLO_S", 0.01)

    async def main() -> None:
        async with Pair() as pair:
            assert await stranger(pair.port, b"") == b""

    asyncio.run(main())


def test_too_many_silent_strangers_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STRANGERS_MAX", 3)

    async def main() -> None:
        async with Pair() as pair:
            waiting = [await asyncio.open_connection("127.0.0.1", pair.port) for _ in range(4)]
            async with asyncio.timeout(10):
                with contextlib.suppress(ConnectionError):
                    assert await waiting[0][0].read() == b""  # the first has to go for the fourth
            other = Recorder()
            await Door(COORDINATOR, other).dial("127.0.0.1", pair.port, "node1")
            await other.until(lambda: bool(other.streams))  # and one that speaks comes in
            other.streams[0].close("enough")
            for _, writer in waiting:
                writer.close()

    asyncio.run(main())


def test_a_taken_port_is_the_users_to_free() -> None:
    async def main() -> None:
        async with Pair() as pair:
            with pytest.raises(UsageError, match=f"port {pair.port} .*--port"):
                await pair.door.listen("127.0.0.1", pair.port)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "words"), [("192.0.2.1", "--host"), ("no.such.host.invalid", "cannot listen")]
)
def test_a_wrong_host_is_named(host: str, words: str) -> None:
    async def main() -> None:
        with pytest.raises(UsageError, match=words):
            await Door(WORKER, Recorder()).listen(host, 0)

    asyncio.run(main())


def test_channels_of_one_process_are_joined_without_a_port() -> None:
    async def main() -> None:
        one, other = Recorder(), Recorder()
        await connection.join(lambda: Channel(one), lambda: Channel(other))
        one.streams[0].send(protocol.Forget("j"))
        one.streams[0].send_body(protocol.encode(protocol.Beat())[4:])
        await other.until(lambda: len(other.heard) == 2)
        assert other.heard == [protocol.Forget("j"), protocol.Beat()]
        one.streams[0].close("enough")
        await other.until(lambda: bool(other.ends))
        await asyncio.gather(one.streams[0].ended, other.streams[0].ended)

    asyncio.run(main())


def test_a_stream_tells_when_it_takes_no_more_and_when_it_does_again() -> None:
    async def main() -> None:
        async with Pair() as pair:
            receiving: Any = pair.worker.streams[0]._transport
            receiving.pause_reading()
            message = protocol.Failed("j", tuple((n, n, "crashed", "x" * 2000, True) for n in range(100)))
            while pair.stream.writable:
                pair.stream.send(message)
                pair.stream.flush()
            drained = asyncio.Event()
            pair.coordinator.drained = lambda channel: drained.set()  # type: ignore[method-assign]
            receiving.resume_reading()
            async with asyncio.timeout(10):
                await drained.wait()
            assert isinstance(pair.stream, Stream)
            assert pair.stream.writable

    asyncio.run(main())
