"""What this OpenCV makes of the same pictures: for comparing two versions of it.

    python tools/opencv_results.py write FILE      every result, into one file
    python tools/opencv_results.py compare FILE    … held against those; exit code 1 if one differs

Every operation with its example, on pictures of every depth and kind; every format written and read again;
every photograph of data/input read. `make test-opencv4` does both.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from imgpipe.errors import ImageError
from imgpipe.imaging.codecs import WRITABLE, Picture, decode, encode
from imgpipe.imaging.operations import find, parse
from imgpipe.imaging.operations.table import BUILT_IN
from imgpipe.imaging.pixels import WHITE, grey, with_depth

PHOTOGRAPHS = Path(__file__).parent.parent / "data" / "input"


def pictures() -> dict[str, Any]:
    """A part of a photograph in every depth, grey, in colour and with alpha; odd sizes."""
    source = decode((PHOTOGRAPHS / "coffee.jpg").read_bytes()).frames[0]
    colour = cv2.resize(source, (309, 211), interpolation=cv2.INTER_AREA)
    alpha = np.linspace(0, 255, 211 * 309).reshape(211, 309).astype(np.uint8)
    kinds = {"grey": grey(colour), "colour": colour, "alpha": np.dstack([colour, alpha])}
    return {f"{kind} {depth}": with_depth(image, depth) for depth in WHITE for kind, image in kinds.items()}


def results() -> Iterator[tuple[str, Any]]:
    """Names and arrays."""
    for path in sorted(PHOTOGRAPHS.glob("*.*")):
        yield f"read {path.name}", decode(path.read_bytes()).frames[0]
        yield f"read {path.name} in colour", decode(path.read_bytes(), colour8=True).frames[0]
    for kind, image in pictures().items():
        yield from _of_formats(kind, image)
        for name in sorted(BUILT_IN):
            operation = find(name)
            step = parse(operation.example, files=_logo)
            yield f"{step} of {kind}", operation(image, **operation.arguments(step))


def _logo(path: str) -> bytes:
    """Of an operation that takes an image file: a part of that photograph, with alpha."""
    data, _ = encode(Picture([pictures()["alpha uint8"][:40, :60]]), "png")
    return data


def _of_formats(kind: str, image: Any) -> Iterator[tuple[str, Any]]:
    for suffix in sorted(WRITABLE):
        try:
            data, remarks = encode(Picture([image]), suffix)
        except ImageError as error:
            yield f"{kind} as {suffix}", np.frombuffer(str(error).encode(), np.uint8)
            continue
        yield f"{kind} as {suffix}", np.frombuffer(data, np.uint8)
        yield f"{kind} as {suffix}, told", np.frombuffer(repr(remarks).encode(), np.uint8)
        yield f"{kind} as {suffix}, read again", decode(data).frames[0]


def write(file: str) -> int:
    np.savez(file, **dict(results()), version=np.array(cv2.__version__))
    return 0


def compare(file: str) -> int:
    """Print every result that is not the same to the last bit."""
    there, count, different = dict(np.load(file)), 0, 0
    for name, here in results():
        count += 1
        before = there.get(name)
        if before is None or not np.array_equal(before, here, equal_nan=here.dtype.kind == "f"):
            different += 1
            print(f"differs: {name}: {_difference(before, here)}")
    versions = f"OpenCV {there['version']} and {cv2.__version__}"
    print(f"{versions}: {count - different} of {count} results are the same")
    return int(different > 0)


def _difference(there: Any, here: Any) -> str:
    if there is None or there.shape != here.shape or there.dtype != here.dtype:
        return f"{None if there is None else (there.shape, there.dtype)} and {here.shape, here.dtype}"
    return f"by up to {np.abs(there.astype(float) - here).max():g}"


if __name__ == "__main__":
    sys.exit({"write": write, "compare": compare}[sys.argv[1]](sys.argv[2]))
