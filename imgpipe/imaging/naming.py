"""What outputs are called: a template such as ``{dir}/{stem}-small{ext}``, filled in for each image.

=========  ===================================  ==================
field      of the input ``trees/oak.JPG``       of one at the top
=========  ===================================  ==================
``{dir}``  its folder below SOURCE: ``trees``   nothing
``{stem}`` its name without suffix: ``oak``     the same
``{name}`` its name: ``oak.JPG``                the same
``{ext}``  the output's suffix, with its dot    the same
=========  ===================================  ==================

A folder that comes out empty is left out, so nothing begins with ``/``. Names are bytes, as the file system
has them; a template is text. It ends in ``{ext}``, because the suffix is what a file's format is known by,
and has ``{stem}`` or ``{name}``, because else all images would have one output. Two images may have one
output all the same, and what is kept of names to notice it depends on how they may: see `is_parted`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from imgpipe import limits
from imgpipe.errors import ImageError, Kind, UsageError, nearest
from imgpipe.schema import elided, is_relative, shown

FIELDS = ("dir", "stem", "name", "ext")
#: Every output keeps its input's place and stem.
MIRRORED = "{dir}/{stem}{ext}"
TEMPLATE_MAX = 255  # bytes: whatever it says, two short fields still fit into a name

_BRACED = re.compile(r"\{([^{}]*)\}")
_FIELD = re.compile(rb"\{([a-z]+)\}")
_STEM = re.compile(r"\{(?:stem|name)\}")
# A part that is ``.`` or ``..`` where {dir} is empty.
_DOTS = r"(?:^|/)(?:\{dir\})*\.(?:\{dir\})*(?:\.(?:\{dir\})*)?(?:/|$)"

#: What `checked_template` takes, for JSON Schema. It counts characters, not bytes.
SCHEMA: Mapping[str, Any] = {
    "type": "string",
    "maxLength": TEMPLATE_MAX,
    "pattern": r"^(?:[^{}\u0000-\u001f\u007f-\u009f]|\{(?:dir|stem|name|ext)\})+$",
    "allOf": [
        {"pattern": r"\{(?:stem|name)\}"},
        {"pattern": r"(?:\{(?:stem|name|ext)\}|[^{}/])(?:\{dir\})*\{ext\}$"},
        {"not": {"pattern": "^/|//"}},
        {"not": {"pattern": _DOTS}},
    ],
}


def checked_template(given: Any) -> str:
    """A template whose every output is a file below the output directory.

    Raises
    ------
    UsageError
        It is none; the message says what was expected, and the nearest field.
    """
    if not isinstance(given, str) or not given or len(given.encode("utf-8", "replace")) > TEMPLATE_MAX:
        raise _wrong(f"a template such as {MIRRORED}, of at most {TEMPLATE_MAX} bytes", given)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in given):
        raise _wrong("text without control characters, in UTF-8", given)
    _check_fields(given)
    if not _STEM.search(given):
        raise _wrong("{stem} or {name} in it, else all outputs have one name", given)
    if not given.endswith("{ext}"):
        raise _wrong("{ext} at its end: the suffix is chosen by the format", given)
    if not all(_is_file_below(given, folder) for folder in (b"", b"d")):
        raise _wrong("the name of a file below the output directory, not beginning with /, without ..", given)
    return given


def _check_fields(template: str) -> None:
    there_are = ", ".join(f"{{{field}}}" for field in FIELDS)
    for field in _BRACED.findall(template):
        if field not in FIELDS:
            raise UsageError(
                f"name: unknown field {{{field:.40}}}{nearest(field, FIELDS)}; there are {there_are}"
            )
    if re.search("[{}]", _BRACED.sub("", template)):
        raise _wrong(f"every brace to belong to one of {there_are}", template)


def _is_file_below(template: str, folder: bytes) -> bool:
    """Whether it says where to put the image ``a.x`` of this folder."""
    if template.startswith("/") or "//" in template:
        return False
    result = _filled(template, {b"dir": folder, b"stem": b"a", b"name": b"a.x", b"ext": b".x"})
    return is_relative(result) and result.rpartition(b"/")[2] != b".x"


def _wrong(expected: str, given: Any) -> UsageError:
    return UsageError(f"name: expected {expected}; got {elided(given)}")


def rendered(template: str, file: bytes, stem: bytes, ext: bytes) -> bytes:
    """The output's relative name for the relative name ``file``, whose last part begins with ``stem``.

    Raises
    ------
    ImageError
        ``unwritable``: no file can be called that.
    """
    folder, _, name = file.rpartition(b"/")
    result = _filled(template, {b"dir": folder, b"stem": stem, b"name": name, b"ext": ext})
    if not is_relative(result):
        most = f"at most {limits.NAME_PART_MAX} bytes a part, {limits.NAME_MAX} in all"
        words = f"its output cannot be called {shown(result[:200])!r}: {most}, and no part . or .."
        raise ImageError(Kind.UNWRITABLE, words)
    return result


def _filled(template: str, fields: Mapping[bytes, bytes]) -> bytes:
    whole = _FIELD.sub(lambda found: fields[found[1]], template.encode())
    return b"/".join(filter(None, whole.split(b"/")))


def is_parted(template: str) -> bool:
    """Whether two images with one output can only be images of one folder and one stem.

    So it is where folder and stem can be read off again: ``{dir}`` stands alone between slashes, once, and
    some other part has one stem in it. (``{dir}-{stem}{ext}`` makes ``a-b-c.jpg`` of both ``a/b-c.jpg`` and
    ``a-b/c.jpg``.)
    """
    parts = template.split("/")
    folders = [part for part in parts if "{dir}" in part]
    return folders == ["{dir}"] and any(len(_STEM.findall(part)) == 1 for part in parts)
