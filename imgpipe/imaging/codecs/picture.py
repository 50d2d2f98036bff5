"""A decoded picture: its frames, and what goes with them."""

from __future__ import annotations

from dataclasses import dataclass, field

from imgpipe.errors import Note
from imgpipe.imaging.codecs.containers.metadata import NOTHING, Metadata
from imgpipe.imaging.pixels import Image

#: A kind of `errors.Note`, and words for people.
Remark = tuple[str, str]


@dataclass(slots=True)
class Picture:
    """One or more frames, upright.

    Attributes
    ----------
    frames : list of Image
        ``(H, W)``, ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA; uint8, uint16 or float32.
    durations : tuple of int
        How long each frame is shown, in ms; empty where nothing is said. ``loops``: how often all are shown,
        0 for ever.
    metadata : Metadata
        As for upright pixels.
    bits : int
        Of a sample in the file, of the deepest page; ``alpha``: something in it is transparent.
    remarks : list
        ``(kind, text)`` of what was lost or odd on the way here.
    """

    frames: list[Image]
    durations: tuple[int, ...] = ()
    loops: int = 0
    metadata: Metadata = NOTHING
    bits: int = 8
    alpha: bool = False
    remarks: list[Remark] = field(default_factory=list)

    def remark(self, note: Note, words: str) -> None:
        self.remarks.append((str(note), words))
