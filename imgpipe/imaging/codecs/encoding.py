"""Pixels → bytes.

OpenCV writes pixels of a depth that a format does not have as if they had another (16-bit white as a JPEG is
clipped, not scaled), and says nothing. So what a format cannot hold is changed here first, by value:
depth is reduced, alpha dropped, and nothing is written that no reader could take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.errors import ImageError, Kind
from imgpipe.imaging import pixels
from imgpipe.imaging.codecs.decoding import refusal
from imgpipe.imaging.codecs.table import QUALITY, Codec, codec
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import cv2
else:
    cv2 = lazy("cv2")


def encode(image: Image, suffix: str, quality: int = QUALITY) -> bytes:
    """The bytes of a file with this suffix that holds ``image``; ``quality`` 1 … 100 is for JPEG and WebP.

    Raises
    ------
    ImageError
        ``operation``: the format cannot hold it (too wide or high), or this is no image.
    """
    format_ = codec(suffix)
    if wrong := pixels.problem(image) or _too_wide(image, format_):
        raise ImageError(Kind.OPERATION, wrong)
    options = [getattr(cv2, format_.quality), quality] if format_.quality else []
    try:
        written, buffer = cv2.imencode(f".{suffix}", fitted(image, format_), options)
    except cv2.error as error:
        raise refusal(error, Kind.OPERATION) from None
    if not written:
        raise ImageError(Kind.OPERATION, f"{format_.name} cannot hold a picture of shape {image.shape}")
    return buffer.tobytes()


def _too_wide(image: Image, format_: Codec) -> str:
    height, width = image.shape[:2]
    if max(height, width) <= format_.side_max:
        return ""
    return f"{width}×{height} pixels: {format_.name} holds at most {format_.side_max} a side"


def fitted(image: Image, format_: Codec) -> Image:
    """What ``format_`` can hold of the picture: in the best depth it has, and no alpha if it has none."""
    if pixels.depth(image) not in format_.depths:
        image = pixels.with_depth(image, format_.depths[-1])
    if pixels.has_alpha(image) and not format_.alpha:
        image = pixels.colour(image)
    return image
