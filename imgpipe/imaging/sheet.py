"""A contact sheet: pictures before and after, with words, in one image.

::

    heading
    ┌ title ─────────────────┐ ┌ title ─────────────────┐
    │ picture  →  picture    │ │ picture  →  what went  │
    │ words       words      │ │ words       wrong      │
    │ lines                  │ │ lines                  │
    └────────────────────────┘ └────────────────────────┘
    footing

`layout_of` says how large pictures are going to be, so that whoever reads them keeps `thumbnail`s alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from imgpipe import limits
from imgpipe.imaging import pixels
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.lettering import Colour, ascii_of, limited, shortened, wrapped, write
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

_SIDE_MAX, _SIDE_MIN = 320, 120  # of a picture
_COLUMNS_MAX = 8
_SHAPE = 4 / 3  # width to height of a sheet, as near as cells allow
_MARGIN, _PAD, _ARROW = 24, 16, 36  # around cells; inside them; between the two pictures
_LINE = 26
_TITLE, _TEXT, _HEADING = 0.7, 0.6, 0.9  # scales of text: it can be read when a viewer halves the sheet
_CAPTIONS, _LINES = 3, 4  # lines below a picture, and below both, at most
_PARAGRAPH, _AROUND = 5, 420  # lines of one paragraph of heading or footing; pixels of all on a full sheet
_ENLARGED = 48  # pixels: a smaller picture is shown larger, each of its pixels as a square
_BOARD = 8  # pixels: a square of the checkerboard
_WEIGHTED_MAX = 16_000_000  # pixels that are weighted with their alpha as float32, 16 bytes each

_PAGE: Colour = (240, 240, 240)
_CELL: Colour = (255, 255, 255)
_FRAME: Colour = (208, 208, 208)
_MAT: Colour = (246, 246, 246)
_INK: Colour = (32, 32, 32)
_FAINT: Colour = (104, 104, 104)
_ALARM: Colour = (32, 32, 176)
_DARK, _LIGHT = 204, 255  # of the checkerboard


@dataclass(frozen=True, slots=True)
class Side:
    """One picture of a cell: `thumbnail` of it, or in its place words that say why there is none."""

    image: Image | None
    words: str = ""
    captions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Cell:
    """One image before and after. ``alarm``: it failed, and that is to be seen."""

    title: str
    before: Side
    after: Side
    lines: Sequence[str] = field(default=())
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """``columns`` of cells, each with two pictures of at most ``side`` × ``side`` pixels, and lines below."""

    columns: int
    side: int
    captions: int = _CAPTIONS
    lines: int = _LINES

    @property
    def width(self) -> int:
        """Of a cell."""
        return 2 * self.side + _ARROW + 2 * _PAD

    @property
    def height(self) -> int:
        return self.side + _LINE * (1 + self.captions + self.lines) + 3 * _PAD + _PAD // 2


def layout_of(count: int) -> Layout:
    """The largest pictures with which ``count`` cells fit on a sheet; among those the best shape."""
    found = [_layout(count, columns) for columns in range(1, min(_COLUMNS_MAX, max(1, count)) + 1)]
    return max(found, key=lambda one: (one.side, -abs(math.log(_shape(one, count) / _SHAPE))))


def _layout(count: int, columns: int) -> Layout:
    rows = max(1, -(-count // columns))
    small = Layout(columns, 0)
    wide = ((limits.SHEET_SIDE_MAX - _MARGIN) // columns - _MARGIN - small.width) // 2
    high = (limits.SHEET_SIDE_MAX - _AROUND - _MARGIN) // rows - _MARGIN - small.height
    return Layout(columns, max(_SIDE_MIN, min(_SIDE_MAX, wide, high)))


def _shape(layout: Layout, count: int) -> float:
    rows = max(1, -(-count // layout.columns))
    return layout.columns * layout.width / (rows * layout.height)


# --- pictures -----------------------------------------------------------------------------------


def thumbnail(image: Image, side: int) -> Image:
    """``(H, W, 3)`` uint8 of at most ``side`` pixels a side, in proportion, of any image (`pixels`).

    It is reduced by area; what is transparent lets a checkerboard through; 16 bits are scaled to 8, and
    float32 too, from its own range where that is not 0 … 1. A picture of a few pixels is enlarged.
    """
    if pixels.has_alpha(image):
        step = math.isqrt(image.shape[0] * image.shape[1] // _WEIGHTED_MAX) + 1
        image = np.ascontiguousarray(image[::step, ::step])
    height, width = image.shape[:2]
    ratio = min(1.0, side / max(height, width))
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    reduced = pixels.premultiplied(lambda work: cv2.resize(work, size, interpolation=cv2.INTER_AREA), image)
    shown = _on_board(pixels.with_depth(_within_white(reduced), "uint8"))
    factor = max(1, min(_ENLARGED, side) // max(size))
    return shown.repeat(factor, axis=0).repeat(factor, axis=1)


def _within_white(image: Image) -> Image:
    """Float colours stretched from their own range to 0 … 1 where they leave that."""
    if pixels.depth(image) != "float32":
        return image
    low, high = value_range(image)
    whole = np.nan_to_num(image, nan=low, posinf=high, neginf=low)
    stretched = whole if (low, high) == (0, 1) else np.clip((whole - low) / (high - low), 0, 1)
    return pixels.joined(stretched[..., :3], whole[..., 3]) if pixels.has_alpha(image) else stretched


def value_range(image: Image) -> tuple[float, float]:
    """Of float32 colours: the values shown as black and white, which are 0 and 1 or lie outside of these."""
    colours = image[..., :3] if image.ndim == 3 else image
    finite = colours[np.isfinite(colours)]
    return float(finite.min(initial=0.0)), float(finite.max(initial=1.0))


def _on_board(image: Image) -> Image:
    if not pixels.has_alpha(image):
        return pixels.colour(image)
    rows, columns = np.indices(image.shape[:2]) // _BOARD
    board = np.where((rows + columns) % 2, _DARK, _LIGHT)[..., None]
    alpha = image[..., 3:] / 255
    mixed: Image = np.rint(image[..., :3] * alpha + board * (1 - alpha)).astype(np.uint8)
    return mixed


# --- the sheet ----------------------------------------------------------------------------------


def draw(heading: Sequence[str], cells: Sequence[Cell], footing: Sequence[str]) -> Image:
    """``(H, W, 3)`` uint8, at most `limits.SHEET_SIDE_MAX` a side for `limits.TRIED_MAX` cells.

    The pictures of the cells fit the `layout_of` their number. Any text will do: it is made ASCII, and cut or
    wrapped to the room there is.
    """
    layout = layout_of(len(cells))
    cells = [_fitted(cell, layout) for cell in cells]
    layout = _lowered(layout, cells)
    width = layout.columns * (layout.width + _MARGIN) + _MARGIN
    head = _paragraphs(heading, width, first=_HEADING)
    foot = _paragraphs(footing, width, first=_TITLE)
    top = _height(head) + _MARGIN
    rows = -(-len(cells) // layout.columns)
    bottom = top + rows * (layout.height + _MARGIN)
    page = np.full((bottom + _height(foot), width, 3), _PAGE, np.uint8)
    _write_all(page, head, _MARGIN, _MARGIN)
    for number, cell in enumerate(cells):
        row, column = divmod(number, layout.columns)
        left, high = _MARGIN + column * (layout.width + _MARGIN), top + row * (layout.height + _MARGIN)
        _draw_cell(page[high : high + layout.height, left : left + layout.width], cell, layout)
    _write_all(page, foot, _MARGIN, bottom)
    return page


def _fitted(cell: Cell, layout: Layout) -> Cell:
    """The same with its texts in ASCII, in lines that fit."""
    room = layout.width - 2 * _PAD
    before, after = (
        replace(side, captions=_lines(side.captions, layout.side, _CAPTIONS))
        for side in (cell.before, cell.after)
    )
    title = shortened(ascii_of(cell.title), room, _TITLE)
    return replace(cell, title=title, before=before, after=after, lines=_lines(cell.lines, room, _LINES))


def _lines(texts: Sequence[str], width: int, most: int) -> list[str]:
    lines = [line for text in texts for line in wrapped(ascii_of(text), width, _TEXT, most)]
    return limited(lines, width, _TEXT, most)


def _lowered(layout: Layout, cells: Sequence[Cell]) -> Layout:
    """Without room for lines that no cell has."""
    sides = [side for cell in cells for side in (cell.before, cell.after)]
    captions = max((len(side.captions) for side in sides), default=0)
    return replace(layout, captions=captions, lines=max((len(cell.lines) for cell in cells), default=0))


def _paragraphs(texts: Sequence[str], width: int, first: float) -> list[tuple[str, float]]:
    """Lines with their scales: the first paragraph in the scale ``first``."""
    room = width - 2 * _MARGIN
    return [
        (line, scale)
        for number, text in enumerate(texts)
        for scale in [_TEXT if number else first]
        for line in wrapped(ascii_of(text), room, scale, _PARAGRAPH)
    ]


def _height(lines: Sequence[tuple[str, float]]) -> int:
    return sum(map(_step, (scale for _, scale in lines))) + _MARGIN


def _step(scale: float) -> int:
    return round(_LINE * scale / _TEXT)


def _write_all(page: Image, lines: Sequence[tuple[str, float]], left: int, top: int) -> None:
    for text, scale in lines:
        top += _step(scale)
        write(page, text, left, top - _LINE // 3, scale, _INK)


def _draw_cell(area: Image, cell: Cell, layout: Layout) -> None:
    """A cell whose texts are `_fitted`, into its part of the page."""
    area[:] = _CELL
    cv2.rectangle(area, (0, 0), (layout.width - 1, layout.height - 1), _ALARM if cell.alarm else _FRAME)
    write(area, cell.title, _PAD, _PAD + _LINE // 2, _TITLE, _INK)
    top, right = 2 * _PAD + _LINE // 2, _PAD + layout.side + _ARROW
    _draw_side(area, cell.before, _PAD, top, layout.side, _FAINT)
    _draw_side(area, cell.after, right, top, layout.side, _ALARM if cell.alarm else _FAINT)
    middle, ends = top + layout.side // 2, (right - _ARROW + 7, right - 7)
    cv2.arrowedLine(area, (ends[0], middle), (ends[1], middle), _FAINT, 2, cv2.LINE_AA, tipLength=0.4)
    below = top + layout.side
    _write_lines(area, cell.before.captions, _PAD, below, _INK)
    _write_lines(area, cell.after.captions, right, below, _INK)
    _write_lines(area, cell.lines, _PAD, below + layout.captions * _LINE + _PAD // 2, _FAINT)


def _write_lines(area: Image, lines: Sequence[str], left: int, top: int, colour: Colour) -> None:
    for number, line in enumerate(lines, 1):
        write(area, line, left, top + number * _LINE, _TEXT, colour)


def _draw_side(area: Image, side: Side, left: int, top: int, size: int, colour: Colour) -> None:
    area[top : top + size, left : left + size] = _MAT
    if side.image is None:
        lines = wrapped(ascii_of(side.words), size - 2 * _PAD, _TEXT, (size - _PAD) // _LINE)
        middle = top + (size - len(lines) * _LINE) // 2
        _write_lines(area, lines, left + _PAD, middle - _LINE // 4, colour)
    else:
        height, width = side.image.shape[:2]
        y, x = top + (size - height) // 2, left + (size - width) // 2
        area[y : y + height, x : x + width] = side.image
