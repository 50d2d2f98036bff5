"""One process of a pool. `Handle` starts it; it is of no use from a terminal."""

from __future__ import annotations

import sys

from imgpipe.pool.process import main

sys.exit(main(sys.argv[1:]))
