"""imgpipe turns a folder of images into processed images, on every machine you have, with one command.

Nothing is loaded before it is asked for: see `run`, `LocalCluster`, `Client`, and `imgpipe.blocking`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgpipe.api import run
    from imgpipe.client import Client
    from imgpipe.local import LocalCluster

    __version__: str

__all__ = ["Client", "LocalCluster", "__version__", "run"]

_HOMES = {"run": "imgpipe.api", "Client": "imgpipe.client", "LocalCluster": "imgpipe.local"}


def __getattr__(name: str) -> Any:
    """The public names, each from its module (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("imgpipe")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
