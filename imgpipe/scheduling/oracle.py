"""What a job's time must be, in closed form: an oracle for the scheduler.

N workers with loads ``p_i``; M images, all in flight at once; no latency, no processing time; an image is
delayed by T seconds or not at all. So a job takes T if any image is delayed, else nothing. With the chance
that one image is delayed, ``d``::

    E[job time] = T · (1 − (1 − d)^M)

=============================  =======================================  ==========================
mode                           d                                        mean assignments an image
=============================  =======================================  ==========================
``random`` (must accept)       P = mean(p_i)                            1
``redraw`` (may refuse)        q = mean(p_i (1 − p_i)) / (1 − mean p)   1 / (1 − mean p)
=============================  =======================================  ==========================

P: the worker is drawn uniformly and tosses once. q: an assignment is accepted with probability 1 − p_i and
then delayed with p_i, both coins of its worker; draws that were refused are repeated until one is accepted,
so the two means are divided. ``balanced`` learns, and has no closed form.
"""

from __future__ import annotations

from collections.abc import Sequence


def delayed_chance(mode: str, loads: Sequence[float]) -> float | None:
    """The chance that one image is delayed; None where there is no closed form."""
    mean = sum(loads) / len(loads)
    if mode == "random":
        return mean
    if mode == "redraw" and mean < 1.0:
        return sum(load * (1.0 - load) for load in loads) / len(loads) / (1.0 - mean)
    return None


def expected_assignments(mode: str, loads: Sequence[float]) -> float | None:
    """The mean number of assignments an image takes; None where there is no closed form."""
    mean = sum(loads) / len(loads)
    if mode == "random":
        return 1.0
    return 1.0 / (1.0 - mean) if mode == "redraw" and mean < 1.0 else None


def undelayed_chance(mode: str, loads: Sequence[float], tasks: int) -> float | None:
    """The chance that no image of a job is delayed: what an exact binomial test is held against."""
    delayed = delayed_chance(mode, loads)
    return None if delayed is None else (1.0 - delayed) ** tasks


def expected_makespan_s(
    mode: str, loads: Sequence[float], tasks: int, delay_s: float, *, slots: int, instant: bool
) -> float | None:
    """The mean time of a job; None where the closed form does not apply.

    Parameters
    ----------
    slots
        Of each worker. The draw is uniform only while any worker could take every image.
    instant
        Processing and messages take no time, and no worker dies.
    """
    if not instant or slots < tasks:
        return None
    undelayed = undelayed_chance(mode, loads, tasks)
    return None if undelayed is None else delay_s * (1.0 - undelayed)
