"""Recipes as TOML files::

    [[step]]
    op = "thumbnail"
    size = 200

    [output]
    format = "webp"
    quality = 80

Steps are done in order; the keys beside ``op`` are its parameters. Without steps the default is done.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Any

from imgpipe import limits
from imgpipe.errors import UsageError, nearest
from imgpipe.imaging.operations import Step, find, parse
from imgpipe.schema import elided
