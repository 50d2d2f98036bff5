"""Whether a worker takes an image now: the coins of its simulated load.

A worker is started with a load ``p``. Two independent coins, both heads with probability ``p``, are tossed
afresh at every assignment, in the order in which assignments arrive, so one seed gives one sequence:

=====================  ===============================  =====================================
assignment             coin 1 heads                     coin 2 heads
=====================  ===============================  =====================================
``Execute``            `Verdict.REJECT`, and no coin 2  `Verdict.DELAY`: wait, then process
``DelayedExecute``     not tossed: may not be refused   `Verdict.DELAY`
=====================  ===============================  =====================================

Anything else is `Verdict.NOW`. The worker and the simulation toss the same coins.
"""

from __future__ import annotations

from enum import Enum
from random import Random


class Verdict(Enum):
    """What becomes of one assignment."""

    NOW = "now"
    DELAY = "delay"
    REJECT = "reject"


class Admission:
    """The coins of one worker.

    Attributes
    ----------
    load : float
        The probability of heads, 0 … 1.
    delay_s : float
        How long a delayed image waits before it is processed.
    """

    def __init__(self, load: float, delay_s: float, rng: Random) -> None:
        self.load = load
        self.delay_s = delay_s
        self._toss = rng.random

    def verdict(self, *, may_refuse: bool) -> Verdict:
        """Toss for one assignment; ``may_refuse`` is true for `Execute`, false for `DelayedExecute`."""
        if may_refuse and self._toss() < self.load:
            return Verdict.REJECT
        return Verdict.DELAY if self._toss() < self.load else Verdict.NOW
