"""Strangers at every port of a fleet in mid-job: that connection closes with a logged line; that is all."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from imgpipe import limits
from imgpipe.facts import ImageDone
from tests.pictures import Site, check, of
from tests.pools import LONG, Gate
from tests.processes import (
    Fleet,
    Process,
    connected,
    fleet,
    start_worker,
)

pytestmark = pytest.mark.usefixtures("operations_of_tests")


def frame(*fields: Any) -> bytes:
    body: bytes = msgpack.packb(list(fields))
    return len(body).to_bytes(4, "big") + body


def hello(role: str, versions: tuple[int, ...] = (1,), epoch: int = 0, magic: bytes = b"imgpipe") -> bytes:
    return frame(1, magic, list(versions), role, epoch, os.urandom(16), [], "a stranger", "")


#: What is said → what the log of the process says about it.
GARBAGE = {
    "http": (b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", "looks like HTTP"),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), "looks like TLS"),
    "noise": (bytes(range(255, 0, -1)) * 40, "at most 4096 are allowed here"),
    "a giant length": (b"\xff\xff\xff\xff", "a frame of 4294967295 bytes"),
    "a length for later": ((4097).to_bytes(4, "big"), "a frame of 4097 bytes"),
    "an empty frame": (bytes(4), "not msgpack"),
    "no msgpack": (b"\0\0\0\x04\xc1\xc1\xc1\xc1", "not msgpack"),
    "a bomb": (b"\0\0\x0f\xff" + b"\xdd\xff\xff\xff\xff" + bytes(4090), "not msgpack"),
    "a map": ((3).to_bytes(4, "big") + msgpack.packb({1: 2}), "closing the connection"),
    "no such kind": (frame(99, "what"), "closing the connection"),
    "out of turn": (frame(24, "job", [[0, 1, 1, 1, 1, 1, 1]]), "expected Hello"),
    "wrong magic": (hello("client", magic=b"gpipeim"), "wrong magic"),
    "wrong types": (frame(1, 1, 2, 3, 4, 5, 6, 7, 8), "closing the connection"),
    "another version": (hello("client", (99,)), "refused"),
    "no such role": (hello("emperor"), "refused"),
}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One worker, and a pool process of it that waits at the gate in every test."""
    root = tmp_path_factory.mktemp("hostile")
    with fleet(root, 1) as nodes:
        yield nodes


def told_off(port: int, said: bytes) -> bytes:
    """Say this there, wait until they hang up, and give what they said."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as sock:
        try:
            sock.sendall(said)
            while data := sock.recv(1 << 16):
                answer += data
        except ConnectionResetError:  # they hung up before they had read it all
            pass
    return answer


def test_strangers_change_nothing(one: Fleet) -> None:
    """All of them at once, at both ports, and then some that say nothing, while a job is in mid-air."""
    site = Site(one.root / "site", 40)
    gate = Gate(one.gates[0])

    async def main() -> None:
        async with connected(one.address) as submit:
            job = await submit(site, ["gate", "edges"])
            await gate.begun()
            ports = (one.workers[0].port, one.coordinator.port)
            calls = [(port, said) for port in ports for said, _ in GARBAGE.values()]
            answers = await asyncio.gather(*(asyncio.to_thread(told_off, *call) for call in calls))
            assert len(answers) == 2 * len(GARBAGE)
            quiet = [socket.create_connection(("127.0.0.1", port)) for port in ports for _ in range(20)]
            quiet[0].sendall(hello("client")[:7])  # and one that stops in the middle of a word
            gate.open()
            ended = check(await job.end(), site)
            assert [row[1] for row in ended.workers] == [40]
            assert {fact.attempts for fact in of(job.told, ImageDone)} == {1}
            for sock in quiet:
                sock.close()

    asyncio.run(main())
    for process in (one.workers[0], one.coordinator):
        lines = process.log.splitlines()
        assert sum("closing the connection with 127.0.0.1:" in line for line in lines) == len(GARBAGE) - 2
        assert sum("refused 127.0.0.1:" in line for line in lines) == 2
        assert "Traceback" not in process.log
        for name, (_, words) in GARBAGE.items():
            assert any(words in line for line in lines), name


def test_a_stranger_at_a_workers_port_is_told_whose_it_is(one: Fleet) -> None:
    for role in ("client", "worker"):
        answer = told_off(one.workers[0].port, hello(role))
        kind, why = msgpack.unpackb(answer[4:])
        assert (kind, "takes calls from coordinators" in why) == (5, True)
    kind, why = msgpack.unpackb(told_off(one.workers[0].port, hello("coordinator", epoch=2**40))[4:])
    assert (kind, "is held by coordinator" in why) == (5, True)


def test_many_silent_strangers_keep_no_worker_out(tmp_path: Path) -> None:
    """More than are listened to at once; a worker that comes back is dialled all the same."""
    site = Site(tmp_path / "site", 12)

    async def main(nodes: Fleet) -> None:
        async with connected(nodes.address) as submit:
            job = await submit(site, ["gate", "edges"])
            await Gate(nodes.gates[0]).begun()
            at = ("127.0.0.1", nodes.coordinator.port)
            quiet = [socket.create_connection(at) for _ in range(limits.STRANGERS_MAX + 10)]
            await nodes.coordinator.says("too many connections")
            nodes.workers[0].send(signal.SIGKILL)
            await nodes.workers[0].ends()
            nodes.open_gates()
            options = ("--port", str(nodes.ports[0]), "--slots", "1")
            nodes.workers.append(start_worker(nodes.gates[0].parent, tmp_path, nodes.gates[0], *options))
            check(await job.end(), site)
            assert "no hello after" not in nodes.coordinator.log  # they were silent all the time
            for sock in quiet:
                sock.close()

    with fleet(tmp_path, 1, limits={"REDIAL_MAX_S": 0.5}) as nodes:
        asyncio.run(main(nodes))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (frame(24, "job", [[0, 1, 1, 1, 1, 1, 1]]), "a client does not send Done"),
        (frame(40, b"relative", b"", [], "m", [], [], "skip", 1, 1.0, 0), "closing the connection"),
        (
            frame(40, b"/x", b"", ["no", "recipe"], "random", [], [], "skip", 1, 1.0, 0),
            "closing the connection",
        ),
        (b"\x00\x08\x00\x01", "a frame of 524289 bytes"),
    ],
)
def test_a_client_that_was_welcome_and_talks_nonsense(one: Fleet, said: bytes, words: str) -> None:
    before = one.coordinator.log.count(words)
    with socket.create_connection(("127.0.0.1", one.coordinator.port), timeout=LONG) as sock:
        sock.sendall(hello("client") + frame(3, b"") + said)
        while sock.recv(1 << 16):
            pass
    assert one.coordinator.log.count(words) > before
    assert one.coordinator.log.count("Traceback") == 0


def test_a_machine_that_is_no_worker_is_dialled_in_vain_and_harms_nobody(tmp_path: Path) -> None:
    """One address of machines.txt is a web server, one a coordinator: the job runs on the third."""
    site = Site(tmp_path / "site", 12)
    home = tmp_path / "fleet"
    (home / "gate").mkdir(parents=True)
    web = socket.create_server(("127.0.0.1", 0))
    worker = start_worker(home, tmp_path, home / "gate", "--port", "0", "--slots", "1")
    other = Process("coordinator", "--port", "0", cwd=home)
    (home / "gate" / "open").touch()
    nodes = Fleet(tmp_path, [worker.accepting()], [home / "gate"])
    nodes.ports = [web.getsockname()[1], other.accepting().port, worker.port]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with await asyncio.start_server(answer, sock=web):
            nodes.start_coordinator()
            async with connected(nodes.address) as submit:
                job = await submit(site)
                check(await job.end(), site)
                await nodes.coordinator.says("looks like HTTP")
                await nodes.coordinator.says("refused us and is not dialled again")

    try:
        asyncio.run(main())
        other.send(signal.SIGTERM)
        assert other.ended()[0] == 0
    finally:
        for process in (nodes, other):
            process.kill()
