"""Which directories may be touched, by name, and where SOURCE and output lie in them.

A *root* is a directory that whoever started a worker or coordinator put a name to (``--root NAME=PATH``); the
name travels, the path stays, and it may differ from machine to machine. An absolute path becomes
``(root, relative folder)`` as text: links are not resolved, so that the same words mean the same place on
machines whose links differ. What is below a root is opened without following links (`folder`), so text is
enough to keep everything inside.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from imgpipe.errors import UsageError
from imgpipe.schema import is_folder, shown

DEFAULT_ROOT = "."
INPUT_FOLDER = b"input_dir"
OUTPUT_FOLDER = b"output_dir"
_ROOT_NAME_MAX = 64  # characters: names of roots stand in messages and in every job


class Roots(Mapping[str, bytes]):
    """Name → absolute path, in the order they were given."""

    def __init__(self, paths: Mapping[str, bytes]) -> None:
        self._paths = {name: _normal(path) for name, path in paths.items()}

    def __getitem__(self, name: str) -> bytes:
        return self._paths[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __repr__(self) -> str:
        return f"Roots({self._paths!r})"

    def locate(self, path: bytes) -> tuple[str, bytes]:
        """The root that holds an absolute path, and the folder relative to it (``b""``: the root itself).

        Of several roots the one with the longest path is taken.

        Raises
        ------
        UsageError
            No root holds it: the message says which roots there are and what would help. Or it is longer than
            any file system takes.
        """
        path = _normal(path)
        if not is_folder(path[1:]):
            raise UsageError(f"too long a path: {shown(path)[:200]}…")
        holding = [(name, _below(path, root)) for name, root in self.items()]
        found = [(name, relative) for name, relative in holding if relative is not None]
        if not found:
            raise UsageError(self._outside(path))
        return min(found, key=lambda pair: len(pair[1]))

    def _outside(self, path: bytes) -> str:
        known = ", ".join(f"{name} = {shown(root)}" for name, root in self.items()) or "none"
        helping = self._helping(path)
        wanted = [*self.items(), (self._free_name(helping), helping)]
        options = " ".join(f"--root {shlex.quote(f'{name}={shown(root)}')}" for name, root in wanted)
        return (
            f"{shown(path)} is below none of the roots ({known}): "
            f"restart the coordinator and every worker with {options}"
        )

    def _helping(self, path: bytes) -> bytes:
        """A root that would hold it, and its default output beside it."""
        parent = os.path.dirname(path)
        return _existing(parent if parent != b"/" else path)

    def _free_name(self, path: bytes) -> str:
        stem = shown(os.path.basename(path))[: _ROOT_NAME_MAX // 2].replace("=", "_") or "all"
        number, name = 1, stem
        while name in self._paths:
            number, name = number + 1, f"{stem}{number + 1}"
        return name


def parse_roots(specs: Sequence[str], cwd: bytes) -> Roots:
    """The roots of ``--root NAME=PATH`` options; without any, one named ``.``: the current directory.

    Paths are relative to ``cwd``, which is absolute.

    Raises
    ------
    UsageError
        An option of another form, a name given twice, a path that is no directory.
    """
    if not specs:
        return Roots({DEFAULT_ROOT: cwd})
    paths: dict[str, bytes] = {}
    for spec in specs:
        name, path = _parse_root(spec, cwd)
        if name in paths:
            raise UsageError(f"--root {spec}: there is a root named {name!r} already; give each its own name")
        paths[name] = path
    return Roots(paths)


def _parse_root(spec: str, cwd: bytes) -> tuple[str, bytes]:
    name, equals, given = spec.partition("=")
    if not (name and equals and given):
        raise UsageError(f"--root {spec}: expected NAME=PATH, for example --root photos=/mnt/photos")
    if not name.isprintable() or "/" in name or len(name) > _ROOT_NAME_MAX:
        raise UsageError(
            f"--root {spec}: expected a NAME of at most {_ROOT_NAME_MAX} characters, without '/', before '='"
        )
    path = _normal(os.path.join(cwd, os.fsencode(given)))
    if not os.path.isdir(path):
        what = "is not a directory" if os.path.lexists(path) else "does not exist"
        raise UsageError(f"--root {spec}: {shown(path)} {what}; expected NAME=PATH of a directory")
    return name, path


def layout(source: bytes) -> tuple[bytes, bytes]:
    """The folder that SOURCE means, and its default output, both absolute.

    A SOURCE that holds ``input_dir/`` means that folder, and output goes to ``output_dir`` next to it; of any
    other SOURCE it goes to ``output_dir`` next to SOURCE.
    """
    source = _normal(source)
    inner = os.path.join(source, INPUT_FOLDER)
    if os.path.isdir(inner):
        source = inner
    return source, os.path.join(os.path.dirname(source), OUTPUT_FOLDER)


@dataclass(frozen=True, slots=True)
class Nesting:
    """How the folders of a job lie in each other: each a relative name, None where it does not lie there.

    ``output`` within SOURCE is not listed; into ``source`` within the output nothing may be written.
    """

    output: bytes | None = None
    source: bytes | None = None


def check_output(source: bytes, output: bytes) -> Nesting:
    """How the output of a job and its SOURCE lie in each other, by whatever paths and links.

    A mount of one of them is known where it is itself, or above; one that lies within the other is not seen.

    Raises
    ------
    UsageError
        They are the same directory: images would be replaced by their results.
    """
    found = Nesting(_inside(_normal(output), _normal(source)), _inside(_normal(source), _normal(output)))
    if b"" in (found.output, found.source):
        raise UsageError(
            f"the output {shown(output)} is SOURCE itself, and images would be replaced by their results:"
            " give another directory with -o"
        )
    return found


def _inside(path: bytes, folder: bytes) -> bytes | None:
    """The name of ``path`` in ``folder``, empty if they are the same directory, None if it is not there."""
    for ancestor in (os.path.realpath(path), path):
        below: list[bytes] = []
        while not _same(ancestor, folder):
            if ancestor == b"/":
                break
            ancestor, part = os.path.split(ancestor)
            below.append(part)
        else:
            return b"/".join(reversed(below))
    return None


def _same(one: bytes, other: bytes) -> bool:
    try:
        return one == other or os.path.samefile(one, other)
    except OSError:
        return False  # what does not exist is nowhere


def _normal(path: bytes) -> bytes:
    """Absolute, without ``//``, ``/./``, ``..`` and a slash at the end. ``..`` is resolved as text."""
    if not path.startswith(b"/") or b"\0" in path:
        raise UsageError(f"expected an absolute path, got {shown(path)!r}")
    return b"/" + os.path.normpath(path).lstrip(b"/")  # POSIX keeps two leading slashes


def _below(path: bytes, root: bytes) -> bytes | None:
    if path == root:
        return b""
    prefix = root if root == b"/" else root + b"/"
    return path[len(prefix) :] if path.startswith(prefix) else None


def _existing(path: bytes) -> bytes:
    """The nearest directory above a path that is there, as a root has to be; if that is ``/``, the path."""
    nearest = path
    while not os.path.isdir(nearest):
        nearest = os.path.dirname(nearest)
    return path if nearest == b"/" else nearest
