"""Kinds of values that a parameter may have beside numbers, flags and one of some words.

Each is an immutable value with two ends: ``read`` takes whatever a user wrote and gives the value, or None
where it is none; ``str`` spells it in the one canonical way, which `read` takes again. Only that text is
compared, hashed and sent, so the same value has the same hash however it was written.
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple, TypeAlias

SIDE_MAX = 65_535  # pixels: the most a JPEG can hold, and a mistake in most other formats
PERCENT_MAX = 1000  # ten times a side: more is a mistake

#: The sixteen names of CSS 1 (W3C, *Cascading Style Sheets, level 1*, 6.1), and two that everybody tries.
COLOURS = {
    "aqua": "#00ffff",
    "black": "#000000",
    "blue": "#0000ff",
    "fuchsia": "#ff00ff",
    "gray": "#808080",
    "green": "#008000",
    "lime": "#00ff00",
    "maroon": "#800000",
    "navy": "#000080",
    "olive": "#808000",
    "purple": "#800080",
    "red": "#ff0000",
    "silver": "#c0c0c0",
    "teal": "#008080",
    "white": "#ffffff",
    "yellow": "#ffff00",
    "grey": "#808080",
    "transparent": "#00000000",
}

_SIZE = re.compile(r"([0-9]{0,5})[x×]([0-9]{0,5})\Z")
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})\Z")
_RATIO = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,4})?):([0-9]{1,5}(?:\.[0-9]{1,4})?)\Z")
_LENGTH = re.compile(r"(-?[0-9]{1,5}(?:\.[0-9]{1,4})?)(%?)\Z")
_NUMBER = re.compile(r"[0-9]{1,5}(?:\.[0-9]{1,4})?\Z")


def nearest_pixel(position: float) -> int:
    """The whole number nearest to ``position``; a half goes up, everywhere along a side alike."""
    # A millionth: what rounding leaves of a half, or of 100 %, is meant to be one.
    return floor(position + 0.5 + 1e-6)


class Size(NamedTuple):
    """Width and height in pixels, written ``800x600``, ``800x`` or ``x600``; one left out is 0 here."""

    width: int
    height: int

    @classmethod
    def read(cls, given: Any) -> Size | None:
        found = _SIZE.match(given) if isinstance(given, str) else None
        if found is None:
            return None
        size = cls(int(found[1] or 0), int(found[2] or 0))
        return size if any(size) and max(size) <= SIDE_MAX else None

    def __str__(self) -> str:
        return f"{self.width or ''}x{self.height or ''}"


class Colour(NamedTuple):
    """Red, green, blue and alpha, 0 … 255, of sRGB: ``#f80``, ``#ff8800``, ``#ff880080`` or a name."""

    red: int
    green: int
    blue: int
    alpha: int = 255

    @classmethod
    def read(cls, given: Any) -> Colour | None:
        if not isinstance(given, str):
            return None
        code = COLOURS.get(given.lower(), given.lower())
        if _HEX.match(code) is None:
            return None
        digits = "".join(2 * digit for digit in code[1:]) if len(code) == 4 else code[1:]
        return cls(*bytes.fromhex(digits))

    def __str__(self) -> str:
        return "#" + bytes(self[: 3 if self.alpha == 255 else 4]).hex()


class Ratio(NamedTuple):
    """Width to height, written ``16:9`` or ``2.39:1``; here without a common divisor."""

    width: int
    height: int

    @classmethod
    def read(cls, given: Any) -> Ratio | None:
        found = _RATIO.match(given) if isinstance(given, str) else None
        if found is None or not Fraction(found[1]) or not Fraction(found[2]):
            return None
        ratio = Fraction(found[1]) / Fraction(found[2])
        return cls(ratio.numerator, ratio.denominator) if 1 / 1000 <= ratio <= 1000 else None

    def __str__(self) -> str:
        return f"{self.width}:{self.height}"


class Length(NamedTuple):
    """Whole pixels, written ``24``, or a share of the picture's side, written ``5%`` or ``12.5%``."""

    value: float
    percent: bool = False

    @classmethod
    def read(cls, given: Any) -> Length | None:
        found = _LENGTH.match(str(given)) if type(given) in (str, int) else None
        if found is None or not (found[2] or float(found[1]).is_integer()):
            return None
        return cls(float(found[1]) + 0.0, bool(found[2]))  # + 0.0: there is one zero

    def exact(self, side: int) -> float:
        """Pixels and parts of one, where the picture's side is ``side`` pixels."""
        return side * self.value / 100 if self.percent else self.value

    def of(self, side: int) -> int:
        """Pixels, rounded."""
        return nearest_pixel(self.exact(side))

    def __str__(self) -> str:
        return f"{self.value:.9g}{'%' * self.percent}"


class Corners(NamedTuple):
    """Four points in pixels, clockwise from the top left one: ``10,20 300,25 310,400 5,390``.

    They are distances from the left and the top edge of the picture: its own corners are ``0,0 W,0 W,H 0,H``.
    """

    top_left: tuple[float, float]
    top_right: tuple[float, float]
    bottom_right: tuple[float, float]
    bottom_left: tuple[float, float]

    @classmethod
    def read(cls, given: Any) -> Corners | None:
        words = re.split(r"[,\s]+", given.strip()) if isinstance(given, str) else []
        if len(words) != 8 or not all(map(_NUMBER.match, words)):
            return None
        x, y = [float(word) for word in words[::2]], [float(word) for word in words[1::2]]
        corners = cls(*zip(x, y, strict=True))
        return corners if corners.is_convex and max(x + y) <= SIDE_MAX else None

    @property
    def is_convex(self) -> bool:
        """Whether every turn is to the right, as it is on the way around a picture."""
        around = [*self, *self[:2]]
        return all(_turn(*around[i : i + 3]) > 0 for i in range(4))

    def __str__(self) -> str:
        return " ".join(f"{x:.9g},{y:.9g}" for x, y in self)


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])


class File(bytes):
    """An image file that is part of the recipe: its bytes, read where the recipe is made.

    A user writes its path. So a worker needs no file but the pictures themselves, and the recipe's hash
    changes with what is in the file.
    """


Value: TypeAlias = Size | Colour | Ratio | Length | Corners

#: What may be given, in words. Every kind that is spelled by `str` and taken by ``read`` is here.
EXPECTED: dict[type, str] = {
    Size: f"a size such as 800x600, 800x or x600, sides up to {SIDE_MAX}",
    Colour: "a colour such as #f80, #ff8800, #ff880080 (the last is alpha), white or transparent",
    Ratio: "a ratio such as 16:9 or 2.39:1, from 1:1000 to 1000:1",
    Length: "pixels such as 24, or a share such as 5%",
    Corners: "four points such as 10,20 300,25 310,400 5,390, clockwise from the top left one",
}
