"""Writes docs/operations.md and its pictures from the table of operations: ``make docs``.

Everything said of an operation comes from its declaration. What is decided here is which photograph shows it
best. An operation that changes the size is done on a larger picture, and before and after are shown at one
scale; every other one is done on the small picture that is shown, because 5 pixels of blur are not to be seen
on one that is shown at half its size.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from imgpipe.imaging import catalogue
from imgpipe.imaging.catalogue import Family
from imgpipe.imaging.operations import Operation, Parameter, find, parse
from imgpipe.imaging.operations.declare import same_size
from imgpipe.imaging.operations.table import BUILT_IN
from imgpipe.imaging.pixels import Image, colour, has_alpha
from imgpipe.imaging.recipe_toml import OPTIONS
from imgpipe.testing import standing_in

ROOT = Path(__file__).resolve().parent.parent
INPUT = ROOT / "data" / "input"
PAGE = ROOT / "docs" / "operations.md"
FOLDER = PAGE.with_suffix("")

SIDE = 200  # pixels of the longer side of a picture before, as it is shown
LARGE = 400  # … and of what an operation that changes the size is done on
QUALITY = 80

#: The photograph that shows a family best, by the file its operations are in; and the two for all others.
PHOTOGRAPHS = {
    "edges": "coffee.jpg",
    "arrangement": "coffee.jpg",
    "colour": "chelsea.png",
    "threshold": "camera.jpg",
}
USUAL, USUAL_LARGE = "astronaut.jpg", "coffee.jpg"


def noisy(image: Image) -> Image:
    """Grain like that of a photograph taken in the dark: normal noise of 15 levels, from a fixed seed."""
    grain = np.random.default_rng(1).normal(0, 15, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def framed(image: Image) -> Image:
    """With a wide white border, as a scanner leaves it."""
    return cv2.copyMakeBorder(image, 60, 40, 90, 50, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def crooked(image: Image) -> Image:
    """A page of text, laid on the scanner 4 degrees askew. The photograph is not in it."""
    page = np.full((280, 400, 3), 255, np.uint8)
    for line in range(9):
        words = "the quick brown fox jumps over the lazy dog"[line % 3 :]
        cv2.putText(page, words, (30, 45 + 24 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1)
    turn = cv2.getRotationMatrix2D((200, 140), 4, 1)
    return cv2.warpAffine(page, turn, (400, 280), borderValue=(255, 255, 255))


def of_operation(words: str) -> Callable[[Image], Image]:
    """What an operation makes of the photograph."""

    def prepared(image: Image) -> Image:
        step = parse(words)
        result: Image = find(step.name)(image, **find(step.name).arguments(step))
        return result

    return prepared


#: What is done to the photograph before, for operations that mend something.
PREPARED: dict[str, Callable[[Image], Image]] = {
    "trim": framed,
    "deskew": crooked,
    "white-balance": of_operation("temperature:kelvin=3500"),
    "levels": of_operation("contrast:factor=0.6"),
    "auto-contrast": of_operation("contrast:factor=0.4"),
    "equalize": of_operation("contrast:factor=0.4"),
    "median": noisy,
    "bilateral": noisy,
    "denoise": noisy,
}


# --- pictures -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """An operation's two pictures, by file name without suffix. The first may be shown with others."""

    operation: Operation
    before: str
    after: str


def shown(operation: Operation) -> Shown:
    before = operation.name if operation.name in PREPARED else Path(_best(operation)).stem
    return Shown(operation, f"before-{before}", operation.name)


def _home(operation: Operation) -> str:
    """The file it is in."""
    return operation.function.__module__.rpartition(".")[2]


def _is_large(operation: Operation) -> bool:
    """What is laid over a picture has a size in pixels that is meant for one of some size, too."""
    return operation.size is not same_size or _home(operation) == "overlay"


def _best(operation: Operation) -> str:
    return PHOTOGRAPHS.get(_home(operation), USUAL_LARGE if _is_large(operation) else USUAL)


def before_and_after(operation: Operation) -> tuple[Image, Image]:
    """``(H, W, 3)`` uint8 each, as they are put on the page."""
    large = _scaled(_photograph(_best(operation)), LARGE)
    source = PREPARED.get(operation.name, np.copy)(large if _is_large(operation) else _reduced(large))
    result = opaque(_done(operation, source))
    return (_reduced(source), _reduced(result)) if _is_large(operation) else (source, result)


def _done(operation: Operation, image: Image) -> Image:
    with tempfile.TemporaryDirectory() as folder, standing_in(operation, Path(folder)):
        step = parse(operation.example)
        return operation(image, **operation.arguments(step))


@cache
def _photograph(name: str) -> Image:
    data = np.frombuffer((INPUT / name).read_bytes(), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert image is not None, name
    return image


def _scaled(image: Image, side: float) -> Image:
    """Reduced so that its longer side is ``side``."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _reduced(image: Image) -> Image:
    """As it is shown: all by one factor, but for what would be wider or higher than twice `SIDE`."""
    return _scaled(image, min(2 * SIDE, max(image.shape[:2]) * SIDE / LARGE))


def opaque(image: Image) -> Image:
    """In colour; what is transparent shows the usual chequers."""
    if not has_alpha(image):
        return colour(image)
    rows, columns = np.indices(image.shape[:2]) // 8
    chequers = np.where((rows + columns) % 2, 255, 204)[:, :, None]
    alpha = image[:, :, 3:] / 255
    return np.rint(image[:, :, :3] * alpha + chequers * (1 - alpha)).astype(np.uint8)


def _encoded(image: Image) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    return data.tobytes()


def pictures(families: Sequence[Family]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every file that belongs to the page."""
    told = set()
    for family in families:
        for operation in family.operations:
            place = shown(operation)
            for name, image in zip((place.before, place.after), before_and_after(operation), strict=True):
                if name not in told:
                    told.add(name)
                    yield f"{name}.jpg", _encoded(image)


# --- text ---------------------------------------------------------------------------------------

INTRODUCTION = """# Operations

<!-- Written by tools/operations_page.py from the declarations in imgpipe/imaging/operations: `make docs`. -->

What can be done to an image. `imgpipe ops` lists this on the command line; `imgpipe ops NAME` explains one.
Operations are given with `--op`, several in the order of work, or as steps of a recipe file:

```
imgpipe run photos --op thumbnail:size=400 --op sepia
```

```toml
[[step]]
op = "thumbnail"
size = 400

[[step]]
op = "sepia"

[output]
format = "webp"
name = "{dir}/{stem}-small{ext}"
```

```
imgpipe run photos --recipe small.toml
```

A parameter that is left out has its default. The pictures show what the example does.
"""

BESIDE_STEPS = """\
Beside its steps, a recipe says these. On the command line each is an option, as in `--format`; a flag beats
the file. `imgpipe ops --schema` prints a JSON Schema of recipe files, for editors.

"""


def page(families: Sequence[Family]) -> str:
    """The whole page, in Markdown."""
    parts = [INTRODUCTION, _options(), _contents(families)]
    for family in families:
        # The phrase keeps the anchor of a family apart from that of an operation of the same name.
        parts.append(f"## {family.title}: {family.about}\n")
        parts += [_section(shown(operation)) for operation in family.operations]
    return "\n".join(parts)


def _options() -> str:
    rows = [
        (
            f"`{option.key}`",
            f"`[{option.table}]`",
            "" if option.default is None else f"`{_toml(option.default)}`",
            option.doc,
        )
        for option in OPTIONS
    ]
    return BESIDE_STEPS + _table(("key", "table", "default", "meaning"), rows)


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


def _contents(families: Sequence[Family]) -> str:
    lines = []
    for family in families:
        links = ", ".join(f"[{operation.name}](#{operation.name})" for operation in family.operations)
        lines.append(f"- **{family.title}**: {links}\n")
    return "".join(lines)


def _section(place: Shown) -> str:
    operation = place.operation
    before, after = f"operations/{place.before}.jpg", f"operations/{place.after}.jpg"
    pictures = _table(
        ("before", f"after `{operation.example}`"),
        [(f"![before]({before})", f"![after {operation.name}]({after})")],
    )
    parts = [f"### {operation.name}\n", _text(operation.description) + "\n", pictures, _effects(operation)]
    if operation.parameters:
        parts.append(_parameters(operation.parameters))
    parts.append(f"```\nimgpipe run photos --op {shlex.quote(operation.example)}\n```\n")
    parts.append(f"```toml\n{catalogue.toml_example(operation)}\n```\n")
    return "\n".join(parts)


def _text(docstring: str) -> str:
    return docstring.replace("``", "`")


def _parameters(parameters: Sequence[Parameter]) -> str:
    rows = [(f"`{p.name}`", _default(p), p.expected, _text(p.doc)) for p in parameters]
    return _table(("parameter", "default", "expected", "meaning"), rows)


def _default(parameter: Parameter) -> str:
    return (
        catalogue.default_of(parameter)
        if parameter.default is None
        else f"`{catalogue.default_of(parameter)}`"
    )


def _effects(operation: Operation) -> str:
    words = [f"{what} {effect}" for what, effect in catalogue.effects(operation)]
    whole = "; ".join(words)
    return f"{whole[:1].upper()}{whole[1:]}.\n"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def built_in() -> tuple[Family, ...]:
    return catalogue.families(BUILT_IN.values())


def main() -> None:
    families = built_in()
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for name, data in pictures(families):
        (FOLDER / name).write_bytes(data)
    PAGE.write_text(page(families))


if __name__ == "__main__":
    main()
