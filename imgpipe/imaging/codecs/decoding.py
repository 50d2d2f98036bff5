"""Bytes → pixels: looked at, held against the limits, decoded, mended, turned upright.

OpenCV is given bytes that we have read, never a path, and only what `containers` has found to be sound and
within the limits. It decodes every format as it is stored, and what it does not do right is done here:

=====================================================  ====================================================
what                                                   how
=====================================================  ====================================================
orientation: it drops alpha, or turns nothing          read from the container, applied once
animated PNG: crashes                                  plain PNGs of each frame, joined in `animation`
GIF: frames are joined wrong                           the same, with a GIF of each frame
PNG with one transparent colour                        compared with the pixels, as alpha
TIFF with alpha: multiplied into 8-bit colours         marked as if it were already; divided out where it was
TIFF of several pages: decodes those not asked for     each page alone, as the first of a file
TIFF in tiles: each is turned in its own place         given as upright, turned here
TIFF of grey with alpha, of channels stored apart      each channel as a grey picture, joined in `tiff_pages`
TIFF in small tiles: refuses some                      given as strips
TIFF where 0 is white, 16 bits                         inverted
AVIF with EXIF behind its pixels: is none to it        the types of such items are overwritten
AVIF and JPEG 2000 of 10 or 12 bits: white is 1023     stretched to 65535
grey AVIF of limited range: white is 235               stretched
grey AVIF with alpha: is not read                      each alone, then joined
PNM: white is what it says, not 255                    read here
BMP with masks: white of 5 bits is 248, no alpha is    read here
BMP of OS/2 comes out grey                             read as colour
=====================================================  ====================================================

``colour8`` is what OpenCV's plain colour reading gives, ``(H, W, 3)`` uint8, for recipes that begin with an
operation declared so (the default, `edges`, whose pixels are promised).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from imgpipe.errors import ImageError, Kind, Note
from imgpipe.imaging import pixels
from imgpipe.imaging.codecs import animation, bitmap, netpbm, tiff_pages
from imgpipe.imaging.codecs.ceiling import Ceiling
from imgpipe.imaging.codecs.containers import avif, gif, jp2, jpeg, png, tiff, tiff_support
from imgpipe.imaging.codecs.containers.header import Frame, Header, damaged, of_pages
from imgpipe.imaging.codecs.picture import Picture
from imgpipe.imaging.codecs.reducing import reduction
from imgpipe.imaging.codecs.table import (
    AVIF,
    BMP,
    CODECS,
    GIF,
    JP2,
    JPEG,
    PNG,
    PNM,
    TIFF,
    Codec,
    identify,
    is_beginning,
)
from imgpipe.imaging.codecs.turning import upright
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

#: Upright width and height → what the first step of a recipe resamples them to.
Resampled: TypeAlias = Callable[[int, int], tuple[int, int]]


def decode(
    data: bytes,
    *,
    suffix: str = "",
    pages: str = "first",
    ceiling: Ceiling | None = None,
    colour8: bool = False,
    resampled: Resampled | None = None,
    luma: bool = False,
) -> Picture:
    """The picture in these bytes, upright, every frame ``(H, W)``, ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA.

    uint8, uint16 or float32 as in the file; with ``colour8``, always ``(H, W, 3)`` uint8.

    Parameters
    ----------
    suffix
        Of the file; one that names another format is remarked on.
    pages
        ``first``, ``all``, or ``error`` where there are several.
    resampled
        What the picture is going to be reduced to: a JPEG may then be decoded at 1/2, 1/4, 1/8.
    luma
        Only the picture's brightness is needed: a JPEG may be decoded in grey, whose values may differ by 1
        from those of the colours.

    Raises
    ------
    ImageError
        ``unreadable``, ``truncated``, or ``too_large`` (over a limit; ``again`` where memory ran out).
    """
    codec, header = inspect(data, pages, ceiling or Ceiling())
    whole = pages == "all" and header.frames > 1
    try:
        factor = reduction(header, resampled) if codec is JPEG else 1
        frames: Sequence[Image]
        frames = [_jpeg(data, header, factor, luma)] if codec is JPEG else _frames(codec, data, header, whole)
    except cv2.error as error:
        raise refusal(error, Kind.UNREADABLE) from None
    picture = Picture(
        [_checked(frame, header, factor, codec) for frame in frames],
        header.durations if whole else (),
        header.loops,
        header.metadata.upright(),
        header.bits,
        remarks=list(header.losses),
    )
    _settle(picture, header, codec, colour8)
    if header.frames > 1 and not whole:
        picture.remark(Note.PAGES, f"{header.frames} pages or frames, the first was read")
    if suffix in CODECS and CODECS[suffix].key != codec.key:
        picture.remark(Note.SUFFIX, f"named .{suffix}, but it is {codec.name}")
    return picture


def inspect(data: bytes, pages: str = "first", ceiling: Ceiling | None = None) -> tuple[Codec, Header]:
    """The format of these bytes and what they say of themselves; nothing is decoded.

    Raises
    ------
    ImageError
        As `decode`: what cannot be read, or is over a limit, is refused here.
    """
    limit = ceiling or Ceiling()
    if not data:
        raise ImageError(Kind.UNREADABLE, "the file is empty")
    codec = identify(data)
    if codec is None:
        if is_beginning(data):
            raise ImageError(Kind.TRUNCATED, f"the file ends early, after {len(data)} bytes")
        raise ImageError(Kind.UNREADABLE, "not an image of a format that is read here")
    if codec.key in limit.off:
        raise ImageError(Kind.UNREADABLE, switched_off(codec), beyond=True)
    header = codec.header(data)
    if codec in (TIFF, PNM):  # of whose pages others may be too large, or unreadable
        wanted = header.details if pages == "all" else header.details[:1]
        header = of_pages(header, wanted) if codec is PNM else tiff_support.supported(data, header, wanted)
    _within(header, limit, pages)
    return codec, header


def _within(header: Header, limit: Ceiling, pages: str) -> None:
    """Hold what a file says of itself against the limits."""
    if pages == "error" and header.frames > 1:
        raise ImageError(
            Kind.UNREADABLE, f"{header.frames} pages or frames, and the recipe says pages = error"
        )
    frames = header.frames if pages == "all" else 1
    if frames > limit.pages:
        raise ImageError(Kind.TOO_LARGE, f"{frames} pages or frames, at most {limit.pages} are read")
    size = f"{header.width}×{header.height}" + (f" × {frames} frames" if frames > 1 else "")
    if max(header.width, header.height) > limit.side:
        raise ImageError(Kind.TOO_LARGE, f"{size} pixels, at most {limit.side} a side are read")
    if header.width * header.height * frames > limit.pixels:
        said = f"{size} pixels, at most {limit.pixels} are read here (--max-pixels)"
        raise ImageError(Kind.TOO_LARGE, said, beyond=limit.own)


def switched_off(codec: Codec) -> str:
    """Why a format of `Ceiling.off` is neither read nor written."""
    return f"{codec.name} is switched off on this machine (--without)"


def refusal(error: cv2.error, kind: Kind, where: str = "") -> ImageError:
    """What an exception of OpenCV means for an image: ``too_large`` if it is about a limit, else ``kind``."""
    # One that OpenCV's bindings raise themselves (for an argument of a wrong type) has neither code nor text.
    said = getattr(error, "err", "") or str(error)
    if getattr(error, "code", 0) == cv2.Error.STS_NO_MEM or "bad_alloc" in said:
        return ImageError(Kind.TOO_LARGE, f"{where}out of memory: {said}", again=True)
    if "CV_IO_MAX_IMAGE" in said:
        return ImageError(Kind.TOO_LARGE, f"{where}more pixels than allowed: {said}")
    return ImageError(kind, f"{where}OpenCV: {said}")


# --- each format --------------------------------------------------------------------------------


def _frames(codec: Codec, data: bytes, header: Header, whole: bool) -> Sequence[Image]:
    """The pixels as they lie in the file, but for TIFF, whose pages are turned, each by its own tag."""
    if codec is PNM:
        return [netpbm.decode(data, page) for page in header.details]
    if codec is PNG:
        return _png(header, whole)
    if codec is GIF:
        return _gif(header, whole)
    if codec is BMP:
        return [_bmp(data, header)]
    if codec is TIFF:
        return _tiff(data, header)
    if codec is AVIF:
        return _avif(data, header, whole)
    if codec is JP2:
        image = _one(jp2.clean(data, header), cv2.IMREAD_UNCHANGED, codec, header)
        return [_stretched(image, 0, 2**header.bits - 1)]
    if whole:
        return _several(data, header)
    return [_one(data, cv2.IMREAD_UNCHANGED, codec, header)]


class _JpegFlags(dict[tuple[int, bool], int]):
    """OpenCV's flags by reduction and whether the picture is grey: put together when first asked for."""

    def __missing__(self, key: tuple[int, bool]) -> int:
        factor, grey = key
        kind = "GRAYSCALE" if grey else "COLOR"
        name = f"IMREAD_REDUCED_{kind}_{factor}" if factor > 1 else f"IMREAD_{kind}"
        self[key] = getattr(cv2, name) | cv2.IMREAD_IGNORE_ORIENTATION
        return self[key]


_JPEG_FLAGS = _JpegFlags()


def _jpeg(data: bytes, header: Header, factor: int, luma: bool) -> Image:
    """With ``luma``, brightness alone: libjpeg then gives Y of BT.601, as `pixels.grey` makes it of colours
    that have been rounded."""
    grey = header.grey or (luma and header.details == jpeg.YCC)
    return _one(data, _JPEG_FLAGS[factor, grey], JPEG, header)


def _one(data: bytes, flags: int, codec: Codec, header: Header) -> Image:
    image: Image | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise _undecodable(data, codec, header)
    return image


def _undecodable(data: bytes, codec: Codec, header: Header) -> ImageError:
    if not _is_whole(data, codec, header):
        return ImageError(Kind.TRUNCATED, f"the file ends early, after {len(data)} bytes")
    return damaged(f"its {codec.name} data cannot be decoded")


def _is_whole(data: bytes, codec: Codec, header: Header) -> bool:
    """For the formats where only the pixels tell whether they are all there."""
    if codec is JPEG:
        return jpeg.is_whole(data)
    if codec is JP2:
        return jp2.is_whole(data, header)
    return True


def _several(data: bytes, header: Header) -> Sequence[Image]:
    read, frames = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if not read or len(frames) != header.frames:
        raise damaged(f"{len(frames) if read else 0} of {header.frames} frames can be decoded")
    return frames


def _png(header: Header, whole: bool) -> Sequence[Image]:
    transparent = png.key(header)

    def decoded(number: int | None) -> Image:
        image = _one(png.clean(header, number), cv2.IMREAD_UNCHANGED, PNG, header)
        return _keyed(image, transparent, header) if transparent else image

    if not whole:
        return [decoded(None)]
    return animation.joined(header.details.frames, decoded, header.width, header.height)


def _keyed(image: Image, transparent: tuple[int, ...], header: Header) -> Image:
    """With alpha that is 0 where a pixel has the transparent colour; samples of few bits were stretched."""
    white = pixels.WHITE[pixels.depth(image)]
    stretch = int(white) // (2**header.bits - 1)
    colour = [value * stretch for value in transparent][::-1]  # blue, green, red
    hidden = np.all(np.atleast_3d(image) == np.array(colour), axis=2)
    return pixels.joined(image, np.where(hidden, 0, white).astype(image.dtype))


def _gif(header: Header, whole: bool) -> Sequence[Image]:
    frames: list[Frame] = header.details if whole else header.details[:1]

    def decoded(number: int) -> Image:
        frame = frames[number]
        image = _one(gif.clean(frame), cv2.IMREAD_UNCHANGED, GIF, header)
        if image.shape[:2] != (frame.height, frame.width):
            raise damaged(f"frame {number + 1} is not of the size it says")
        return image

    return animation.joined(frames, decoded, header.width, header.height)


def _avif(data: bytes, header: Header, whole: bool) -> Sequence[Image]:
    """Colours come out of the decoder in full range, a grey picture as it is stored, and without alpha."""
    details: avif.Details = header.details
    full, given = (0, 2**header.bits - 1), avif.clean(data, header)
    frames = _several(given, header) if whole else [_one(given, cv2.IMREAD_UNCHANGED, AVIF, header)]
    limited = 16 << header.bits - 8, 235 << header.bits - 8  # H.273, 8.3
    ends = limited if details.limited and frames[0].ndim == 2 else full
    frames = [_stretched(frame, *ends) for frame in frames]
    if details.alpha is None:
        return frames
    given = avif.clean(data, header, details.alpha)
    alpha = _stretched(_one(given, cv2.IMREAD_UNCHANGED, AVIF, header), *full)
    return [_beside(frames[0], alpha, details.alpha.associated)]


def _beside(grey: Image, alpha: Image, associated: bool) -> Image:
    if grey.ndim != 2 or (alpha.shape, alpha.dtype) != (grey.shape, grey.dtype):
        raise damaged("an alpha of another size or depth than its picture")
    image = pixels.joined(grey, alpha)
    return pixels.by_bands(pixels.straight, image) if associated else image


def _bmp(data: bytes, header: Header) -> Image:
    if header.details.masks or header.details.runs:
        return bitmap.decode(data, header)
    return _one(data, cv2.IMREAD_COLOR if header.details.core else cv2.IMREAD_UNCHANGED, BMP, header)


def _tiff(data: bytes, header: Header) -> Sequence[Image]:
    wanted: Sequence[tiff.Page] = header.details
    turned = [header.orientation, *(page.turned for page in wanted[1:])]  # XMP is read of the first alone
    found = tiff_pages.decode(data, wanted)
    return [upright(image, number) for image, number in zip(found, turned, strict=True)]


# --- after decoding -----------------------------------------------------------------------------


def _checked(image: Image, header: Header, factor: int, codec: Codec) -> Image:
    """What came out, upright. It must be of the size that the limits were held against."""
    if codec not in (TIFF, PNM):  # whose pages are of the sizes they say each, and upright
        size = -(-header.width // factor), -(-header.height // factor)
        if image.shape[1::-1] != size:
            raise damaged(f"{image.shape[1]}×{image.shape[0]} pixels where {size[0]}×{size[1]} were said")
        if codec in (AVIF, JP2) and pixels.depth(image) != header.depth:
            raise damaged(f"{image.dtype.name} samples where {header.bits} bits were said")
        image = upright(image, header.orientation)
    if wrong := pixels.problem(image):
        raise ImageError(Kind.UNREADABLE, f"pixels of an unknown kind: {wrong}")
    return image


def _stretched(image: Image, black: int, white: int) -> Image:
    """Black and white as they are in memory: these decoders leave samples of 10 or 12 bits, and grey ones of
    limited range, as they are."""
    brightest = int(pixels.WHITE[pixels.depth(image)])
    if (black, white) == (0, brightest):
        return image
    every = np.arange(brightest + 1)  # a table: no pixel is ever a float64
    scaled = np.rint((every - black) * (brightest / (white - black))).clip(0, brightest)
    stretched: Image = scaled.astype(image.dtype)[image]
    return stretched


def _settle(picture: Picture, header: Header, codec: Codec, colour8: bool) -> None:
    """Say whether something is transparent; leave out an alpha that the file does not declare; reduce."""
    frames = picture.frames
    picture.alpha = any(not pixels.is_opaque(frame) for frame in frames)
    if not picture.alpha and not header.alpha:
        picture.frames = frames = [pixels.colour(f) if pixels.has_alpha(f) else f for f in frames]
    if colour8:
        reduced = _truncated if codec is PNG else pixels.colour8
        picture.frames = [reduced(frame) for frame in frames]


def _truncated(image: Image) -> Image:
    """As OpenCV reads a PNG of 16 bits in colour: what is below 8 bits is cut off."""
    if pixels.depth(image) == "uint16":
        image = pixels.by_bands(lambda band: (band >> 8).astype(np.uint8), image)
    return pixels.colour8(image)
