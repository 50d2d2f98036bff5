"""Which colours samples stand for, where a file says so in numbers and not by an ICC profile.

Pixels are passed on as they are stored, so colours other than those of sRGB are lost with the numbers: no
output format is told them. What is near enough to sRGB (IEC 61966-2-1) to be shown as it is no loss.
"""

from __future__ import annotations

import struct

from imgpipe.errors import Note

# ITU-T H.273, tables 2 and 3: those of BT.709, which are sRGB's, and what is not specified; the curves of
# BT.601, BT.709 and BT.2020, which everybody shows like sRGB's.
_PRIMARIES = {1, 2}
_TRANSFERS = {1, 2, 6, 13, 14, 15}
# W3C, *PNG Specification (Third Edition)*, 11.3.2: hundred-thousandths; white, red, green, blue.
_GAMMA, _GAMMA_OFF = 45_455, 2_273  # a twentieth: nobody sees less
_CHROMATICITIES, _CHROMATICITY_OFF = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000), 1_000


def coded(primaries: int, transfer: int) -> tuple[tuple[str, str], ...]:
    """The loss where these code points of H.273 are not those of sRGB."""
    if primaries in _PRIMARIES and transfer in _TRANSFERS:
        return ()
    return _lost(f"primaries {primaries} and transfer {transfer} of H.273")


def measured(gamma: bytes, chromaticities: bytes) -> tuple[tuple[str, str], ...]:
    """The loss where a PNG's ``gAMA`` or ``cHRM`` are not those of sRGB; each empty where there is none."""
    found = struct.unpack(">I", gamma)[0] if len(gamma) == 4 else 0
    if found and abs(found - _GAMMA) > _GAMMA_OFF:  # 0 means nothing
        return _lost(f"a gamma of 1/{100_000 / found:.3g}")
    places = struct.unpack(">8I", chromaticities) if len(chromaticities) == 32 else _CHROMATICITIES
    if any(abs(a - b) > _CHROMATICITY_OFF for a, b in zip(places, _CHROMATICITIES, strict=True)):
        return _lost("primaries of its own")
    return ()


def _lost(what: str) -> tuple[tuple[str, str], ...]:
    return ((str(Note.ICC), f"its colours have {what}, not those of sRGB: no output says so"),)
