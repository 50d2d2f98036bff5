"""Image files made without OpenCV and without our codecs: by Pillow, by tifffile, or written out here.

Pixels are arrays as Pillow has them: ``(H, W)`` grey, ``(H, W, 2)`` grey and alpha, ``(H, W, 3)`` RGB,
``(H, W, 4)`` RGBA; uint8, uint16 or float32.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tifffile
from PIL import Image

RGB_ORDER = [2, 1, 0, 3]
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
WHITE = {"uint8": 255, "uint16": 65535, "float32": 1.0}


# --- pixels -------------------------------------------------------------------------------------


def smooth(channels: int, depth: str = "uint8", size: tuple[int, int] = (40, 56)) -> Any:
    """A gradient of its own for each channel: what a lossy format keeps to within a few levels."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    planes = [(x * (n + 1) / size[1] + y * 2 / size[0]) / (n + 3) for n in range(channels)]
    return _as_depth(np.stack(planes, axis=2), depth)


def noise(channels: int, depth: str = "uint8", size: tuple[int, int] = (20, 30), seed: int = 0) -> Any:
    """Every value as likely as any other."""
    return _as_depth(np.random.default_rng(seed).random((*size, channels)), depth)


def _as_depth(values: Any, depth: str) -> Any:
    white = WHITE[depth]
    scaled = values * white if depth == "float32" else np.rint(values * white)
    return (scaled[:, :, 0] if scaled.shape[2] == 1 else scaled).astype(depth)


def indices(count: int) -> Any:
    return (np.arange(600).reshape(20, 30) * 7 % count).astype(np.uint8)


def palette(count: int) -> Any:
    return noise(3, size=(1, count), seed=3)[0]


# --- Pillow and tifffile ------------------------------------------------------------------------


def by_pillow(pixels: Any, format_: str, mode: str | None = None, **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    if mode:
        image = image.convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def tiff(pixels: Any, **options: Any) -> bytes:
    """By tifffile, unless told otherwise as one page of uncompressed strips, with the alpha straight."""
    apart = options.get("planarconfig") == "separate"
    channels = 1 if pixels.ndim == 2 else pixels.shape[0 if apart else 2]
    options.setdefault("photometric", "minisblack" if channels < 3 else "rgb")
    if channels in (2, 4):
        options.setdefault("extrasamples", ["unassalpha"])
    if channels == 2:
        options.setdefault("planarconfig", "contig")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


def tiff_pages(pages: Sequence[tuple[Any, dict[str, Any]]]) -> bytes:
    """Several pages, each with tifffile's options for it."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for pixels, options in pages:
            kind = "minisblack" if pixels.ndim == 2 else "rgb"
            extra = ["unassalpha"] if pixels.ndim == 3 and pixels.shape[2] == 4 else None
            writer.write(pixels, metadata=None, photometric=kind, extrasamples=extra, **options)
    return buffer.getvalue()


def tiff_of(
    values: Any, bits: int, *, photometric: int = 1, palette: Any = None, reverse: bool = False
) -> bytes:
    """One strip of samples of so few bits; ``palette`` is ``(N, 3)``. ``reverse`` fills bytes from below."""
    data: bytes = packed(values, bits).astype(np.uint8).tobytes()
    if reverse:
        data = np.packbits(np.unpackbits(np.frombuffer(data, np.uint8)), bitorder="little").tobytes()
    height, width = values.shape
    fields = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1)]
    fields += [(262, 3, 1, photometric), (266, 3, 1, 2 if reverse else 1), (273, 4, 1, 8), (277, 3, 1, 1)]
    fields += [(278, 4, 1, height), (279, 4, 1, len(data))]
    data += b"\0" * (len(data) % 2)
    if palette is not None:
        fields.append((320, 3, palette.size, 8 + len(data)))
        data += palette.T.astype("<u2").tobytes()
    directory = struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHII", *field) for field in fields)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4)


# --- PNG ----------------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def ihdr(pixels: Any, bits: int, colour_type: int, interlaced: bool = False) -> bytes:
    height, width = pixels.shape[:2]
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced))


def png(
    pixels: Any,
    *,
    bits: int = 0,
    palette: Any = None,
    interlaced: bool = False,
    before: bytes = b"",
    between: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """``bits`` 1, 2, 4 pack samples of so few bits; with ``palette``, ``(N, 3)``, samples are indices.

    ``before`` stands before the palette, ``between`` before the pixels, ``after`` before the end.
    """
    bits = bits or 8 * pixels.dtype.itemsize
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    colour_type = 3 if palette is not None else {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    table = b"" if palette is None else chunk(b"PLTE", np.asarray(palette, np.uint8).tobytes())
    parts = [b"\x89PNG\r\n\x1a\n", ihdr(pixels, bits, colour_type, interlaced), before, table, between]
    parts += [chunk(b"IDAT", png_data(pixels, bits, interlaced)), after, chunk(b"IEND")]
    return b"".join(parts)


def png_data(pixels: Any, bits: int, interlaced: bool = False) -> bytes:
    passes = [pixels[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [pixels]
    return zlib.compress(b"".join(_rows(part, bits) for part in passes if part.size))


def _rows(pixels: Any, bits: int) -> bytes:
    """Rows with the five filters in turn, each written out as its definition has it."""
    step = max(1, bits * (1 if pixels.ndim == 2 else pixels.shape[2]) // 8)
    result, above = [], None
    for number, row in enumerate(packed(pixels, bits)):
        up = np.zeros_like(row) if above is None else above
        left, corner = _shifted(row, step), _shifted(up, step)
        kind = number % 5
        guess = (0, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]
        result.append(bytes((kind,)) + ((row - guess) % 256).astype(np.uint8).tobytes())
        above = row
    return b"".join(result)


def packed(pixels: Any, bits: int) -> Any:
    """Bytes of each row, as int64."""
    if bits >= 8:
        big = np.ascontiguousarray(pixels.astype(">u2" if bits == 16 else np.uint8))
        return big.view(np.uint8).reshape(pixels.shape[0], -1).astype(np.int64)
    spread = (pixels[:, :, np.newaxis] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(spread.astype(np.uint8).reshape(pixels.shape[0], -1), axis=1).astype(np.int64)


def _shifted(row: Any, step: int) -> Any:
    return np.concatenate([np.zeros(step, row.dtype), row[:-step]])[: row.size]


def _paeth(left: Any, up: Any, corner: Any) -> Any:
    guess = left + up - corner
    off_left, off_up, off_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
    nearest = np.where(off_up <= off_corner, up, corner)
    return np.where((off_left <= off_up) & (off_left <= off_corner), left, nearest)


def apng(
    canvas: tuple[int, int],
    frames: Sequence[tuple[Any, int, int, int, int, int]],
    *,
    default: Any = None,
    loops: int = 0,
) -> bytes:
    """An animated PNG of RGBA frames ``(pixels, left, top, ms, disposal, blend)``; ``canvas``: height, width.

    ``default`` is a picture that is no part of the animation. Without it the first frame is the picture.
    """
    sequence = iter(range(10**6))
    depth = frames[0][0].dtype
    parts = [b"\x89PNG\r\n\x1a\n", ihdr(np.zeros((*canvas, 4), depth), 8 * depth.itemsize, 6)]
    parts.append(chunk(b"acTL", struct.pack(">II", len(frames), loops)))
    if default is not None:
        parts.append(chunk(b"IDAT", png_data(default, 8 * depth.itemsize)))
    for number, (pixels, left, top, duration, disposal, blend) in enumerate(frames):
        place = (pixels.shape[1], pixels.shape[0], left, top, duration, 1000, disposal, blend)
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", next(sequence), *place)))
        data = png_data(pixels, 8 * depth.itemsize)
        if number == 0 and default is None:
            parts.append(chunk(b"IDAT", data))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", next(sequence)) + data))
    return b"".join([*parts, chunk(b"IEND")])


# --- JPEG and WebP ------------------------------------------------------------------------------


def segment(code: int, body: bytes) -> bytes:
    return bytes((0xFF, code)) + struct.pack(">H", len(body) + 2) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """The same JPEG with these segments in front of all others."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def without_segment(jpeg: bytes, code: int) -> bytes:
    """The same JPEG without the first segment of this code."""
    at = 2
    while jpeg[at + 1] != code:
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]


# --- EXIF ---------------------------------------------------------------------------------------


def exif(turned: int, order: str = ">", *, long: bool = False, camera: bytes = b"Our camera\0") -> bytes:
    """A block with the make of a camera before the orientation, and a directory after it."""
    at = 8 + 2 + 3 * 12 + 4
    value = struct.pack(order + "I", turned) if long else struct.pack(order + "HH", turned, 0)
    fields = struct.pack(order + "HHII", 0x010F, 2, len(camera), at)
    fields += struct.pack(order + "HHI", 0x0112, 4 if long else 3, 1) + value
    fields += struct.pack(order + "HHII", 0x8769, 4, 1, at + len(camera) + len(camera) % 2)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 3)
    inner = struct.pack(order + "HHHI4sI", 1, 0x9000, 7, 4, b"0232", 0)  # ExifVersion
    return head + fields + struct.pack(order + "I", 0) + camera + b"\0" * (len(camera) % 2) + inner


def xmp(turned: int | None = None) -> bytes:
    inside = "" if turned is None else f' tiff:Orientation="{turned}"'
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        f' xmlns:tiff="http://ns.adobe.com/tiff/1.0/"{inside}/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def icc(space: bytes = b"RGB ", size: int = 512) -> bytes:
    """A block that begins as a colour profile does: size, version, class, space, and its mark at 36."""
    head = struct.pack(">I4xI4s4s4s12x4s", size, 0x04300000, b"mntr", space, b"XYZ ", b"acsp")
    return head + np.random.default_rng(size).integers(0, 256, size - len(head), np.uint8).tobytes()


# --- Netpbm -------------------------------------------------------------------------------------


def pnm(pixels: Any, white: int = 0) -> bytes:
    """PGM or PPM with this largest value, else that of the depth."""
    kind = 5 if pixels.ndim == 2 else 6
    white = white or int(WHITE[str(pixels.dtype)])
    return b"P%d\n%d %d\n%d\n" % (kind, *pixels.shape[1::-1], white) + _samples(pixels, white)


def pam(pixels: Any, white: int = 0) -> bytes:
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    white = white or int(WHITE[str(pixels.dtype)])
    kind = (b"GRAYSCALE", b"GRAYSCALE_ALPHA", b"RGB", b"RGB_ALPHA")[channels - 1]
    head = b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE %s\nENDHDR\n"
    return head % (*pixels.shape[1::-1], channels, white, kind) + _samples(pixels, white)


def pfm(pixels: Any, order: str = "<") -> bytes:
    kind, scale = (b"f" if pixels.ndim == 2 else b"F"), (b"-1.0" if order == "<" else b"1.0")
    head = b"P%s\n%d %d\n%s\n" % (kind, *pixels.shape[1::-1], scale)
    return head + bytes(pixels[::-1].astype(order + "f4").tobytes())


def _samples(pixels: Any, white: int) -> bytes:
    samples: bytes = pixels.astype(">u2" if white > 255 else np.uint8).tobytes()
    return samples


# --- GIF ----------------------------------------------------------------------------------------


def gif(canvas: tuple[int, int], frames: Sequence[tuple[Any, Any, int, int, int, int]]) -> bytes:
    """Frames ``(indices, palette of 256, left, top, disposal, transparent index or -1)``; ``canvas``: height,
    width. Each is shown for 50 ms."""
    parts = [b"GIF89a" + struct.pack("<HHBBB", *canvas[::-1], 0x70, 0, 0)]
    for index, colours, left, top, disposal, hidden in frames:
        flags = disposal << 2 | (hidden >= 0)
        parts.append(b"!\xf9\x04" + struct.pack("<BHBB", flags, 5, max(0, hidden), 0))
        parts.append(b"," + struct.pack("<HHHHB", left, top, *index.shape[::-1], 0x87))
        parts.append(colours.astype(np.uint8).tobytes() + b"\x08" + _sub_blocks(_unpacked_lzw(index)))
    return b"".join(parts) + b";"


def _unpacked_lzw(index: Any) -> bytes:
    """Codes of 9 bits, cleared before they would need 10."""
    codes = []
    for number, value in enumerate(index.ravel().tolist()):
        codes += [256, value] if number % 200 == 0 else [value]
    bits = 0
    for number, code in enumerate([*codes, 257]):
        bits |= code << (9 * number)
    return bits.to_bytes((9 * (len(codes) + 1) + 7) // 8, "little")


def _sub_blocks(data: bytes) -> bytes:
    parts = [data[at : at + 255] for at in range(0, len(data), 255)]
    return b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


# --- BMP ----------------------------------------------------------------------------------------


def bmp(
    data: bytes,
    width: int,
    height: int,
    bits: int,
    *,
    packing: int = 0,
    palette: Any = None,
    masks: Sequence[int] = (),
    os2: bool = False,
) -> bytes:
    """The headers around ``data``. ``os2``: the old ones, of 16 bits, with colours of three bytes.

    Four ``masks`` (red, green, blue, alpha) make the newer header that has room for them.
    """
    colours = np.zeros((0, 3), np.uint8) if palette is None else np.asarray(palette, np.uint8)
    if os2:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
        table = colours[:, ::-1].tobytes()
    else:
        table = np.pad(colours[:, ::-1], ((0, 0), (0, 1))).tobytes()
        size = 108 if len(masks) == 4 else 40
        info = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, packing, 0, 0, 0, len(colours), 0)
        info += struct.pack(f"<{len(masks)}I", *masks)
        info += b"BGRs".ljust(52, b"\0") if size == 108 else b""
    start = 14 + len(info) + len(table)
    return struct.pack("<2sIII", b"BM", start + len(data), 0, start) + info + table + data


def bmp_rows(packed: Any) -> bytes:
    """Rows of bytes, from below, each filled to four bytes."""
    filled = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 4)))
    rows: bytes = np.ascontiguousarray(filled[::-1]).tobytes()
    return rows


def run_lengths(index: Any, bits: int) -> bytes:
    """RLE8 or RLE4: runs where there are some, else stretches as they are."""
    result = bytearray()
    for row in index[::-1].tolist():
        at = 0
        while at < len(row):
            run = next((n for n in range(1, len(row) - at) if row[at + n] != row[at]), len(row) - at)
            if run > 2:
                result += bytes((run, row[at] * (17 if bits == 4 else 1)))
            else:
                run = min(8, len(row) - at)
                result += _stretch(row[at : at + run], bits)
            at += run
        result += b"\0\0"
    return bytes(result) + b"\0\1"


def _stretch(values: list[int], bits: int) -> bytes:
    if len(values) < 3:  # too short for one: single runs
        return b"".join(bytes((1, value * (17 if bits == 4 else 1))) for value in values)
    data: bytes = packed(np.array([values]), bits).astype(np.uint8).tobytes()
    return bytes((0, len(values))) + data + b"\0" * (len(data) % 2)


# --- JPEG 2000 ----------------------------------------------------------------------------------


def jp2_12(pixels: Any) -> bytes:
    """Grey of 12 bits. Pillow writes 16: the same codestream declared as 12, with its offset for that."""
    lifted = (pixels.astype(np.int64) + (1 << 15) - (1 << 11)).astype(np.uint16)
    data = bytearray(by_pillow(Image.fromarray(lifted), "JPEG2000"))
    data[data.index(b"ihdr") + 4 + 10] = 11
    data[data.index(b"\xff\x4f\xff\x51") + 42] = 11
    return bytes(data)


# --- a file of every format ---------------------------------------------------------------------

_KINDS: dict[str, tuple[int, str]] = {
    "grey": (1, "uint8"),
    "grey alpha": (2, "uint8"),
    "colour": (3, "uint8"),
    "alpha": (4, "uint8"),
    "grey16": (1, "uint16"),
    "grey16 alpha": (2, "uint16"),
    "colour16": (3, "uint16"),
    "alpha16": (4, "uint16"),
    "grey float": (1, "float32"),
    "colour float": (3, "float32"),
    "alpha float": (4, "float32"),
}
_JPEG: dict[str, Any] = {"quality": 100, "subsampling": 0}
_MAKERS: dict[str, tuple[str, Callable[[Any], bytes]]] = {
    "jpg": ("grey, colour", lambda p: by_pillow(p, "JPEG", **_JPEG)),
    "png": ("grey, grey alpha, colour, alpha, grey16, grey16 alpha, colour16, alpha16", png),
    "webp": ("colour, alpha", lambda p: by_pillow(p, "WEBP", lossless=True, exact=True)),
    "tif": (
        "grey, grey alpha, colour, alpha, grey16, grey16 alpha, colour16, alpha16, grey float, colour float, "
        "alpha float",
        tiff,
    ),
    "bmp": ("grey, colour, alpha", lambda p: by_pillow(p, "BMP")),
    "gif": ("grey", lambda p: by_pillow(p, "GIF")),
    "avif": ("grey, colour, alpha", lambda p: by_pillow(p, "AVIF", quality=100, subsampling="4:4:4")),
    "jp2": ("grey, colour, alpha, grey16", lambda p: by_pillow(p, "JPEG2000")),
    "pnm": ("grey, colour, grey16, colour16", pnm),
    "pam": ("grey, grey alpha, colour, alpha, grey16, grey16 alpha, colour16, alpha16", pam),
    "pfm": ("grey float, colour float", pfm),
}

#: Every ``(suffix, kind)`` that exists here.
FILES = [(suffix, kind) for suffix, (kinds, _) in _MAKERS.items() for kind in kinds.split(", ")]


def pixels_of(kind: str, size: tuple[int, int] = (40, 56)) -> Any:
    return smooth(*_KINDS[kind], size)


def made(suffix: str, kind: str, size: tuple[int, int] = (40, 56)) -> bytes:
    """A file of this format with `pixels_of` this kind."""
    return _MAKERS[suffix][1](pixels_of(kind, size))
