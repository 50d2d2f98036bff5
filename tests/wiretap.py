"""A witness of what a coordinator hands out: it reads the wire with the msgpack library alone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import msgpack

from tests.pools import LONG

_ASSIGNMENTS = (11, 12)  # kinds of messages: see docs/protocol.md


class Wiretap:
    """Stands between the coordinator and its workers, and reads what is handed out.

    Plain sockets and two threads for each connection: it shares nothing with what it watches.

    Attributes
    ----------
    assigned : list
        ``(attempt, job, worker)`` of every image handed out; attempts are numbered in the order of the
        decisions, workers from 1.
    """

    def __init__(self) -> None:
        self.assigned: list[tuple[int, str, int]] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def through(self, ports: list[int]) -> list[int]:
        """The ports to call instead of these."""
        return [self._listen(number, port) for number, port in enumerate(ports, 1)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sock in self._sockets:
            with suppress(OSError):  # it is not connected, or no longer
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LONG)
        for sock in self._sockets:
            sock.close()

    def _listen(self, worker: int, port: int) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        self._sockets.append(listening)
        self._spawn(self._accept, listening, worker, port)
        return int(listening.getsockname()[1])

    def _spawn(self, target: Callable[..., None], *arguments: Any) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments))
        self._threads[-1].start()

    def _accept(self, listening: socket.socket, worker: int, port: int) -> None:
        with suppress(OSError):  # it was shut down
            while True:
                near, _ = listening.accept()
                self._join(near, worker, port)

    def _join(self, near: socket.socket, worker: int, port: int) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", port))
        except OSError:  # the worker is gone: whoever calls it is hung up on
            near.close()
            return
        self._sockets += [near, far]
        self._spawn(_pump, near, far, self._reader(worker))
        self._spawn(_pump, far, near, lambda data: None)

    def _reader(self, worker: int) -> Callable[[bytes], None]:
        held = bytearray()

        def read(data: bytes) -> None:
            held.extend(data)
            while len(held) >= 4 and len(held) >= 4 + (length := int.from_bytes(held[:4], "big")):
                self._heard(msgpack.unpackb(held[4 : 4 + length]), worker)
                del held[: 4 + length]

        return read

    def _heard(self, message: list[Any], worker: int) -> None:
        if message[0] in _ASSIGNMENTS:
            self.assigned += [(item[1], message[1], worker) for item in message[2]]


def _pump(here: socket.socket, there: socket.socket, told: Callable[[bytes], None]) -> None:
    with suppress(OSError):
        while data := here.recv(1 << 16):
            told(data)
            there.sendall(data)
    with suppress(OSError):
        there.shutdown(socket.SHUT_WR)
