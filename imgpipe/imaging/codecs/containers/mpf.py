"""The segment of a JPEG that names the pictures behind it. CIPA DC-007, *Multi-Picture Format*, 5.2.

Stereo pairs and panoramas are such files, and so is what most phones write: behind the picture lies a map of
how much brighter a bright screen may show it. Nobody here reads more than the first.
"""

from __future__ import annotations

import struct

MARK = b"MPF\0"
_ENTRIES = 0xB002  # the tag of the list of pictures
_ENTRY = "I12x"  # a picture in it: its attributes, and where it is
_CLASS = 0xFF0000  # the attributes' bits for what kind of picture it is
_PREVIEW = 0x010000  # "large thumbnail": the same picture, smaller


def pictures(block: bytes) -> int:
    """How many pictures the block behind `MARK` names, beside previews; 0 where it is no sound one."""
    order = "<" if block.startswith(b"II") else ">"
    try:
        (at,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, at)
        for field in range(at + 2, at + 2 + 12 * count, 12):
            tag, _, size, start = struct.unpack_from(order + "HHII", block, field)
            if tag == _ENTRIES:
                entries = struct.iter_unpack(order + _ENTRY, block[start : start + size])
                return sum(attributes & _CLASS != _PREVIEW for (attributes,) in entries)
    except struct.error:  # the block ends early
        pass
    return 0
