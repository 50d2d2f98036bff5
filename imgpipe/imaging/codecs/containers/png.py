"""PNG and APNG: a walk over all chunks, and the plain PNGs that OpenCV is given instead of the file.

Animated PNGs of under 700 bytes, well-formed in their lengths, crash OpenCV 4.14 and 5.0, and a few bytes can
make it allocate gigabytes. So every chunk is checked first (length, order, CRC; numbers and places of
frames), and OpenCV sees only what a picture needs: IHDR, PLTE, tRNS of a palette, IDAT, IEND. W3C, *Portable
Network Graphics (PNG) Specification (Third Edition)*, sections 5 and 11.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from imgpipe import limits
from imgpipe.errors import ImageError, Kind, Note
from imgpipe.imaging.codecs.containers import colours
from imgpipe.imaging.codecs.containers.header import (
    Frame,
    Header,
    damaged,
    parts_max,
    truncated,
    unread,
    unsupported,
)
from imgpipe.imaging.codecs.containers.metadata import EXIF_PREFIX, Metadata, orientation

MAGIC = b"\x89PNG\r\n\x1a\n"
_XMP = b"XML:com.adobe.xmp\0"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # samples of a pixel, by colour type
_BITS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_DEFLATE_MAX = 1032  # times: the most deflate can shrink, 258 bytes to a quarter of a byte
_DEFLATE_MORE = 4096  # bytes by which deflate may grow pixels that do not shrink, beside an eighth
_LOSSES_MAX = 8  # kinds of chunks whose wrong checksums are told
_CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
_OF_FRAMES = {b"acTL", b"fcTL", b"fdAT"}
_HOLDING = {b"eXIf": Note.EXIF, b"iCCP": Note.ICC}
# ImageMagick's, from before there was eXIf: text, in hexadecimal digits. Browsers do not read it, either.
_OLD = {
    b"exif": Note.EXIF,
    b"APP1": Note.EXIF,
    b"icc": Note.ICC,
    b"icm": Note.ICC,
    b"xmp": Note.XMP,
    b"iptc": Note.IPTC,
}
_OLD_PREFIX = b"Raw profile type "


@dataclass(slots=True)
class Chunks:
    """What a walk over a PNG keeps."""

    ihdr: bytes = b""
    palette: bytes = b""
    transparency: bytes | None = None
    pixels: list[memoryview] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    plays: int = 0
    declared: int = 0
    kept: dict[bytes, bytes] = field(default_factory=dict)  # eXIf, iTXt, and of colours
    held: dict[Note, None] = field(default_factory=dict)  # what there is of these, sound or not
    losses: list[tuple[str, str]] = field(default_factory=list)

    @property
    def apart(self) -> bool:
        """There are frames, and the picture itself is none of them: so it is one page more."""
        first = self.frames[0].data if self.frames else self.pixels
        return not first or first[0] is not self.pixels[0]

    @property
    def colour_type(self) -> int:
        return self.ihdr[9]


def header(data: bytes) -> Header:
    """What the chunks say, every one of them checked.

    Raises
    ------
    ImageError
        ``truncated`` or ``unreadable``.
    """
    chunks = _Walk(data).chunks
    width, height, bits, colour_type, *_ = _ihdr(chunks.ihdr)
    metadata = Metadata(
        chunks.kept.get(b"eXIf", b"").removeprefix(EXIF_PREFIX), _icc(chunks), chunks.kept.get(b"iTXt", b"")
    )
    animated = len(chunks.frames) > 1 or chunks.apart
    return Header(
        width,
        height,
        bits=bits,
        grey=colour_type in (0, 4),
        alpha=colour_type in (4, 6) or chunks.transparency is not None,
        frames=len(chunks.frames) + (chunks.apart or not chunks.frames),
        durations=tuple(frame.duration for frame in chunks.frames) if animated else (),
        loops=chunks.plays,
        orientation=orientation(metadata),
        metadata=metadata,
        losses=(
            *chunks.losses,
            *(unread(note, "PNG") for note in chunks.held if not getattr(metadata, note)),
            *(() if Note.ICC in chunks.held else _colours(chunks)),
        ),
        details=chunks,
    )


class _Walk:
    """One pass over the chunks, in their order."""

    def __init__(self, data: bytes) -> None:
        self.chunks = Chunks()
        self._data = data
        self._view = memoryview(data)
        self._sequence = 0
        self._seen_data = self._left_data = False
        at = len(MAGIC)
        for _ in range(parts_max(data)):
            at, kind = self._chunk(at)
            if kind == b"IEND":
                break
        else:
            raise damaged("too many chunks")
        self._at_the_end()

    def _chunk(self, at: int) -> tuple[int, bytes]:
        data = self._data
        if at + 12 > len(data):
            raise truncated(data)
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if length > 2**31 - 1 or not kind.isalpha():
            raise damaged(f"no chunk at byte {at}")
        if end > len(data):
            raise truncated(data)
        body = self._view[at + 8 : end - 4]
        if note := _held(kind, body):
            self.chunks.held[note] = None
        if zlib.crc32(self._view[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big"):
            self._take(kind, body)
        elif kind in _CRITICAL or kind in _OF_FRAMES or kind == b"tRNS":
            raise damaged(f"the checksum of its {kind.decode()} chunk at byte {at} is wrong")
        else:
            loss = str(Note.WARNING), f"the checksum of {kind.decode()} is wrong"
            if loss not in self.chunks.losses and len(self.chunks.losses) < _LOSSES_MAX:
                self.chunks.losses.append(loss)
        return end, kind

    def _take(self, kind: bytes, body: memoryview) -> None:
        chunks = self.chunks
        if not chunks.ihdr and kind != b"IHDR":
            raise damaged("it does not begin with IHDR")
        self._left_data |= self._seen_data and kind != b"IDAT"
        match kind:
            case b"IHDR":
                if chunks.ihdr:
                    raise damaged("a second IHDR")
                chunks.ihdr = bytes(body)
                _ihdr(chunks.ihdr)
            case b"PLTE":
                self._palette(body)
            case b"tRNS":
                if self._seen_data:
                    raise damaged("tRNS after the pixels")
                chunks.transparency = bytes(body)
            case b"IDAT":
                self._pixels(body)
            case b"acTL":
                self._animation(body)
            case b"fcTL":
                self._frame(body)
            case b"fdAT":
                self._frame_data(body)
            case b"eXIf" | b"iCCP" | b"cICP" | b"sRGB" | b"gAMA" | b"cHRM":
                chunks.kept.setdefault(kind, bytes(body))
            case b"iTXt" if b"iTXt" not in chunks.kept and body[: len(_XMP)] == _XMP:
                self._xmp(bytes(body[len(_XMP) :]))
            case _ if kind[0] & 0x20 == 0 and kind != b"IEND":
                raise unsupported(f"an unknown critical chunk {kind.decode()}")

    def _palette(self, body: memoryview) -> None:
        if self._seen_data or self.chunks.palette or not 3 <= len(body) <= 768 or len(body) % 3:
            raise damaged("a palette that is misplaced or of a wrong size")
        self.chunks.palette = bytes(body)

    def _pixels(self, body: memoryview) -> None:
        if self._left_data:
            raise damaged("its IDAT chunks do not follow each other")
        self._seen_data = True
        self.chunks.pixels.append(body)
        if self.chunks.frames:
            self.chunks.frames[0].data.append(body)

    # --- animation ------------------------------------------------------------------------------

    def _animation(self, body: memoryview) -> None:
        if self._seen_data or self.chunks.declared or len(body) != 8:
            raise damaged("acTL is misplaced, doubled or of a wrong size")
        self.chunks.declared, self.chunks.plays = struct.unpack(">II", body)
        if not self.chunks.declared >= 1:
            raise damaged("an animation without frames")
        if self.chunks.declared > limits.PAGES_MAX:
            raise ImageError(Kind.TOO_LARGE, f"{self.chunks.declared} frames, at most {limits.PAGES_MAX}")

    def _frame(self, body: memoryview) -> None:
        chunks = self.chunks
        if len(body) != 26 or not chunks.declared or len(chunks.frames) >= chunks.declared:
            raise damaged("fcTL of a wrong size, or more frames than declared")
        number, width, height, left, top, count, base, disposal, blend = struct.unpack(">IIIIIHHBB", body)
        self._next(number)
        canvas = struct.unpack(">II", chunks.ihdr[:8])
        if not width or not height or left + width > canvas[0] or top + height > canvas[1]:
            raise damaged(f"frame {len(chunks.frames) + 1} does not lie within the picture")
        if not self._seen_data and (chunks.frames or (left, top, width, height) != (0, 0, *canvas)):
            raise damaged("the first frame is not the picture itself")
        if chunks.frames and not chunks.frames[-1].data:
            raise damaged("a frame without pixels")
        if disposal > 2 or blend > 1:
            raise damaged("a frame that is joined in an unknown way")
        duration = round(1000 * count / (base or 100))
        chunks.frames.append(Frame(width, height, left, top, duration, disposal, blend == 1))

    def _frame_data(self, body: memoryview) -> None:
        if len(body) < 4 or not self.chunks.frames or not self._seen_data:
            raise damaged("fdAT without a frame")
        if self.chunks.frames[0].data and len(self.chunks.frames) == 1 and not self.chunks.apart:
            raise damaged("fdAT in the frame that is the picture itself")
        self._next(int.from_bytes(body[:4], "big"))
        self.chunks.frames[-1].data.append(body[4:])

    def _next(self, number: int) -> None:
        if number != self._sequence:
            raise damaged(f"frame data number {number} where {self._sequence} was expected")
        self._sequence += 1

    def _at_the_end(self) -> None:
        chunks = self.chunks
        if not self._seen_data:
            raise damaged("no pixels")
        if len(chunks.frames) != chunks.declared or (chunks.frames and not chunks.frames[-1].data):
            raise damaged(f"{len(chunks.frames)} frames of {chunks.declared}, or one without pixels")
        if chunks.colour_type == 3 and not chunks.palette:
            raise damaged("no palette")

    def _xmp(self, body: bytes) -> None:
        """After the keyword: a flag for compression, its method, language, translated keyword, text."""
        parts = body[2:].split(b"\0", 2)
        if len(parts) == 3:
            text = _inflated(parts[2]) if body[0] else parts[2]
            self.chunks.kept[b"iTXt"] = text


def _held(kind: bytes, body: memoryview) -> Note | None:
    """Which block of metadata a chunk is meant to hold."""
    if kind == b"iTXt" and body[: len(_XMP)] == _XMP:
        return Note.XMP
    if kind in (b"tEXt", b"zTXt") and body[: len(_OLD_PREFIX)] == _OLD_PREFIX:
        return _OLD.get(bytes(body[len(_OLD_PREFIX) :][:5]).partition(b"\0")[0])
    return _HOLDING.get(kind)


def _ihdr(body: bytes) -> tuple[int, int, int, int, int, int, int]:
    if len(body) != 13:
        raise damaged("IHDR is of a wrong size")
    width, height, bits, colour_type, compression, filter_, interlace = struct.unpack(">IIBBBBB", body)
    known = bits in _BITS.get(colour_type, ()) and compression == filter_ == 0 and interlace in (0, 1)
    if not known or not 0 < width < 2**31 or not 0 < height < 2**31:
        raise damaged("IHDR describes no picture")
    return width, height, bits, colour_type, compression, filter_, interlace


def _icc(chunks: Chunks) -> bytes:
    name, found, packed = chunks.kept.get(b"iCCP", b"").partition(b"\0")
    return _inflated(packed[1:]) if found and len(name) < 80 else b""


def _colours(chunks: Chunks) -> tuple[tuple[str, str], ...]:
    """What is lost of colours that have no profile. Section 4.3: which chunk comes before which."""
    kept = chunks.kept
    if len(code := kept.get(b"cICP", b"")) == 4:
        return colours.coded(code[0], code[1])
    return () if b"sRGB" in kept else colours.measured(kept.get(b"gAMA", b""), kept.get(b"cHRM", b""))


def _inflated(packed: bytes) -> bytes:
    """At most `limits.METADATA_MAX` bytes; nothing if it is more, or damaged."""
    try:
        inflater = zlib.decompressobj()
        whole = inflater.decompress(packed, limits.METADATA_MAX)
    except zlib.error:
        return b""
    return whole if inflater.eof else b""


# --- what OpenCV is given -----------------------------------------------------------------------


def clean(found: Header, number: int | None = None) -> bytes:
    """A plain PNG of the picture, or of frame ``number``. Transparency stays for palettes alone: OpenCV does
    not read the others in the same way for every depth.

    Raises
    ------
    ImageError
        ``unreadable``: there are too few bytes for so many pixels.
    """
    chunks: Chunks = found.details
    frame = chunks.frames[number] if number is not None else None
    width, height = (frame.width, frame.height) if frame else (found.width, found.height)
    size, packed = struct.pack(">II", width, height), b"".join(frame.data if frame else chunks.pixels)
    _enough(chunks, width, height, len(packed))
    parts = [MAGIC, _packed(b"IHDR", size + chunks.ihdr[8:])]
    if chunks.colour_type == 3:
        parts.append(_packed(b"PLTE", chunks.palette))
        if chunks.transparency:
            parts.append(_packed(b"tRNS", chunks.transparency[: len(chunks.palette) // 3]))
    parts.append(_packed(b"IDAT", packed))
    parts.append(_packed(b"IEND", b""))
    return b"".join(parts)


def _enough(chunks: Chunks, width: int, height: int, packed: int) -> None:
    """Refuse what cannot hold all its rows, however well it is packed: before memory is found for them."""
    interlaced, bits = chunks.ihdr[12], chunks.ihdr[8] * _CHANNELS[chunks.colour_type]
    # Interlaced, there are more rows, each shorter: never less than this in all.
    raw = width * height * bits // 8 if interlaced else height * (1 + (width * bits + 7) // 8)
    if packed * _DEFLATE_MAX < raw:
        raise damaged(f"too few bytes for {width}×{height} pixels")
    if packed > raw + raw // 8 + height + _DEFLATE_MORE:  # libpng unpacks what follows the pixels, too
        raise damaged(f"too many bytes for {width}×{height} pixels")


def key(found: Header) -> tuple[int, ...]:
    """The one transparent colour of a picture without palette or alpha: grey, or red, green, blue, in as many
    bits as its samples have. Nothing where there is none."""
    chunks: Chunks = found.details
    count = {0: 1, 2: 3}.get(chunks.colour_type, 0)
    if not count or chunks.transparency is None:
        return ()
    if len(chunks.transparency) != 2 * count:
        raise damaged("a transparent colour of a wrong size")
    used = (1 << found.bits) - 1  # section 11.3.1.1: what is above these bits means nothing
    return tuple(value & used for value in struct.unpack(f">{count}H", chunks.transparency))


def with_metadata(data: bytes, metadata: Metadata) -> bytes:
    """An encoded PNG with these blocks in it."""
    parts = []
    if metadata.icc:
        parts.append(_packed(b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc)))
    if metadata.exif:
        parts.append(_packed(b"eXIf", metadata.exif))
    if metadata.xmp:
        parts.append(_packed(b"iTXt", _XMP + bytes(4) + metadata.xmp))
    at = len(MAGIC) + 25  # after IHDR
    return b"".join((data[:at], *parts, data[at:]))


def _packed(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return len(body).to_bytes(4, "big") + kind + body + checksum.to_bytes(4, "big")
