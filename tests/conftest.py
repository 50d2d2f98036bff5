"""What tests of several files share."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from imgpipe.imaging.operations.table import _installed

# A machine that others use too is slow at times; tests assert nothing about seconds.
settings.register_profile("imgpipe", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("imgpipe")

#: A package whose operations misbehave. On ``sys.path`` or PYTHONPATH it is installed.
OPERATIONS = Path(__file__).parent / "operations_of_tests"


@pytest.fixture
def operations_of_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The operations of `OPERATIONS`, here and in every process a test starts."""
    monkeypatch.syspath_prepend(str(OPERATIONS))
    monkeypatch.setenv("PYTHONPATH", str(OPERATIONS))
    _installed.cache_clear()
    yield OPERATIONS
    _installed.cache_clear()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, too small for what is to be written."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if made.returncode:
        assert not os.environ.get("CI"), f"CI must be able to mount: {made.stderr.strip()}"
        pytest.skip(f"NOT TESTED: full and read-only disks. Mounting is not allowed: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)
