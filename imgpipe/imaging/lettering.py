"""Text in pictures, drawn by OpenCV: measured, shortened, wrapped, written.

OpenCV's letters differ from version to version, and before 5.0 it knows ASCII alone; so all text is made
ASCII first, visibly, and everything is measured with the letters that are going to be drawn. Places and
widths are pixels; a scale of 0.5 makes capitals of about 11 pixels.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, TypeAlias

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import cv2
else:
    cv2 = lazy("cv2")

#: Blue, green, red.
Colour: TypeAlias = tuple[int, int, int]

_FONT = 0  # cv2.FONT_HERSHEY_SIMPLEX
_SPELLED = {ord(sign): words for sign, words in {"×": "x", "–": "-", "—": "-", "…": "...", "→": "->"}.items()}
_ELLIPSIS = "..."


def ascii_of(text: str) -> str:
    """The text in ASCII: signs spelled out, accents left away, what remains escaped (``\\u65e5``)."""
    parts = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    plain = "".join(part for part in parts if not unicodedata.combining(part))
    return plain.encode("ascii", "backslashreplace").decode()


def width_of(text: str, scale: float) -> int:
    """Pixels that ASCII text takes from left to right."""
    width: int = cv2.getTextSize(text, _FONT, scale, 1)[0][0]
    return width


def shortened(text: str, width: int, scale: float) -> str:
    """ASCII text that fits: where it does not, its middle is left out. Beginnings and suffixes tell most."""
    if width_of(text, scale) <= width:
        return text
    fits, long = 0, len(text)  # so many letters fit beside the dots, and so many do not
    while long - fits > 1:
        middle = (fits + long) // 2
        if width_of(_without_middle(text, middle), scale) <= width:
            fits = middle
        else:
            long = middle
    return _without_middle(text, fits)


def _without_middle(text: str, letters: int) -> str:
    left = (letters + 1) // 2
    return text[:left] + _ELLIPSIS + text[len(text) - (letters - left) :]


def wrapped(text: str, width: int, scale: float, lines_max: int) -> list[str]:
    """ASCII text in lines that fit, broken at blanks; the last line says so where more was left out."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if width_of(longer, scale) <= width:
            lines[-1] = longer
        else:
            lines += [shortened(word, width, scale)]
    return limited([line for line in lines if line], width, scale, lines_max)


def limited(lines: list[str], width: int, scale: float, lines_max: int) -> list[str]:
    """At most so many lines of ASCII text: what is more is joined to the last of them, and shortened."""
    rest = " ".join(lines[lines_max - 1 :])
    return [*lines[: lines_max - 1], shortened(rest, width, scale)] if rest else lines


def write(canvas: Image, text: str, left: int, base: int, scale: float, colour: Colour) -> None:
    """Draw ASCII text into ``canvas``, ``(H, W, 3)`` uint8, from ``left`` and on the line ``base``."""
    cv2.putText(canvas, text, (left, base), _FONT, scale, colour, 1, cv2.LINE_AA)
