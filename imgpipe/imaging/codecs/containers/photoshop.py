"""The segments of a JPEG that hold IPTC: captions, credits, keywords of newsrooms and archives.

Adobe, *Photoshop File Formats*, "Image Resource Blocks". IPTC, *Information Interchange Model 4.2*, is one.
"""

from __future__ import annotations

MARK = b"Photoshop 3.0\0"
_RESOURCE, _IPTC = b"8BIM", b"\x04\x04"
_RESOURCES_MAX = 1000  # a sound file has some thirty


def iptc(parts: list[bytes]) -> bytes:
    """The block of IPTC in what follows `MARK` in such segments; nothing if there is none."""
    data, at = b"".join(parts), 0
    for _ in range(_RESOURCES_MAX):
        if data[at : at + 4] != _RESOURCE or at + 12 > len(data):
            break
        start = at + 6 + (data[at + 6] + 2) // 2 * 2  # a name, its length before it, in whole words
        size = int.from_bytes(data[start : start + 4], "big")
        block = data[start + 4 : start + 4 + size]
        if data[at + 4 : at + 6] == _IPTC and len(block) == size:
            return block
        at = start + 4 + size + size % 2
    return b""


def segment(block: bytes) -> bytes:
    """What a segment holds that has this block of IPTC and nothing else."""
    return MARK + _RESOURCE + _IPTC + bytes(2) + len(block).to_bytes(4, "big") + block + bytes(len(block) % 2)
