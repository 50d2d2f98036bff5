"""Image files read without OpenCV and without our codecs: by Pillow, by tifffile, or written out here.

Pixels come as in `encoders`: ``(H, W)``, ``(H, W, 2)``, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA, in the
depth they have in the file.
"""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import tifffile
from PIL import Image

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


def read(data: bytes, suffix: str) -> Any:
    """The pixels of the first picture in an output."""
    if suffix in ("png", "apng"):
        return png(data)
    if suffix in ("tif", "tiff"):
        return tiff(data)
    if suffix in ("pnm", "pgm", "ppm", "pam", "pfm"):
        return netpbm(data)
    return by_pillow(data)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def by_pillow(data: bytes) -> Any:
    image = opened(data)
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    return np.asarray(image)


# --- PNG ----------------------------------------------------------------------------------------


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def png(data: bytes) -> Any:
    """Of 8 or 16 bits, neither with a palette nor interlaced: what Pillow reduces to 8 bits, too."""
    parts = chunks(data)
    head = parts[0][1]
    width, height = (int.from_bytes(head[at : at + 4], "big") for at in (0, 4))
    bits, colour_type, interlaced = head[8], head[9], head[12]
    assert bits in (8, 16)
    assert not interlaced
    channels = _CHANNELS[colour_type]
    raw = zlib.decompress(b"".join(body for kind, body in parts if kind == b"IDAT"))
    rows = _unfiltered(raw, height, width * channels * bits // 8, channels * bits // 8)
    samples = np.frombuffer(rows, ">u2" if bits == 16 else np.uint8).reshape(height, width, channels)
    return np.squeeze(samples, 2) if channels == 1 else samples


def _unfiltered(raw: bytes, height: int, size: int, step: int) -> bytes:
    above, result = bytearray(size), bytearray()
    for number in range(height):
        kind, *row = raw[number * (size + 1) : (number + 1) * (size + 1)]
        line = bytearray(row)
        for at in range(size):
            left, corner = (line[at - step], above[at - step]) if at >= step else (0, 0)
            guess = (0, left, above[at], (left + above[at]) // 2, _paeth(left, above[at], corner))[kind]
            line[at] = (line[at] + guess) & 255
        result += line
        above = line
    return bytes(result)


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))


# --- TIFF ---------------------------------------------------------------------------------------


def tiff(data: bytes, number: int = 0) -> Any:
    """A page, by tifffile; it has no LZW without another package, so that is written out here."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages[number]
        if page.compression != tifffile.COMPRESSION.LZW:
            return page.asarray()
        strips = [
            lzw(data[at : at + size]) for at, size in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
        assert not page.is_tiled
        return _predicted(b"".join(strips), page)


def _predicted(raw: bytes, page: Any) -> Any:
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    samples = np.frombuffer(raw, page.dtype.newbyteorder(page.parent.byteorder)).reshape(shape)
    assert page.predictor in (1, 2)
    if page.predictor == 2:
        samples = np.cumsum(samples, axis=1, dtype=page.dtype)
    return np.squeeze(samples, 2) if shape[2] == 1 else samples


def lzw(data: bytes) -> bytes:
    """TIFF 6.0, section 13."""
    bits, at, width = int.from_bytes(data, "big"), 8 * len(data), 9
    table: list[bytes] = []
    before, result = b"", list[bytes]()
    while True:
        at -= width
        code = bits >> at & ((1 << width) - 1)
        if code == 257:
            return b"".join(result)
        if code == 256:
            table, before, width = [bytes((value,)) for value in range(256)] + [b"", b""], b"", 9
            continue
        entry = table[code] if code < len(table) else before + before[:1]
        result.append(entry)
        if before:
            table.append(before + entry[:1])
        before = entry
        width = 9 + sum(len(table) >= edge for edge in (511, 1023, 2047))


# --- Netpbm -------------------------------------------------------------------------------------


def netpbm(data: bytes) -> Any:
    """As our encoder has to write them: a header without comments, binary samples."""
    kind = data[:2]
    if kind == b"P7":
        head, _, rest = data.partition(b"ENDHDR\n")
        fields = dict(line.split(b" ", 1) for line in head.splitlines()[1:])
        width, height, channels, white = (
            int(fields[name]) for name in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
        )
    else:
        _, sides, last, rest = data.split(b"\n", 3)
        width, height = map(int, sides.split())
        channels = 3 if kind in (b"P6", b"PF") else 1
        if kind in (b"PF", b"Pf"):
            order = "<f4" if float(last) < 0 else ">f4"
            samples = np.frombuffer(rest, order).reshape(height, width, channels)[::-1]
            return np.squeeze(samples, 2) if channels == 1 else samples
        white = int(last)
    assert white in (255, 65535)
    samples = np.frombuffer(rest, ">u2" if white > 255 else np.uint8).reshape(height, width, channels)
    return np.squeeze(samples, 2) if channels == 1 else samples
