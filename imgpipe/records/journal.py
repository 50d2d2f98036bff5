"""A job's facts, numbered from 0, the latest kept: what followers read, each from where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from imgpipe import limits
from imgpipe.facts import FACTS, Fact


class Journal:
    """A numbered list of which only the end is kept.

    Facts are held as the arrays they are sent as: laid out once, however many followers there are.
    """

    def __init__(self, kept: int = limits.FACTS_RING) -> None:
        self._kept = kept
        self._rows: list[tuple[Any, ...]] = []
        self._first = 0  # the number of the oldest row held

    @property
    def end(self) -> int:
        """The number the next fact will have."""
        return self._first + len(self._rows)

    @property
    def first(self) -> int:
        """The number of the oldest fact still kept."""
        return max(self._first, self.end - self._kept)

    def add(self, facts: Iterable[Fact]) -> None:
        self._rows.extend(map(FACTS.array, facts))
        if len(self._rows) >= 2 * self._kept:  # rarely and much: constant cost for each fact
            excess = len(self._rows) - self._kept
            del self._rows[:excess]
            self._first += excess

    def since(self, number: int, most: int = limits.BATCH_MAX) -> tuple[int, list[tuple[Any, ...]]]:
        """At most ``most`` facts from ``number`` on, or from the oldest kept; with the first one's number."""
        start = max(number, self.first)
        return start, self._rows[start - self._first : start - self._first + most]
