"""AV1: size, depth and range of the frames of a bitstream. *AV1 Bitstream & Decoding Process
Specification*, 5.

An AVIF file says the size of a picture in a box, and its decoder believes the bitstream: a kilobyte that says
16×16 makes it decode 8000×8000 and scale that down.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from imgpipe.imaging.codecs.containers.header import damaged

_SEQUENCE_HEADER = 1


class Sequence(NamedTuple):
    """What a sequence header says: pixels, bits of a sample, and whether a grey picture's black and white are
    16 and 235 of 8 bits (H.273's limited range)."""

    width: int
    height: int
    bits: int
    limited: bool


def sequences(data: bytes) -> Iterator[Sequence | None]:
    """For each unit of a bitstream, what it says if it is a sequence header.

    Raises
    ------
    ImageError
        ``unreadable``: a unit or a sequence header is longer than what it is in.
    """
    at = 0
    try:
        while at < len(data):
            head = data[at]
            at += 2 if head & 4 else 1
            size, at = _length(data, at) if head & 2 else (len(data) - at, at)
            is_header = head >> 3 & 15 == _SEQUENCE_HEADER
            yield _sequence(_Bits(data[at : at + size])) if is_header else None
            at += size
    except IndexError:
        raise damaged("a unit of AV1 is longer than what it is in") from None


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the least first; and where it ends."""
    value = 0
    for number in range(8):
        value |= (data[at + number] & 0x7F) << 7 * number
        if not data[at + number] & 0x80:
            return value, at + number + 1
    raise IndexError


class _Bits:
    """Reads numbers of any width, the most significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data[:256], "big")
        self._left = 8 * min(len(data), 256)

    def __call__(self, width: int) -> int:
        self._left -= width
        if self._left < 0:
            raise IndexError
        return self._value >> self._left & (1 << width) - 1


def _sequence(bits: _Bits) -> Sequence:
    profile, _, reduced = bits(3), bits(1), bits(1)  # the second: it is a still picture
    if reduced:
        bits(5)
    else:
        _operating_points(bits, *_timing(bits))
    widths = bits(4) + 1, bits(4) + 1
    size = bits(widths[0]) + 1, bits(widths[1]) + 1
    _tools(bits, reduced)
    depth = _depth(bits, profile)
    return Sequence(*size, depth, _limited(bits, profile))


def _tools(bits: _Bits, reduced: int) -> None:
    """Which ways of coding are in use: what lies between the size and the colours."""
    if not reduced and bits(1):  # frames have numbers
        bits(7)
    bits(3)
    if not reduced:
        bits(4)
        ordered = bits(1)
        bits(2 * ordered)
        if bits(1) or bits(1):  # tools for screens, chosen by each frame or always
            bits(0 if bits(1) else 1)
        bits(3 * ordered)
    bits(3)


def _depth(bits: _Bits, profile: int) -> int:
    if not bits(1):
        return 8
    return 12 if profile == 2 and bits(1) else 10


def _limited(bits: _Bits, profile: int) -> bool:
    """Section 5.5.2. Of colours it is told after what they are, and nobody asks."""
    if profile == 1 or not bits(1):
        return False
    if bits(1):  # primaries, transfer and matrix
        bits(24)
    return not bits(1)


def _timing(bits: _Bits) -> tuple[int, int]:
    """Whether there is a decoder model, and the width of its delays."""
    if not bits(1):
        return 0, 0
    bits(64)
    if bits(1):  # equal intervals: a number as long as there are zeros before it
        zeros = 0
        while not bits(1):
            zeros += 1
        bits(zeros)
    if not bits(1):
        return 0, 0
    delay = bits(5) + 1
    bits(42)
    return 1, delay


def _operating_points(bits: _Bits, modelled: int, delay: int) -> None:
    display = bits(1)
    for _ in range(bits(5) + 1):
        bits(12)
        if bits(5) > 7:
            bits(1)
        if modelled and bits(1):
            bits(2 * delay + 1)
        if display and bits(1):
            bits(4)
