"""The wire: every message whole, cut anywhere, with tails and as garbage; the page held to its word."""

import contextlib
import dataclasses
import random
import re
import struct
from pathlib import Path
from typing import Any, get_type_hints

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe import facts, limits, protocol
from imgpipe.errors import Kind, ProtocolError
from imgpipe.facts import FACTS
from imgpipe.frames import Frames
from imgpipe.imaging.recipe import Recipe
from imgpipe.protocol import MESSAGES, decode, encode, encode_batch
from imgpipe.schema import shown

RECIPE = Recipe.from_options(["blur:size=5"]).array()
ATTEMPT = (1_790_000_000 << 32) | 7
TOKENS = ((0, ATTEMPT), (1, ATTEMPT + 1))
DONE_FACT = FACTS.array(facts.ImageDone(b"a.jpg", "w", 1, 1, (1, 2, 3, 4, 5)))
NOTES = (("alpha", "JPEG has no transparency"), ("warning", "line 3: ü"))
NOTED_FACTS = (
    FACTS.array(facts.ImageDone(b"a.jpg", "w", 1, 1, (1, 2, 3, 4, 5), NOTES)),
    FACTS.array(facts.ImageFailed(b"b.jpg", "truncated", "it ends early", "w", 1, 1, NOTES)),
    FACTS.array(facts.Ended("done", 2, 1, 1, 0, 0, 0, 0, 0, 0, (), "", (("alpha", 2), ("warning", 2)))),
)
JOB_ROW = ("j", "random", "done", b"/a", b"/b", 1, 1, 0, 0, "")
ALL = [
    protocol.Hello(b"imgpipe", (1,), "client", 0, bytes(16), (), "ann@desk"),
    protocol.Challenge(bytes(16), b""),
    protocol.Proof(b""),
    protocol.Welcome(1, "worker", "w1"),
    protocol.Refused("no"),
    protocol.Beat(),
    protocol.Job("j", False, ".", b"in", ".", b"", RECIPE, 60.0, ((b"a.jpg", 3),)),
    protocol.Execute("j", ((0, ATTEMPT, b"a.jpg", 3), (1, ATTEMPT + 1, b"caf\xe9/\xff.png", 0))),
    protocol.DelayedExecute("j", ((0, ATTEMPT, b"a.jpg", 3),), True),
    protocol.Cancel("j", TOKENS),
    protocol.Forget("j"),
    protocol.Slots(2),
    protocol.Offer(2, ("edges",), ("jpg",), (".",), 0.5, 10**8),
    protocol.JobReady("j", False, "not mounted"),
    protocol.Rejected("j", TOKENS),
    protocol.Waiting("j", TOKENS),
    protocol.Done("j", ((0, ATTEMPT, 1, 2, 3, 4, 5),)),
    protocol.Done("j", ((0, ATTEMPT, 1, 2, 3, 4, 5), (1, ATTEMPT, 1, 2, 3, 4, 5, NOTES))),
    protocol.Failed("j", ((0, ATTEMPT, str(Kind.CRASHED), "SIGSEGV", True),)),
    protocol.Failed("j", ((0, ATTEMPT, str(Kind.TRUNCATED), "it ends early", False, NOTES),)),
    protocol.Failed("j", ((0, ATTEMPT, str(Kind.TOO_LARGE), "8000×8000 pixels", False, (), True),)),
    protocol.Unseen("j", TOKENS, "gone"),
    protocol.Returned("j", TOKENS),
    protocol.Draining("SIGTERM"),
    protocol.SubmitRequest(b"/a", b"", RECIPE, "random", ("*.jpg",), (), "redo", 1, 60.0, -5),
    protocol.Accepted("j", b"/a", b"/b"),
    protocol.Declined(2, "no such directory"),
    protocol.Follow("j", 3),
    protocol.Facts("j", 3, (DONE_FACT,)),
    protocol.Facts("j", 3, NOTED_FACTS),
    protocol.Finished("j", 1.5),
    protocol.CancelJob("j", True),
    protocol.StatusRequest(),
    protocol.Status("c", "0.1", 1, (("w", "h:1", "live", 2, 1, 0, 9, ""),), (JOB_ROW,)),
]  # fmt: skip
PAGE = (Path(__file__).resolve().parent.parent / "docs" / "protocol.md").read_text()


def test_the_examples_are_every_kind() -> None:
    assert {type(message) for message in ALL} == set(MESSAGES.kinds.values())


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
def test_whole_cut_at_every_byte_and_with_a_tail(message: Any) -> None:
    frame = encode(message)
    for cut in range(len(frame) + 1):
        frames = Frames()
        bodies = [*frames.feed(frame[:cut]), *frames.feed(frame[cut:] + frame[:3])]
        assert [decode(body) for body in bodies] == [message]
        assert frames.waiting == 3


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
def test_byte_by_byte_and_thrice(message: Any) -> None:
    frames = Frames()
    bodies = [body for byte in encode(message) * 3 for body in frames.feed(bytes([byte]))]
    assert [decode(body) for body in bodies] == [message] * 3


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
def test_arrays_grow_at_the_end_and_not_elsewhere(message: Any) -> None:
    array = MESSAGES.array(message)
    assert decode(msgpack.packb((*array, "new", 1))) == message
    required = sum(field.default is dataclasses.MISSING for field in dataclasses.fields(message))
    if required:
        with pytest.raises(ProtocolError, match=type(message).__name__):
            decode(msgpack.packb(array[:required]))


@pytest.mark.parametrize("message", ALL, ids=lambda m: type(m).__name__)
def test_every_field_is_checked(message: Any) -> None:
    array = MESSAGES.array(message)
    for place in range(1, len(array)):
        for wrong in ({"a": 1}, msgpack.ExtType(5, b"x"), [[[[[[["too deep"]]]]]]], None):
            broken = (*array[:place], wrong, *array[place + 1 :])
            with pytest.raises(ProtocolError):
                decode(msgpack.packb(broken))


def test_garbage_raises_protocol_error_or_nothing() -> None:
    rng = random.Random(20261122)
    outcomes = {"refused": 0, "nothing": 0}
    for _ in range(10_000):
        data = rng.randbytes(rng.randrange(1, 200))
        if rng.random() < 0.5:  # garbage inside a well-formed frame, sometimes of a known kind
            data = bytes([0x90 + rng.randrange(8), rng.choice(sorted(MESSAGES.kinds))]) + data
            data = struct.pack(">I", len(data)) + data
        try:
            for body in Frames().feed(data):
                decode(body)
            outcomes["nothing"] += 1
        except ProtocolError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 20, outcomes


@given(st.binary(max_size=300))
def test_any_body_raises_protocol_error_or_is_a_message(body: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert type(decode(body)) in MESSAGES.kinds.values()


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5) |
    st.binary(max_size=5), lambda inner: st.lists(inner, max_size=4), max_leaves=12,
)  # fmt: skip


@given(st.sampled_from(sorted(MESSAGES.kinds)), st.lists(JSONISH, max_size=10))
def test_any_array_raises_protocol_error_or_is_a_message(kind: int, fields: list[Any]) -> None:
    try:
        message = decode(msgpack.packb([kind, *fields]))
    except ProtocolError:
        return
    assert decode(encode(message)[4:]) == message


def test_a_giant_length_is_refused_before_anything_is_kept() -> None:
    frames = Frames()
    with pytest.raises(ProtocolError, match="4294967295 bytes"):
        list(frames.feed(b"\xff\xff\xff\xff" + bytes(100)))
    assert frames.waiting == 0


def test_the_limit_is_read_anew_for_every_frame() -> None:
    """As after `Welcome`: what comes behind it in the same bytes may be longer already."""
    data = encode(protocol.Beat()) + encode(protocol.Draining("y" * 2000))
    frames = Frames(frame_max=10)
    feed = frames.feed(data)
    assert decode(next(feed)) == protocol.Beat()
    frames.frame_max = 3000
    assert decode(next(feed)) == protocol.Draining("y" * 2000)
    with pytest.raises(ProtocolError, match="at most 10 are allowed"):
        list(Frames(frame_max=10).feed(data))


@pytest.mark.parametrize(
    ("data", "hint"), [(b"GET / HTTP/1.1\r\n", "HTTP"), (b"\x16\x03\x01\x02\x00", "TLS")]
)
def test_a_stranger_is_named(data: bytes, hint: str) -> None:
    with pytest.raises(ProtocolError, match=hint):
        list(Frames(limits.HELLO_FRAME_MAX).feed(data))


@pytest.mark.parametrize(
    "name", [b"", b"/a", b"../a", b"a/../b", b"a//b", b"a/", b".", b"a\0b", b"x" * 256, b"a/" * 2100]
)
def test_names_that_leave_their_folder_are_refused(name: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"Execute\.items"):
        decode(msgpack.packb((11, "j", [[0, 1, name, 3]])))


@given(st.lists(st.integers(1, 4000), max_size=300))
def test_batches_keep_order_and_limits(sizes: list[int]) -> None:
    items = [(n, n, b"x" * 200 + b"/y" * (size // 3), 0) for n, size in enumerate(sizes)]
    seen: list[Any] = []
    for frame in encode_batch(lambda at, rows: protocol.Execute(f"j{at}", rows), items):
        assert len(frame) <= limits.FRAME_MAX + 4
        message = decode(frame[4:])
        assert message.job == f"j{len(seen)}"
        seen += message.items
    assert seen == items


def test_a_message_too_long_for_a_frame_is_the_senders_fault() -> None:
    rows = tuple((n, n, b"/".join([b"x" * 250] * 16), 0) for n in range(200))
    with pytest.raises(ValueError, match="frame"):
        encode(protocol.Execute("j", rows))


NOT_NOTES: tuple[Any, ...] = (
    {},
    None,
    "alpha",
    (("alpha",),),
    (("beta", "x"),),
    (("alpha", "x" * 251),),
    (("alpha", "x"),) * 17,
)


@pytest.mark.parametrize("wrong", NOT_NOTES)
def test_notes_are_checked_wherever_they_stand(wrong: Any) -> None:
    done, failed = (0, ATTEMPT, 1, 2, 3, 4, 5), (0, ATTEMPT, "truncated", "it ends early", False)
    rows = ((24, "j", ((*done, wrong),)), (25, "j", ((*failed, wrong),)))
    told = (44, "j", 3, ((*DONE_FACT[:6], wrong),)), (44, "j", 3, ((*NOTED_FACTS[1][:7], wrong),))
    for array in (*rows, *told):
        with pytest.raises(ProtocolError):
            decode(msgpack.packb(array))


def test_sums_of_notes_are_checked() -> None:
    for wrong in ((("beta", 1),), (("alpha", -1),), (("alpha",),), {"alpha": 1}):
        with pytest.raises(ProtocolError, match=r"Ended\.notes"):
            FACTS.record((*NOTED_FACTS[2][:13], wrong))


def test_the_largest_notes_fit_in_a_batch() -> None:
    most = (("warning", "\U0001f5bc" * limits.NOTE_MAX),) * limits.NOTES_MAX
    rows = [(n, ATTEMPT, 1, 2, 3, 4, 5, most) for n in range(200)]
    seen: list[Any] = []
    for frame in encode_batch(lambda _, part: protocol.Done("j", part), rows):
        assert len(frame) <= limits.FRAME_MAX + 4
        seen += decode(frame[4:]).rows
    assert seen == rows


def test_debug_lines_are_elided() -> None:
    assert len(str(protocol.Execute("j", ((0, 1, b"x" * 255, 1),) * 100))) < 200


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b"a b.jpg", "a b.jpg"),
        (b"caf\xe9.jpg", "caf\\xe9.jpg"),
        (b"\x1b[2J", "\\x1b[2J"),
        ("é".encode(), "é"),
    ],
)
def test_names_are_shown_safely(name: bytes, words: str) -> None:
    assert shown(name) == words


# --- docs/protocol.md ---------------------------------------------------------------------------

TYPES = {int: "int", str: "str", bytes: "bin", bool: "bool", float: "float"}


def documented(registry: Any, record: type) -> str:
    """The fields of a record as the page lists them."""
    hints, declared = get_type_hints(record), dataclasses.fields(record)
    words = [
        f"`{field.name}` {TYPES.get(hints[field.name], 'array')}"
        + ("" if field.default is dataclasses.MISSING else ", optional")
        for field in declared
    ]
    return "; ".join(words) or "none"


@pytest.mark.parametrize("registry", [MESSAGES, FACTS], ids=["messages", "facts"])
def test_every_kind_is_on_the_page_and_the_reverse(registry: Any) -> None:
    head, _, tail = PAGE.partition("## Facts\n")
    section = head if registry is MESSAGES else tail
    listed = {
        int(n): (name, fields)
        for n, name, fields in re.findall(r"^\| (\d+) \| `(\w+)` \| (.+?) \|", section, re.M)
    }
    declared = {n: (kind.__name__, documented(registry, kind)) for n, kind in registry.kinds.items()}
    assert listed == declared


def shown_frames() -> list[tuple[str, str, bytes]]:
    found = re.findall(r"^`(\w+)` (\[.*\])\n\n```hex\n([0-9a-f\n]+)```", PAGE, re.M)
    return [(name, words, bytes.fromhex(digits)) for name, words, digits in found]


def in_words(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(in_words, value)) + "]"
    if isinstance(value, bytes):
        plain = all(32 <= byte <= 126 for byte in value)
        return f"b'{value.decode()}'" if plain else f"h'{value.hex()}'"
    names = {None: "nil", True: "true", False: "false"}
    return names[value] if value is None or isinstance(value, bool) else re.sub("^'|'$", '"', repr(value))


def test_the_msgpack_library_alone_reads_every_frame_shown() -> None:
    frames = shown_frames()
    assert len(frames) >= 15
    for name, words, frame in frames:
        assert int.from_bytes(frame[:4]) == len(frame) - 4
        array = msgpack.unpackb(frame[4:])
        assert in_words(array) == words
        assert MESSAGES.kinds[array[0]].__name__ == name
        message = decode(frame[4:])
        assert encode(message) == frame
        if isinstance(message, protocol.Job | protocol.SubmitRequest):
            assert Recipe.from_array(message.recipe).array() == message.recipe
