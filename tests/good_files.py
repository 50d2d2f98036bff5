"""Small sound files of every format that is read, each with the pixels that must come out of it.

Pillow, tifffile and OpenCV's encoder wrote them, or a few lines here. The pixels are those that were given to
the writer, or, where a format loses some, what Pillow reads from its file: never what imgpipe does.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import tifffile
from PIL import Image

HEIGHT, WIDTH = 20, 28


@dataclass(frozen=True)
class Good:
    """A sound file: its name, its bytes, and its pixels as imgpipe has them: ``(H, W)``, BGR or BGRA.

    ``off`` is how far a pixel may be from them (decoders of lossy formats differ).
    """

    name: str
    data: bytes
    pixels: Any
    off: float = 0


@cache
def good_files() -> tuple[Good, ...]:
    """All of them; no two have one name."""
    return (*_jpegs(), *_pngs(), *_webps(), *_tiffs(), *_bmps(), *_gifs(), *_avifs(), *_jp2s(), *_pnms())


def gradient(channels: int, depth: str = "uint8", white: float = 255, phase: int = 0) -> Any:
    """Smooth in every channel, so that lossy formats keep it; ``phase`` makes frames differ."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [(x * (n + 1) + y * 2 + 3 * phase) % 200 / 200 * white for n in range(channels)]
    return np.squeeze(np.stack(planes, axis=2)).astype(depth)


def bgr(image: Any) -> Any:
    """Between the order of Pillow and tifffile and that of OpenCV, either way."""
    order = {3: (2, 1, 0), 4: (2, 1, 0, 3)}
    return image if image.ndim == 2 else np.ascontiguousarray(image[:, :, order[image.shape[2]]])


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def as_pillow_reads(data: bytes, mode: str) -> Any:
    with Image.open(io.BytesIO(data)) as image:
        return bgr(np.asarray(image.convert(mode)))


def encoded(suffix: str, image: Any) -> bytes:
    written, data = cv2.imencode(suffix, image)
    assert written
    return data.tobytes()


GREY, COLOUR, ALPHA = gradient(1), gradient(3), gradient(4)
FRAMES = [Image.fromarray(gradient(3, phase=n)) for n in range(3)]


def _jpegs() -> Iterator[Good]:
    exif = Image.Exif()
    exif[0x0131] = "a witness"
    smooth = Image.fromarray(cv2.GaussianBlur(COLOUR, (5, 5), 2))
    variants: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "grey": (Image.fromarray(GREY), {}),
        "colour": (smooth, {"exif": exif.tobytes(), "icc_profile": bytes(200)}),
        "progressive": (smooth, {"progressive": True, "subsampling": 0}),
        "restarts": (smooth, {"restart_marker_blocks": 2, "optimize": True}),
        "cmyk": (smooth.convert("CMYK"), {}),
    }
    for name, (image, options) in variants.items():
        data = saved(image, "JPEG", quality=95, **options)
        # A profile of CMYK is not in it, so each reader converts in its own way.
        off = 255 if name == "cmyk" else 6
        yield Good(f"{name}.jpg", data, as_pillow_reads(data, "L" if name == "grey" else "RGB"), off)


def _pngs() -> Iterator[Good]:
    for name, pixels in (
        ("grey", GREY),
        ("colour", COLOUR),
        ("alpha", ALPHA),
        ("grey16", gradient(1, "uint16", 65535)),
        ("colour16", gradient(3, "uint16", 65535)),
        ("alpha16", gradient(4, "uint16", 65535)),
    ):
        yield Good(f"{name}.png", encoded(".png", pixels), pixels)
    palette = Image.fromarray(COLOUR).quantize(16)
    data = saved(palette, "PNG", transparency=3)
    yield Good("palette.png", data, as_pillow_reads(data, "RGBA"))
    bits = saved(Image.fromarray(GREY).convert("1"), "PNG")
    yield Good("bits.png", bits, as_pillow_reads(bits, "L"))
    exif = Image.Exif()
    exif[0x0131] = "a witness"
    key = saved(Image.fromarray(COLOUR), "PNG", transparency=(9, 9, 9), exif=exif, icc_profile=bytes(200))
    yield Good("key.png", key, as_pillow_reads(key, "RGBA"))
    interlaced = _interlaced(GREY)
    yield Good("interlaced.png", interlaced, GREY)
    moving = saved(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:], duration=50, disposal=1)
    yield Good("moving.png", moving, bgr(np.asarray(FRAMES[0])))


def _interlaced(grey: Any) -> bytes:
    """Adam7 by hand: no writer here makes it. PNG, section 8.1."""
    passes = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    rows = [b"\0" + row.tobytes() for y, x, dy, dx in passes for row in grey[y::dy, x::dx]]
    ihdr = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 1)
    return png(chunk(b"IHDR", ihdr), chunk(b"IDAT", zlib.compress(b"".join(rows))))


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes) -> bytes:
    """A PNG of these chunks and an IEND."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND")


def _webps() -> Iterator[Good]:
    lossy = saved(Image.fromarray(cv2.GaussianBlur(COLOUR, (5, 5), 2)), "WEBP", quality=95)
    yield Good("lossy.webp", lossy, as_pillow_reads(lossy, "RGB"), 6)
    for name, pixels in (("lossless", COLOUR), ("alpha", ALPHA | np.array([0, 0, 0, 1], np.uint8))):
        data = saved(Image.fromarray(pixels), "WEBP", lossless=True, exact=True)
        yield Good(f"{name}.webp", data, bgr(pixels))
    moving = saved(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:], lossless=True, duration=70)
    yield Good("moving.webp", moving, bgr(np.asarray(FRAMES[0])))


def _tiffs() -> Iterator[Good]:
    def written(pixels: Any, **options: Any) -> bytes:
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, metadata=None, **options)
        return file.getvalue()

    grey16, colour16 = gradient(1, "uint16", 65535), gradient(3, "uint16", 65535)
    rgb: dict[str, Any] = {"photometric": "rgb"}
    yield Good("grey.tif", written(GREY, photometric="minisblack"), GREY)
    yield Good("grey16.tif", written(grey16, photometric="minisblack", byteorder=">"), grey16)
    yield Good("colour.tif", written(COLOUR, rowsperstrip=4, **rgb), bgr(COLOUR))
    yield Good("colour16.tif", written(colour16, bigtiff=True, **rgb), bgr(colour16))
    yield Good("tiled.tif", written(COLOUR, tile=(16, 16), compression="zlib", **rgb), bgr(COLOUR))
    small = {"tile": (16, 16), "photometric": "minisblack"}
    yield Good("small-tiles.tif", written(GREY, **small), GREY)
    layers = np.dstack([GREY, ALPHA[:, :, 3]])
    wanted = np.dstack([GREY, GREY, GREY, ALPHA[:, :, 3]])
    for name, given in (("grey-alpha", layers), ("grey-alpha-planes", np.moveaxis(layers, 2, 0).copy())):
        planes = {
            "planarconfig": "separate" if "planes" in name else "contig",
            "extrasamples": ["unassalpha"],
        }
        yield Good(
            f"{name}.tif", written(given, compression="zlib", predictor=True, **small, **planes), wanted
        )
    apart = np.moveaxis(colour16, 2, 0).copy()
    yield Good("planes16.tif", written(apart, planarconfig="separate", **rgb), bgr(colour16))
    yield Good("alpha.tif", written(ALPHA, extrasamples=["unassalpha"], **rgb), bgr(ALPHA))
    floating = gradient(3, "float32", 1.0)
    yield Good("float.tif", written(floating, **rgb), bgr(floating))
    for method in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        data = saved(Image.fromarray(COLOUR), "TIFF", compression=method)
        yield Good(f"{method}.tif", data, bgr(COLOUR))
    fax = saved(Image.fromarray(GREY).convert("1"), "TIFF", compression="group4")
    yield Good("fax.tif", fax, as_pillow_reads(fax, "L"))
    jpeg = saved(Image.fromarray(cv2.GaussianBlur(COLOUR, (5, 5), 2)), "TIFF", compression="jpeg", quality=95)
    yield Good("jpeg.tif", jpeg, as_pillow_reads(jpeg, "RGB"), 6)
    palette = saved(Image.fromarray(COLOUR).quantize(16), "TIFF")
    yield Good("palette.tif", palette, as_pillow_reads(palette, "RGB"))
    pages = saved(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:])
    yield Good("pages.tif", pages, bgr(np.asarray(FRAMES[0])))


def _bmps() -> Iterator[Good]:
    yield Good("colour.bmp", saved(Image.fromarray(COLOUR), "BMP"), bgr(COLOUR))
    alpha = encoded(".bmp", ALPHA)
    yield Good("alpha.bmp", alpha, ALPHA)
    grey = saved(Image.fromarray(GREY), "BMP")
    yield Good("grey.bmp", grey, GREY)
    bits = saved(Image.fromarray(GREY).convert("1"), "BMP")
    yield Good("bits.bmp", bits, as_pillow_reads(bits, "L"))
    runs = rle8(b"".join(bytes((14, row, 14, 255 - row)) + b"\0\0" for row in range(HEIGHT)) + b"\0\1")
    yield Good("runs.bmp", runs, as_pillow_reads(runs, "L"))


def rle8(runs: bytes, width: int = WIDTH, height: int = HEIGHT, packing: int = 1, bits: int = 8) -> bytes:
    """A BMP of run lengths, with a palette of greys. Microsoft, *Bitmap Compression*."""
    palette = b"".join(bytes((grey, grey, grey, 0)) for grey in range(1 << bits))
    start = 54 + len(palette)
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, packing, len(runs), 0, 0, 1 << bits, 0)
    return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + head + palette + runs


def _gifs() -> Iterator[Good]:
    palette = Image.fromarray(COLOUR).quantize(32)
    still = saved(palette, "GIF")
    yield Good("still.gif", still, as_pillow_reads(still, "RGB"))
    interlaced = saved(palette, "GIF", interlace=1, transparency=5)
    yield Good("interlaced.gif", interlaced, as_pillow_reads(interlaced, "RGBA"))
    frames = [frame.quantize(32) for frame in FRAMES]
    moving = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=70, loop=0)
    yield Good("moving.gif", moving, as_pillow_reads(moving, "RGB"))


def _avifs() -> Iterator[Good]:
    smooth = cv2.GaussianBlur(ALPHA, (5, 5), 2)
    for name, pixels in (("colour", smooth[:, :, :3]), ("alpha", smooth)):
        data = saved(Image.fromarray(pixels), "AVIF", quality=95, subsampling="4:4:4")
        yield Good(f"{name}.avif", data, as_pillow_reads(data, "RGB" if name == "colour" else "RGBA"), 8)
    for name, mode in (("luma", "L"), ("luma-alpha", "RGBA")):
        image = Image.fromarray(smooth).convert(mode)
        data = saved(image, "AVIF", quality=95, subsampling="4:0:0", range="limited")
        yield Good(f"{name}.avif", data, as_pillow_reads(data, mode), 8)
    moving = saved(FRAMES[0], "AVIF", save_all=True, append_images=FRAMES[1:], duration=70, quality=95)
    yield Good("moving.avif", moving, as_pillow_reads(moving, "RGB"), 8)


def _jp2s() -> Iterator[Good]:
    for name, pixels in (("grey", GREY), ("colour", COLOUR), ("alpha", ALPHA)):
        yield Good(f"{name}.jp2", saved(Image.fromarray(pixels), "JPEG2000", irreversible=False), bgr(pixels))
    grey16 = gradient(1, "uint16", 65535)
    yield Good("grey16.jp2", saved(Image.fromarray(grey16), "JPEG2000"), grey16)
    tiled = saved(Image.fromarray(COLOUR), "JPEG2000", tile_size=(16, 16), num_resolutions=2)
    yield Good("tiled.jp2", tiled, bgr(COLOUR))


def _pnms() -> Iterator[Good]:
    head = f"{WIDTH} {HEIGHT}\n".encode()
    yield Good("binary.ppm", b"P6\n# by hand\n" + head + b"255\n" + COLOUR.tobytes(), bgr(COLOUR))
    grey16 = gradient(1, "uint16", 65535)
    yield Good("binary16.pgm", b"P5\n" + head + b"65535\n" + grey16.astype(">u2").tobytes(), grey16)
    text = b" ".join(b"%d" % value for value in COLOUR.ravel())
    yield Good("text.ppm", b"P3\n" + head + b"255\n" + text + b"\n", bgr(COLOUR))
    black = np.where(gradient(1) < 100, 0, 255).astype(np.uint8)
    yield Good("bits.pbm", b"P4\n" + head + np.packbits(black == 0, axis=1).tobytes(), black)
    digits = b"\n".join(b"".join(b"%d" % (value == 0) for value in row) for row in black)
    yield Good("text.pbm", b"P1\n" + head + digits + b"\n", black)
    pam = f"P7\nWIDTH {WIDTH}\nHEIGHT {HEIGHT}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    yield Good("alpha.pam", pam.encode() + ALPHA.tobytes(), bgr(ALPHA))
    floating = gradient(3, "float32", 1.0)
    yield Good("float.pfm", b"PF\n" + head + b"-1.0\n" + floating[::-1].tobytes(), bgr(floating))
