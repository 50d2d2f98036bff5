"""Which TIFFs are read here, and what is told of the others. Adobe, *TIFF Revision 6.0*.

libtiff, as OpenCV uses it, reads more than it reads right. What it gets wrong is given to it otherwise
(`tiff_pages`), told as a loss, or refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from imgpipe.errors import Note
from imgpipe.imaging.codecs.containers.header import Header, of_pages, reading, unread, unsupported
from imgpipe.imaging.codecs.containers.tiff import (
    BLACK_IS_ZERO,
    CMYK,
    DIFFERING,
    EXIF,
    FLOATING,
    GPS,
    IPTC,
    NOT_SAID,
    PALETTE,
    RGB,
    UNPACKED,
    UNSAID,
    UNSIGNED,
    WHITE_IS_ZERO,
    YCBCR,
    Page,
    Reader,
    sound,
)

# What OpenCV reads right: by photometric interpretation, bits of integers, and of floating-point numbers.
_GREYS, _FLOATS = (1, 8, 16), (32, 64)
_BITS_OF = {
    (WHITE_IS_ZERO, False): _GREYS,
    (BLACK_IS_ZERO, False): _GREYS,
    (RGB, False): (8, 16),
    (PALETTE, False): (4, 8),
    (CMYK, False): (8,),
    (YCBCR, False): (8,),
    (WHITE_IS_ZERO, True): _FLOATS,
    (BLACK_IS_ZERO, True): _FLOATS,
    (RGB, True): _FLOATS,
}
# TIFF 6.0, sections 8 and 23; TIFF/EP, 6.2.5; libtiff's tiff.h.
_INTERPRETATIONS = {
    WHITE_IS_ZERO: "grey",
    BLACK_IS_ZERO: "grey",
    RGB: "RGB",
    PALETTE: "a palette",
    4: "a transparency mask",
    CMYK: "CMYK",
    YCBCR: "YCbCr",
    8: "Lab",
    9: "Lab",
    10: "Lab",
    32803: "a camera's raw mosaic",
    32844: "LogL",
    32845: "LogLuv",
    34892: "a camera's linear raw",
}
# None, CCITT's three, LZW, JPEG, deflate and its older number, PackBits: what OpenCV's libtiff unpacks.
_PACKINGS = (UNPACKED, 2, 3, 4, 5, 7, 8, 32946, 32773)
# Others, as libtiff's tiff.h and tifffile name them.
_OTHER_PACKINGS = {
    6: "old JPEG",
    32766: "NeXT",
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGI Log",
    34677: "SGI Log",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG of DNG",
    34925: "LZMA",
    34933: "PNG",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_JPEG = 7
_YCBCR_TILE = 2048  # pixels: libtiff 4.7.1 reads no tile that is not packed and no multiple of 1 KiB


def supported(data: bytes, header: Header, pages: Sequence[Page]) -> Header:
    """`of_pages`, with what is lost of those pages.

    Raises
    ------
    ImageError
        One of them is ``truncated`` or ``unreadable``; what is wrong with others is not asked.
    """
    with reading(data):
        reader = Reader(data)
        for page in pages:
            sound(reader, page)
    for page in pages:
        _readable(page)
    losses = dict.fromkeys(loss for page in pages for loss in _losses(page))
    return replace(of_pages(header, pages), losses=tuple(losses))


def _readable(page: Page) -> None:
    """Refuse what OpenCV would read wrong, or not at all."""
    if wrong := _unread(page):
        raise unsupported(f"a TIFF {wrong}")


def _unread(page: Page) -> str:
    """Why a page is not read, or nothing."""
    if page.format == DIFFERING:
        return "whose channels differ in depth"
    if page.format not in (UNSIGNED, FLOATING, NOT_SAID):
        return "of signed or complex samples"
    if page.photometric == UNSAID:
        return "that does not say what black and white are, or its colours (photometric interpretation)"
    return _unread_depth(page) or _unread_channels(page) or _unread_packing(page)


def _unread_depth(page: Page) -> str:
    if page.bits in _BITS_OF.get((page.photometric, page.floating), ()):
        return ""
    if page.bits > 16 and not page.floating:
        return f"of {_bits(page)}: integers of more than 16 are not read"
    name = _INTERPRETATIONS.get(page.photometric)
    said = f"photometric interpretation {page.photometric}"
    return f"of {_bits(page)}, {name} ({said})" if name else f"of {_bits(page)}, {said}"


def _bits(page: Page) -> str:
    return f"{page.bits} bit{'s' * (page.bits > 1)}" + (", floating" if page.floating else "")


def _unread_channels(page: Page) -> str:
    if page.samples > 4 or page.samples < (3 if page.photometric == RGB else 1):
        return f"of {page.samples} channel{'s' * (page.samples > 1)}"
    if page.bits < 8 and page.samples > 1:
        return f"of {_bits(page)} and {page.samples} channels: of so few bits one is read"
    if page.photometric == PALETTE and page.associated:
        return "of a palette that was multiplied by alpha"
    if page.samples > page.colours == 1 and not page.apart:
        return _unread_beside_one(page)
    return ""


def _unread_beside_one(page: Page) -> str:
    """Why channels beside grey or an index are not read where they alternate with it."""
    kind = f"of {_bits(page)}, with a channel beside its only colour"
    if page.packing == _JPEG:
        return f"{kind}, as JPEG"
    if page.samples == 2 and page.bits == 64:
        return kind
    if page.samples == 2 and page.predicted and (page.floating or page.predictor != 2):
        return f"{kind}, with predictor {page.predictor}"
    return ""


def _unread_packing(page: Page) -> str:
    if page.packing not in _PACKINGS:
        name = _OTHER_PACKINGS.get(page.packing)
        way = f"{name} ({page.packing})" if name else f"way {page.packing}"
        return f"compressed in {way}: save it uncompressed, or with LZW or deflate"
    if page.tiled and page.packing == UNPACKED:
        return _unread_tiles(page)
    return ""


def _unread_tiles(page: Page) -> str:
    width, height = page.tile
    if page.photometric == YCBCR and width * height % _YCBCR_TILE:
        return f"of YCbCr in tiles of {width}×{height}, uncompressed"
    if page.photometric != YCBCR and width * page.bits % 8:
        return f"of {_bits(page)} in tiles {width} wide"
    return ""


def _losses(page: Page) -> Iterator[tuple[str, str]]:
    """What is not read of a page; a depth of 64 bits is told where it is written."""
    if page.photometric == CMYK:
        yield str(Note.COLOURS), "converted from CMYK without a colour profile"
    elif page.samples > page.colours + page.alpha and page.photometric != YCBCR:
        yield str(Note.ALPHA), "a channel beside its colours was not read"
    if EXIF in page.entries or GPS in page.entries:
        yield unread(Note.EXIF, "TIFF")
    if IPTC in page.entries:
        yield unread(Note.IPTC, "TIFF")
