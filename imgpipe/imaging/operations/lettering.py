"""A font of strokes, and text drawn with it.

OpenCV's own text is another font in OpenCV 5 than in OpenCV 4, so the same recipe would give other pixels on
another machine. A stroke is a line with a round end, so a pixel's share of it follows from its distance to
that line alone: letters are smooth at every size, and the same everywhere.

A glyph is written as strokes, a word each. The first sign says how its points are joined: ``-`` by lines,
``~`` by a smooth curve, ``=`` by one that is closed. A point is two hexadecimal digits, x and y: capitals
stand from 0 to a, small letters from 3 to a, and e is the depth of a g.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor
from typing import TYPE_CHECKING

from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")

_OVAL = "=33546667593a19070614"
GLYPHS = {
    " ": "",
    "!": "-0007 -0a",
    '"': "-0003 -3033",
    "#": "-301a -705a -0383 -0787",
    "$": "~62402002145668 ~684a2a08 -303a",
    "%": "=20422402 =86a88a68 -901a",
    "&": "-8a23 ~2321405216082a4a7785",
    "'": "-0003",
    "(": "~3012061a3c",
    ")": "~0022362a0c",
    "*": "-3137 -0266 -6206",
    "+": "-424a -0686",
    ",": "-1a0c",
    "-": "-0656",
    ".": "-0a",
    "/": "-600a",
    "0": "=30516466593a19060411",
    "1": "-02303a",
    "2": "~0220406255 -550a6a",
    "3": "~012040625435 ~3556684a2a09",
    "4": "-5a500777",
    "5": "-601005 ~05244466684a2a09",
    "6": "=345567593a190715 ~07042150",
    "7": "-00602a",
    "8": "=305154351411 =3566693a0906",
    "9": "=3615031130516355 ~6366491a",
    ":": "-04 -0a",
    ";": "-14 -1a0c",
    "<": "-72067a",
    "=": "-0484 -0888",
    ">": "-02760a",
    "?": "~02204062543637 -3a",
    "@": "=54765836 -7477 ~7798a5815021052a5b8a",
    "A": "-0a408a -1777",
    "B": "-4a0a0040 ~40616445 -0545 ~4576794a",
    "C": "~72503003073a5a78",
    "D": "-3a0a0030 ~306275683a",
    "E": "-60000a6a -0555",
    "F": "-60000a -0555",
    "G": "~72503003073a5a78 -787545",
    "H": "-000a -707a -0575",
    "I": "-000a",
    "J": "-5057 ~57492a08",
    "K": "-000a -7007 -347a",
    "L": "-000a6a",
    "M": "-0a0047808a",
    "N": "-0a007a70",
    "O": "=407285784a180512",
    "P": "-0a0040 ~40616445 -4505",
    "Q": "=407285784a180512 -578b",
    "R": "-0a0040 ~40616445 -4505 -357a",
    "S": "~624020021456684a2a08",
    "T": "-0080 -404a",
    "U": "-0006 ~06194a7986 -8680",
    "V": "-004a80",
    "W": "-002a528aa0",
    "X": "-007a -700a",
    "Y": "-004580 -454a",
    "Z": "-00700a7a",
    "[": "-30000c3c",
    "\\": "-006a",
    "]": "-00303c0c",
    "^": "-043064",
    "_": "-0c7c",
    "`": "-0022",
    "a": _OVAL + " -636a",
    "b": _OVAL + " -000a",
    "c": "~65432306072a4a68",
    "d": _OVAL + " -606a",
    "e": "-0666 ~665433140607193a69",
    "f": "~403022 -222a -0343",
    "g": _OVAL + " -636b ~6b5d3e1d",
    "h": "-000a ~0614335466 -666a",
    "i": "-030a -00",
    "j": "-232b ~2b1d0e -20",
    "k": "-000a -5308 -265a",
    "l": "-0008 ~08192a",
    "m": "-030a ~0614334456 -565a ~56648394a6 -a6aa",
    "n": "-030a ~0614335466 -666a",
    "o": _OVAL,
    "p": _OVAL + " -030e",
    "q": _OVAL + " -636e",
    "r": "-030a ~06143343",
    "s": "~543313052647584a2a09",
    "t": "-2028 ~283a4a -0343",
    "u": "-0307 ~07193a5967 -636a",
    "v": "-033a63",
    "w": "-032a446a83",
    "x": "-036a -630a",
    "y": "-033a -631e",
    "z": "-03630a6a",
    "{": "~40212406282b4c",
    "|": "-000d",
    "}": "~00212446282b0c",
    "~": "~0625466786",
    "©": "=5092a5985a180512 ~7453355776",
}
CHARACTERS = "".join(GLYPHS)

CAPITAL, DEPTH = 10, 14  # units: the height of a capital, and how far down a g goes
SPACE, GAP = 4, 3  # units: a blank, and what is between letters
WEIGHT = 0.6  # units: half of a stroke's width
FEWEST = 0.5  # pixels: the same at least, so that small text stays visible
DOT = 0.3  # units: half of the square around which a dot is drawn
PIECES = 5  # straight ones that a curve between two points is made of
_SQUARE = ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))


@lru_cache(maxsize=16)
def strokes(text: str) -> tuple[Image, int]:
    """The lines that ``text`` is drawn with, and its width in units.

    The lines are float64 ``(N, 4)``: x and y of one end and of the other, in units.
    """
    lines, left = [], 0
    for character in text:
        paths = [_path(word) for word in GLYPHS[character].split()]
        lines += [np.hstack([path[:-1], path[1:]]) + np.array([left, 0, left, 0]) for path in paths]
        left += int(max(path[:, 0].max() for path in paths)) + GAP if paths else SPACE
    return (np.concatenate(lines) if lines else np.empty((0, 4))), max(0, left - GAP)


def _path(word: str) -> Image:
    """The points of one stroke, ``(N, 2)``; one point alone is a dot, a little wider than a line."""
    digits = [int(digit, 16) for digit in word[1:]]
    points = np.array(digits, float).reshape(-1, 2)
    if word[0] == "-":
        return points if len(points) > 1 else points + DOT * np.array(_SQUARE)
    ends = (points[-1:], points[:2]) if word[0] == "=" else (points[:1], points[-1:])
    return _curve(np.concatenate([ends[0], points, ends[1]]))


def _curve(points: Image) -> Image:
    """A curve through all points but the first and last, which say where it comes from and goes to.

    E. Catmull and R. Rom, *A class of local interpolating splines*, 1974, with tension 1/2.
    """
    a, b, c, d = points[:-3], points[1:-2], points[2:-1], points[3:]
    t = (np.arange(PIECES) / PIECES)[:, None, None]
    curve = b + t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))) / 2
    return np.concatenate([curve.swapaxes(0, 1).reshape(-1, 2), points[-2:-1]])


def covered(lines: Image, scale: float, left: int, top: int, width: int, height: int) -> Image:
    """How much of each pixel of a window is covered, float32 ``(height, width)`` from 0 to 1.

    ``scale`` is pixels in a unit; the window lies at (left, top) in pixels from where the text begins.
    """
    radius = max(FEWEST, WEIGHT * scale)
    result = np.zeros((height, width), np.float32)
    for x0, y0, x1, y1 in (lines * scale - (left, top, left, top)).tolist():
        columns = _reached(x0, x1, radius, width)
        rows = _reached(y0, y1, radius, height)
        if columns.stop > columns.start and rows.stop > rows.start:
            x = np.arange(columns.start, columns.stop) + (0.5 - x0)
            y = (np.arange(rows.start, rows.stop) + (0.5 - y0))[:, None]
            seen = radius + 0.5 - _distance(x, y, x1 - x0, y1 - y0)
            part = result[rows, columns]
            np.maximum(part, np.clip(seen, 0, 1), out=part, casting="same_kind")
    return result


def _reached(one: float, other: float, radius: float, side: int) -> slice:
    """The pixels of a row or column that a line from ``one`` to ``other`` may touch."""
    first, last = min(one, other) - radius - 1, max(one, other) + radius + 1
    return slice(max(0, floor(first)), min(side, ceil(last)))


def _distance(x: Image, y: Image, across: float, down: float) -> Image:
    """Of the points (x, y) from the line between (0, 0) and (across, down)."""
    square = across * across + down * down
    along = np.clip((x * across + y * down) / square, 0, 1) if square else 0.0
    distance: Image = np.hypot(x - along * across, y - along * down)
    return distance
