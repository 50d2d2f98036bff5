"""How operations are shown to people: by family, with what they do to a picture, and an example.

``imgpipe ops``, docs/operations.md and the schema for editors all read this, and this reads declarations
alone: a new operation is shown without another word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from imgpipe.errors import ImageError, UsageError
from imgpipe.imaging.operations import Operation, Parameter
from imgpipe.imaging.operations.declare import same_size
from imgpipe.imaging.operations.parameters import word_of
from imgpipe.imaging.operations.table import FAMILIES

#: The picture whose size is told before and after.
WIDTH, HEIGHT = 640, 480

# ``parameter=value`` of an example; a value with commas in it stands in double quotes.
_PAIR = re.compile(r'\s*([^=,:]+?)\s*=\s*("(?:[^"]|"")*"|[^,]*)')


@dataclass(frozen=True, slots=True)
class Family:
    """Operations that belong together. ``about`` goes on after the title: a phrase."""

    title: str
    about: str
    operations: tuple[Operation, ...]


def families(operations: Iterable[Operation]) -> tuple[Family, ...]:
    """Built-in ones by the file they are in, those of other packages by package."""
    groups: dict[str, list[Operation]] = {module.__name__: [] for module in FAMILIES}
    for operation in operations:
        groups.setdefault(_home(operation), []).append(operation)
    texts = {module.__name__: _heading(module.__doc__ or module.__name__) for module in FAMILIES}
    return tuple(
        Family(*texts.get(home, (home, "an installed package")), tuple(members))
        for home, members in groups.items()
        if members
    )


def _home(operation: Operation) -> str:
    module: str = operation.function.__module__
    built_in = {family.__name__ for family in FAMILIES}
    return module if module in built_in else module.partition(".")[0]


def _heading(docstring: str) -> tuple[str, str]:
    """Title and phrase from the first sentence of a family's file: ``Geometry: where pixels are.``"""
    first = " ".join(docstring.split("\n\n")[0].split())
    title, _, about = first.partition(": ")
    return title, about.rstrip(".")


def effects(operation: Operation) -> tuple[tuple[str, str], ...]:
    """What becomes of alpha, depth, channels and size: ``("alpha", "is kept as it is")``, …"""
    return (
        ("alpha", operation.alpha.value),
        ("depth", operation.depth.value),
        ("channels", operation.channels.value),
        ("size", _size(operation)),
    )


def _size(operation: Operation) -> str:
    if operation.size is None:
        return "depends on what is in the picture"
    if operation.size is same_size:
        return "is kept"
    try:
        arguments = operation.arguments(operation.step(dict(pairs(operation.example)), words=True))
        width, height = operation.size(WIDTH, HEIGHT, **arguments)
    except (UsageError, ImageError):  # the example names a file, or is not for a picture of this size
        return "follows the parameters"
    return f"follows the parameters: {WIDTH}×{HEIGHT} becomes {width}×{height} in the example"


def default_of(parameter: Parameter) -> str:
    """The default as it is written; ``required`` or nothing where there is none."""
    if parameter.default is not None:
        return word_of(parameter.default)
    return "required" if parameter.required else ""


def pairs(example: str) -> tuple[tuple[str, str], ...]:
    """Parameters and words of an operation's example."""
    found = _PAIR.findall(example.partition(":")[2])
    return tuple((name, _unquoted(word.strip())) for name, word in found)


def _unquoted(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word


def toml_example(operation: Operation) -> str:
    """The example as a step of a recipe file."""
    kinds = {parameter.name: parameter.kind for parameter in operation.parameters}
    lines = ["[[step]]", f"op = {json.dumps(operation.name)}"]
    for name, word in pairs(operation.example):
        bare = kinds.get(name) in (int, float, bool)
        lines.append(f"{name} = {word if bare else json.dumps(word, ensure_ascii=False)}")
    return "\n".join(lines)
