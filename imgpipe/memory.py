"""How much memory there is, what a process may take of it, and sizes in words.

What is limited is a process's address space (RLIMIT_AS): an allocation above it fails where that can be told,
with an image's name, while one that is granted and finds no physical memory later ends a process, and not
always the one that took too much. The limit is given as an *allowance* beyond what the process has when its
libraries are loaded, because libraries take some hundred megabytes of addresses and little memory.
"""

from __future__ import annotations

import os
import re
import resource
from contextlib import suppress
from pathlib import Path

from imgpipe import limits
from imgpipe.errors import UsageError

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*(?:([kmgt])(i?b)?|b)?", re.IGNORECASE | re.ASCII)
_PREFIXES = "kmgt"

# What a container may use: cgroup version 2, then 1, as they look from inside one.
_CONTAINER = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def size_of(words: str) -> int:
    """Bytes, from a size as people write it: ``2GiB``, ``1500MB``, ``1.5G``, ``2000000000``.

    ``K``, ``M``, ``G``, ``T`` and the same with ``iB`` are powers of 1,024, with ``B`` powers of 1,000, as
    the GNU core utilities have it.

    Raises
    ------
    UsageError
        It is no size.
    """
    found = _SIZE.fullmatch(words.strip())
    if found is None:
        raise UsageError(f"expected a size as in 2GiB, 1500MB or 2000000000, got {words!r:.40}")
    number, prefix, unit = found.groups()
    step = 1000 if (unit or "").lower() == "b" else 1024
    return (
        int(float(number) * step ** (1 + _PREFIXES.index(prefix.lower()))) if prefix else int(float(number))
    )


def in_words(size: int) -> str:
    """A size for people, in powers of 1,024: ``1.5 GiB``."""
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size >= 1024**power:
            return f"{round(size / 1024**power, 1):g} {unit}"
    return "1 byte" if size == 1 else f"{size} bytes"


def share(slots: int) -> int:
    """What each of so many processes may take, in bytes: as much of this machine as the others."""
    return max(limits.MEMORY_MIN, physical() // slots)


def physical() -> int:
    """Bytes of memory of this machine, or of the container this process is in, if that has less."""
    return min(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *map(_of_container, _CONTAINER))


def _of_container(file: Path) -> int:
    with suppress(OSError, ValueError):  # there is none, or it says "max"
        return int(file.read_text())
    return 1 << 62


def resident() -> int:
    """Bytes of physical memory this process holds; 0 where that cannot be known cheaply."""
    return _pages(1)


def address_space() -> int:
    """Bytes of addresses this process has; 0 where that cannot be known cheaply."""
    return _pages(0)


def _pages(column: int) -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[column]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def bound(allowance: int) -> None:
    """From now on this process takes so many bytes of addresses more than it has, and not one above.

    Nothing happens where its address space cannot be known. A stricter limit that it was given stays.
    """
    now = address_space()
    before = resource.getrlimit(resource.RLIMIT_AS)
    if now:
        given = [limit for limit in before if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min([now + allowance, *given]), before[1]))
