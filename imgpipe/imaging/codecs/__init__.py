"""Bytes ↔ pixels, for every format.

=============  ==========================================================================================
`table`        which formats there are, how each is known, what each can hold
`containers`   what a file says of itself, read without decoding; what goes with its pixels
`ceiling`      what a machine decodes at most
`decoding`     looked at, held against the limits, decoded, mended, turned upright
`reducing`     how far a JPEG may be reduced while it is decoded
`animation`    frames of an animated PNG or GIF joined to pictures
`netpbm`       PNM, read and written here; `bitmap`: BMP with masks or runs, read here
`tiff_pages`   each page of a TIFF given to OpenCV as a file that it reads right
`encoding`     fitted to a format, written, and what was lost
`gif_writing`  frames → GIF, each with a palette of its own
`palette`      the best few colours for a picture
`lzw`          indices of colours, compressed as in GIF
=============  ==========================================================================================
"""

from __future__ import annotations

from imgpipe.imaging.codecs.ceiling import Ceiling
from imgpipe.imaging.codecs.decoding import decode, inspect
from imgpipe.imaging.codecs.encoding import encode
from imgpipe.imaging.codecs.picture import Picture, Remark
from imgpipe.imaging.codecs.table import (
    CODECS,
    FORMATS,
    QUALITY,
    READABLE,
    WRITABLE,
    Codec,
    checked_format,
    checked_quality,
    codec,
    identify,
    suffix_of,
)

__all__ = [
    "CODECS",
    "FORMATS",
    "QUALITY",
    "READABLE",
    "WRITABLE",
    "Ceiling",
    "Codec",
    "Picture",
    "Remark",
    "checked_format",
    "checked_quality",
    "codec",
    "decode",
    "encode",
    "identify",
    "inspect",
    "suffix_of",
]
