"""Durations and sizes for people: as many digits as a person plans with, and no more."""

from __future__ import annotations

from collections.abc import Callable

from imgpipe.sampling.estimate import Range

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")  # powers of 1000, as disks are sold


def size(count: float) -> str:
    """``830 bytes``, ``5.2 MB``, ``14 GB``: two digits, or three from 100 on."""
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    if not unit and round(count) == 1:
        return "1 byte"
    return f"{_two_digits(count) if unit else round(count)} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 20 s``, ``50 min``, ``1 h 20 min``, ``3 days 4 h``."""
    if seconds < 59.5:
        return f"{_two_digits(seconds)} s"
    if seconds < 600:
        return _pair(round(seconds / 10) * 10, 60, "min", "s")
    if seconds < 3570:  # an hour is an hour
        return f"{round(seconds / 60)} min"
    if seconds < 48 * 3600:
        step = 5 if seconds < 10 * 3600 else 30
        return _pair(max(60, round(seconds / 60 / step) * step), 60, "h", "min")
    return _pair(round(seconds / 3600), 24, "days", "h")


def _two_digits(number: float) -> str:
    if number >= 9.95 or number == 0:
        return str(round(number))
    return f"{number:.1f}" if number >= 0.095 else f"{number:.1g}"


def _pair(count: int, base: int, large: str, small: str) -> str:
    whole, rest = divmod(count, base)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"


def about(range_: Range, words: Callable[[float], str]) -> str:
    """``about 14 GB (12 GB – 17 GB)``; without bounds that read alike."""
    low, high = words(range_.low), words(range_.high)
    bounds = "" if low == high else f" ({low} – {high})"
    return f"about {words(range_.about)}{bounds}"
