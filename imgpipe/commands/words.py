"""Small words that every command's messages need."""

from __future__ import annotations


def count(number: int, noun: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def entries(number: int) -> str:
    """What was passed over: ``1 other entry ignored``."""
    return f"{number} other {'entry' if number == 1 else 'entries'} ignored"
