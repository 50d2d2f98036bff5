"""Columns: drawn on a terminal, plain and aligned elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

Row = Sequence[object]


def show(headers: Sequence[str], rows: Sequence[Row]) -> None:
    """Print a table on stdout. Numbers stand to the right."""
    if sys.stdout.isatty():
        _draw(headers, rows)
    else:
        print(plain(headers, rows))


def plain(headers: Sequence[str], rows: Sequence[Row]) -> str:
    """The table as text: two blanks between columns."""
    cells = [list(headers), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = numeric(rows, len(headers))
    lines = (
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in cells
    )
    return "\n".join(lines)


def numeric(rows: Sequence[Row], count: int) -> list[bool]:
    """Which columns hold numbers alone."""
    return [all(isinstance(row[column], int | float) for row in rows) for column in range(count)]


def _draw(headers: Sequence[str], rows: Sequence[Row]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header, number in zip(headers, numeric(rows, len(headers)), strict=True):
        table.add_column(header, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console().print(table)
