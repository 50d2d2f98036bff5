"""What a machine decodes at most, and which formats: set where a worker is started, never by a job.

A job may only lower it (`Ceiling.lowered`). Everything here is asked before a decoder sees a byte.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from imgpipe import limits


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Pixels of all frames together, of one side, pages or frames, bytes; and formats that are switched off.

    ``off`` holds names of formats in lower case, as in `table` (``"gif"``). ``own``: the pixels are
    the machine's, and not fewer that a job asked for.
    """

    pixels: int = limits.PIXELS_MAX
    side: int = limits.IMAGE_SIDE_MAX
    pages: int = limits.PAGES_MAX
    bytes: int = limits.IMAGE_BYTES_MAX
    off: frozenset[str] = frozenset()
    own: bool = True

    def lowered(self, pixels: int) -> Ceiling:
        """The same with at most so many pixels; 0 leaves it as it is."""
        return replace(self, pixels=pixels, own=False) if 0 < pixels < self.pixels else self
