"""machines.txt → names and addresses.

::

    # name         address              options
    coordinator    127.0.0.1:9190
    worker1        127.0.0.1:9090       slots=2

A line is ``name address [key=value …]``. ``coordinator`` or ``server`` is the coordinator, ``client`` lines
say nothing to us, and every other name is a worker. Text goes in and values come out; finding and reading the
file is for `commands`. A wrong line is never skipped: that machine would stand idle and nobody would know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import TypeVar

from imgpipe import limits
from imgpipe.errors import UsageError, nearest

COORDINATOR_PORT = 9190
WORKER_PORT = 9090

Key = TypeVar("Key")

_COORDINATOR = ("coordinator", "server")
_IGNORED = ("client",)
_OPTIONS = ("slots",)
_LINE = "expected 'name address [slots=N]'"
_ADDRESS = "HOST, HOST:PORT or [IPV6]:PORT"
_NAME_MAX = 256  # characters: what a name may have on the wire
_HOST = re.compile(
    r"\w(?:[\w.-]{0,252}[\w.])?"
)  # 253 characters: the longest name DNS knows, with a dot to end it
_BRACKETS = re.compile(r"\[([^\[\]]*)\](?::(.*))?")
_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a stream is dialled. ``host`` has no brackets; the text form has them where IPv6 needs them."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Machine:
    """A worker's line. ``slots`` can only lower what the worker offers; None leaves that as it is."""

    name: str
    host: str
    port: int
    slots: int | None = None

    @property
    def address(self) -> Address:
        return Address(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Machines:
    """What a machines.txt says: at most one coordinator, workers in the order of their lines."""

    coordinator: Address | None
    workers: tuple[Machine, ...]


def parse(text: str, file: str) -> Machines:
    """The machines of a file's text. ``file`` is its name for messages.

    Raises
    ------
    UsageError
        The first wrong line: the file, the line's number and what was expected there.
    """
    reading = _Reading()
    for number, words in _lines(text):
        try:
            reading.line(number, words)
        except UsageError as error:
            raise UsageError(f"{file}, line {number}: {error}") from None
    return Machines(reading.coordinator, tuple(reading.workers))


def parse_address(text: str, default_port: int) -> Address:
    """``HOST``, ``HOST:PORT``, ``[IPV6]`` or ``[IPV6]:PORT``.

    Raises
    ------
    UsageError
        It is none of these, or the port is not in 1 … 65535.
    """
    bracketed = _BRACKETS.fullmatch(text)
    if bracketed:
        host, port = _ipv6(bracketed[1]), bracketed[2]
    else:
        host, port = _host_and_port(text)
    return Address(host, default_port if port is None else _port(port))


def _host_and_port(text: str) -> tuple[str, str | None]:
    host, colon, port = text.partition(":")
    if ":" in port and "[" not in text:
        raise UsageError(f"expected {_ADDRESS}, got {text!r} (IPv6 goes in brackets: [::1]:9090)")
    if not _HOST.fullmatch(host):
        raise UsageError(f"expected {_ADDRESS}, got {text!r}")
    return host, port if colon else None


def _ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except AddressValueError:
        raise UsageError(f"expected an IPv6 address in the brackets, got [{text}]") from None


def _port(text: str) -> int:
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= 65535:
        raise UsageError(f"expected a port from 1 to 65535, got {text!r}")
    return int(text)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Number and words of every line that has any."""
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        words = line.partition("#")[0].split()
        if words:
            yield number, words


class _Reading:
    """What the lines so far have said."""

    def __init__(self) -> None:
        self.coordinator: Address | None = None
        self.workers: list[Machine] = []
        self._names: dict[str, int] = {}  # → its line
        self._addresses: dict[Address, int] = {}

    def line(self, number: int, words: list[str]) -> None:
        name = words[0]
        if name in _IGNORED:
            return
        if len(words) < 2:
            raise UsageError(f"{_LINE}, got only {name!r}")
        if name in _COORDINATOR:
            self._add_coordinator(number, words)
        else:
            self._add_worker(number, words)

    def _add_coordinator(self, number: int, words: list[str]) -> None:
        self._once(self._names, _COORDINATOR[0], number, "a line for the coordinator")
        address = parse_address(words[1], COORDINATOR_PORT)
        if len(words) > 2:
            raise UsageError(f"expected no options for the coordinator, got {words[2]!r}")
        self._once(self._addresses, address, number, f"the address {address}")
        self.coordinator = address

    def _add_worker(self, number: int, words: list[str]) -> None:
        name = words[0]
        if len(name) > _NAME_MAX or not name.isprintable():
            raise UsageError(
                f"expected a name of at most {_NAME_MAX} printable characters, got {name[:40]!r}"
            )
        if len(self.workers) >= limits.MACHINES_MAX:
            raise UsageError(f"expected at most {limits.MACHINES_MAX} workers")
        address = parse_address(words[1], WORKER_PORT)
        options = _options(words[2:])
        self._once(self._names, name, number, f"the name {name!r}")
        self._once(self._addresses, address, number, f"the address {address}")
        self.workers.append(Machine(name, address.host, address.port, options.get("slots")))

    @staticmethod
    def _once(seen: dict[Key, int], key: Key, number: int, what: str) -> None:
        before = seen.setdefault(key, number)
        if before != number:
            raise UsageError(f"{what} is on line {before} already: expected it once")


def _options(words: list[str]) -> dict[str, int]:
    options: dict[str, int] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"{_LINE}, got {word!r} after the address")
        if key not in _OPTIONS:
            raise UsageError(f"unknown option {key!r}{nearest(key, _OPTIONS)}: {_LINE}")
        if key in options:
            raise UsageError(f"{key}= is given twice: expected it once")
        options[key] = _count(key, value)
    return options


def _count(key: str, value: str) -> int:
    if not _NUMBER.fullmatch(value) or int(value) < 1:
        raise UsageError(f"expected {key}=N with N a whole number from 1, got {key}={value}")
    return int(value)
