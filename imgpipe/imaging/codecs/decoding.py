"""Bytes → pixels.

OpenCV is given bytes that we have read, never a path, and decodes in one of two ways:

* ``colour8``: what its plain colour reading gives, ``(H, W, 3)`` uint8, orientation applied, for recipes that
  begin with an operation declared so (the default, `edges`, whose pixels are promised);
* otherwise faithfully: depth, grey and alpha as they are in the file, and orientation applied once.

OpenCV applies orientation in every mode but ``IMREAD_UNCHANGED``, the only one that keeps alpha. So JPEG,
which has no alpha, is read in another mode, and for the rest orientation is read from the EXIF block and
applied here (TIFF's own is applied by OpenCV always).

What is not a whole image of a kind that can be processed raises `ImageError`. A truncated file never gives
half a picture: ``imdecode`` answers with nothing, where ``imread`` would fill up with grey (a test cuts every
format at every place).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from imgpipe.errors import ImageError, Kind
from imgpipe.imaging import pixels
from imgpipe.imaging.codecs.structure import is_truncated
from imgpipe.imaging.lazy import lazy
from imgpipe.imaging.pixels import Image

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2 = lazy("cv2")
    np = lazy("numpy")

_JPEG = b"\xff\xd8\xff"
_TIFF = (b"II*\0", b"MM\0*")
_ORIENTATION = 0x0112  # EXIF 2.3, table 4


def decode(data: bytes, *, colour8: bool = False) -> Image:
    """The picture in these bytes, upright: ``(H, W)``, ``(H, W, 3)`` BGR or ``(H, W, 4)`` BGRA.

    uint8, uint16 or float32 as in the file; with ``colour8``, always ``(H, W, 3)`` uint8.

    Raises
    ------
    ImageError
        ``unreadable``, ``truncated``, or ``too_large`` (over a limit; ``again`` where memory ran out).
    """
    if not data:
        raise ImageError(Kind.UNREADABLE, "the file is empty")
    try:
        image = _colour8(data) if colour8 else _faithful(data)
    except cv2.error as error:
        raise refusal(error, Kind.UNREADABLE) from None
    if image is None:
        raise _undecodable(data)
    if wrong := pixels.problem(image):
        raise ImageError(Kind.UNREADABLE, f"pixels of an unknown kind: {wrong}")
    return image


def refusal(error: cv2.error, kind: Kind, where: str = "") -> ImageError:
    """What an exception of OpenCV means for an image: ``too_large`` if it is about a limit, else ``kind``."""
    # One that OpenCV's bindings raise themselves (for an argument of a wrong type) has neither code nor text.
    said = getattr(error, "err", "") or str(error)
    if getattr(error, "code", 0) == cv2.Error.STS_NO_MEM:
        return ImageError(Kind.TOO_LARGE, f"{where}out of memory: {said}", again=True)
    if "CV_IO_MAX_IMAGE" in said:
        return ImageError(Kind.TOO_LARGE, f"{where}more pixels than allowed: {said}")
    return ImageError(kind, f"{where}OpenCV: {said}")


def _undecodable(data: bytes) -> ImageError:
    if is_truncated(data):
        return ImageError(Kind.TRUNCATED, f"the file ends early, after {len(data)} bytes")
    return ImageError(Kind.UNREADABLE, "no decoder takes it: not an image, or damaged")


def _colour8(data: bytes) -> Image | None:
    image: Image | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None and data.startswith(_TIFF):  # of float pixels: OpenCV does not reduce those by itself
        image = _faithful(data)
        return image if image is None else pixels.colour8(image)
    return image


def _faithful(data: bytes) -> Image | None:
    buffer = np.frombuffer(data, np.uint8)
    if data.startswith(_JPEG):
        return cv2.imdecode(buffer, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    if data.startswith(_TIFF):
        return cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
    image, kinds, blocks = cv2.imdecodeWithMetadata(buffer, flags=cv2.IMREAD_UNCHANGED)
    if image is None:
        return None
    for kind, block in zip(kinds, blocks, strict=False):
        if kind == cv2.IMAGE_METADATA_EXIF:
            return upright(image, orientation(np.asarray(block).tobytes()))
    return image


def orientation(exif: bytes) -> int:
    """The orientation in an EXIF block (a TIFF directory), 1 … 8; 1 where there is none."""
    order = "<" if exif.startswith(b"II") else ">"
    try:
        (at,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", exif, entry)
            if tag == _ORIENTATION:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:  # the block ends early
        pass
    return 1


def upright(image: Image, turned: int) -> Image:
    """The picture as it should be seen: 2 … 4 are flips, 5 … 8 the same after swapping rows and columns."""
    if turned >= 5:
        image = cv2.transpose(image)
    flips = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}
    return cv2.flip(image, flips[turned]) if turned in flips else image
