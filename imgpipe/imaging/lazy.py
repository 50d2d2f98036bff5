"""Modules that load when they are first used.

Operations are *declared* in files that call OpenCV and NumPy, and those declarations (names, parameters,
ranges, help) are read by processes that never touch a pixel: the client, the coordinator, ``--help``. There,
loading OpenCV would cost a quarter of a second and 60 MB. So every file of `imgpipe.imaging` says::

    if TYPE_CHECKING:
        import cv2
    else:
        cv2 = lazy("cv2")

and the first attribute taken from ``cv2`` loads it.
"""

from __future__ import annotations

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def lazy(name: str) -> ModuleType:
    """The top-level module ``name``, loaded at its first use.

    Raises
    ------
    ModuleNotFoundError
        It is not installed. That is found here, at once.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    spec.loader = LazyLoader(spec.loader)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
