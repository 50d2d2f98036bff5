"""Followers: everybody hears everything once and in order, at the pace their stream takes it."""

from typing import Any

import pytest

from imgpipe import limits
from imgpipe.facts import FACTS, Found
from imgpipe.frames import Frames
from imgpipe.jobs.following import Followed
from imgpipe.protocol import Finished, decode


class SlowStream:
    """A stream that takes so many frames, and then no more until it is drained."""

    def __init__(self, takes: int = 1_000_000) -> None:
        self.takes = takes
        self.open = True
        self.heard: list[Any] = []
        self._frames = Frames()

    @property
    def writable(self) -> bool:
        return self.takes > 0

    def send_frame(self, frame: bytes) -> None:
        self.takes -= 1
        self.heard += [decode(body) for body in self._frames.feed(frame)]

    def send(self, message: Any) -> None:
        self.heard.append(message)

    def flush(self) -> None:
        pass

    @property
    def numbers(self) -> list[int]:
        """The totals of the `Found` facts heard: they were numbered as they were told."""
        return [
            FACTS.record(row).total
            for message in self.heard
            if not isinstance(message, Finished)
            for row in message.facts
        ]


def found(start: int, end: int) -> list[Any]:
    return [Found(number, 0) for number in range(start, end)]


def follow(followed: Followed, stream: SlowStream, first: int = 0, now: float = 0.0) -> None:
    followed.follow(stream, first, now)  # type: ignore[arg-type]  # it has what is used of a Stream


def test_who_comes_late_hears_the_beginning_too() -> None:
    followed, early, late = Followed("j"), SlowStream(), SlowStream()
    follow(followed, early)
    followed.add(found(0, 3000), 0.0)
    follow(followed, late)
    followed.add(found(3000, 3010), 0.0)
    followed.finish(1.0, 0.0)
    for stream in (early, late):
        assert stream.numbers == list(range(3010))
        assert stream.heard[-1] == Finished("j", 1.0)


def test_a_slow_follower_gets_the_rest_when_it_drains() -> None:
    followed, slow = Followed("j"), SlowStream(takes=2)
    follow(followed, slow)
    followed.add(found(0, 5000), 0.0)
    assert slow.numbers == list(range(2 * limits.BATCH_MAX))
    followed.finish(1.0, 0.0)
    slow.takes = 1_000_000
    followed.push(0.0, slow)  # type: ignore[arg-type]
    assert slow.numbers == list(range(5000))
    assert slow.heard[-1] == Finished("j", 1.0)


def test_who_is_far_behind_holds_back_until_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FACTS_BEHIND", 100)
    followed, stuck = Followed("j"), SlowStream(takes=0)
    follow(followed, stuck, now=10.0)
    followed.add(found(0, 100), 10.0)
    assert not followed.holds_back(10.0)
    followed.add(found(100, 101), 10.0)
    assert followed.holds_back(10.0)
    assert followed.holds_back(10.0 + limits.FOLLOWER_STALL_S - 1)
    assert not followed.holds_back(10.0 + limits.FOLLOWER_STALL_S)
    followed.leave(stuck)  # type: ignore[arg-type]
    assert not followed.holds_back(10.0)


def test_a_gap_is_visible_in_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    followed, stuck = Followed("j"), SlowStream(takes=0)
    follow(followed, stuck)
    followed.add(found(0, 3 * limits.FACTS_RING), 0.0)
    stuck.takes = 1_000_000
    followed.push(0.0, stuck)  # type: ignore[arg-type]
    assert stuck.heard[0].first == 2 * limits.FACTS_RING
    assert stuck.numbers == list(range(2 * limits.FACTS_RING, 3 * limits.FACTS_RING))
