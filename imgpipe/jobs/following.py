"""One job as its followers see it: its journal, who reads it from where, and its end.

A follower is sent as much as its stream takes; when the stream drains, it is sent more. Who falls far
behind holds the listing back, so that nobody misses a fact; who takes nothing at all for long is no longer
waited for, and will find a gap where the journal has forgotten. There is no such gap in the sums: the last
fact repeats them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from imgpipe import limits
from imgpipe.connection import Stream
from imgpipe.facts import Fact
from imgpipe.protocol import Facts, Finished, encode_batch
from imgpipe.records.journal import Journal


@dataclass(slots=True)
class _Follower:
    next: int
    moved_at: float


class Followed:
    """A journal, and the streams that follow it."""

    def __init__(self, job: str) -> None:
        self.job = job
        self.journal = Journal()
        self._followers: dict[Stream, _Follower] = {}
        self._finished: Finished | None = None

    @property
    def followers(self) -> int:
        """How many have not been told everything yet."""
        return len(self._followers)

    @property
    def finished(self) -> bool:
        return self._finished is not None

    def follow(self, stream: Stream, first: int, now: float) -> None:
        self._followers[stream] = _Follower(min(first, self.journal.end), now)
        self.push(now, stream)

    def leave(self, stream: Stream) -> None:
        self._followers.pop(stream, None)

    def add(self, facts: list[Fact], now: float) -> None:
        self.journal.add(facts)
        self.push_all(now)

    def finish(self, elapsed_s: float, now: float) -> None:
        """Every fact is in the journal."""
        self._finished = Finished(self.job, elapsed_s)
        self.push_all(now)

    def push_all(self, now: float) -> None:
        for stream in list(self._followers):
            self.push(now, stream)

    def push(self, now: float, stream: Stream) -> None:
        """Send a follower what it has not got, as far as its stream takes it."""
        follower = self._followers.get(stream)
        if follower is None:
            return
        while stream.open and stream.writable and follower.next < self.journal.end:
            first, rows = self.journal.since(follower.next)
            for frame in encode_batch(partial(self._facts, first), rows):
                stream.send_frame(frame)
            stream.flush()  # so that `writable` is true of what was just said
            follower.next = first + len(rows)
            follower.moved_at = now
        if self._finished is not None and follower.next >= self.journal.end:
            stream.send(self._finished)
            self.leave(stream)

    def holds_back(self, now: float) -> bool:
        """Whether a follower is so far behind that no more should happen for now."""
        behind = self.journal.end - limits.FACTS_BEHIND
        return any(
            follower.next < behind and now - follower.moved_at < limits.FOLLOWER_STALL_S
            for follower in self._followers.values()
        )

    def _facts(self, first: int, offset: int, rows: tuple[Any, ...]) -> Facts:
        return Facts(self.job, first + offset, rows)
