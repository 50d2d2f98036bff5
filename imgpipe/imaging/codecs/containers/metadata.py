"""EXIF, ICC, XMP, IPTC: bytes that go with a picture, and the few fields in them that must follow its pixels.

They are carried as they are, but for orientation: once it is applied, tag 0x0112 (and ``tiff:Orientation`` of
XMP, which some readers ask first) is 1, or the next reader would turn the picture again. A colour profile is
for a number of channels; one for another number is no use to the output and is left out.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import Literal

EXIF_PREFIX = b"Exif\0\0"  # stands before the block in a JPEG; some writers keep it elsewhere, too
EXIF_ORIENTATION = 0x0112  # EXIF 2.3, table 4
_SHORT, _LONG = 3, 4
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)([1-8])(?=\s*[\"'<])")
_SPACES = {b"GRAY": 1, b"RGB ": 3}  # ICC.1:2022, table 19


@dataclass(frozen=True, slots=True)
class Metadata:
    """Blocks of bytes, each empty where there is none.

    ``exif`` is a TIFF directory, beginning with its byte order; ``icc`` a profile; ``xmp`` a packet of XML;
    ``iptc`` records of the Information Interchange Model.
    """

    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""

    def upright(self) -> Metadata:
        """The same for a picture whose orientation has been applied."""
        return replace(self, exif=_exif_upright(self.exif), xmp=_XMP_ORIENTATION.sub(rb"\g<1>1", self.xmp))


NOTHING = Metadata()


def orientation(metadata: Metadata) -> int:
    """1 … 8: EXIF's if it has one, else XMP's, else 1."""
    found = exif_orientation(metadata.exif)
    if not found and (match := _XMP_ORIENTATION.search(metadata.xmp)):
        found = int(match[2])
    return found or 1


def exif_orientation(exif: bytes) -> int:
    """The orientation in an EXIF block, 1 … 8; 0 where there is none, or no sound one."""
    order, at = _orientation_at(exif)
    value = int.from_bytes(exif[at : at + 2], order) if at else 0
    return value if 1 <= value <= 8 else 0


def _exif_upright(exif: bytes) -> bytes:
    order, at = _orientation_at(exif)
    return exif[:at] + (1).to_bytes(2, order) + exif[at + 2 :] if at else exif


def _orientation_at(exif: bytes) -> tuple[Literal["little", "big"], int]:
    """Byte order, and where the value of tag 0x0112 stands in the first directory; 0: nowhere."""
    little = exif.startswith(b"II")
    order = "<" if little else ">"
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == EXIF_ORIENTATION and kind in (_SHORT, _LONG) and entry + 12 <= len(exif):
                wide = kind == _LONG and not little
                return ("little" if little else "big"), entry + (10 if wide else 8)
    except struct.error:  # the block ends early
        pass
    return "big", 0


def icc_channels(icc: bytes) -> int:
    """Channels of colour a profile is for: 1, 3, or 0 where it is for something else."""
    return _SPACES.get(icc[16:20], 0)
