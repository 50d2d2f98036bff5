"""The hello: who speaks, in which version, and whether they may.

The side that dials speaks first; a role does not depend on who dialled::

    dialler   Hello ───────────►            ───────► Proof ──────►
    listener          ◄─────── Challenge ◄──                      ◄── Welcome

`Refused` may come instead of any answer. Proofs are empty until keys exist; the nonces are sent already, so
that keys change no message. One `Handshake` is one side of one connection: it takes messages, gives messages
back, and knows no sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from imgpipe.errors import ProtocolError
from imgpipe.protocol import MAGIC, VERSION, Challenge, Hello, Proof, Refused, Welcome

COORDINATOR, WORKER, CLIENT = "coordinator", "worker", "client"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who one side is. ``epoch`` counts the starts of a coordinator, 0 for the others."""

    role: str
    name: str
    epoch: int = 0


#: Says why a caller may not come in, or "" if it may.
Admit = Callable[[Hello], str]


class RefusedError(Exception):
    """The other side refused us, or we them; the words are for a person."""


class Handshake:
    """One side of a hello.

    Attributes
    ----------
    peer : Identity or None
        The other side, once `done`.
    called : str
        The name the dialler used for the listener (machines.txt's name for a worker).
    """

    def __init__(self, me: Identity, nonce: bytes, *, admit: Admit | None = None, called: str = "") -> None:
        self._me = me
        self._nonce = nonce
        self._admit = admit
        self.called = called
        self.peer: Identity | None = None
        self.done = False
        self._expected: type = Hello if admit else Challenge

    def start(self) -> list[Any]:
        """What to send before anything arrives: the dialler's hello, nothing for a listener."""
        if self._admit:
            return []
        me = self._me
        return [Hello(MAGIC, (VERSION,), me.role, me.epoch, self._nonce, (), me.name, self.called)]

    def received(self, message: Any) -> list[Any]:
        """The answers to one message.

        Raises
        ------
        RefusedError
            The other side refused us.
        ProtocolError
            This message has no place here.
        """
        if isinstance(message, Refused):
            raise RefusedError(message.why)
        if type(message) is not self._expected:
            raise ProtocolError(
                f"expected {self._expected.__name__} in the hello, got {type(message).__name__}"
            )
        return self._answer(message)

    def _answer(self, message: Any) -> list[Any]:
        match message:
            case Hello():
                return self._greeted(message)
            case Challenge():
                self._expected = Welcome
                return [Proof(b"")]
            case Proof():
                self.done = True
                return [Welcome(VERSION, self._me.role, self._me.name)]
            case _:
                self.peer = Identity(message.role, message.name)
                self.done = True
                return []

    def _greeted(self, hello: Hello) -> list[Any]:
        if hello.magic != MAGIC:
            raise ProtocolError("not imgpipe: wrong magic bytes")
        assert self._admit is not None
        why = self._admit(hello) if VERSION in hello.versions else _version_words(hello)
        if why:
            return [Refused(why)]
        self.peer = Identity(hello.role, hello.name, hello.epoch)
        self.called = hello.peer
        self._expected = Proof
        return [Challenge(self._nonce, b"")]


def _version_words(hello: Hello) -> str:
    theirs = ", ".join(map(str, hello.versions)) or "none"
    return f"this side speaks protocol version {VERSION}, yours speaks {theirs}: install the same imgpipe"
