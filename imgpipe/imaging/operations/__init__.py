"""Image → image functions, each declared once.

A file a family; `declare` says what a declaration is; `table` finds operations by name, those of installed
packages (entry-point group ``imgpipe.operations``) among them.
"""

from __future__ import annotations

from imgpipe.imaging.operations.declare import (
    Alpha,
    Channels,
    Depth,
    Doc,
    OneOf,
    Operation,
    Parameter,
    Range,
    Size,
    Step,
    operation,
)
from imgpipe.imaging.operations.table import find, names, parse, table

__all__ = [
    "Alpha",
    "Channels",
    "Depth",
    "Doc",
    "OneOf",
    "Operation",
    "Parameter",
    "Range",
    "Size",
    "Step",
    "find",
    "names",
    "operation",
    "parse",
    "table",
]
