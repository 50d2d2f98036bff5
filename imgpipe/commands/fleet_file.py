"""machines.txt: finding it, reading it, and where the coordinator is."""

from __future__ import annotations

from pathlib import Path

from imgpipe.errors import UsageError
from imgpipe.machines import COORDINATOR_PORT, Address, Machines, parse, parse_address

FILES = ("machines.txt", "machine.txt")  # the second is what the original system called it


def machines(file: str | None = None) -> Machines | None:
    """What ``file`` says; without it what the first of `FILES` in the current directory says; else None.

    Raises
    ------
    UsageError
        A file that was named is not there, or a line is wrong.
    """
    if file is not None:
        return _read(Path(file))
    found = next((path for path in map(Path, FILES) if path.exists()), None)
    return None if found is None else _read(found)


def coordinator_at(given: str | None) -> Address:
    """Where the coordinator is: as given, else as machines.txt says, else on this machine."""
    if given is not None:
        return parse_address(given, COORDINATOR_PORT)
    known = machines()
    return (known and known.coordinator) or Address("127.0.0.1", COORDINATOR_PORT)


def _read(path: Path) -> Machines:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; `-m FILE` names a machines file") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: expected text in UTF-8") from None
    return parse(text, str(path))
