"""Bytes ↔ pixels, for every format.

`table` says which formats there are and what each can hold; `structure` tells truncated files from others.
"""

from __future__ import annotations

from imgpipe.imaging.codecs.decoding import decode
from imgpipe.imaging.codecs.encoding import encode
from imgpipe.imaging.codecs.table import (
    CODECS,
    QUALITY,
    READABLE,
    WRITABLE,
    Codec,
    checked_format,
    checked_quality,
    codec,
    suffix_of,
)

__all__ = [
    "CODECS",
    "QUALITY",
    "READABLE",
    "WRITABLE",
    "Codec",
    "checked_format",
    "checked_quality",
    "codec",
    "decode",
    "encode",
    "suffix_of",
]
