"""PBM, PGM, PPM, PAM and PFM: their headers. Netpbm's manual pages."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from imgpipe import limits
from imgpipe.errors import ImageError, Kind
from imgpipe.imaging.codecs.containers.header import Header, damaged, truncated, unsupported

_BLANK = rb"(?:[ \t\r\n\v\f]|#[^\r\n]*[\r\n])+"
_WORD = re.compile(_BLANK + rb"([0-9]{1,10})")
_END = re.compile(rb"[ \t\r\n\v\f]|#[^\r\n]*[\r\n]")
_PFM = re.compile(rb"P[Ff]\s+([0-9]{1,10})\s+([0-9]{1,10})\s+([-+.0-9eE]{1,20})\s")
_PAM_LINE = re.compile(rb"([^\n]{0,200})\n")
_KIND = b"TUPLTYPE"
#: What a PAM says its samples are, by how many a pixel has; where it says nothing, their number tells.
_KINDS = {
    1: (b"", b"GRAYSCALE", b"BLACKANDWHITE"),
    2: (b"", b"GRAYSCALE_ALPHA", b"BLACKANDWHITE_ALPHA"),
    3: (b"", b"RGB"),
    4: (b"", b"RGB_ALPHA"),
}
_LINES_MAX = 100  # of a PAM's header: there are seven, and comments
_HEAD_MAX = 4096  # bytes of a header with its comments
ASCII, _BITMAP = (b"P1", b"P2", b"P3"), (b"P1", b"P4")
_RAW = (b"P4", b"P5", b"P6", b"P7")  # a file may hold several of these, one behind the other
_MORE = re.compile(rb"P[4-7][ \t\r\n\v\f#]")


@dataclass(frozen=True, slots=True)
class Layout:
    """How samples are stored, where they begin, how many a pixel has, and which value is white.

    For a PFM ``white`` is its scale, whose sign says the byte order.
    """

    magic: bytes
    start: int
    samples: int
    white: float


def header(data: bytes) -> Header:
    """What the headers say: the first, and in ``details`` each. `header.of_pages` is to follow.

    Raises
    ------
    ImageError
        ``truncated`` or ``unreadable``.
    """
    page, end = _page(data, 0)
    pages = [page]
    while page.details.magic in _RAW and _MORE.match(data, end):
        if len(pages) >= limits.PAGES_MAX:
            raise ImageError(Kind.TOO_LARGE, f"more than {limits.PAGES_MAX} pictures")
        page, end = _page(data, end)
        pages.append(page)
    return replace(pages[0], frames=len(pages), details=tuple(pages))


def _page(data: bytes, at: int) -> tuple[Header, int]:
    """The picture that begins there, with its `Layout`, and where its samples end at the earliest."""
    magic = data[at : at + 2]
    if magic == b"P7":
        width, height, layout = _pam(data, at)
    elif magic in (b"PF", b"Pf"):
        width, height, layout = _pfm(data)
    else:
        width, height, layout = _pnm(data, at)
    floating = magic in (b"PF", b"Pf")
    if not width or not height:
        raise damaged("a picture without size")
    end = layout.start + _bytes_min(width, height, layout, floating)
    if end > len(data):
        raise truncated(data)
    bits = 32 if floating else 16 if layout.white > 255 else 8
    grey, alpha = layout.samples < 3, layout.samples in (2, 4)
    return Header(width, height, bits, floating, grey=grey, alpha=alpha, details=layout), end


def _bytes_min(width: int, height: int, layout: Layout, floating: bool) -> int:
    if layout.magic == b"P1":
        return width * height
    if layout.magic in ASCII:
        return 2 * width * height * layout.samples - 1
    if layout.magic == b"P4":
        return (width + 7) // 8 * height
    return width * height * layout.samples * (4 if floating else 2 if layout.white > 255 else 1)


def _pnm(data: bytes, start: int) -> tuple[int, int, Layout]:
    magic, at, found = data[start : start + 2], start + 2, []
    for _ in range(2 if magic in _BITMAP else 3):
        match = _WORD.match(data, at, start + _HEAD_MAX)
        if match is None:
            raise truncated(data) if _only_blank(data, at) else damaged("its header has no number there")
        found.append(int(match[1]))
        at = match.end()
    width, height, white = (*found, 1)[:3]
    samples_at = _after_blank(data, at)
    return width, height, Layout(magic, samples_at, 3 if magic in (b"P3", b"P6") else 1, _white(white))


def _after_blank(data: bytes, at: int) -> int:
    """Where samples begin: after one blank, or after a comment that stands at once behind the last number."""
    match = _END.match(data, at)
    if match is None:
        raise truncated(data) if _only_blank(data, at) else damaged("no blank before its samples")
    return match.end()


def _only_blank(data: bytes, at: int) -> bool:
    rest = data[at : at + _HEAD_MAX]
    return len(data) - at < _HEAD_MAX and re.fullmatch(rb"[\s0-9]{0,40}(?:#[^\r\n]*)?", rest) is not None


def _white(value: int) -> int:
    if not 1 <= value <= 65_535:
        raise damaged(f"a largest value of {value}")
    return value


def _pam(data: bytes, start: int) -> tuple[int, int, Layout]:
    fields, at = _pam_lines(data, start + 3)
    try:
        width, height, samples, white = (int(fields[n]) for n in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    except (KeyError, ValueError):
        raise damaged("its header lacks width, height, depth or largest value") from None
    if not 1 <= samples <= 4 or not 0 < width < 2**31 or not 0 < height < 2**31:
        raise unsupported(f"a PAM of {width}×{height} with {samples} channels")
    if (kind := fields.get(_KIND, b"")) not in _KINDS[samples]:
        raise unsupported(f"a PAM of {kind.decode('ascii', 'replace')[:40]} with {samples} channels")
    return width, height, Layout(b"P7", at, samples, _white(white))


def _pam_lines(data: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """The fields of a header, and where it ends. All lines of the type are one."""
    fields: dict[bytes, bytes] = {}
    for _ in range(_LINES_MAX):
        match = _PAM_LINE.match(data, at)
        if match is None:
            raise truncated(data) if len(data) - at < 200 else damaged("a line of its header does not end")
        at = match.end()
        name, _, value = match[1].strip().partition(b" ")
        if name == b"ENDHDR":
            return fields, at
        more = name == _KIND and name in fields
        fields[name] = fields[name] + b" " + value.strip() if more else value.strip()
    raise damaged("its header does not end")


def _pfm(data: bytes) -> tuple[int, int, Layout]:
    match = _PFM.match(data)
    if match is None:
        raise truncated(data) if len(data) < 60 else damaged("its header is none of a PFM")
    try:
        scale = float(match[3])
    except ValueError:
        raise damaged("its scale is no number") from None
    return int(match[1]), int(match[2]), Layout(data[:2], match.end(), 3 if data[1:2] == b"F" else 1, scale)
