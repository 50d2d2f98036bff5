"""The table of formats: how each is known, read and written, and what it can hold.

A file is read as what its first bytes say it is. A suffix, lower-case text without its dot, chooses which
files are listed and how an output is encoded. A new format is a new `Codec` here and a reader in
`containers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from imgpipe.errors import UsageError, nearest
from imgpipe.imaging.codecs.containers import avif, bmp, gif, jp2, jpeg, png, pnm, tiff, webp
from imgpipe.imaging.codecs.containers.header import Header
from imgpipe.schema import elided

QUALITY = 90  # contract


@dataclass(frozen=True, slots=True)
class Codec:
    """A format, and what an output in it keeps.

    Attributes
    ----------
    key, name : str
        ``jpeg`` in options, ``JPEG`` for people.
    suffixes : tuple of str
        Of its files; ``writes`` those of outputs. OpenCV's encoder is that of the first of ``writes``.
    header : callable
        Its reader: bytes → `Header`.
    depths : tuple of str
        The dtypes it keeps, best last.
    grey, colour, alpha : bool
        Whether it keeps one channel, three channels, transparency.
    side_min, side_max : int
        Pixels of an output.
    quality : str
        OpenCV's constant for it, where the format has one; ``settings`` others, with values that stay.
    best : int
        What stands for a quality of 100: for WebP and AVIF it is without loss.
    carries : tuple of str
        Of ``exif``, ``icc``, ``xmp``, ``iptc``.
    frames, timed : bool
        Whether it keeps several, and how long each is shown.
    """

    key: str
    name: str
    suffixes: tuple[str, ...]
    header: Callable[[bytes], Header]
    writes: tuple[str, ...] = ()
    depths: tuple[str, ...] = ("uint8",)
    grey: bool = True
    colour: bool = True
    alpha: bool = True
    side_min: int = 1
    side_max: int = 2**31 - 1
    quality: str = ""
    best: int = 100
    settings: tuple[tuple[str, int], ...] = ()
    carries: tuple[str, ...] = ()
    frames: bool = False
    timed: bool = False


_METADATA = ("exif", "icc", "xmp")
_WHOLE = ("uint8", "uint16")

# Sides: libjpeg's JPEG_MAX_DIMENSION, libwebp's WEBP_MAX_DIMENSION; GIF has 16 bits, libavif 16 bits. OpenCV
# always has OpenJPEG halve a picture five times.
JPEG = Codec(
    "jpeg",
    "JPEG",
    ("jpg", "jpeg", "jpe", "jfif"),
    jpeg.header,
    ("jpg", "jpeg", "jpe", "jfif"),
    alpha=False,
    side_max=65_500,
    quality="IMWRITE_JPEG_QUALITY",
    carries=(*_METADATA, "iptc"),
)
PNG = Codec(
    "png",
    "PNG",
    ("png", "apng"),
    png.header,
    ("png", "apng"),
    depths=_WHOLE,
    carries=_METADATA,
    frames=True,
    timed=True,
)
WEBP = Codec(
    "webp",
    "WebP",
    ("webp",),
    webp.header,
    ("webp",),
    grey=False,
    side_max=16_383,
    quality="IMWRITE_WEBP_QUALITY",
    best=101,
    carries=_METADATA,
    frames=True,
    timed=True,
)
TIFF = Codec(
    "tiff",
    "TIFF",
    ("tif", "tiff"),
    tiff.header,
    ("tif", "tiff"),
    depths=("uint8", "uint16", "float32"),
    carries=("icc", "xmp"),
    frames=True,
)
BMP = Codec("bmp", "BMP", ("bmp", "dib"), bmp.header, ("bmp", "dib"))
GIF = Codec(
    "gif", "GIF", ("gif",), gif.header, ("gif",), grey=False, side_max=65_535, frames=True, timed=True
)
AVIF = Codec(
    "avif",
    "AVIF",
    ("avif",),
    avif.header,
    ("avif",),
    side_max=65_535,
    quality="IMWRITE_AVIF_QUALITY",
    frames=True,
    timed=True,
)
JP2 = Codec(
    "jp2",
    "JPEG 2000",
    ("jp2",),
    jp2.header,
    ("jp2",),
    depths=_WHOLE,
    side_min=32,
    settings=(("IMWRITE_JPEG2000_COMPRESSION_X1000", 1000),),  # no loss; else a quarter of the bytes
)
PNM = Codec("pnm", "PNM", ("pnm", "pbm"), pnm.header, ("pnm",), depths=_WHOLE, alpha=False)
# Netpbm's other suffixes say which kind of PNM a file is: each holds less.
_PNMS = (
    Codec("pnm", "PGM", ("pgm",), pnm.header, ("pgm",), depths=_WHOLE, colour=False, alpha=False),
    Codec("pnm", "PPM", ("ppm",), pnm.header, ("ppm",), depths=_WHOLE, grey=False, alpha=False),
    Codec("pnm", "PAM", ("pam",), pnm.header, ("pam",), depths=_WHOLE),
    Codec("pnm", "PFM", ("pfm",), pnm.header, ("pfm",), depths=("float32",), alpha=False),
)

#: One for each format.
FORMATS: tuple[Codec, ...] = (JPEG, PNG, WEBP, TIFF, BMP, GIF, AVIF, JP2, PNM)

#: Every format by every suffix of its own.
CODECS: Mapping[str, Codec] = {suffix: codec for codec in (*FORMATS, *_PNMS) for suffix in codec.suffixes}

#: Suffixes of files that are read …
READABLE: frozenset[str] = frozenset(CODECS)
#: … and written.
WRITABLE: frozenset[str] = frozenset(suffix for suffix, codec in CODECS.items() if suffix in codec.writes)

_MAGIC: tuple[tuple[bytes, Codec], ...] = (
    (b"\xff\xd8\xff", JPEG),
    (png.MAGIC, PNG),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"II+\0", TIFF),
    (b"MM\0+", TIFF),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (jp2.MAGIC, JP2),
    (b"BM", BMP),
)
_AVIF_BRANDS = (b"avif", b"avis")


def identify(data: bytes) -> Codec | None:
    """The format these bytes begin as; None where that is none of ours."""
    for magic, codec in _MAGIC:
        if data.startswith(magic):
            return codec
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data[4:8] == b"ftyp" and _is_avif(data):
        return AVIF
    if data[:1] == b"P" and data[1:2] in b"1234567Ff" and data[2:3] in b" \t\r\n\v\f#" and len(data) > 2:
        return PNM
    return None


def _is_avif(data: bytes) -> bool:
    """By its brands: the major one, then after four bytes the others it is compatible with."""
    end = min(int.from_bytes(data[:4], "big"), 256)
    return any(data[at : at + 4] in _AVIF_BRANDS for at in (8, *range(16, end, 4)))


def is_beginning(data: bytes) -> bool:
    """Whether these few bytes are a beginning that is too short to tell of what."""
    starts = (*(magic for magic, _ in _MAGIC), b"RIFF")
    return len(data) > 1 and (
        any(magic.startswith(data) for magic in starts) or (data[:4] == b"RIFF" and len(data) < 12)
    )


def suffix_of(name: bytes) -> str:
    """What follows the last dot of a file name, in lower case; nothing for ``name`` and ``.name``."""
    stem, dot, suffix = name.rpartition(b"/")[2].rpartition(b".")
    return suffix.decode("ascii", "replace").lower() if dot and stem else ""


def codec(suffix: str) -> Codec:
    """The format of files with this suffix.

    Raises
    ------
    KeyError
        There is none. `READABLE` is asked before an image gets here.
    """
    return CODECS[suffix]


def checked_format(format: Any) -> str | None:
    """A format as asked for (``png``, ``.PNG``), as a suffix that can be written.

    Raises
    ------
    UsageError
        There is no such format.
    """
    if format is None:
        return None
    suffix = format.lower().removeprefix(".") if isinstance(format, str) else ""
    if suffix not in WRITABLE:
        known = sorted(WRITABLE)
        hint = nearest(suffix, known)
        raise UsageError(f"format: expected one of {', '.join(known)}, got {elided(format)}{hint}")
    return suffix


def checked_quality(quality: Any) -> int:
    """A quality, 1 … 100.

    Raises
    ------
    UsageError
        It is something else.
    """
    if type(quality) is not int or not 1 <= quality <= 100:
        raise UsageError(f"quality: expected an integer from 1 to 100, got {elided(quality)}")
    return quality
