"""Pixels → bytes, with what goes with them.

OpenCV writes pixels of a depth that a format does not have as if they had another (16-bit white as a JPEG is
clipped, not scaled), and says nothing. So what a format cannot hold is changed here first, by value: depth is
reduced, alpha dropped, grey repeated; each such loss is remarked on, and nothing is written that no reader
could take.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imgpipe.errors import ImageError, Kind, Note
from imgpipe.imaging import pixels
from imgpipe.imaging.codecs import gif_writing, netpbm
from imgpipe.imaging.codecs.containers import jpeg, png, tiff, webp
from imgpipe.imaging.codecs.containers.metadata import NOTHING, Metadata, icc_channels
from imgpipe.imaging.codecs.decoding import refusal
from imgpipe.imaging.codecs.picture import Picture, Remark
from imgpipe.imaging.codecs.table import AVIF, GIF, JPEG, PNG, PNM, QUALITY, TIFF, WEBP, Codec, codec
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

_BITS = {"uint8": 8, "uint16": 16, "float32": 32}
_FRAME_MS = 100  # where nothing says how long a frame is shown: as browsers do


def encode(
    picture: Picture, suffix: str, quality: int = QUALITY, metadata: str = "keep"
) -> tuple[bytes, list[Remark]]:
    """The bytes of a file with this suffix that holds ``picture``, and what was lost in it.

    ``quality`` 1 … 100 is for JPEG, WebP and AVIF (`Codec.best`); ``metadata`` is ``keep`` or ``strip``.

    Raises
    ------
    ImageError
        ``operation``: the format cannot hold it (too wide or high, colour, several pages), or it is no image.
    """
    format_ = codec(suffix)
    for frame in picture.frames:
        if wrong := pixels.problem(frame) or _unfit(frame, format_):
            raise ImageError(Kind.OPERATION, wrong)
    if len(picture.frames) > 1 and not format_.frames:
        raise ImageError(
            Kind.OPERATION,
            f"{format_.name} holds one page, this has {len(picture.frames)}: use --pages first",
        )
    frames = [fitted(frame, format_) for frame in picture.frames]
    if len(frames) > 1 and format_.timed:
        frames = _alike(frames)
    remarks = _losses(picture, frames, format_)
    kept = NOTHING if metadata == "strip" else _carried(picture.metadata, frames[0], format_, remarks)
    try:
        data = _encoded(frames, picture, format_, suffix, quality, remarks)
    except cv2.error as error:
        raise refusal(error, Kind.OPERATION) from None
    return _with_metadata(data, kept, frames, format_, remarks), remarks


def _unfit(image: Image, format_: Codec) -> str:
    height, width = image.shape[:2]
    if max(height, width) > format_.side_max:
        return f"{width}×{height} pixels: {format_.name} holds at most {format_.side_max} a side"
    if min(height, width) < format_.side_min:
        return f"{width}×{height} pixels: {format_.name} is written with at least {format_.side_min} a side"
    if image.ndim == 3 and not format_.colour:
        return f"{format_.name} holds no colour: add --op grayscale, or choose another --format"
    return ""


def fitted(image: Image, format_: Codec) -> Image:
    """What ``format_`` can hold of the picture: in the best depth it has, and no alpha if it has none."""
    if pixels.depth(image) not in format_.depths:
        image = pixels.with_depth(image, format_.depths[-1])
    if pixels.has_alpha(image) and not format_.alpha:
        image = pixels.colour(image)
    if image.ndim == 2 and not format_.grey:
        image = pixels.colour(image)
    return image


# --- losses -------------------------------------------------------------------------------------


def _losses(picture: Picture, frames: list[Image], format_: Codec) -> list[Remark]:
    """What the file held and the output does not, whether a step or the format took it away."""
    remarks: list[Remark] = []
    bits = max(_BITS[pixels.depth(frame)] for frame in frames)
    if bits < picture.bits and picture.bits > 8:
        remarks.append((str(Note.DEPTH), f"{picture.bits} to {bits} bits"))
    drops = any(not pixels.is_opaque(f) for f in picture.frames) and not format_.alpha
    if drops or (picture.alpha and not any(map(pixels.has_alpha, frames))):
        where = f"{format_.name} holds none" if drops else "a step dropped it"
        remarks.append((str(Note.ALPHA), f"transparency is lost: {where}"))
    if len(frames) > 1 and picture.durations and not format_.timed:
        remarks.append((str(Note.TIMING), f"{format_.name} does not say how long a frame is shown"))
    if len(frames) > 1 and picture.loops and format_ is AVIF:
        remarks.append((str(Note.TIMING), "OpenCV writes every AVIF so that it is shown for ever"))
    return remarks


def _carried(metadata: Metadata, frame: Image, format_: Codec, remarks: list[Remark]) -> Metadata:
    """What of it the format can carry, and is true of these pixels."""
    kept = metadata
    for name in ("exif", "icc", "xmp", "iptc"):
        if getattr(kept, name) and name not in format_.carries:
            remarks.append((name, f"{name.upper()} is lost: {format_.name} is written without it"))
            kept = replace(kept, **{name: b""})
    if kept.icc and icc_channels(kept.icc) != (1 if frame.ndim == 2 else 3):
        remarks.append((str(Note.ICC), "its colour profile is for another number of channels"))
        kept = replace(kept, icc=b"")
    return kept


def _with_metadata(
    data: bytes, metadata: Metadata, frames: list[Image], format_: Codec, remarks: list[Remark]
) -> bytes:
    if format_ is TIFF:
        alphas = [pixels.has_alpha(frame) for frame in frames]
        return tiff.with_fields(data, alphas, metadata) if any(alphas) or metadata != NOTHING else data
    if metadata == NOTHING:
        return data
    if format_ is PNG:
        return png.with_metadata(data, metadata)
    if format_ is WEBP:
        return webp.with_metadata(data, metadata)
    assert format_ is JPEG
    data, lost = jpeg.with_metadata(data, metadata)
    remarks += [(name, f"{name.upper()} is lost: too large for JPEG") for name in lost]
    return data


# --- pixels -------------------------------------------------------------------------------------


def _encoded(
    frames: list[Image],
    picture: Picture,
    format_: Codec,
    suffix: str,
    quality: int,
    remarks: list[Remark],
) -> bytes:
    if format_.key == PNM.key:
        return netpbm.encode(frames[0], suffix)
    if format_ is GIF:
        data, lost = gif_writing.encode(frames, _durations(frames, picture), picture.loops)
        remarks += lost
        return data
    quality = format_.best if quality == 100 else quality
    options = [getattr(cv2, format_.quality), quality] if format_.quality else []
    options += [number for name, value in format_.settings for number in (getattr(cv2, name), value)]
    extension = f".{format_.writes[0]}"
    if len(frames) == 1:
        written, buffer = cv2.imencode(extension, frames[0], options)
    elif format_.timed:
        written, buffer = cv2.imencodeanimation(extension, _animation(frames, picture), options)
    else:
        written, buffer = cv2.imencodemulti(extension, frames, options)
    if not written:
        shape = frames[0].shape
        raise ImageError(Kind.OPERATION, f"{format_.name} cannot hold a picture of shape {shape}")
    encoded: bytes = buffer.tobytes()
    return encoded


def _alike(frames: list[Image]) -> list[Image]:
    """Frames of one size and one kind: colour of 8 bits, with alpha if one of them has it."""
    if len({frame.shape[:2] for frame in frames}) > 1:
        raise ImageError(Kind.OPERATION, "the frames of an animation came out in different sizes")
    kind = pixels.with_alpha if any(map(pixels.has_alpha, frames)) else pixels.colour
    return [pixels.with_depth(kind(frame), "uint8") for frame in frames]


def _durations(frames: list[Image], picture: Picture) -> list[int]:
    return list(picture.durations) or [_FRAME_MS] * len(frames)


def _animation(frames: list[Image], picture: Picture) -> Any:
    found = cv2.Animation()
    found.frames = frames
    found.durations = _durations(frames, picture)
    found.loop_count = picture.loops
    return found
