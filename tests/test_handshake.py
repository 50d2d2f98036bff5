"""The hello, two real sides back to back, before any socket."""

import dataclasses
from typing import Any

import pytest

from imgpipe import protocol
from imgpipe.errors import ProtocolError
from imgpipe.handshake import Handshake, Identity, RefusedError

DIALLER = Identity("coordinator", "desk:9190", 7)
LISTENER = Identity("worker", "w9")


def admit_all(hello: protocol.Hello) -> str:
    return ""


def pair(admit: Any = admit_all) -> tuple[Handshake, Handshake]:
    return Handshake(DIALLER, bytes(16), called="node1"), Handshake(LISTENER, bytes(16), admit=admit)


def converse(dialler: Handshake, listener: Handshake) -> list[str]:
    """Pass messages to and fro until both are silent; the names of all that were said."""
    said, sides, waiting = [], (listener, dialler), dialler.start()
    while waiting:
        said += [type(message).__name__ for message in waiting]
        waiting = [answer for message in waiting for answer in sides[0].received(message)]
        sides = sides[::-1]
    return said


def test_a_hello_ends_with_both_sides_knowing_each_other() -> None:
    dialler, listener = pair()
    assert listener.start() == []
    assert converse(dialler, listener) == ["Hello", "Challenge", "Proof", "Welcome"]
    assert dialler.done
    assert listener.done
    assert listener.peer == DIALLER
    assert dialler.peer == LISTENER
    assert listener.called == "node1"


def test_a_refusal_reaches_the_dialler_in_words() -> None:
    dialler, listener = pair(lambda hello: f"held by {hello.name}")
    with pytest.raises(RefusedError, match="held by desk:9190"):
        converse(dialler, listener)
    assert not dialler.done
    assert not listener.done


def test_another_version_is_refused_with_both_versions() -> None:
    dialler, listener = pair()
    (hello,) = dialler.start()
    (refused,) = listener.received(dataclasses.replace(hello, versions=(8, 9)))
    assert "version 1" in refused.why
    assert "8, 9" in refused.why


def test_wrong_magic_is_a_protocol_error() -> None:
    dialler, listener = pair()
    (hello,) = dialler.start()
    with pytest.raises(ProtocolError, match="magic"):
        listener.received(dataclasses.replace(hello, magic=b"redis"))


@pytest.mark.parametrize(
    "out_of_place", [protocol.Beat(), protocol.Proof(b""), protocol.Welcome(1, "worker", "w")]
)
def test_anything_else_in_the_hello_is_a_protocol_error(out_of_place: Any) -> None:
    _, listener = pair()
    with pytest.raises(ProtocolError, match="expected Hello"):
        listener.received(out_of_place)


def test_a_listener_does_not_take_a_second_hello() -> None:
    dialler, listener = pair()
    (hello,) = dialler.start()
    listener.received(hello)
    with pytest.raises(ProtocolError, match="expected Proof"):
        listener.received(hello)
