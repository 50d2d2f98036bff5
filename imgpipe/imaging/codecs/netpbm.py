"""PBM, PGM, PPM, PAM and PFM: their samples, read and written here.

OpenCV takes a value of 100 for 100 of 255 even where the file says that 100 is white, and its version 5.0.0
leaves three quarters of a PAM with alpha as they were in memory before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from imgpipe.imaging.codecs.containers.header import Header, damaged, truncated
from imgpipe.imaging.codecs.containers.pnm import ASCII, Layout
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import WHITE, Image, depth, has_alpha

if TYPE_CHECKING:
    import numpy as np
else:
    np = lazy("numpy")


_TEXT = 1 << 18  # bytes of text that are read at a time
_BLANK = re.compile(rb"\s")
_SOUND = b"0123456789 \t\r\n\v\f"


def decode(data: bytes, found: Header) -> Image:
    """``(H, W)``, ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA; uint8, uint16 or float32, white as `WHITE` has it.

    Raises
    ------
    ImageError
        A value is no number, or above the largest.
    """
    layout: Layout = found.details
    shape = (found.height, found.width, layout.samples)
    if found.floating:
        kind = "<f4" if layout.white < 0 else ">f4"
        values: Any = np.frombuffer(data, kind, found.height * found.width * layout.samples, layout.start)
        values = values.reshape(shape)[::-1].astype(np.float32)
    else:
        values = _scaled(_integers(data, found, layout).reshape(shape), layout)
    return _ordered(values)


def _integers(data: bytes, found: Header, layout: Layout) -> Image:
    count = found.height * found.width * layout.samples
    if layout.magic == b"P4":
        rows = np.frombuffer(data, np.uint8, (found.width + 7) // 8 * found.height, layout.start)
        bits: Image = np.unpackbits(rows.reshape(found.height, -1), axis=1, count=found.width)
        return 1 - bits
    if layout.magic in ASCII:
        return _words(data, count, layout)
    return np.frombuffer(data, ">u2" if layout.white > 255 else np.uint8, count, layout.start)


def _words(data: bytes, count: int, layout: Layout) -> Image:
    """Samples written as text. A bitmap's digits need no space between them, and its 1 is black."""
    words: Any
    text = re.sub(rb"#[^\r\n]*", b" ", data[layout.start - 1 :])
    if layout.magic == b"P1":
        digits: Any = np.frombuffer(text.translate(None, b" \t\r\n\v\f"), np.uint8)[:count] - ord("0")
        if digits.size and digits.max() > 1:  # what is below "0" is above it, too
            raise damaged("a sample that is neither 0 nor 1")
        words = 1 - digits
    else:
        words = np.concatenate([np.empty(0, np.uint16), *_numbers(text, count)])
    if words.size < count:
        raise truncated(data)
    found: Image = words
    return found


def _numbers(text: bytes, count: int) -> Iterator[Image]:
    """At most ``count`` numbers, uint16, some at a time: as Python's objects all would take 50 bytes each."""
    at = 0
    while at < len(text) and count:
        blank = _BLANK.search(text, at + _TEXT)
        end = blank.start() if blank else len(text)
        values = _read(text[at:end], count)
        if values.size and not 0 <= values.min() <= values.max() <= WHITE["uint16"]:
            raise damaged("a sample out of bounds")
        count -= values.size
        yield values.astype(np.uint16)
        at = end


def _read(text: bytes, count: int) -> Image:
    """At most ``count`` numbers, int64."""
    if text.strip() and not text.translate(None, _SOUND):  # ten times as fast, but it stops at anything else
        return np.fromstring(text, np.int64, sep=" ")[:count]
    try:
        return np.array(text.split()[:count], np.int64)
    except (ValueError, OverflowError):
        raise damaged("a sample that is no number") from None


def _scaled(values: Image, layout: Layout) -> Image:
    """As uint8 or uint16 with the white of that."""
    if values.size and values.max() > layout.white:
        raise damaged(f"a sample above {layout.white}, its largest value")
    wanted = "uint16" if layout.white > 255 else "uint8"
    if layout.white != WHITE[wanted]:
        every = np.arange(layout.white + 1)  # a table: no pixel is ever a float64
        scaled: Image = np.rint(every * np.float64(WHITE[wanted] / layout.white)).astype(wanted)[values]
        return scaled
    return values.astype(wanted)


def _ordered(values: Image) -> Image:
    samples = values.shape[2]
    if samples == 1:
        return np.ascontiguousarray(values[:, :, 0])
    order = {2: (0, 0, 0, 1), 3: (2, 1, 0), 4: (2, 1, 0, 3)}[samples]
    return np.ascontiguousarray(values[:, :, order])


def encode(image: Image, suffix: str) -> bytes:
    """The bytes of a file with this suffix: pgm, ppm, pnm, pam or pfm."""
    height, width = image.shape[:2]
    white = int(WHITE[depth(image)])
    samples = 1 if image.ndim == 2 else image.shape[2]
    ordered = image if image.ndim == 2 else image[:, :, (2, 1, 0, 3)[:samples]]
    if suffix == "pfm":
        head = f"P{'f' if samples == 1 else 'F'}\n{width} {height}\n-1.0\n"
        return head.encode() + ordered[::-1].astype("<f4").tobytes()
    if suffix == "pam":
        kind = {1: "GRAYSCALE", 3: "RGB", 4: "RGB_ALPHA"}[samples]
        head = (
            f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {samples}\nMAXVAL {white}\nTUPLTYPE {kind}\nENDHDR\n"
        )
    else:
        head = f"P{5 if samples == 1 else 6}\n{width} {height}\n{white}\n"
    assert not has_alpha(image) or suffix == "pam"
    return head.encode() + ordered.astype(">u2" if white > 255 else np.uint8).tobytes()
