"""File systems of their own, where mounting is allowed."""

from __future__ import annotations

import subprocess
from pathlib import Path


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)
