"""Image → image functions, each declared once.

A file a family; `declare` says what a declaration is; `table` finds operations by name, those of installed
packages (entry-point group ``imgpipe.operations``) among them.
"""

from __future__ import annotations

from imgpipe.imaging.operations.declare import (
    Alpha,
    Channels,
    Colour,
    Corners,
    Depth,
    Doc,
    File,
    Length,
    OneOf,
    Operation,
    Parameter,
    Range,
    Ratio,
    Reader,
    Size,
    Step,
    Text,
    always,
    one_of,
    operation,
)
from imgpipe.imaging.operations.table import find, names, parse, table

__all__ = [
    "Alpha",
    "Channels",
    "Colour",
    "Corners",
    "Depth",
    "Doc",
    "File",
    "Length",
    "OneOf",
    "Operation",
    "Parameter",
    "Range",
    "Ratio",
    "Reader",
    "Size",
    "Step",
    "Text",
    "always",
    "find",
    "names",
    "one_of",
    "operation",
    "parse",
    "table",
]
